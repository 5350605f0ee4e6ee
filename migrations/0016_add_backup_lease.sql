-- Why: a backup copies the segments that its snapshot of the rows names, and none of these may be deleted before.
-- Locks: creates a table.
-- An old server beside it: goes on, and deletes what compactions and deletions emptied: make no backup beside it; one that
--   was disturbed so says which segments are missing in it.

CREATE TABLE "backup_lease" (
	"only_row" integer PRIMARY KEY NOT NULL,
	"backup_id" uuid NOT NULL,
	"lease_until" timestamp with time zone NOT NULL,
	CONSTRAINT "backup_lease_only_row" CHECK ("backup_lease"."only_row" = 1)
);
