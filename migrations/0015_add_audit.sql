-- Why: who stored, saw, changed and deleted what. What keeps it unchanged are triggers (migrations/functions/audit.sql).
-- Locks: nothing; creates tables.
-- An old server beside it: goes on, and writes nothing of it.

CREATE TABLE "audit_events" (
	"at" timestamp with time zone NOT NULL,
	"audit_key" bigint GENERATED ALWAYS AS IDENTITY (sequence name "audit_events_audit_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"action" text NOT NULL,
	"actor" text,
	"source" text,
	"study_instance_uid" text,
	"series_instance_uid" text,
	"sop_instance_uid" text,
	"transfer_id" uuid,
	"outcome" smallint NOT NULL,
	"what" text,
	"event_count" integer NOT NULL,
	"instance_count" integer,
	CONSTRAINT "audit_events_pkey" PRIMARY KEY("at","audit_key")
);
--> statement-breakpoint
CREATE TABLE "audit_retention" (
	"only_row" integer PRIMARY KEY NOT NULL,
	"keep_days" integer
);
--> statement-breakpoint
CREATE INDEX "audit_events_study" ON "audit_events" USING btree ("study_instance_uid","at","audit_key") WHERE study_instance_uid is not null;--> statement-breakpoint
CREATE INDEX "audit_events_actor" ON "audit_events" USING btree ("actor","at","audit_key") WHERE actor is not null;
--> statement-breakpoint
INSERT INTO "audit_retention" ("only_row") VALUES (1);
