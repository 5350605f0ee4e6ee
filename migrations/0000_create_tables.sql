CREATE TABLE "instances" (
	"sop_instance_uid" text PRIMARY KEY NOT NULL,
	"study_key" bigint NOT NULL,
	"series_key" bigint NOT NULL,
	"segment_key" bigint NOT NULL,
	"segment_offset" bigint NOT NULL,
	"byte_length" bigint NOT NULL,
	"metadata_length" integer NOT NULL,
	"digest" "bytea" NOT NULL,
	"sop_class_uid" text NOT NULL,
	"transfer_syntax_uid" text NOT NULL,
	"instance_number" text,
	"number_of_frames" integer,
	"rows" integer,
	"columns" integer,
	"bits_allocated" integer,
	"received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "patients" (
	"patient_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "patients_patient_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"patient_id" text NOT NULL,
	"issuer_of_patient_id" text NOT NULL,
	"patient_name" text,
	"patient_birth_date" text,
	"patient_sex" text,
	"study_count" integer DEFAULT 0 NOT NULL,
	"series_count" integer DEFAULT 0 NOT NULL,
	"instance_count" integer DEFAULT 0 NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"first_received_at" timestamp with time zone NOT NULL,
	"last_received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "refusals" (
	"refusal_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "refusals_refusal_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"transfer_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"failure_reason" integer NOT NULL,
	"detail" text NOT NULL,
	"study_instance_uid" text,
	"sop_class_uid" text,
	"sop_instance_uid" text,
	"refused_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "segments" (
	"segment_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "segments_segment_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"segment_id" uuid NOT NULL,
	"transfer_id" uuid,
	"appended_by" uuid,
	"state" text NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "series" (
	"series_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "series_series_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"series_instance_uid" text NOT NULL,
	"study_key" bigint NOT NULL,
	"modality" text,
	"series_number" text,
	"series_description" text,
	"body_part_examined" text,
	"performed_procedure_step_start_date" text,
	"performed_procedure_step_start_time" text,
	"instance_count" integer DEFAULT 0 NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"first_received_at" timestamp with time zone NOT NULL,
	"last_received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "staged_instances" (
	"transfer_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"study_instance_uid" text NOT NULL,
	"series_instance_uid" text NOT NULL,
	"sop_instance_uid" text NOT NULL,
	"sop_class_uid" text NOT NULL,
	"transfer_syntax_uid" text NOT NULL,
	"segment_id" uuid NOT NULL,
	"segment_offset" bigint NOT NULL,
	"byte_length" bigint NOT NULL,
	"metadata_length" integer NOT NULL,
	"digest" "bytea" NOT NULL,
	"study" jsonb,
	"series" jsonb,
	"instance" jsonb NOT NULL,
	CONSTRAINT "staged_instances_pk" PRIMARY KEY("transfer_id","position")
);
--> statement-breakpoint
CREATE TABLE "studies" (
	"study_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "studies_study_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"study_instance_uid" text NOT NULL,
	"patient_key" bigint,
	"patient_id" text,
	"issuer_of_patient_id" text,
	"patient_name" text,
	"patient_birth_date" text,
	"patient_sex" text,
	"study_date" text,
	"study_time" text,
	"accession_number" text,
	"study_id" text,
	"study_description" text,
	"referring_physician_name" text,
	"timezone_offset_from_utc" text,
	"modalities_in_study" text[] DEFAULT '{}' NOT NULL,
	"series_count" integer DEFAULT 0 NOT NULL,
	"instance_count" integer DEFAULT 0 NOT NULL,
	"byte_length" bigint DEFAULT 0 NOT NULL,
	"first_received_at" timestamp with time zone NOT NULL,
	"last_received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "transfers" (
	"transfer_id" uuid PRIMARY KEY NOT NULL,
	"state" text NOT NULL,
	"service" text NOT NULL,
	"server_id" uuid NOT NULL,
	"sender" text,
	"sender_product" text,
	"handling" text NOT NULL,
	"study_instance_uid" text,
	"announced_bytes" bigint,
	"received_bytes" bigint DEFAULT 0 NOT NULL,
	"part_count" integer DEFAULT 0 NOT NULL,
	"stored_count" integer DEFAULT 0 NOT NULL,
	"duplicate_count" integer DEFAULT 0 NOT NULL,
	"refused_count" integer DEFAULT 0 NOT NULL,
	"warning_count" integer DEFAULT 0 NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	"lease_until" timestamp with time zone NOT NULL,
	"reason" text
);
--> statement-breakpoint
CREATE TABLE "warnings" (
	"warning_key" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "warnings_warning_key_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"transfer_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"warning_reason" integer NOT NULL,
	"detail" text NOT NULL,
	"study_instance_uid" text NOT NULL,
	"sop_instance_uid" text NOT NULL,
	"warned_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "series" ADD CONSTRAINT "series_study_key_studies_study_key_fk" FOREIGN KEY ("study_key") REFERENCES "public"."studies"("study_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "studies" ADD CONSTRAINT "studies_patient_key_patients_patient_key_fk" FOREIGN KEY ("patient_key") REFERENCES "public"."patients"("patient_key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "instances_series_key" ON "instances" USING btree ("series_key","sop_instance_uid");--> statement-breakpoint
CREATE INDEX "instances_segment_key" ON "instances" USING btree ("segment_key");--> statement-breakpoint
CREATE UNIQUE INDEX "patients_patient_id" ON "patients" USING btree ("patient_id","issuer_of_patient_id");--> statement-breakpoint
CREATE INDEX "refusals_transfer_id" ON "refusals" USING btree ("transfer_id","position");--> statement-breakpoint
CREATE UNIQUE INDEX "segments_segment_id" ON "segments" USING btree ("segment_id");--> statement-breakpoint
CREATE INDEX "segments_transfer_id" ON "segments" USING btree ("transfer_id");--> statement-breakpoint
CREATE UNIQUE INDEX "series_series_instance_uid" ON "series" USING btree ("series_instance_uid");--> statement-breakpoint
CREATE INDEX "series_study_key" ON "series" USING btree ("study_key");--> statement-breakpoint
CREATE UNIQUE INDEX "studies_study_instance_uid" ON "studies" USING btree ("study_instance_uid");--> statement-breakpoint
CREATE INDEX "studies_patient_id" ON "studies" USING btree ("patient_id");--> statement-breakpoint
CREATE INDEX "studies_study_date" ON "studies" USING btree ("study_date");--> statement-breakpoint
CREATE INDEX "studies_last_received_at" ON "studies" USING btree ("last_received_at" DESC NULLS LAST,"study_key" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "studies_patient_key" ON "studies" USING btree ("patient_key");--> statement-breakpoint
CREATE INDEX "transfers_started_at" ON "transfers" USING btree ("started_at" DESC NULLS LAST,"transfer_id");--> statement-breakpoint
CREATE INDEX "warnings_transfer_id" ON "warnings" USING btree ("transfer_id","position");