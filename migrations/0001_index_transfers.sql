-- Why: transfers that are on their way, and segments to be swept, are found among any number of others.
-- Locks: creates partial indexes; makes one empty table unlogged.
-- An old server beside it: there is none.

-- Staged rows need no WAL: a crash of Postgres empties the table, and a transfer whose rows are gone
-- cannot commit.
alter table staged_instances set unlogged;
--> statement-breakpoint

-- For renew_transfers and expire_transfers.
create index transfers_receiving on transfers (lease_until) where state = 'receiving';
--> statement-breakpoint

-- For the sweep: segments whose objects are to be deleted.
create index segments_doomed on segments (segment_key) where state = 'doomed';
--> statement-breakpoint

-- For the sweep: shared segments that somebody may still append to.
create index segments_appended on segments (created_at) where appended_by is not null;
