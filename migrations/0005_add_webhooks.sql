-- Why: webhooks are told of changes as they come. What is on its way is rows, so that it outlives every server,
--   and any server takes what is due.
-- Locks: creates tables.
-- An old server beside it: goes on; it delivers nothing.

CREATE TABLE "webhook_deliveries" (
	"webhook_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"subject" text NOT NULL,
	"state" text NOT NULL,
	"due_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"is_retry" boolean GENERATED ALWAYS AS (attempts > 0) STORED,
	"last_attempt_at" timestamp with time zone,
	"last_status" integer,
	"last_error" text,
	CONSTRAINT "webhook_deliveries_pk" PRIMARY KEY("webhook_id","seq")
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"webhook_id" uuid PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"types" text[],
	"levels" text[],
	"secret" text NOT NULL,
	"is_paused" boolean DEFAULT false NOT NULL,
	"position_seq" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_count" bigint DEFAULT 0 NOT NULL,
	"failed_attempt_count" bigint DEFAULT 0 NOT NULL,
	"last_attempt_at" timestamp with time zone,
	"last_delivered_at" timestamp with time zone,
	"last_status" integer,
	"last_error" text
);
--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_webhooks_webhook_id_fk" FOREIGN KEY ("webhook_id") REFERENCES "public"."webhooks"("webhook_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_deliveries_subject" ON "webhook_deliveries" USING btree ("webhook_id","subject","seq");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("webhook_id","is_retry","due_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "webhook_deliveries_state" ON "webhook_deliveries" USING btree ("webhook_id","state","seq");
