-- Why: Series Number and Instance Number are compared as integers: 0003 is 3. What is no integer has no place in the indexes
--   but that of a null.
-- Locks: series and instances, also against reading, until the two indexes are made: some minutes for ten million instances.
-- An old server beside it: works, and has no index for searches by these two.

DROP INDEX "instances_instance_number";--> statement-breakpoint
DROP INDEX "series_series_number";--> statement-breakpoint
CREATE INDEX "instances_instance_number" ON "instances" USING btree ((case when instance_number ~ '^[+-]?[0-9]{1,12}$' then instance_number::bigint end),"series_key");--> statement-breakpoint
CREATE INDEX "series_series_number" ON "series" USING btree ((case when series_number ~ '^[+-]?[0-9]{1,12}$' then series_number::bigint end));--> statement-breakpoint
-- Of an expression nothing is known before that: plans for rare numbers would be those for usual ones. Of empty tables
-- nothing shall be known, for then Postgres takes them to stay so.
do $$ begin
  if exists (select from series) then
    analyze series, instances;
  end if;
end $$;
