-- Puts staged instances in the place of stored ones that are damaged: the digest is equal, so these are the bytes that were
-- lost, and who sends them again and is told that they are stored must be able to rely on it. (P2, P9) Nothing else of such an
-- instance changes, and nothing settles anew; its staged row stays. Returns the positions.
--
-- Raises 40001 where one of them was deleted, verified or healed by somebody else meanwhile.
create or replace function heal_staged(the_transfer uuid) returns integer[] language plpgsql as $$
declare
  positions integer[];
  healed text[];
begin
  select coalesce(array_agg(s.position), '{}')
  into positions
  from staged_instances s
  cross join lateral (
    select
    from instances i
    where i.sop_instance_uid = s.sop_instance_uid
    and i.digest = s.digest
    and i.damaged_at is not null
    offset 0
  ) i
  where s.transfer_id = the_transfer;
  if positions = '{}' then
    return positions;
  end if;
  perform lock_parents_of_staged(the_transfer);

  -- What it says of others was taken when it came first.
  update staged_instances s
  set evidence = null
  where s.transfer_id = the_transfer
  and s.evidence is not null
  and exists (select from instances i where i.sop_instance_uid = s.sop_instance_uid);
  with sent as materialized (
    select s.sop_instance_uid, s.digest, g.segment_key, s.segment_offset, s.metadata_length
    from staged_instances s
    -- A segment that is not there would be a null, and an error.
    left join lateral (
      select g.segment_key from segments g where g.segment_id = s.segment_id offset 0
    ) g on true
    where s.transfer_id = the_transfer
    order by s.sop_instance_uid
  ), damaged as materialized (
    select s.*, i.old_segment_key, i.old_bytes
    from sent s
    -- A compaction may move others of their segment at this moment: whoever comes second waits, both in this order.
    cross join lateral (
      select i.segment_key as old_segment_key, i.byte_length + i.metadata_length as old_bytes
      from instances i
      where i.sop_instance_uid = s.sop_instance_uid
      and i.digest = s.digest
      and i.damaged_at is not null
      for no key update
    ) i
  ), became as (
    update instances i
    set
      segment_key = d.segment_key, segment_offset = d.segment_offset, metadata_length = d.metadata_length,
      damaged_at = null
    from damaged d
    where i.sop_instance_uid = d.sop_instance_uid
    returning i.sop_instance_uid
  ), freed as (
    -- As a deletion does it, which says why.
    insert into freed_bytes (segment_key, byte_length)
    select old_segment_key, sum(old_bytes) from damaged group by old_segment_key order by old_segment_key
  )
  select coalesce(array_agg(sop_instance_uid), '{}') into healed from became;
  if cardinality(healed) <> cardinality(positions) then
    raise exception 'An instance was healed or deleted meanwhile' using errcode = '40001';
  end if;
  perform tell_damage_of(healed);
  return positions;
end $$;

-- Locks the patients, studies and series that staged instances are to be added to, as far as they are there, in the order of
-- every commit: what is healed is locked before what is new.
create or replace function lock_parents_of_staged(the_transfer uuid) returns void language plpgsql as $$
declare
  the_studies text[];
  the_series text[];
begin
  select array_agg(distinct s.study_instance_uid), array_agg(distinct s.series_instance_uid)
  into the_studies, the_series
  from staged_instances s
  where s.transfer_id = the_transfer;
  perform 1
  from patients p
  where p.patient_key = any (array(
    select t.patient_key from studies t where t.study_instance_uid = any(the_studies)
  ))
  order by p.patient_id, p.issuer_of_patient_id
  for no key update;
  perform 1 from studies t where t.study_instance_uid = any(the_studies) order by t.study_instance_uid for no key update;
  perform 1 from series e where e.series_instance_uid = any(the_series) order by e.series_instance_uid for no key update;
end $$;
