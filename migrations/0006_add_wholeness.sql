-- Why: a study and its series say whether they are whole, by evidence, and whether they are safe: committed, read
--   again and found to be what came.
-- Locks: adds columns with constant defaults; nothing is written anew.
-- An old server beside it: works, and knows nothing of them.

ALTER TABLE "instances" ADD COLUMN "committed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "instances" ADD COLUMN "damaged_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "verdict" text DEFAULT 'unknown' NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "expected_instance_count" integer;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "committed_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "series" ADD COLUMN "damaged_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "verdict" text DEFAULT 'unknown' NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "expected_instance_count" integer;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "committed_instance_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "studies" ADD COLUMN "damaged_instance_count" integer DEFAULT 0 NOT NULL;