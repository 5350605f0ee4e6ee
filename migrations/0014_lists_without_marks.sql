-- Why: what arrives is no longer marked in the lists that name it, for that cost a tenth of the speed of storing; what is
--   missing is what a list names and the instances do not have. Two lists that are the same are known by their digest.
-- Locks: evidence and evidence_instances, while the digests of the lists are made; drops a column.
-- An old server beside it: can store studies that no list names; with others, and when it tells what is missing, it fails.

drop function if exists weigh_arrived(uuid, text[]);
--> statement-breakpoint
drop function if exists list_evidence(bigint, jsonb, bigint);
--> statement-breakpoint
drop function if exists record_evidence(text, bigint, text, text, text, jsonb, text);
--> statement-breakpoint
ALTER TABLE "evidence" ADD COLUMN "list_digest" "bytea";--> statement-breakpoint
update evidence e
set list_digest = l.digest
from (
  select x.evidence_key, sha256(convert_to(string_agg(x.sop_instance_uid, ',' order by x.sop_instance_uid collate "C"), 'UTF8')) as digest
  from evidence_instances x
  group by x.evidence_key
) l
where l.evidence_key = e.evidence_key;--> statement-breakpoint
ALTER TABLE "evidence_instances" DROP COLUMN "is_here";
