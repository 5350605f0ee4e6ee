-- Why: whether something is stable is decided by the database, by its clock, once for each generation,
--   whichever server asks; and what changed gets a number only when everything before it is visible.
-- Locks: creates partial indexes, rows. What is stored already settles after the quiet time.
-- An old server beside it: cannot commit any more, for store_staged has another parameter.

-- A queue: what is done is to be gone soon, or every look walks over it.
alter table changes_to_come set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
--> statement-breakpoint
insert into feed (only_row, last_seq) values (1, 0);
--> statement-breakpoint
insert into quiet_rules (position, quiet_seconds) values (1000000, 60);
--> statement-breakpoint
alter table feed add constraint feed_only_row check (only_row = 1);
--> statement-breakpoint
update patients set due_at = now() + interval '60 s';
--> statement-breakpoint
update studies set due_at = now() + interval '60 s';
--> statement-breakpoint
update series set due_at = now() + interval '60 s';
--> statement-breakpoint
create index patients_due on patients (due_at) where due_at is not null;
--> statement-breakpoint
create index studies_due on studies (due_at) where due_at is not null;
--> statement-breakpoint
create index series_due on series (due_at) where due_at is not null;
