-- Why: what was deleted stays deleted, and says by whom, when and why; segments know how many of their bytes belong to
--   nothing any more, and which of them are being written again without those.
-- Locks: adds columns without or with constant defaults; builds indexes over segments, of which there are few.
-- An old server beside it: works, and refuses what was deleted, for that is in the functions. It cannot delete, and
--   leaves emptied segments to the new ones.

CREATE TABLE "deletions" (
	"deletion_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "deletions_deletion_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"level" text NOT NULL,
	"study_instance_uid" text NOT NULL,
	"series_instance_uid" text,
	"sop_instance_uid" text,
	"reason" text,
	"sender" text,
	"is_forced" boolean NOT NULL,
	"allows_resend" boolean NOT NULL,
	"series_count" integer DEFAULT 0 NOT NULL,
	"instance_count" integer DEFAULT 0 NOT NULL,
	"committed_instance_count" integer DEFAULT 0 NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"deleted_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "freed_bytes" (
	"freed_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "freed_bytes_freed_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"segment_key" bigint NOT NULL,
	"byte_length" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tombstones" (
	"sop_instance_uid" text PRIMARY KEY NOT NULL,
	"study_instance_uid" text NOT NULL,
	"series_instance_uid" text NOT NULL,
	"sop_class_uid" text NOT NULL,
	"digest" "bytea" NOT NULL,
	"deletion_key" bigint NOT NULL,
	"lifted_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "dead_bytes" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "dead_since" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "compacts_key" bigint;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "lease_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "origin_key" bigint;--> statement-breakpoint
CREATE INDEX "deletions_study_instance_uid" ON "deletions" USING btree ("study_instance_uid","deletion_key");--> statement-breakpoint
CREATE INDEX "tombstones_study_instance_uid" ON "tombstones" USING btree ("study_instance_uid","series_instance_uid");--> statement-breakpoint
CREATE INDEX "tombstones_deletion_key" ON "tombstones" USING btree ("deletion_key");--> statement-breakpoint
CREATE INDEX "segments_dead_bytes" ON "segments" USING btree ("segment_key") WHERE dead_bytes > 0;--> statement-breakpoint
CREATE UNIQUE INDEX "segments_compacts_key" ON "segments" USING btree ("compacts_key") WHERE state = 'open';