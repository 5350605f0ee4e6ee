-- Why: storage commitment requests and their results are rows, so that any server can work on them and answer; each
--   segment says when it was read again last, and by whom.
-- Locks: creates tables; adds columns without defaults to segments, and builds two small indexes on it, during which
--   nothing is stored.
-- An old server beside it: works; it answers no commitment requests, and verifies nothing.

CREATE TABLE "commitment_references" (
	"commitment_key" bigint NOT NULL,
	"position" integer NOT NULL,
	"study_instance_uid" text,
	"series_instance_uid" text,
	"sop_class_uid" text NOT NULL,
	"sop_instance_uid" text NOT NULL,
	"is_whole" boolean,
	"segment_key" bigint,
	"segment_offset" bigint,
	"failure_reason" integer,
	CONSTRAINT "commitment_references_pk" PRIMARY KEY("commitment_key","position")
);
--> statement-breakpoint
CREATE TABLE "commitment_studies" (
	"commitment_key" bigint NOT NULL,
	"study_instance_uid" text NOT NULL,
	"committed_count" integer DEFAULT 0 NOT NULL,
	"failed_count" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "commitment_studies_pk" PRIMARY KEY("commitment_key","study_instance_uid")
);
--> statement-breakpoint
CREATE TABLE "commitments" (
	"commitment_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "commitments_commitment_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"transaction_uid" text NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"form" text NOT NULL,
	"requester" text,
	"requester_product" text,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	"instance_count" integer NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"checked_count" integer DEFAULT 0 NOT NULL,
	"committed_count" integer DEFAULT 0 NOT NULL,
	"failed_count" integer DEFAULT 0 NOT NULL,
	"claimed_by" uuid,
	"lease_until" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "verified_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "verified_by" uuid;--> statement-breakpoint
ALTER TABLE "segments" ADD COLUMN "verify_until" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "commitment_studies_study_instance_uid" ON "commitment_studies" USING btree ("study_instance_uid","commitment_key");--> statement-breakpoint
CREATE UNIQUE INDEX "commitments_transaction_uid" ON "commitments" USING btree ("transaction_uid");--> statement-breakpoint
CREATE INDEX "commitments_waiting" ON "commitments" USING btree ("commitment_key") WHERE state = 'waiting';--> statement-breakpoint
CREATE INDEX "commitments_finished" ON "commitments" USING btree ("finished_at") WHERE state = 'finished';--> statement-breakpoint
CREATE INDEX "segments_verification" ON "segments" USING btree (coalesce(verified_at, created_at),"segment_key") WHERE state = 'kept';--> statement-breakpoint
CREATE INDEX "segments_being_verified" ON "segments" USING btree ("verify_until") WHERE verify_until is not null;
