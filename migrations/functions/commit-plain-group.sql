-- Commits a group in which nothing is special, as nearly every one. Each series is here with its study and patient, not stable, and
-- says what it said before; or its study is new with it, and there is one quiet rule for all. Nothing is refused, warned of or
-- declared, and nobody made a statement of how many instances there should be. Returns false, having done nothing, where it is
-- not so: then commit_group has to do it, which knows all the rest. The two leave the same.
--
-- Nothing is staged, and nothing is read that the server can say: arrays come side by side, a column each, and each statement is
-- about as simple as one can be. (Decision 9 has what that saves.)
--
-- `study_says` and `series_says` are JSON objects; `series_studies` is the number of a series's study, from 1, and
-- `instance_series` that of an instance's series; `series_senders` brought its last instance. The rest are counts of what comes,
-- columns of instances, and those of transfers, with their age instead of their beginning.
--
-- Locks are taken in the order of store_staged. Whatever turns out to be other than it was at the first look raises 40001, or
-- 23505 where somebody else was faster with a UID. Raises ST001 (the shared segment is not this server's any more).
create or replace function commit_plain_group(
  the_server uuid, the_segment uuid, the_byte_length bigint,
  the_studies text[], study_says text[], study_series integer[], study_instances bigint[], study_bytes bigint[],
  the_series text[], series_studies integer[], series_says text[], series_senders text[],
  series_instances bigint[], series_bytes bigint[],
  sop_instance_uids text[], instance_series integer[], segment_offsets bigint[], byte_lengths bigint[],
  metadata_lengths integer[], digests text[], sop_class_uids text[], transfer_syntax_uids text[],
  instance_numbers text[], numbers_of_frames integer[], numbers_of_rows integer[], numbers_of_columns integer[],
  bits_allocated integer[],
  transfer_ids uuid[], services text[], handlings text[], senders text[], sender_products text[], sent_by text[],
  study_instance_uids text[], announced_bytes bigint[], ages_ms double precision[], received_bytes bigint[],
  part_counts integer[], stored_counts integer[], duplicate_counts integer[]
) returns boolean
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  -- Where there is one rule for all.
  quiet real;
  k record;
  n integer;
  its_study integer;
  -- Of the study before.
  patient text;
  issuer text;
  segment_number bigint;
  series_keys bigint[] := array_fill(null::bigint, array[cardinality(the_series)]);
  series_quiet real[] := array_fill(null::real, array[cardinality(the_series)]);
  -- Beside the studies.
  study_keys bigint[] := array_fill(null::bigint, array[cardinality(the_studies)]);
  patient_keys bigint[] := study_keys;
  patient_ids text[] := array_fill(null::text, array[cardinality(the_studies)]);
  issuers text[] := patient_ids;
  are_new boolean[] := array_fill(false, array[cardinality(the_studies)]);
  study_quiet real[] := array_fill(null::real, array[cardinality(the_studies)]);
  says jsonb;
  committed_at timestamptz;
begin
  -- As in commit_group, which says why.
  perform
    set_config('lock_timeout', '200ms', true), set_config('idle_in_transaction_session_timeout', '60s', true),
    hold_quiet_rules();

  -- The first look, which locks no rows and writes nothing.
  select case when count(*) = 1 then min(r.quiet_seconds) end into quiet from quiet_rules r;
  for n in 1 .. cardinality(the_series) loop
    select
      e.series_key, t.study_key, t.patient_key, t.patient_id, coalesce(t.issuer_of_patient_id, '') as issuer,
      case when quiet is null then quiet_seconds_of(series_senders[n], e.modality, t) else quiet end as quiet,
      t.study_instance_uid = the_studies[series_studies[n]]
      and e.due_at is not null
      and t.due_at is not null
      and (t.patient_key is null or p.due_at is not null)
      and e.instance_count > 0
      and (study_says[series_studies[n]] is null or study_attributes(t) @> study_says[series_studies[n]]::jsonb)
      and (series_says[n] is null or series_attributes(e) @> series_says[n]::jsonb) as is_receiving
    into k
    from series e
    join studies t on t.study_key = e.study_key
    left join patients p on p.patient_key = t.patient_key
    where e.series_instance_uid = the_series[n];
    if not found then
      are_new[series_studies[n]] := true;
      continue;
    end if;
    if not k.is_receiving then
      return false;
    end if;
    series_keys[n] := k.series_key;
    study_keys[series_studies[n]] := k.study_key;
    patient_keys[series_studies[n]] := k.patient_key;
    patient_ids[series_studies[n]] := k.patient_id;
    issuers[series_studies[n]] := k.issuer;
    series_quiet[n] := k.quiet;
    study_quiet[series_studies[n]] := greatest(study_quiet[series_studies[n]], k.quiet);
  end loop;
  for n in 1 .. cardinality(the_studies) loop
    continue when not are_new[n];
    perform from studies where study_instance_uid = the_studies[n];
    if found or study_keys[n] is not null or study_says[n] is null or quiet is null then
      return false;
    end if;
    study_quiet[n] := quiet;
    says := study_says[n]::jsonb;
    issuers[n] := coalesce(says ->> 'IssuerOfPatientID', '');
    if says ? 'PatientID' then
      patient_ids[n] := says ->> 'PatientID';
      select patient_key, due_at is not null as is_receiving
      into k
      from patients
      where patient_id = patient_ids[n]
      and issuer_of_patient_id = issuers[n];
      if found and not k.is_receiving then
        return false;
      end if;
      patient_keys[n] := k.patient_key;
    end if;
  end loop;
  if exists (
    select
    from unnest(sop_instance_uids) as u (uid)
    cross join lateral (select from instances i where i.sop_instance_uid = u.uid offset 0) i
  ) or exists (select from evidence v where v.study_instance_uid = any(the_studies)) then
    return false;
  end if;

  if current_setting('synchronous_commit') = 'off' then
    perform insist_on_durability();
  end if;
  update segments
  set byte_length = greatest(byte_length, the_byte_length)
  where segment_id = the_segment
  and appended_by = the_server
  and state = 'kept'
  returning segment_key into segment_number;
  if not found then
    raise exception 'The shared segment was taken away' using errcode = 'ST001';
  end if;

  -- Of several studies of a patient each adds to him, and the first one says what a new one says of him.
  foreach n in array array(
    select t.n
    from unnest(patient_ids, issuers) with ordinality as t (patient_id, issuer, n)
    order by t.patient_id, t.issuer, t.n
  ) loop
    continue when patient_ids[n] is null or (patient_keys[n] is null and not are_new[n]);
    says := case
      when are_new[n] and (patient_ids[n], issuers[n]) is distinct from (patient, issuer) then study_says[n]::jsonb
    end;
    if patient_keys[n] is null and (patient_ids[n], issuers[n]) is not distinct from (patient, issuer) then
      patient_keys[n] := k.patient_key;
    end if;
    patient := patient_ids[n];
    issuer := issuers[n];
    if patient_keys[n] is null then
      insert into patients (
        patient_id, issuer_of_patient_id, patient_name, patient_birth_date, patient_sex, study_count, series_count,
        instance_count, byte_length, first_received_at, last_received_at, quiet_seconds, due_at
      )
      values (
        patient, issuer, says ->> 'PatientName', says ->> 'PatientBirthDate', says ->> 'PatientSex', 1, study_series[n],
        study_instances[n], study_bytes[n], clock_timestamp(), clock_timestamp(), quiet,
        clock_timestamp() + make_interval(secs => quiet)
      )
      -- Of an error the log of Postgres would have his ID. (P10)
      on conflict (patient_id, issuer_of_patient_id) do nothing
      returning patient_key into k;
      if not found then
        perform raise_other_by_now();
      end if;
      patient_keys[n] := k.patient_key;
      insert into changes_to_come (type, level, patient_id, issuer_of_patient_id, details)
      values ('new', 'patient', patient, nullif(issuer, ''), '{"generation": 1}');
    else
      update patients t
      set
        patient_name = coalesce(t.patient_name, says ->> 'PatientName'),
        patient_birth_date = coalesce(t.patient_birth_date, says ->> 'PatientBirthDate'),
        patient_sex = coalesce(t.patient_sex, says ->> 'PatientSex'),
        study_count = t.study_count + are_new[n]::integer,
        series_count = t.series_count + case when are_new[n] then study_series[n] else 0 end,
        instance_count = t.instance_count + study_instances[n], byte_length = t.byte_length + study_bytes[n],
        last_received_at = clock_timestamp(), quiet_seconds = greatest(t.quiet_seconds, study_quiet[n])
      where t.patient_key = patient_keys[n]
      and t.due_at is not null
      returning t.patient_key into k;
      if not found then
        perform raise_other_by_now();
      end if;
    end if;
  end loop;

  foreach n in array order_of(the_studies) loop
    if are_new[n] then
      says := study_says[n]::jsonb;
      insert into studies (
        study_instance_uid, patient_key, patient_id, issuer_of_patient_id, patient_name, patient_birth_date, patient_sex,
        study_date, study_time, accession_number, study_id, study_description, referring_physician_name,
        timezone_offset_from_utc, modalities_in_study, series_count, instance_count, byte_length, first_received_at,
        last_received_at, quiet_seconds, due_at
      )
      values (
        the_studies[n], patient_keys[n], says ->> 'PatientID', says ->> 'IssuerOfPatientID', says ->> 'PatientName',
        says ->> 'PatientBirthDate', says ->> 'PatientSex', says ->> 'StudyDate', says ->> 'StudyTime',
        says ->> 'AccessionNumber', says ->> 'StudyID', says ->> 'StudyDescription', says ->> 'ReferringPhysicianName',
        says ->> 'TimezoneOffsetFromUTC',
        array(
          select distinct e.says::jsonb ->> 'Modality'
          from unnest(series_says, series_studies) as e (says, study)
          where e.study = n
          and e.says::jsonb ? 'Modality'
          order by 1
        ),
        study_series[n], study_instances[n], study_bytes[n], clock_timestamp(), clock_timestamp(), quiet,
        clock_timestamp() + make_interval(secs => quiet)
      )
      returning study_key into k;
      study_keys[n] := k.study_key;
      insert into changes_to_come (type, level, study_instance_uid, patient_id, issuer_of_patient_id, details)
      values ('new', 'study', the_studies[n], patient_ids[n], nullif(issuers[n], ''), '{"generation": 1}');
    else
      update studies t
      set
        instance_count = t.instance_count + study_instances[n], byte_length = t.byte_length + study_bytes[n],
        last_received_at = clock_timestamp(), quiet_seconds = greatest(t.quiet_seconds, study_quiet[n])
      where t.study_key = study_keys[n]
      and t.due_at is not null;
      if not found then
        perform raise_other_by_now();
      end if;
    end if;
  end loop;

  foreach n in array order_of(the_series) loop
    its_study := series_studies[n];
    if are_new[its_study] then
      says := series_says[n]::jsonb;
      insert into series (
        series_instance_uid, study_key, modality, series_number, series_description, body_part_examined,
        performed_procedure_step_start_date, performed_procedure_step_start_time, request_attributes_sequence,
        instance_count, byte_length, last_sender, first_received_at, last_received_at, quiet_seconds, due_at
      )
      values (
        the_series[n], study_keys[its_study], says ->> 'Modality', says ->> 'SeriesNumber', says ->> 'SeriesDescription',
        says ->> 'BodyPartExamined', says ->> 'PerformedProcedureStepStartDate',
        says ->> 'PerformedProcedureStepStartTime', says -> 'RequestAttributesSequence', series_instances[n],
        series_bytes[n], series_senders[n], clock_timestamp(), clock_timestamp(), quiet,
        clock_timestamp() + make_interval(secs => quiet)
      )
      returning series_key, generation, instance_count into k;
      series_keys[n] := k.series_key;
      insert into changes_to_come (
        type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
      )
      values (
        'new', 'series', the_studies[its_study], the_series[n], patient_ids[its_study], nullif(issuers[its_study], ''),
        '{"generation": 1}'
      );
    else
      update series t
      set
        instance_count = t.instance_count + series_instances[n], byte_length = t.byte_length + series_bytes[n],
        last_sender = series_senders[n], last_received_at = clock_timestamp(),
        quiet_seconds = greatest(t.quiet_seconds, series_quiet[n])
      where t.series_key = series_keys[n]
      and t.due_at is not null
      returning t.series_key, t.generation, t.instance_count into k;
      if not found then
        perform raise_other_by_now();
      end if;
    end if;
    insert into changes_to_come (
      type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
    )
    values (
      'instances-added', 'series', the_studies[its_study], the_series[n], patient_ids[its_study],
      nullif(issuers[its_study], ''),
      jsonb_build_object(
        'generation', k.generation, 'addedInstanceCount', series_instances[n], 'addedByteLength', series_bytes[n],
        'instanceCount', k.instance_count
      )
    );
  end loop;

  committed_at := clock_timestamp();
  insert into instances (
    sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length, digest,
    sop_class_uid, transfer_syntax_uid, instance_number, number_of_frames, rows, columns, bits_allocated, received_at
  )
  select
    i.uid, study_keys[series_studies[i.series]], series_keys[i.series], segment_number, i.segment_offset, i.byte_length,
    i.metadata_length, decode(i.digest, 'hex'), i.sop_class_uid, i.transfer_syntax_uid, i.instance_number,
    i.number_of_frames, i.rows, i.columns, i.bits_allocated, committed_at
  from unnest(
    sop_instance_uids, instance_series, segment_offsets, byte_lengths, metadata_lengths, digests, sop_class_uids,
    transfer_syntax_uids, instance_numbers, numbers_of_frames, numbers_of_rows, numbers_of_columns, bits_allocated
  ) as i (
    uid, series, segment_offset, byte_length, metadata_length, digest, sop_class_uid, transfer_syntax_uid, instance_number,
    number_of_frames, rows, columns, bits_allocated
  )
  order by i.uid;
  -- Asked only now, for now nobody else can store or delete them, nor say how many there should be. In a statement of its own:
  -- the insert may have waited for a deletion, of which its snapshot does not know.
  if exists (
    select
    from unnest(sop_instance_uids) as u (uid)
    cross join lateral (
      select from tombstones d where d.sop_instance_uid = u.uid and d.lifted_at is null offset 0
    ) d
  ) or exists (select from evidence v where v.study_instance_uid = any(the_studies)) then
    perform raise_other_by_now();
  end if;

  insert into transfers (
    transfer_id, state, service, server_id, sender, sender_product, handling, study_instance_uid, announced_bytes,
    received_bytes, part_count, stored_count, duplicate_count, refused_count, warning_count, started_at, ended_at,
    lease_until, sent_by
  )
  select
    m.transfer_id, 'committed', m.service, the_server, m.sender, m.sender_product, m.handling, m.study_instance_uid,
    m.announced_bytes, m.received_bytes, m.part_count, m.stored_count, m.duplicate_count, 0, 0,
    clock_timestamp() - m.age_ms * interval '1 ms', clock_timestamp(), now(), m.sent_by
  from unnest(
    transfer_ids, services, handlings, senders, sender_products, sent_by, study_instance_uids, announced_bytes, ages_ms,
    received_bytes, part_counts, stored_counts, duplicate_counts
  ) as m (
    transfer_id, service, handling, sender, sender_product, sent_by, study_instance_uid, announced_bytes, age_ms,
    received_bytes, part_count, stored_count, duplicate_count
  );
  insert into changes_to_come (type, level, transfer_id, study_instance_uid, details)
  select
    'transfer-ended', 'transfer', m.transfer_id, m.study_instance_uid,
    jsonb_build_object(
      'state', 'committed', 'storedCount', m.stored_count, 'duplicateCount', m.duplicate_count, 'refusedCount', 0
    )
  from unnest(transfer_ids, study_instance_uids, stored_counts, duplicate_counts) as m (
    transfer_id, study_instance_uid, stored_count, duplicate_count
  );
  return true;
end $$;

-- Something was made, deleted, settled or declared between the first look and the locks.
create or replace function raise_other_by_now() returns void language plpgsql as $$
begin
  raise exception 'What it belongs to has changed meanwhile' using errcode = '40001';
end $$;

-- The numbers of identifiers, from 1, in the order in which every commit locks what they name.
create or replace function order_of(uids text[]) returns integer[] language sql stable as $$
  select array(select u.n::integer from unnest(uids) with ordinality as u (uid, n) order by u.uid)
$$;
