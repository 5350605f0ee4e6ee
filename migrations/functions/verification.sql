-- The segment that was read again longest ago, to be verified by this server for as long as its lease is renewed; no
-- row: none is due, or a server is at one. One at a time, over all servers: so what they read together is the rate that
-- is set, however many they are. A segment that was never read counts from when it was made.
create or replace function claim_segment(
  the_server uuid, again_seconds double precision, lease_seconds double precision
) returns table (segment_key bigint, segment_id uuid, byte_length bigint)
language plpgsql as $$
#variable_conflict use_column
begin
  -- Whoever comes second finds the claim.
  perform pg_advisory_xact_lock(x'53746f77'::integer, 3);
  if exists (select from segments where verify_until > clock_timestamp()) then
    return;
  end if;
  return query
  update segments
  set verified_by = the_server, verify_until = clock_timestamp() + make_interval(secs => lease_seconds)
  where segment_key = (
    select g.segment_key
    from segments g
    where g.state = 'kept'
    and coalesce(g.verified_at, g.created_at) < clock_timestamp() - make_interval(secs => again_seconds)
    order by coalesce(g.verified_at, g.created_at), g.segment_key
    limit 1
  )
  returning segments.segment_key, segments.segment_id, segments.byte_length;
end $$;

-- Writes down what reading the bytes of instances again found; `found` is
-- [{sopInstanceUID, segmentKey, segmentOffset, isWhole}]. What does not lie there any more, because it was deleted or
-- moved meanwhile, is left alone. Returns how many are damaged now and were not, or the other way round.
--
-- Locks studies, then series, as every commit does.
create or replace function record_verification(found_instances jsonb) returns integer
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  changed text[];
begin
  perform insist_on_durability();
  perform lock_studies_of(array(select f ->> 'sopInstanceUID' from jsonb_array_elements(found_instances) f));

  with became as (
    update instances i
    set damaged_at = case when f."isWhole" then null else clock_timestamp() end
    from jsonb_to_recordset(found_instances) as f (
      "sopInstanceUID" text, "segmentKey" bigint, "segmentOffset" bigint, "isWhole" boolean
    )
    where i.sop_instance_uid = f."sopInstanceUID"
    and i.segment_key = f."segmentKey"
    and i.segment_offset = f."segmentOffset"
    and (i.damaged_at is null) <> f."isWhole"
    returning i.sop_instance_uid
  )
  select coalesce(array_agg(sop_instance_uid), '{}') into changed from became;
  perform tell_damage_of(changed);
  return cardinality(changed);
end $$;

-- Counts and tells instances that are damaged now and were not, or the other way round. Their studies and series are locked.
create or replace function tell_damage_of(sop_instance_uids text[]) returns void
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  with changed as materialized (
    select i.sop_instance_uid, i.study_key, i.series_key, i.damaged_at is not null as is_damaged
    from instances i
    where i.sop_instance_uid = any(sop_instance_uids)
  ), of_series as (
    update series e
    set damaged_instance_count = e.damaged_instance_count + c.more
    from (
      select series_key, sum(case when is_damaged then 1 else -1 end) as more from changed group by series_key
    ) c
    where e.series_key = c.series_key
    returning e.series_key, e.series_instance_uid
  ), of_studies as (
    update studies t
    set damaged_instance_count = t.damaged_instance_count + c.more
    from (
      select study_key, sum(case when is_damaged then 1 else -1 end) as more from changed group by study_key
    ) c
    where t.study_key = c.study_key
    returning
      t.study_key, t.study_instance_uid, t.patient_id, t.issuer_of_patient_id, t.damaged_instance_count
  )
  insert into changes_to_come (
    type, level, study_instance_uid, series_instance_uid, sop_instance_uid, patient_id, issuer_of_patient_id,
    details
  )
  select
    'damaged', 'instance', t.study_instance_uid, e.series_instance_uid, c.sop_instance_uid, t.patient_id,
    t.issuer_of_patient_id, jsonb_build_object(
      'isDamaged', c.is_damaged, 'damagedInstanceCount', t.damaged_instance_count
    )
  from changed c
  join of_series e on e.series_key = c.series_key
  join of_studies t on t.study_key = c.study_key
  order by c.sop_instance_uid;
end $$;

-- Locks the studies and the series of instances, each in the order of their identifiers: nothing of them is stored,
-- deleted, committed or marked by anybody else until the transaction ends.
create or replace function lock_studies_of(sop_instance_uids text[]) returns void
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  perform 1
  from studies t
  where t.study_key = any (array(
    select distinct i.study_key from instances i where i.sop_instance_uid = any (sop_instance_uids)
  ))
  order by t.study_instance_uid
  for no key update;
  perform 1
  from series e
  where e.series_key = any (array(
    select distinct i.series_key from instances i where i.sop_instance_uid = any (sop_instance_uids)
  ))
  order by e.series_instance_uid
  for no key update;
end $$;
