-- Stores the instances of a group where nothing is new but they themselves: their patients, studies and series are here and
-- not stable, what they say of them is known, and nobody made a statement of how many there should be. That is what nearly
-- every small request brings. `batch` and `senders` are those of commit_group; the_segment is the key of the shared one.
-- Returns false, having done nothing, where it is not so: then store_staged has to do it, which knows all the rest.
--
-- Nothing is staged. (Of the processor time of Postgres that a group takes by store_staged: four instances of one series 0.7,
-- thirty-two of one series 0.7 and of 32 series 0.83, fifty of one request 0.76; where it returns false, the same.)
--
-- Locks are taken in the order of store_staged. Whatever turns out to be other than it was at the first look raises 40001:
-- the caller tries again, and looks again.
create or replace function store_plainly(batch jsonb, senders text[], the_segment bigint) returns boolean
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  p record;
  gone_count bigint;
  committed_at timestamptz;
begin
  perform from series where series_instance_uid = batch -> 0 ->> 'series_instance_uid';
  if not found then
    return false;
  end if;
  select
    bool_and(coalesce(k.is_receiving and not s.is_special, false)) as is_plain, array_agg(k.series_key) as series_keys,
    array_agg(s.series_instance_uid) as series_instance_uids, array_agg(k.study_key) as study_keys,
    array_agg(s.study_instance_uid) as study_instance_uids, array_agg(k.patient_key) as patient_keys,
    array_agg(k.patient_id) as patient_ids, array_agg(k.issuer) as issuers, array_agg(s.instances) as instances,
    array_agg(s.bytes) as bytes, array_agg(senders[s.member + 1]) as senders,
    (select case when count(*) = 1 then min(r.quiet_seconds) end from quiet_rules r) as quiet
  into p
  from (
    select
      b.series_instance_uid, b.study_instance_uid, count(*) as instances, sum(b.byte_length)::bigint as bytes,
      max(b.member) as member, array_agg(b.study) filter (where b.study is not null) as study_says,
      array_agg(b.series) filter (where b.series is not null) as series_says,
      bool_or(b.evidence is not null or i.is_known is not null or d.is_deleted is not null) as is_special
    from jsonb_to_recordset(batch) as b (
      member integer, study_instance_uid text, series_instance_uid text, sop_instance_uid text, byte_length bigint,
      study jsonb, series jsonb, evidence jsonb
    )
    left join lateral (
      select true as is_known from instances i where i.sop_instance_uid = b.sop_instance_uid offset 0
    ) i on true
    left join lateral (
      select true as is_deleted
      from tombstones d
      where d.sop_instance_uid = b.sop_instance_uid
      and d.lifted_at is null
      offset 0
    ) d on true
    group by b.series_instance_uid, b.study_instance_uid
  ) s
  left join lateral (
    select
      e.series_key, t.study_key, t.patient_key, t.patient_id, coalesce(t.issuer_of_patient_id, '') as issuer,
      t.study_instance_uid = s.study_instance_uid
      and e.due_at is not null
      and t.due_at is not null
      and (
        t.patient_key is null
        or (select n.due_at is not null from patients n where n.patient_key = t.patient_key)
      )
      and e.instance_count > 0
      and (s.study_says is null or study_attributes(t) @> all (s.study_says))
      and (s.series_says is null or series_attributes(e) @> all (s.series_says)) as is_receiving
    from series e
    join studies t on t.study_key = e.study_key
    where e.series_instance_uid = s.series_instance_uid
    offset 0
  ) k on true;
  if not p.is_plain or p.quiet is null then
    return false;
  end if;
  perform from evidence where study_instance_uid = any(p.study_instance_uids);
  if found then
    return false;
  end if;

  -- As in store_staged: `locked` locks one after the other, whatever the plan, and reads what is there then.
  with added as materialized (
    select u.patient_key, sum(u.instances)::bigint as instances, sum(u.bytes)::bigint as bytes
    from unnest(p.patient_keys, p.patient_ids, p.issuers, p.instances, p.bytes) as u (
      patient_key, patient_id, issuer, instances, bytes
    )
    where u.patient_key is not null
    group by u.patient_id, u.issuer, u.patient_key
    order by u.patient_id, u.issuer
  ), locked as materialized (
    select a.*
    from added a
    cross join lateral (
      select t.due_at from patients t where t.patient_key = a.patient_key for no key update
    ) t
    where t.due_at is not null
  ), became as (
    update patients t
    set
      instance_count = t.instance_count + l.instances, byte_length = t.byte_length + l.bytes,
      last_received_at = clock_timestamp(), quiet_seconds = greatest(t.quiet_seconds, p.quiet)
    from locked l
    where t.patient_key = l.patient_key
    returning true
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_other_by_now();
  end if;

  with added as materialized (
    select u.study_key, sum(u.instances)::bigint as instances, sum(u.bytes)::bigint as bytes
    from unnest(p.study_keys, p.study_instance_uids, p.instances, p.bytes) as u (
      study_key, study_instance_uid, instances, bytes
    )
    group by u.study_instance_uid, u.study_key
    order by u.study_instance_uid
  ), locked as materialized (
    select a.*
    from added a
    cross join lateral (
      select t.due_at from studies t where t.study_key = a.study_key for no key update
    ) t
    where t.due_at is not null
  ), became as (
    update studies t
    set
      instance_count = t.instance_count + l.instances, byte_length = t.byte_length + l.bytes,
      last_received_at = clock_timestamp(), quiet_seconds = greatest(t.quiet_seconds, p.quiet)
    from locked l
    where t.study_key = l.study_key
    returning true
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_other_by_now();
  end if;

  with added as materialized (
    select a.*
    from unnest(
      p.series_keys, p.series_instance_uids, p.study_instance_uids, p.patient_ids, p.issuers, p.instances, p.bytes, p.senders
    ) as a (series_key, series_instance_uid, study_instance_uid, patient_id, issuer, instances, bytes, sender)
    order by a.series_instance_uid
  ), locked as materialized (
    select a.*
    from added a
    cross join lateral (
      select t.due_at from series t where t.series_key = a.series_key for no key update
    ) t
    where t.due_at is not null
  ), became as (
    update series t
    set
      instance_count = t.instance_count + l.instances, byte_length = t.byte_length + l.bytes, last_sender = l.sender,
      last_received_at = clock_timestamp(), quiet_seconds = greatest(t.quiet_seconds, p.quiet)
    from locked l
    where t.series_key = l.series_key
    returning l.*, t.generation, t.instance_count
  ), told as (
    insert into changes_to_come (
      type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
    )
    select
      'instances-added', 'series', c.study_instance_uid, c.series_instance_uid, c.patient_id, nullif(c.issuer, ''),
      jsonb_build_object(
        'generation', c.generation, 'addedInstanceCount', c.instances, 'addedByteLength', c.bytes,
        'instanceCount', c.instance_count
      )
    from became c
    order by c.series_instance_uid
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_other_by_now();
  end if;

  committed_at := clock_timestamp();
  insert into instances (
    sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length, digest,
    sop_class_uid, transfer_syntax_uid, instance_number, number_of_frames, rows, columns, bits_allocated, received_at
  )
  select
    b.sop_instance_uid, p.study_keys[n.n], p.series_keys[n.n], the_segment, b.segment_offset, b.byte_length,
    b.metadata_length, decode(b.digest, 'hex'), b.sop_class_uid, b.transfer_syntax_uid,
    b.instance ->> 'InstanceNumber', (b.instance ->> 'NumberOfFrames')::int, (b.instance ->> 'Rows')::int,
    (b.instance ->> 'Columns')::int, (b.instance ->> 'BitsAllocated')::int, committed_at
  from jsonb_to_recordset(batch) as b (
    series_instance_uid text, sop_instance_uid text, sop_class_uid text, transfer_syntax_uid text, segment_offset bigint,
    byte_length bigint, metadata_length integer, digest text, instance jsonb
  )
  cross join lateral (select array_position(p.series_instance_uids, b.series_instance_uid) as n offset 0) n
  order by b.sop_instance_uid;

  -- Asked again, for only now nobody else can store or delete them, nor say how many there should be. A statement of its own:
  -- the insert may have waited for a deletion, of which its snapshot does not know.
  if exists (
    select
    from jsonb_to_recordset(batch) as b (sop_instance_uid text)
    cross join lateral (
      select from tombstones d where d.sop_instance_uid = b.sop_instance_uid and d.lifted_at is null offset 0
    ) d
  ) or exists (select from evidence v where v.study_instance_uid = any(p.study_instance_uids)) then
    perform raise_other_by_now();
  end if;
  return true;
end $$;

-- Something was deleted, settled or declared between the first look and the locks.
create or replace function raise_other_by_now() returns void language plpgsql as $$
begin
  raise exception 'What it belongs to has changed meanwhile' using errcode = '40001';
end $$;
