-- Deletes a study, a series of it or an instance of that, in one transaction: instances become tombstones, what
-- is empty goes, what remains begins a new generation. What is not committed yet is not deleted.
--
-- Locks are taken in the order of every commit: quiet rules, patient, study, series, instances. Segments are not touched
-- (a group commit locks its segment before anything else): what became free is noted, and added up later.
--
-- Returns the number of the deletion. Raises:
--   ST005  there is no such resource
--   ST006  some of it is committed, and it is not forced; detail = how many instances
create or replace function delete_resource(
  the_study text, the_series text, the_instance text, the_reason text, the_sender text, is_forced boolean,
  allows_resend boolean
) returns bigint language plpgsql
set enable_seqscan = off set jit = off
as $$
declare
  t studies;
  the_patient_key bigint;
  locked_patient_key bigint;
  series_keys bigint[];
  the_level text := case
    when the_instance is not null then 'instance' when the_series is not null then 'series' else 'study'
  end;
  the_deletion bigint;
  deleted_at timestamptz;
  total record;
  r record;
  e series;
  is_study_empty boolean;
  is_patient_empty boolean;
  gone_series integer := 0;
begin
  perform insist_on_durability();
  perform hold_quiet_rules();
  select s.patient_key into the_patient_key from studies s where s.study_instance_uid = the_study;
  if not found then
    raise exception 'There is no such study' using errcode = 'ST005';
  end if;
  select p.patient_key into locked_patient_key
  from patients p
  where p.patient_key = the_patient_key
  for update;
  select s.* into t from studies s where s.study_instance_uid = the_study for update;
  if not found then
    raise exception 'There is no such study' using errcode = 'ST005';
  end if;
  if t.patient_key is distinct from locked_patient_key then
    raise exception 'The study was deleted and sent again meanwhile' using errcode = '40001';
  end if;
  select coalesce(array_agg(l.series_key), '{}') into series_keys
  from (
    select s.series_key
    from series s
    where s.study_key = t.study_key
    and (the_series is null or s.series_instance_uid = the_series)
    order by s.series_instance_uid
    for update
  ) l;
  -- A compaction may move instances at this moment: whoever comes second waits, both in this order.
  with locked as materialized (
    select i.series_key, i.byte_length, i.committed_at, i.damaged_at
    from instances i
    where i.series_key = any(series_keys)
    and (the_instance is null or i.sop_instance_uid = the_instance)
    order by i.sop_instance_uid
    for update
  )
  select
    count(*) as instances, sum(l.byte_length)::bigint as bytes, count(l.committed_at) as committed,
    count(l.damaged_at) as damaged, count(distinct l.series_key) as series
  into total
  from locked l;
  if total.instances = 0 then
    raise exception 'There is no such resource' using errcode = 'ST005';
  end if;
  if total.committed > 0 and not (is_forced and the_reason is not null) then
    raise exception 'Some of it is committed' using errcode = 'ST006', detail = total.committed::text;
  end if;

  deleted_at := clock_timestamp();
  insert into deletions (
    level, study_instance_uid, series_instance_uid, sop_instance_uid, reason, sender, is_forced,
    allows_resend, series_count, instance_count, committed_instance_count, byte_length, deleted_at
  ) values (
    the_level, the_study, the_series, the_instance, the_reason, the_sender, is_forced, allows_resend,
    total.series, total.instances, total.committed, total.bytes, deleted_at
  ) returning deletion_key into the_deletion;

  insert into tombstones (
    sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid, digest, deletion_key, lifted_at
  )
  select
    i.sop_instance_uid, the_study, s.series_instance_uid, i.sop_class_uid, i.digest, the_deletion,
    case when allows_resend then deleted_at end
  from instances i
  join series s on s.series_key = i.series_key
  where i.series_key = any(series_keys)
  and (the_instance is null or i.sop_instance_uid = the_instance)
  order by i.sop_instance_uid
  on conflict (sop_instance_uid) do update
  set
    study_instance_uid = excluded.study_instance_uid, series_instance_uid = excluded.series_instance_uid,
    sop_class_uid = excluded.sop_class_uid, digest = excluded.digest, deletion_key = excluded.deletion_key,
    lifted_at = excluded.lifted_at;
  insert into freed_bytes (segment_key, byte_length)
  select i.segment_key, sum(i.byte_length + i.metadata_length)
  from instances i
  where i.series_key = any(series_keys)
  and (the_instance is null or i.sop_instance_uid = the_instance)
  group by i.segment_key
  order by i.segment_key;
  if the_level = 'instance' then
    perform note_deleted(
      the_deletion, 'instance', t, the_series, the_instance, jsonb_build_object('byteLength', total.bytes)
    );
  end if;

  for r in
    select
      s.series_key, s.series_instance_uid, count(*) as instances, sum(i.byte_length)::bigint as bytes,
      count(i.committed_at) as committed, count(i.damaged_at) as damaged
    from instances i
    join series s on s.series_key = i.series_key
    where i.series_key = any(series_keys)
    and (the_instance is null or i.sop_instance_uid = the_instance)
    group by s.series_key, s.series_instance_uid
    order by s.series_instance_uid
  loop
    select s.* into e from series s where s.series_key = r.series_key;
    if e.instance_count = r.instances then
      delete from series where series_key = r.series_key;
      gone_series := gone_series + 1;
      -- A study that goes is one change: its series go with it.
      if the_level <> 'study' then
        perform note_deleted(
          the_deletion, 'series', t, r.series_instance_uid, null,
          jsonb_build_object('instanceCount', r.instances, 'byteLength', r.bytes)
        );
      end if;
      continue;
    end if;
    update series s
    set
      instance_count = s.instance_count - r.instances, byte_length = s.byte_length - r.bytes,
      committed_instance_count = s.committed_instance_count - r.committed,
      damaged_instance_count = s.damaged_instance_count - r.damaged,
      generation = s.generation + (s.due_at is null)::integer, reopened_at = deleted_at,
      quiet_seconds = q.seconds, due_at = coalesce(s.due_at, deleted_at + make_interval(secs => q.seconds))
    from (select quiet_seconds_of(e.last_sender, e.modality, t) as seconds) q
    where s.series_key = r.series_key;
    if e.due_at is null then
      insert into changes_to_come (
        type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
      ) values (
        'reopened', 'series', the_study, r.series_instance_uid, t.patient_id, t.issuer_of_patient_id,
        jsonb_build_object('generation', e.generation + 1)
      );
    end if;
  end loop;
  delete from instances i
  where i.series_key = any(series_keys)
  and (the_instance is null or i.sop_instance_uid = the_instance);

  is_study_empty := t.instance_count = total.instances;
  if is_study_empty then
    delete from studies where study_key = t.study_key;
    perform note_deleted(
      the_deletion, 'study', t, null, null,
      jsonb_build_object(
        'seriesCount', total.series, 'instanceCount', total.instances, 'byteLength', total.bytes
      )
    );
  else
    update studies s
    set
      series_count = s.series_count - gone_series, instance_count = s.instance_count - total.instances,
      byte_length = s.byte_length - total.bytes,
      committed_instance_count = s.committed_instance_count - total.committed,
      damaged_instance_count = s.damaged_instance_count - total.damaged,
      modalities_in_study = left_over.modalities,
      generation = s.generation + (s.due_at is null)::integer, reopened_at = deleted_at,
      quiet_seconds = left_over.quiet,
      due_at = coalesce(s.due_at, deleted_at + make_interval(secs => left_over.quiet))
    from (
      select
        coalesce(array_agg(distinct x.modality) filter (where x.modality is not null), '{}') as modalities,
        max(quiet_seconds_of(x.last_sender, x.modality, t)) as quiet
      from series x
      where x.study_key = t.study_key
    ) left_over
    where s.study_key = t.study_key;
    if t.due_at is null then
      insert into changes_to_come (
        type, level, study_instance_uid, patient_id, issuer_of_patient_id, details
      ) values (
        'reopened', 'study', the_study, t.patient_id, t.issuer_of_patient_id,
        jsonb_build_object('generation', t.generation + 1)
      );
    end if;
  end if;
  perform weigh_deleted(the_study, the_deletion);

  if t.patient_key is not null then
    select p.* into r from patients p where p.patient_key = t.patient_key;
    is_patient_empty := r.instance_count = total.instances;
    if is_patient_empty then
      delete from patients where patient_key = t.patient_key;
      insert into changes_to_come (type, level, patient_id, issuer_of_patient_id, details)
      values (
        'deleted', 'patient', r.patient_id, nullif(r.issuer_of_patient_id, ''),
        jsonb_strip_nulls(jsonb_build_object('deletion', the_deletion, 'reason', the_reason))
      );
    else
      update patients p
      set
        study_count = p.study_count - is_study_empty::integer, series_count = p.series_count - gone_series,
        instance_count = p.instance_count - total.instances, byte_length = p.byte_length - total.bytes,
        generation = p.generation + (p.due_at is null)::integer, reopened_at = deleted_at,
        quiet_seconds = left_over.quiet,
        due_at = coalesce(p.due_at, deleted_at + make_interval(secs => left_over.quiet))
      from (
        select max(quiet_seconds_of(x.last_sender, x.modality, s)) as quiet
        from studies s
        join series x on x.study_key = s.study_key
        where s.patient_key = t.patient_key
      ) left_over
      where p.patient_key = t.patient_key;
      if r.due_at is null then
        insert into changes_to_come (type, level, patient_id, issuer_of_patient_id, details)
        values (
          'reopened', 'patient', r.patient_id, nullif(r.issuer_of_patient_id, ''),
          jsonb_build_object('generation', r.generation + 1)
        );
      end if;
    end if;
  end if;
  return the_deletion;
end $$;

-- One row of the feed for a resource that went.
create or replace function note_deleted(
  the_deletion bigint, the_level text, t studies, the_series text, the_instance text, counts jsonb
) returns void language sql as $$
  insert into changes_to_come (
    type, level, study_instance_uid, series_instance_uid, sop_instance_uid, patient_id,
    issuer_of_patient_id, details
  )
  select
    'deleted', the_level, t.study_instance_uid, the_series, the_instance, t.patient_id,
    t.issuer_of_patient_id,
    jsonb_strip_nulls(jsonb_build_object('deletion', d.deletion_key, 'reason', d.reason))
      || coalesce(counts, '{}')
  from deletions d
  where d.deletion_key = the_deletion
$$;

-- Lets what was deleted of a study, a series or an instance come again. Returns how many tombstones there are
-- of it, and how many of them stood until now.
create or replace function allow_resend(
  the_study text, the_series text, the_instance text, out tombstone_count integer, out lifted_count integer
) language plpgsql as $$
begin
  perform insist_on_durability();
  with concerned as materialized (
    select d.sop_instance_uid, d.lifted_at
    from tombstones d
    where d.study_instance_uid = the_study
    and (the_series is null or d.series_instance_uid = the_series)
    and (the_instance is null or d.sop_instance_uid = the_instance)
    order by d.sop_instance_uid
    for update
  ), changed as (
    update tombstones d
    set lifted_at = clock_timestamp()
    from concerned c
    where c.sop_instance_uid = d.sop_instance_uid
    and c.lifted_at is null
    returning 1
  )
  select (select count(*) from concerned), (select count(*) from changed) into tombstone_count, lifted_count;
end $$;

-- Deletes the records of transfers that ended before a time: some of the oldest, with their refusals and warnings.
-- One server does it at a time. Returns how many.
create or replace function prune_transfers(older_than timestamptz, at_most integer) returns integer
language plpgsql as $$
declare
  old uuid[];
begin
  if not pg_try_advisory_xact_lock(hashtext('stowage prune_transfers')) then
    return 0;
  end if;
  select array_agg(o.transfer_id)
  into old
  from (
    select t.transfer_id
    from transfers t
    where t.started_at < older_than
    and t.ended_at < older_than
    order by t.started_at
    limit at_most
    for update skip locked
  ) o;
  delete from refusals where transfer_id = any(old);
  delete from warnings where transfer_id = any(old);
  delete from transfers where transfer_id = any(old);
  return coalesce(cardinality(old), 0);
end $$;
