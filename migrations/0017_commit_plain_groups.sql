-- Why: a group in which nothing is special is committed by commit_plain_group, which is told columns; the function that did so
--   of JSON is gone.
-- Locks: none.
-- An old server beside it: goes on, and commits each of its groups by way of staging.

drop function if exists store_plainly(jsonb, text[], bigint);
