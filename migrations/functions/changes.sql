-- Gives numbers to changes that are committed. The lock on the one row of `feed` lets one transaction at a
-- time do this, and is held until the numbers are visible: so nobody ever sees a number before a lower one,
-- and none is left out. Returns how many it numbered.
create or replace function number_changes(at_most integer) returns integer
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  before bigint;
  numbered integer;
begin
  perform 1 from changes_to_come order by change_key limit 1;
  if not found then
    return 0;
  end if;
  perform insist_on_durability();
  select last_seq into before from feed where only_row = 1 for update;
  -- A new snapshot: what another transaction numbered while we waited is gone from here.
  with taken as (
    delete from changes_to_come
    where change_key in (select c.change_key from changes_to_come c order by c.change_key limit at_most)
    returning *
  )
  insert into changes (
    seq, type, level, study_instance_uid, series_instance_uid, sop_instance_uid, patient_id,
    issuer_of_patient_id, transfer_id, details, at
  )
  select
    before + row_number() over (order by change_key), type, level, study_instance_uid,
    series_instance_uid, sop_instance_uid, patient_id, issuer_of_patient_id, transfer_id, details, at
  from taken;
  get diagnostics numbered = row_count;
  update feed set last_seq = before + numbered where only_row = 1;
  return numbered;
end $$;
