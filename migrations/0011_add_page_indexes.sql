-- Why: the page counts and lists what is not whole or damaged, and refusals and warnings of a study and of the last
--   days, among any number of others.
-- Locks: creates indexes; intake of what is refused, or stored with a warning, waits while the last four are built.
-- An old server beside it: works, and has no use for them.

CREATE INDEX "studies_not_whole" ON "studies" USING btree ("verdict","last_received_at" DESC NULLS LAST,"study_key" DESC NULLS LAST) WHERE verdict in ('partial', 'conflict');--> statement-breakpoint
CREATE INDEX "studies_damaged" ON "studies" USING btree ("last_received_at" DESC NULLS LAST,"study_key" DESC NULLS LAST) WHERE damaged_instance_count > 0;--> statement-breakpoint
CREATE INDEX "refusals_study_instance_uid" ON "refusals" USING btree ("study_instance_uid");--> statement-breakpoint
CREATE INDEX "refusals_refused_at" ON "refusals" USING btree ("refused_at" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "warnings_study_instance_uid" ON "warnings" USING btree ("study_instance_uid");--> statement-breakpoint
CREATE INDEX "warnings_warned_at" ON "warnings" USING btree ("warned_at" DESC NULLS LAST);
