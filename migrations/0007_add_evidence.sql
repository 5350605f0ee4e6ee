-- Why: completeness is never guessed: what a study should hold is kept as statements with source and time.
-- Locks: adds tables, and columns without a value to transfers and staged_instances.
-- An old server beside it: cannot open transfers any more, for open_transfer has another parameter.

drop function if exists open_transfer(uuid, uuid, uuid, text, text, text, text, text, bigint, double precision);
--> statement-breakpoint
CREATE TABLE "evidence" (
	"evidence_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "evidence_evidence_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"study_instance_uid" text NOT NULL,
	"series_instance_uid" text,
	"source" text NOT NULL,
	"origin" text DEFAULT '' NOT NULL,
	"extent" text NOT NULL,
	"instance_count" integer,
	"is_list" boolean DEFAULT false NOT NULL,
	"missing_count" integer DEFAULT 0 NOT NULL,
	"claimed_by" text,
	"detail" text,
	"claimed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "evidence_claim" UNIQUE NULLS NOT DISTINCT("study_instance_uid","series_instance_uid","source","origin")
);
--> statement-breakpoint
CREATE TABLE "evidence_instances" (
	"evidence_key" bigint NOT NULL,
	"sop_instance_uid" text NOT NULL,
	"is_here" boolean NOT NULL,
	CONSTRAINT "evidence_instances_pk" PRIMARY KEY("evidence_key","sop_instance_uid")
);
--> statement-breakpoint
ALTER TABLE "staged_instances" ADD COLUMN "evidence" jsonb;--> statement-breakpoint
ALTER TABLE "transfers" ADD COLUMN "declared_instance_count" integer;--> statement-breakpoint
ALTER TABLE "evidence_instances" ADD CONSTRAINT "evidence_instances_evidence_key_evidence_evidence_key_fk" FOREIGN KEY ("evidence_key") REFERENCES "public"."evidence"("evidence_key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "evidence_instances_sop_instance_uid" ON "evidence_instances" USING btree ("sop_instance_uid");