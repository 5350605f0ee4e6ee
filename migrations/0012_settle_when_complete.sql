-- Why: a study that is proven complete may settle at once, where a rule says so; a peer's failure no longer takes the
--   place of what it said; what a sender declares is weighed with what it sends, hence the other parameters.
-- Locks: adds columns to evidence and quiet_rules; builds an index on studies, during which nothing is stored.
-- An old server beside it: cannot commit any more, for it would define its own store_staged beside the new one.

drop function if exists store_staged(uuid, integer, boolean, text[]);
--> statement-breakpoint
drop function if exists weigh_staged(uuid, text[]);
--> statement-breakpoint
drop function if exists declare_count(text, integer, text);
--> statement-breakpoint
ALTER TABLE "evidence" ADD COLUMN "asked_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "quiet_rules" ADD COLUMN "settle_when_complete" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "studies_settled_at" ON "studies" USING btree ("settled_at") WHERE due_at is null;--> statement-breakpoint
update evidence set asked_at = claimed_at where source = 'peer';
