CREATE TABLE "changes" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"level" text NOT NULL,
	"study_instance_uid" text,
	"series_instance_uid" text,
	"sop_instance_uid" text,
	"patient_id" text,
	"issuer_of_patient_id" text,
	"transfer_id" uuid,
	"details" jsonb,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "changes_to_come" (
	"change_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "changes_to_come_change_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"type" text NOT NULL,
	"level" text NOT NULL,
	"study_instance_uid" text,
	"series_instance_uid" text,
	"sop_instance_uid" text,
	"patient_id" text,
	"issuer_of_patient_id" text,
	"transfer_id" uuid,
	"details" jsonb,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "consumers" (
	"name" text PRIMARY KEY NOT NULL,
	"acknowledged_seq" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"acknowledged_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "feed" (
	"only_row" integer PRIMARY KEY NOT NULL,
	"last_seq" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "quiet_rules" (
	"position" integer PRIMARY KEY NOT NULL,
	"sender" text,
	"modality" text,
	"keyword" text,
	"value" text,
	"quiet_seconds" real NOT NULL
);
--> statement-breakpoint
CREATE TABLE "transfer_studies" (
	"transfer_id" uuid NOT NULL,
	"study_instance_uid" text NOT NULL,
	"patient_id" text,
	"issuer_of_patient_id" text,
	CONSTRAINT "transfer_studies_pk" PRIMARY KEY("transfer_id","study_instance_uid")
);
--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "generation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "quiet_seconds" real DEFAULT 60 NOT NULL;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "reopened_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "settled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "settled_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "settled_byte_length" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "content_digest" "bytea";--> statement-breakpoint
ALTER TABLE "patients" ADD COLUMN "settled_series_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "generation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "quiet_seconds" real DEFAULT 60 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "reopened_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "settled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "settled_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "settled_byte_length" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "content_digest" "bytea";--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "last_sender" text;--> statement-breakpoint
ALTER TABLE "staged_instances" ADD COLUMN "member" integer;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "generation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "quiet_seconds" real DEFAULT 60 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "reopened_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "settled_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "settled_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "settled_byte_length" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "content_digest" "bytea";--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "settled_series_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "changes_type" ON "changes" USING btree ("type","seq");--> statement-breakpoint
CREATE INDEX "changes_study_instance_uid" ON "changes" USING btree ("study_instance_uid","seq");--> statement-breakpoint
CREATE INDEX "transfer_studies_study_instance_uid" ON "transfer_studies" USING btree ("study_instance_uid");--> statement-breakpoint
CREATE INDEX "transfer_studies_patient_id" ON "transfer_studies" USING btree ("patient_id");