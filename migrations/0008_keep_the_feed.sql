-- Why: old changes can be removed, and the feed knows up to where; a webhook changes its secret while the one
--   before it is still good for a while.
-- Locks: adds columns to two small tables; nothing is written anew.
-- An old server beside it: works; it does not tell a reader that changes are removed, and signs with the newest secret.

ALTER TABLE "feed" ADD COLUMN "removed_seq" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "webhooks" ADD COLUMN "old_secret" text;--> statement-breakpoint
ALTER TABLE "webhooks" ADD COLUMN "old_secret_until" timestamp with time zone;