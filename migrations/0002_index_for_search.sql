-- Why: a search finds by every key that PS3.18 10.6.1.2.3 requires, each by an index, and by names and
--   times whatever their form. What it compares is made by Postgres, in the commit, of what is stored.
-- Locks: studies and series are written anew with the new columns, instances is read for two indexes: all
--   three are locked until it is done, some minutes for ten million instances.
-- An old server beside it: works, and stores no Request Attributes Sequence. Of series that are stored
--   already the rows have none either: it stands in their metadata only. The next instance brings it.

-- These functions are plpgsql, for one in SQL would be parsed and put in its place again by every statement that
-- writes a row: 60 µs each.

-- The form in which names are compared: lower case, without marks, without empty components at the end.
-- PS3.4 C.2.2.2.1 leaves all that to the server. Wildcards stay what they are. Letters keep their
-- syllables (NFC at the end), so that a beginning is one for people, too.
create function person_name_key(name text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  -- Most names need nothing more, and this is a third of the work.
  if name !~ '[^ -~]|  |^ | $| [=^]|[=^] |[=^]$|\^=' then
    return lower(name);
  end if;
  return regexp_replace(
    regexp_replace(
      lower(normalize(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g'), NFC)),
      '\s*([=^])\s*|^\s+|\s+$|(\s)\s+', '\1\2', 'g'
    ),
    '\^+(?==|$)|[=^]+$', '', 'g'
  );
end $$;
--> statement-breakpoint

-- A TM in the form in which it is compared, hhmmss.ffffff, for 2230 is 223000. (PS3.4 C.2.2.2.1) Null if it is
-- none.
create function time_key(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  if value ~ '^\d\d(\d\d(\d\d(\.\d{1,6})?)?)?$' then
    return rpad(split_part(value, '.', 1), 6, '0') || '.' || rpad(split_part(value, '.', 2), 6, '0');
  end if;
  return null;
end $$;
--> statement-breakpoint

DROP INDEX "series_study_key";--> statement-breakpoint
DROP INDEX "studies_patient_id";--> statement-breakpoint
DROP INDEX "studies_study_date";--> statement-breakpoint
-- One statement for each table, so that it is written anew once.
ALTER TABLE "series"
  ADD COLUMN "request_attributes_sequence" jsonb,
  ADD COLUMN "performed_procedure_step_start_time_key" text
    GENERATED ALWAYS AS (time_key(performed_procedure_step_start_time)) STORED;--> statement-breakpoint
ALTER TABLE "studies"
  ADD COLUMN "patient_name_key" text GENERATED ALWAYS AS (person_name_key(patient_name)) STORED,
  ADD COLUMN "referring_physician_name_key" text
    GENERATED ALWAYS AS (person_name_key(referring_physician_name)) STORED,
  ADD COLUMN "study_time_key" text GENERATED ALWAYS AS (time_key(study_time)) STORED;--> statement-breakpoint
CREATE INDEX "instances_sop_class_uid" ON "instances" USING btree ("sop_class_uid","series_key");--> statement-breakpoint
CREATE INDEX "instances_instance_number" ON "instances" USING btree ("instance_number","series_key");--> statement-breakpoint
CREATE INDEX "series_study_key_series_key" ON "series" USING btree ("study_key","series_key");--> statement-breakpoint
CREATE INDEX "series_modality" ON "series" USING btree ("modality" text_pattern_ops,"study_key");--> statement-breakpoint
CREATE INDEX "series_series_number" ON "series" USING btree ("series_number" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "series_start_date_time" ON "series" USING btree ("performed_procedure_step_start_date","performed_procedure_step_start_time_key");--> statement-breakpoint
CREATE INDEX "series_start_time" ON "series" USING btree ("performed_procedure_step_start_time_key");--> statement-breakpoint
CREATE INDEX "series_request_attributes" ON "series" USING gin ("request_attributes_sequence" jsonb_path_ops) WHERE request_attributes_sequence is not null;--> statement-breakpoint
CREATE INDEX "studies_study_date_time" ON "studies" USING btree ("study_date" DESC NULLS LAST,"study_time_key" DESC NULLS LAST,"study_key" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "studies_patient_id_pattern" ON "studies" USING btree ("patient_id" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_study_time" ON "studies" USING btree ("study_time_key");--> statement-breakpoint
CREATE INDEX "studies_accession_number" ON "studies" USING btree ("accession_number" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_study_id" ON "studies" USING btree ("study_id" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_patient_name" ON "studies" USING btree ("patient_name_key" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_referring_physician_name" ON "studies" USING btree ("referring_physician_name_key" text_pattern_ops);
--> statement-breakpoint

-- The other groups of a name (PS3.5 6.2.1.1); few archives have any.
create index studies_patient_name_ideographic
  on studies (split_part(patient_name_key, '=', 2) text_pattern_ops)
  where patient_name_key like '%=%';
--> statement-breakpoint

create index studies_patient_name_phonetic
  on studies (split_part(patient_name_key, '=', 3) text_pattern_ops)
  where patient_name_key like '%=%';
--> statement-breakpoint

create index studies_referring_physician_name_ideographic
  on studies (split_part(referring_physician_name_key, '=', 2) text_pattern_ops)
  where referring_physician_name_key like '%=%';
--> statement-breakpoint

create index studies_referring_physician_name_phonetic
  on studies (split_part(referring_physician_name_key, '=', 3) text_pattern_ops)
  where referring_physician_name_key like '%=%';
