-- Studies that open transfers are bringing: those that the database knows of, and `held`, those that the
-- calling server knows of, [{studyInstanceUID, patientID?, issuerOfPatientID?}].
create or replace function studies_on_their_way(
  held jsonb, out study_instance_uids text[], out patient_keys bigint[]
) language sql stable as $$
  with under_way as materialized (
    select s.study_instance_uid, s.patient_id, s.issuer_of_patient_id
    from transfer_studies s
    join transfers t on t.transfer_id = s.transfer_id
    where t.state = 'receiving'
    and t.lease_until > clock_timestamp()
    union all
    select h."studyInstanceUID", h."patientID", h."issuerOfPatientID"
    from jsonb_to_recordset(held) as h (
      "studyInstanceUID" text, "patientID" text, "issuerOfPatientID" text
    )
  )
  select
    array(select study_instance_uid from under_way),
    -- Whose they are, as the instances say and as the studies that are here say.
    array(
      select p.patient_key
      from under_way u
      join patients p
        on p.patient_id = u.patient_id
        and p.issuer_of_patient_id = coalesce(u.issuer_of_patient_id, '')
      union
      select t.patient_key
      from under_way u
      join studies t on t.study_instance_uid = u.study_instance_uid
      where t.patient_key is not null
    )
$$;

-- Settles what is due: series, then studies whose series are stable, then patients whose studies are. Any
-- number of servers may call it at the same time, or pg_cron; what one of them works on the others pass over.
--
-- `held`: see studies_on_their_way; what the calling server is receiving and has not told the database of yet.
-- `at` of an event is the moment that its due time was compared with, not when the transaction began, which
-- may be a little before it was due.
-- A call works for a fifth of a second at most, so that no commit waits long for the rows it holds.
-- `settled`: events written. `wait_ms`: when to call it again, 0: there is more to do now, null: nothing waits.
create or replace function settle_due(
  at_most integer, held jsonb, out settled integer, out wait_ms double precision
) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off
set jit = off set plan_cache_mode = force_generic_plan
as $$
declare
  under_way record;
  asked_at timestamptz := clock_timestamp();
  enough_at timestamptz := asked_at + interval '200 ms';
  children_due_at timestamptz;
  next_due timestamptz;
  is_held_back boolean;
  has_more boolean := false;
  seen integer := 0;
  r record;
  the_digest bytea;
begin
  settled := 0;
  perform insist_on_durability();
  under_way := studies_on_their_way(held);

  for r in
    select
      e.*, t.study_instance_uid, t.patient_id, t.issuer_of_patient_id,
      greatest(e.last_received_at, e.reopened_at) + make_interval(secs => e.quiet_seconds) as settles_at
    from series e
    cross join lateral (
      select y.study_instance_uid, y.patient_id, y.issuer_of_patient_id
      from studies y
      where y.study_key = e.study_key
      offset 0
    ) t
    where e.due_at <= asked_at
    and t.study_instance_uid <> all (under_way.study_instance_uids)
    order by e.due_at
    limit at_most
    for no key update of e skip locked
  loop
    seen := seen + 1;
    exit when clock_timestamp() > enough_at;
    if r.settles_at > asked_at then
      update series set due_at = r.settles_at where series_key = r.series_key;
      continue;
    end if;
    select sha256(convert_to(string_agg(
      i.sop_instance_uid || ' ' || encode(i.digest, 'hex') || E'\n', ''
      order by i.sop_instance_uid collate "C"
    ), 'UTF8'))
    into the_digest
    from instances i
    where i.series_key = r.series_key;
    update series
    set
      due_at = null, settled_at = asked_at, settled_instance_count = instance_count,
      settled_byte_length = byte_length, content_digest = the_digest
    where series_key = r.series_key;
    insert into changes_to_come (
      at, type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
    ) values (
      asked_at, 'stable', 'series', r.study_instance_uid, r.series_instance_uid, r.patient_id,
      r.issuer_of_patient_id, jsonb_build_object(
        'generation', r.generation, 'instanceCount', r.instance_count, 'byteLength', r.byte_length,
        'addedInstanceCount', r.instance_count - r.settled_instance_count,
        'addedByteLength', r.byte_length - r.settled_byte_length, 'digest', encode(the_digest, 'hex')
      )
    );
    settled := settled + 1;
  end loop;
  has_more := has_more or seen = at_most;
  seen := 0;

  for r in
    select
      t.*, greatest(t.last_received_at, t.reopened_at) + make_interval(secs => t.quiet_seconds)
        as settles_at
    from studies t
    where t.due_at <= asked_at
    and t.study_instance_uid <> all (under_way.study_instance_uids)
    -- They come first; until then there is nothing to do here.
    and not exists (select from series e where e.study_key = t.study_key and e.due_at <= asked_at)
    order by t.due_at
    limit at_most
    for no key update of t skip locked
  loop
    seen := seen + 1;
    exit when clock_timestamp() > enough_at;
    -- A statement of its own: it sees what was committed before the lock was ours.
    select max(e.due_at) into children_due_at from series e where e.study_key = r.study_key;
    if r.settles_at > asked_at or children_due_at is not null then
      update studies
      set due_at = greatest(r.settles_at, children_due_at)
      where study_key = r.study_key;
      continue;
    end if;
    select sha256(convert_to(string_agg(
      e.series_instance_uid || ' ' || encode(e.content_digest, 'hex') || E'\n', ''
      order by e.series_instance_uid collate "C"
    ), 'UTF8'))
    into the_digest
    from series e
    where e.study_key = r.study_key;
    update studies
    set
      due_at = null, settled_at = asked_at, settled_series_count = series_count,
      settled_instance_count = instance_count, settled_byte_length = byte_length,
      content_digest = the_digest
    where study_key = r.study_key;
    insert into changes_to_come (
      at, type, level, study_instance_uid, patient_id, issuer_of_patient_id, details
    ) values (
      asked_at, 'stable', 'study', r.study_instance_uid, r.patient_id, r.issuer_of_patient_id, jsonb_build_object(
        'generation', r.generation, 'seriesCount', r.series_count, 'instanceCount', r.instance_count,
        'byteLength', r.byte_length, 'addedSeriesCount', r.series_count - r.settled_series_count,
        'addedInstanceCount', r.instance_count - r.settled_instance_count,
        'addedByteLength', r.byte_length - r.settled_byte_length, 'digest', encode(the_digest, 'hex')
      )
    );
    settled := settled + 1;
  end loop;
  has_more := has_more or seen = at_most;
  seen := 0;

  for r in
    select
      p.*, greatest(p.last_received_at, p.reopened_at) + make_interval(secs => p.quiet_seconds)
        as settles_at
    from patients p
    where p.due_at <= asked_at
    and p.patient_key <> all (under_way.patient_keys)
    and not exists (select from studies t where t.patient_key = p.patient_key and t.due_at <= asked_at)
    order by p.due_at
    limit at_most
    for no key update of p skip locked
  loop
    seen := seen + 1;
    exit when clock_timestamp() > enough_at;
    select max(t.due_at) into children_due_at from studies t where t.patient_key = r.patient_key;
    if r.settles_at > asked_at or children_due_at is not null then
      update patients
      set due_at = greatest(r.settles_at, children_due_at)
      where patient_key = r.patient_key;
      continue;
    end if;
    select sha256(convert_to(string_agg(
      t.study_instance_uid || ' ' || encode(t.content_digest, 'hex') || E'\n', ''
      order by t.study_instance_uid collate "C"
    ), 'UTF8'))
    into the_digest
    from studies t
    where t.patient_key = r.patient_key;
    update patients
    set
      due_at = null, settled_at = asked_at, settled_series_count = series_count,
      settled_instance_count = instance_count, settled_byte_length = byte_length,
      content_digest = the_digest
    where patient_key = r.patient_key;
    insert into changes_to_come (at, type, level, patient_id, issuer_of_patient_id, details)
    values (
      asked_at, 'stable', 'patient', r.patient_id, nullif(r.issuer_of_patient_id, ''), jsonb_build_object(
        'generation', r.generation, 'studyCount', r.study_count, 'seriesCount', r.series_count,
        'instanceCount', r.instance_count, 'byteLength', r.byte_length,
        'addedSeriesCount', r.series_count - r.settled_series_count,
        'addedInstanceCount', r.instance_count - r.settled_instance_count,
        'addedByteLength', r.byte_length - r.settled_byte_length, 'digest', encode(the_digest, 'hex')
      )
    );
    settled := settled + 1;
  end loop;
  has_more := has_more or seen = at_most or (settled > 0 and clock_timestamp() > enough_at);

  if has_more then
    wait_ms := 0;
    return;
  end if;
  select
    min(d.due_at) filter (where d.due_at > asked_at), bool_or(d.due_at <= asked_at)
  into next_due, is_held_back
  from (
    (select due_at from series where due_at > asked_at order by due_at limit 1)
    union all
    (select due_at from studies where due_at > asked_at order by due_at limit 1)
    union all
    (select due_at from patients where due_at > asked_at order by due_at limit 1)
    union all
    (select due_at from series where due_at <= asked_at limit 1)
    union all
    (select due_at from studies where due_at <= asked_at limit 1)
    union all
    (select due_at from patients where due_at <= asked_at limit 1)
  ) d;
  -- By a transfer, or because somebody works on it.
  if is_held_back then
    next_due := least(next_due, asked_at + interval '1 s');
  end if;
  if next_due is not null then
    wait_ms := greatest(1, extract(epoch from next_due - clock_timestamp()) * 1000);
  end if;
end $$;

-- An administrator does not want to wait: what is not stable of a study settles with the next call.
create or replace function settle_now(the_study text) returns boolean language plpgsql as $$
declare
  s studies;
begin
  select * into s from studies where study_instance_uid = the_study;
  if not found then
    return false;
  end if;
  -- In the order in which every commit locks.
  update patients set due_at = clock_timestamp(), quiet_seconds = 0
  where patient_key = s.patient_key
  and due_at is not null
  and not exists (
    select from studies t where t.patient_key = s.patient_key and t.study_key <> s.study_key and t.due_at is not null
  );
  update studies set due_at = clock_timestamp(), quiet_seconds = 0
  where study_key = s.study_key
  and due_at is not null;
  update series set due_at = clock_timestamp(), quiet_seconds = 0
  where study_key = s.study_key
  and due_at is not null;
  return true;
end $$;

-- An administrator wants another event for a study and its patient: their quiet time begins anew. Where they
-- are not stable, only that.
create or replace function reopen_study(the_study text) returns boolean language plpgsql as $$
declare
  s studies;
  quiet real;
  became record;
begin
  perform hold_quiet_rules();
  select * into s from studies where study_instance_uid = the_study;
  if not found then
    return false;
  end if;
  select max(quiet_seconds_of(e.last_sender, e.modality, s))
  into quiet
  from series e
  where e.study_key = s.study_key;
  with before as materialized (
    select due_at is null as is_stable from patients where patient_key = s.patient_key for no key update
  )
  update patients p
  set
    generation = p.generation + b.is_stable::integer, reopened_at = clock_timestamp(),
    quiet_seconds = quiet, due_at = coalesce(p.due_at, clock_timestamp() + make_interval(secs => quiet))
  from before b
  where p.patient_key = s.patient_key
  returning p.generation, p.patient_id, p.issuer_of_patient_id, b.is_stable into became;
  if became.is_stable then
    insert into changes_to_come (type, level, patient_id, issuer_of_patient_id, details)
    values (
      'reopened', 'patient', became.patient_id, nullif(became.issuer_of_patient_id, ''),
      jsonb_build_object('generation', became.generation)
    );
  end if;
  with before as materialized (
    select due_at is null as is_stable from studies where study_key = s.study_key for no key update
  )
  update studies t
  set
    generation = t.generation + b.is_stable::integer, reopened_at = clock_timestamp(),
    quiet_seconds = quiet, due_at = coalesce(t.due_at, clock_timestamp() + make_interval(secs => quiet))
  from before b
  where t.study_key = s.study_key
  returning t.generation, b.is_stable into became;
  if became.is_stable then
    insert into changes_to_come (
      type, level, study_instance_uid, patient_id, issuer_of_patient_id, details
    ) values (
      'reopened', 'study', s.study_instance_uid, s.patient_id, s.issuer_of_patient_id,
      jsonb_build_object('generation', became.generation)
    );
  end if;
  return true;
end $$;
