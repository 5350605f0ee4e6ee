-- What stood in the place of those that are told what is healed.
drop function if exists parents_of_staged(uuid);

-- Stores the staged instances of a transfer, or of a group of them: makes their patients, studies and
-- series, inserts the instances, adds them to the counts, moves the time when they settle, and writes what
-- changed to the feed. The staged rows stay. `senders` are those of the members of a group, in order; `declared`: see
-- weigh_staged, null: nothing.
-- Returns what contradicts its study or series, [{position, warningReason, detail}].
--
-- Locks are taken in one order by every commit: the quiet rules, the transfer or the shared segment, then
-- patients, studies, series and instances, each in the order of their identifiers. So commits that meet in a
-- study wait for each other and never deadlock.
--
-- Raises:
--   ST002  staged rows are missing (Postgres crashed meanwhile)
--   ST003  strict, and instances are refused; detail = [{position, failureReason, detail, deletion?}]
--   ST004  some instances are stored already, so the segments hold bytes nobody needs; detail =
--          {duplicates: [position], refused: [{position, failureReason, detail, deletion?}]}. The caller takes
--          them out and commits again. Those that are stored and damaged are none of these: they are healed.
--   40001, 23505 on instances_pkey
--          another transaction was faster with the same study, series or instance; try again
--
-- Every query here looks up a few rows in tables of any size, so only an index scan for each of them is
-- right, however large a table was when the plan was made: hence `offset 0`, which keeps a lateral
-- subquery what it is, and no sequential scans. Plans are made once, for
-- planning takes longer than running. Without jit off, an estimate that is too high compiles for 100 ms.
create or replace function store_staged(
  the_transfer uuid, expected_count integer, strict boolean, senders text[], declared jsonb
) returns jsonb
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  staged_count integer;
  are_distinct boolean;
  are_known boolean;
  parents record;
  -- Something about a study or series is new: it, or an attribute that it did not have.
  is_news boolean;
  differs boolean := true;
  -- Quiet times in seconds, beside the arrays of the parents.
  quiet real[];
  -- Positions of staged instances that are stored: their bytes were damaged, and were put in place of these.
  healed integer[] := '{}';
  senders_of_series text[];
  gone_count bigint;
  committed_at timestamptz;
begin
  select
    count(*), count(*) = count(distinct s.sop_instance_uid),
    coalesce(bool_or(i.is_known), false) or coalesce(bool_or(d.is_deleted), false)
  into staged_count, are_distinct, are_known
  from staged_instances s
  left join lateral (
    select true as is_known from instances i where i.sop_instance_uid = s.sop_instance_uid offset 0
  ) i on true
  left join lateral (
    select true as is_deleted
    from tombstones d
    where d.sop_instance_uid = s.sop_instance_uid
    and d.lifted_at is null
    offset 0
  ) d on true
  where s.transfer_id = the_transfer;
  if staged_count <> expected_count then
    raise exception 'Staged instances are missing: % of %', expected_count - staged_count, expected_count
      using errcode = 'ST002';
  end if;

  parents := parents_of_staged(the_transfer, healed);
  if are_known or not are_distinct or parents.are_misplaced then
    perform raise_superfluous(the_transfer, strict);
    healed := heal_staged(the_transfer);
    parents := parents_of_staged(the_transfer, healed);
    if healed = '{}' or parents.are_misplaced then
      raise exception 'Another transfer is deciding about an instance' using errcode = '40001';
    end if;
  end if;

  is_news := not parents.are_complete;
  if parents.are_complete then
    select coalesce(bool_or(c.is_more), false), count(*) > 0
    into is_news, differs
    from (
      select
        not t.says ?& array(
          select jsonb_object_keys(s.study - array['PatientID', 'IssuerOfPatientID'])
        ) as is_more
      from staged_instances s
      cross join lateral (
        select study_attributes(t) as says
        from studies t
        where t.study_instance_uid = s.study_instance_uid
        offset 0
      ) t
      where s.transfer_id = the_transfer
      and s.study is not null
      and not t.says @> s.study
      union all
      select not e.says ?& array(select jsonb_object_keys(s.series))
      from staged_instances s
      cross join lateral (
        select series_attributes(e) as says
        from series e
        where e.series_instance_uid = s.series_instance_uid
        offset 0
      ) e
      where s.transfer_id = the_transfer
      and s.series is not null
      and not e.says @> s.series
    ) c;
  end if;
  if is_news then
    perform make_parents(the_transfer);
    parents := parents_of_staged(the_transfer, healed);
    if parents.are_misplaced then
      raise exception 'Another transfer stored a series of this one' using errcode = '40001';
    end if;
  end if;

  -- Of two transfers of a group that bring the same series, the later one's sender counts.
  senders_of_series := array(
    select senders[coalesce(u.member, 0) + 1] from unnest(parents.members) with ordinality as u (member, n) order by u.n
  );
  quiet := quiet_seconds_of_series(parents.series_instance_uids, senders_of_series);

  -- Where nothing is new these updates are the first to lock anything, hence the order: `before` locks one after the
  -- other. The clock is read again by an update that had to wait, so no earlier commit to a row has a later time.
  with added as materialized (
    select
      p.patient_key, p.patient_id, p.issuer, sum(p.instances)::bigint as instances, sum(p.bytes)::bigint as bytes,
      count(*) filter (where p.is_new_series) as new_series,
      count(distinct p.study_key) filter (where p.is_new_study) as new_studies, max(p.quiet) as quiet
    from unnest(
      parents.patient_keys, parents.patient_ids, parents.issuers, parents.study_keys, parents.instances,
      parents.bytes, parents.are_new_series, parents.are_new_studies, quiet
    ) as p (
      patient_key, patient_id, issuer, study_key, instances, bytes, is_new_series, is_new_study, quiet
    )
    where p.patient_key is not null
    group by p.patient_id, p.issuer, p.patient_key
    order by p.patient_id, p.issuer
  ), before as materialized (
    select a.*, t.is_stable
    from added a
    cross join lateral (
      select due_at is null as is_stable from patients where patient_key = a.patient_key for no key update
    ) t
  ), became as (
    update patients t
    set
      study_count = t.study_count + b.new_studies,
      series_count = t.series_count + b.new_series,
      instance_count = t.instance_count + b.instances,
      byte_length = t.byte_length + b.bytes,
      last_received_at = clock_timestamp(),
      generation = t.generation + (b.is_stable and t.instance_count > 0)::integer,
      quiet_seconds = case when b.is_stable then b.quiet else greatest(t.quiet_seconds, b.quiet) end,
      due_at = coalesce(t.due_at, clock_timestamp() + make_interval(secs => b.quiet))
    from before b
    where t.patient_key = b.patient_key
    returning b.patient_id, b.issuer, b.is_stable, t.generation, t.instance_count = b.instances as is_new
  ), told as (
    insert into changes_to_come (type, level, patient_id, issuer_of_patient_id, details)
    select
      case when c.is_new then 'new' else 'reopened' end, 'patient', c.patient_id, nullif(c.issuer, ''),
      jsonb_build_object('generation', c.generation)
    from became c
    where c.is_stable
    order by c.patient_id, c.issuer
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_parent_gone();
  end if;
  with added as materialized (
    select
      p.study_instance_uid, p.study_key, p.patient_id, p.issuer, sum(p.instances)::bigint as instances,
      sum(p.bytes)::bigint as bytes, count(*) filter (where p.is_new_series) as new_series, max(p.quiet) as quiet
    from unnest(
      parents.study_instance_uids, parents.study_keys, parents.patient_ids, parents.issuers,
      parents.instances, parents.bytes, parents.are_new_series, quiet
    ) as p (
      study_instance_uid, study_key, patient_id, issuer, instances, bytes, is_new_series, quiet
    )
    group by p.study_instance_uid, p.study_key, p.patient_id, p.issuer
    order by p.study_instance_uid
  ), before as materialized (
    select a.*, t.is_stable
    from added a
    cross join lateral (
      select due_at is null as is_stable from studies where study_key = a.study_key for no key update
    ) t
  ), became as (
    update studies t
    set
      series_count = t.series_count + b.new_series,
      instance_count = t.instance_count + b.instances,
      byte_length = t.byte_length + b.bytes,
      modalities_in_study = case
        when is_news then (
          select coalesce(array_agg(distinct e.modality) filter (where e.modality is not null), '{}')
          from series e
          where e.study_key = b.study_key
        )
        else t.modalities_in_study
      end,
      last_received_at = clock_timestamp(),
      generation = t.generation + (b.is_stable and t.instance_count > 0)::integer,
      quiet_seconds = case when b.is_stable then b.quiet else greatest(t.quiet_seconds, b.quiet) end,
      due_at = coalesce(t.due_at, clock_timestamp() + make_interval(secs => b.quiet))
    from before b
    where t.study_key = b.study_key
    returning
      b.study_instance_uid, b.patient_id, b.issuer, b.is_stable, t.generation,
      t.instance_count = b.instances as is_new
  ), told as (
    insert into changes_to_come (
      type, level, study_instance_uid, patient_id, issuer_of_patient_id, details
    )
    select
      case when c.is_new then 'new' else 'reopened' end, 'study', c.study_instance_uid, c.patient_id,
      nullif(c.issuer, ''), jsonb_build_object('generation', c.generation)
    from became c
    where c.is_stable
    order by c.study_instance_uid
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_parent_gone();
  end if;
  with added as materialized (
    select
      p.series_instance_uid, p.study_instance_uid, p.series_key, p.patient_id, p.issuer, p.instances, p.bytes,
      p.quiet, p.sender
    from unnest(
      parents.series_instance_uids, parents.study_instance_uids, parents.series_keys, parents.patient_ids,
      parents.issuers, parents.instances, parents.bytes, quiet, senders_of_series
    ) as p (
      series_instance_uid, study_instance_uid, series_key, patient_id, issuer, instances, bytes, quiet, sender
    )
    order by p.series_instance_uid
  ), before as materialized (
    select a.*, t.is_stable
    from added a
    cross join lateral (
      select due_at is null as is_stable from series where series_key = a.series_key for no key update
    ) t
  ), became as (
    update series t
    set
      instance_count = t.instance_count + b.instances,
      byte_length = t.byte_length + b.bytes,
      last_sender = b.sender,
      last_received_at = clock_timestamp(),
      generation = t.generation + (b.is_stable and t.instance_count > 0)::integer,
      quiet_seconds = case when b.is_stable then b.quiet else greatest(t.quiet_seconds, b.quiet) end,
      due_at = coalesce(t.due_at, clock_timestamp() + make_interval(secs => b.quiet))
    from before b
    where t.series_key = b.series_key
    returning b.*, t.generation, t.instance_count, t.instance_count = b.instances as is_new
  ), told as (
    insert into changes_to_come (
      type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
    )
    select
      c.type, 'series', r.study_instance_uid, r.series_instance_uid, r.patient_id, nullif(r.issuer, ''),
      c.details
    from became r
    cross join lateral (
      values
        (
          1, case when r.is_new then 'new' else 'reopened' end, r.is_stable,
          jsonb_build_object('generation', r.generation)
        ),
        (
          2, 'instances-added', true,
          jsonb_build_object(
            'generation', r.generation, 'addedInstanceCount', r.instances, 'addedByteLength', r.bytes,
            'instanceCount', r.instance_count
          )
        )
    ) as c (n, type, is_so, details)
    where c.is_so
    order by r.series_instance_uid, c.n
  )
  select (select count(*) from added) - (select count(*) from became) into gone_count;
  if gone_count > 0 then
    perform raise_parent_gone();
  end if;

  committed_at := clock_timestamp();
  insert into instances (
    sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length,
    digest, sop_class_uid, transfer_syntax_uid, instance_number, number_of_frames, rows, columns,
    bits_allocated, received_at
  )
  select
    s.sop_instance_uid, e.study_key, e.series_key, g.segment_key, s.segment_offset, s.byte_length,
    s.metadata_length, s.digest, s.sop_class_uid, s.transfer_syntax_uid,
    s.instance ->> 'InstanceNumber', (s.instance ->> 'NumberOfFrames')::int, (s.instance ->> 'Rows')::int,
    (s.instance ->> 'Columns')::int, (s.instance ->> 'BitsAllocated')::int, committed_at
  from staged_instances s
  -- A segment or series that is not there would be a null, and an error.
  left join lateral (
    select e.series_key, e.study_key
    from series e
    where e.series_instance_uid = s.series_instance_uid
    offset 0
  ) e on true
  left join lateral (
    select g.segment_key from segments g where g.segment_id = s.segment_id offset 0
  ) g on true
  where s.transfer_id = the_transfer
  and s.position not in (select unnest(healed))
  order by s.sop_instance_uid;

  -- Asked again, for only now nobody else can store or delete them: since it was asked first, another commit may have
  -- brought one of them, and a deletion taken it away.
  if exists (
    select
    from staged_instances s
    cross join lateral (
      select from tombstones d where d.sop_instance_uid = s.sop_instance_uid and d.lifted_at is null offset 0
    ) d
    where s.transfer_id = the_transfer
  ) then
    raise exception 'An instance was deleted meanwhile' using errcode = '40001';
  end if;
  perform weigh_staged(the_transfer, coalesce(parents.study_instance_uids, '{}'), declared, healed);

  if not differs then
    return '[]';
  end if;
  return contradictions_of_staged(the_transfer);
end $$;

-- What a commit was to add to was deleted between its look and its lock: it begins again, and makes it anew.
create or replace function raise_parent_gone() returns void language plpgsql as $$
begin
  raise exception 'What it belongs to was deleted meanwhile' using errcode = '40001';
end $$;

-- The series of the staged instances, and what they are to be added to, as arrays side by side; keys are
-- null where there is none yet. Misplaced: a series belongs to another study, or to two of them. Without those that are healed.
create or replace function parents_of_staged(
  the_transfer uuid, healed integer[], out series_instance_uids text[], out study_instance_uids text[],
  out series_keys bigint[], out study_keys bigint[], out patient_keys bigint[], out patient_ids text[],
  out issuers text[], out instances bigint[], out bytes bigint[], out members integer[],
  out are_new_series boolean[],
  out are_new_studies boolean[], out are_complete boolean, out are_misplaced boolean
) language plpgsql as $$
begin
  select
    array_agg(s.series_instance_uid), array_agg(s.study_instance_uid), array_agg(e.series_key),
    array_agg(t.study_key), array_agg(t.patient_key), array_agg(t.patient_id),
    array_agg(coalesce(t.issuer_of_patient_id, '')), array_agg(s.instances), array_agg(s.bytes),
    array_agg(s.member),
    array_agg(e.instance_count = 0), array_agg(t.instance_count = 0),
    bool_and(e.series_key is not null),
    bool_or(e.study_key is distinct from t.study_key and e.series_key is not null)
      or count(*) > count(distinct s.series_instance_uid)
  into
    series_instance_uids, study_instance_uids, series_keys, study_keys, patient_keys, patient_ids, issuers,
    instances, bytes, members, are_new_series, are_new_studies, are_complete, are_misplaced
  from (
    select
      g.series_instance_uid, g.study_instance_uid, count(*) as instances,
      sum(g.byte_length)::bigint as bytes, max(g.member) as member
    from staged_instances g
    where g.transfer_id = the_transfer
    and g.position not in (select unnest(healed))
    group by g.series_instance_uid, g.study_instance_uid
  ) s
  left join lateral (
    select t.study_key, t.patient_key, t.patient_id, t.issuer_of_patient_id, t.instance_count
    from studies t
    where t.study_instance_uid = s.study_instance_uid
    offset 0
  ) t on true
  left join lateral (
    select e.series_key, e.study_key, e.instance_count
    from series e
    where e.series_instance_uid = s.series_instance_uid
    offset 0
  ) e on true;
end $$;

-- Says which staged instances are not to be stored (ST003 or ST004). Equal bytes are success, other
-- bytes a refusal. (AT-05 to AT-07, DV-15 to DV-17) Where the stored bytes are damaged, the equal ones are needed. What was
-- deleted is refused until somebody allows it. (P8) A series belongs to one study. (AT-12, DV-15) In a
-- group two transfers may contradict each other: then the first one counts as stored. Why something was deleted is not said, only
-- the `deletion`: it may name a patient, and what is raised is in the log of Postgres. (P10)
create or replace function raise_superfluous(the_transfer uuid, strict boolean) returns void language plpgsql as $$
declare
  duplicates jsonb;
  refused jsonb;
begin
  with by_stored as (
    select
      s.position, s.study_instance_uid, s.series_instance_uid, s.sop_instance_uid, s.sop_class_uid,
      s.digest, d.deletion, d.detail,
      case
        when i.digest = s.digest then case when i.damaged_at is null then 0 end
        when i.sop_class_uid <> s.sop_class_uid then x'0119'::int
        when i.series_instance_uid <> s.series_instance_uid then x'a902'::int
        when i.digest is not null then x'0111'::int
        when d.detail is not null then x'c410'::int
        when t.study_instance_uid <> s.study_instance_uid then x'a903'::int
      end as reason
    from staged_instances s
    left join lateral (
      select i.digest, i.damaged_at, i.sop_class_uid, e.series_instance_uid
      from instances i
      join series e on e.series_key = i.series_key
      where i.sop_instance_uid = s.sop_instance_uid
      offset 0
    ) i on true
    left join lateral (
      select t.study_instance_uid
      from series e
      join studies t on t.study_key = e.study_key
      where e.series_instance_uid = s.series_instance_uid
      offset 0
    ) t on true
    left join lateral (
      select
        n.deletion_key as deletion,
        'It was deleted on ' || to_char(n.deleted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as detail
      from tombstones d
      join deletions n on n.deletion_key = d.deletion_key
      where d.sop_instance_uid = s.sop_instance_uid
      and d.lifted_at is null
      offset 0
    ) d on true
    where s.transfer_id = the_transfer
  ), by_instance as (
    select
      position, study_instance_uid, series_instance_uid,
      case
        when row_number() over instance = 1 then null
        when first_value(digest) over instance = digest then 0
        when first_value(sop_class_uid) over instance <> sop_class_uid then x'0119'::int
        when first_value(series_instance_uid) over instance <> series_instance_uid then x'a902'::int
        else x'0111'::int
      end as reason
    from by_stored
    where reason is null
    window instance as (partition by sop_instance_uid order by position)
  ), by_series as (
    select
      position,
      case
        when first_value(study_instance_uid) over (partition by series_instance_uid order by position)
          <> study_instance_uid
        then x'a903'::int
      end as reason
    from by_instance
    where reason is null
  ), judged as (
    select position, reason, deletion, detail from by_stored where reason is not null
    union all
    select position, reason, null, null from by_instance where reason is not null
    union all
    select position, reason, null, null from by_series where reason is not null
  )
  select
    coalesce(jsonb_agg(position order by position) filter (where reason = 0), '[]'),
    coalesce(
      jsonb_agg(
        jsonb_build_object(
          'position', position, 'failureReason', reason, 'detail', case reason
            when x'0119'::int then 'This SOP Instance UID is stored with another SOP Class UID'
            when x'a902'::int then 'This SOP Instance UID is stored in another series'
            when x'a903'::int then 'This Series Instance UID is stored in another study'
            when x'c410'::int then detail
            else 'This SOP Instance UID is stored with other content'
          end
        ) || case when reason = x'c410'::int then jsonb_build_object('deletion', deletion) else '{}' end
        order by position
      ) filter (where reason <> 0),
      '[]'
    )
  into duplicates, refused
  from judged;

  if strict and refused <> '[]' then
    raise exception 'Instances are refused' using errcode = 'ST003', detail = refused::text;
  end if;
  if duplicates <> '[]' or refused <> '[]' then
    raise exception 'Some instances are not to be stored' using errcode = 'ST004',
      detail = jsonb_build_object('duplicates', duplicates, 'refused', refused)::text;
  end if;
end $$;

-- Makes the patients, studies and series of the staged instances, or adds to what they say; locks all of
-- them in the order of their identifiers.
create or replace function make_parents(the_transfer uuid) returns void language plpgsql as $$
declare
  made_at timestamptz := clock_timestamp();
  locked_patients bigint[];
begin
  -- One ordered pass locks the patients of the studies that are here and makes those of the new ones.
  with named as (
    select distinct on (study_instance_uid) study_instance_uid, study, position
    from staged_instances
    where transfer_id = the_transfer
    order by study_instance_uid, study is null, position
  ), concerned as (
    select
      t.patient_id as id, coalesce(t.issuer_of_patient_id, '') as issuer, null as name,
      null as birth_date, null as sex, n.position
    from named n
    cross join lateral (
      select t.patient_id, t.issuer_of_patient_id, t.patient_key
      from studies t
      where t.study_instance_uid = n.study_instance_uid
      offset 0
    ) t
    where t.patient_key is not null
    union all
    select
      n.study ->> 'PatientID', coalesce(n.study ->> 'IssuerOfPatientID', ''), n.study ->> 'PatientName',
      n.study ->> 'PatientBirthDate', n.study ->> 'PatientSex', n.position
    from named n
    left join lateral (
      select true as is_here from studies t where t.study_instance_uid = n.study_instance_uid offset 0
    ) t on true
    where t.is_here is null
    and n.study ? 'PatientID'
  ), locked as (
    insert into patients (
      patient_id, issuer_of_patient_id, patient_name, patient_birth_date, patient_sex,
      first_received_at, last_received_at
    )
    select distinct on (id, issuer) id, issuer, name, birth_date, sex, made_at, made_at
    from concerned
    order by id, issuer, position
    on conflict (patient_id, issuer_of_patient_id) do update
    set
      patient_name = coalesce(patients.patient_name, excluded.patient_name),
      patient_birth_date = coalesce(patients.patient_birth_date, excluded.patient_birth_date),
      patient_sex = coalesce(patients.patient_sex, excluded.patient_sex)
    returning patient_key
  )
  select coalesce(array_agg(patient_key order by patient_key), '{}')
  into locked_patients
  from locked;

  -- A study says what its first instance says; where that said nothing, what the next one says.
  -- Whose it is, its first instance decides for good.
  insert into studies (
    study_instance_uid, patient_key, patient_id, issuer_of_patient_id, patient_name, patient_birth_date,
    patient_sex, study_date, study_time, accession_number, study_id, study_description,
    referring_physician_name, timezone_offset_from_utc, first_received_at, last_received_at
  )
  select
    f.study_instance_uid, p.patient_key, f.patient_id, f.issuer, f.patient_name, f.patient_birth_date,
    f.patient_sex, f.study_date, f.study_time, f.accession_number, f.study_id, f.study_description,
    f.referring_physician_name, f.timezone, made_at, made_at
  from (
    select
      study_instance_uid,
      (array_agg(study ->> 'PatientID' order by position))[1] as patient_id,
      (array_agg(study ->> 'IssuerOfPatientID' order by position))[1] as issuer,
      (array_agg(study ->> 'PatientName' order by position) filter (where study ? 'PatientName'))[1] as patient_name,
      (array_agg(study ->> 'PatientBirthDate' order by position) filter (where study ? 'PatientBirthDate'))[1] as patient_birth_date,
      (array_agg(study ->> 'PatientSex' order by position) filter (where study ? 'PatientSex'))[1] as patient_sex,
      (array_agg(study ->> 'StudyDate' order by position) filter (where study ? 'StudyDate'))[1] as study_date,
      (array_agg(study ->> 'StudyTime' order by position) filter (where study ? 'StudyTime'))[1] as study_time,
      (array_agg(study ->> 'AccessionNumber' order by position) filter (where study ? 'AccessionNumber'))[1] as accession_number,
      (array_agg(study ->> 'StudyID' order by position) filter (where study ? 'StudyID'))[1] as study_id,
      (array_agg(study ->> 'StudyDescription' order by position) filter (where study ? 'StudyDescription'))[1] as study_description,
      (array_agg(study ->> 'ReferringPhysicianName' order by position) filter (where study ? 'ReferringPhysicianName'))[1] as referring_physician_name,
      (array_agg(study ->> 'TimezoneOffsetFromUTC' order by position) filter (where study ? 'TimezoneOffsetFromUTC'))[1] as timezone
    from staged_instances
    where transfer_id = the_transfer
    and study is not null
    group by study_instance_uid
  ) f
  left join lateral (
    select p.patient_key
    from patients p
    where p.patient_id = f.patient_id
    and p.issuer_of_patient_id = coalesce(f.issuer, '')
    offset 0
  ) p on true
  order by f.study_instance_uid
  on conflict (study_instance_uid) do update
  set
    patient_name = coalesce(studies.patient_name, excluded.patient_name),
    patient_birth_date = coalesce(studies.patient_birth_date, excluded.patient_birth_date),
    patient_sex = coalesce(studies.patient_sex, excluded.patient_sex),
    study_date = coalesce(studies.study_date, excluded.study_date),
    study_time = coalesce(studies.study_time, excluded.study_time),
    accession_number = coalesce(studies.accession_number, excluded.accession_number),
    study_id = coalesce(studies.study_id, excluded.study_id),
    study_description = coalesce(studies.study_description, excluded.study_description),
    referring_physician_name = coalesce(studies.referring_physician_name, excluded.referring_physician_name),
    timezone_offset_from_utc = coalesce(studies.timezone_offset_from_utc, excluded.timezone_offset_from_utc);

  -- Another commit made one of these studies in between, and said that it is somebody else's: then the
  -- wrong patient is locked, or one was made who has no study.
  if locked_patients <> (
    select coalesce(array_agg(distinct t.patient_key order by t.patient_key), '{}')
    from (select distinct study_instance_uid from staged_instances where transfer_id = the_transfer) s
    cross join lateral (
      select t.patient_key from studies t where t.study_instance_uid = s.study_instance_uid offset 0
    ) t
    where t.patient_key is not null
  ) then
    raise exception 'Another transfer decided whose a study is' using errcode = '40001';
  end if;

  insert into series (
    series_instance_uid, study_key, modality, series_number, series_description, body_part_examined,
    performed_procedure_step_start_date, performed_procedure_step_start_time,
    request_attributes_sequence, first_received_at, last_received_at
  )
  select
    f.series_instance_uid, t.study_key, f.modality, f.series_number, f.series_description,
    f.body_part_examined, f.start_date, f.start_time, f.request_attributes, made_at, made_at
  from (
    select
      series_instance_uid,
      min(study_instance_uid) as study_instance_uid,
      (array_agg(series ->> 'Modality' order by position) filter (where series ? 'Modality'))[1] as modality,
      (array_agg(series ->> 'SeriesNumber' order by position) filter (where series ? 'SeriesNumber'))[1] as series_number,
      (array_agg(series ->> 'SeriesDescription' order by position) filter (where series ? 'SeriesDescription'))[1] as series_description,
      (array_agg(series ->> 'BodyPartExamined' order by position) filter (where series ? 'BodyPartExamined'))[1] as body_part_examined,
      (array_agg(series ->> 'PerformedProcedureStepStartDate' order by position) filter (where series ? 'PerformedProcedureStepStartDate'))[1] as start_date,
      (array_agg(series ->> 'PerformedProcedureStepStartTime' order by position) filter (where series ? 'PerformedProcedureStepStartTime'))[1] as start_time,
      (array_agg(series -> 'RequestAttributesSequence' order by position) filter (where series ? 'RequestAttributesSequence'))[1] as request_attributes
    from staged_instances
    where transfer_id = the_transfer
    and series is not null
    group by series_instance_uid
  ) f
  cross join lateral (
    select t.study_key from studies t where t.study_instance_uid = f.study_instance_uid offset 0
  ) t
  order by f.series_instance_uid
  on conflict (series_instance_uid) do update
  set
    modality = coalesce(series.modality, excluded.modality),
    series_number = coalesce(series.series_number, excluded.series_number),
    series_description = coalesce(series.series_description, excluded.series_description),
    body_part_examined = coalesce(series.body_part_examined, excluded.body_part_examined),
    performed_procedure_step_start_date =
      coalesce(series.performed_procedure_step_start_date, excluded.performed_procedure_step_start_date),
    performed_procedure_step_start_time =
      coalesce(series.performed_procedure_step_start_time, excluded.performed_procedure_step_start_time),
    request_attributes_sequence =
      coalesce(series.request_attributes_sequence, excluded.request_attributes_sequence);
end $$;

-- Where an instance contradicts what its study or series says: stored, with a warning. (DV-18, DV-19)
create or replace function contradictions_of_staged(the_transfer uuid) returns jsonb language plpgsql as $$
declare
  contradictions jsonb;
begin
  with contradicting as (
    select s.position, a.key as keyword
    from staged_instances s
    cross join lateral (
      select study_attributes(t) as says
      from studies t
      where t.study_instance_uid = s.study_instance_uid
      offset 0
    ) t
    cross join lateral jsonb_each_text(s.study) a
    where s.transfer_id = the_transfer
    and s.study is not null
    and not t.says @> s.study
    and a.value is distinct from t.says ->> a.key
    union all
    select s.position, a.key
    from staged_instances s
    cross join lateral (
      select series_attributes(e) as says
      from series e
      where e.series_instance_uid = s.series_instance_uid
      offset 0
    ) e
    cross join lateral jsonb_each_text(s.series) a
    where s.transfer_id = the_transfer
    and s.series is not null
    and not e.says @> s.series
    and a.value is distinct from e.says ->> a.key
  ), by_instance as (
    select position, string_agg(keyword, ', ' order by keyword) as keywords
    from contradicting
    group by position
  )
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'position', position, 'warningReason', x'b007'::int,
        'detail', 'Differs from what its study or series says: ' || keywords
      )
      order by position
    ),
    '[]'
  )
  into contradictions
  from by_instance;
  return contradictions;
end $$;

-- What a study says, as staged instances say it.
create or replace function study_attributes(t studies) returns jsonb language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'PatientID', t.patient_id, 'IssuerOfPatientID', t.issuer_of_patient_id,
    'PatientName', t.patient_name, 'PatientBirthDate', t.patient_birth_date,
    'PatientSex', t.patient_sex, 'StudyDate', t.study_date, 'StudyTime', t.study_time,
    'AccessionNumber', t.accession_number, 'StudyID', t.study_id,
    'StudyDescription', t.study_description, 'ReferringPhysicianName', t.referring_physician_name,
    'TimezoneOffsetFromUTC', t.timezone_offset_from_utc
  ))
$$;

create or replace function series_attributes(e series) returns jsonb language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'Modality', e.modality, 'SeriesNumber', e.series_number,
    'SeriesDescription', e.series_description, 'BodyPartExamined', e.body_part_examined,
    'PerformedProcedureStepStartDate', e.performed_procedure_step_start_date,
    'PerformedProcedureStepStartTime', e.performed_procedure_step_start_time,
    'RequestAttributesSequence', e.request_attributes_sequence
  ))
$$;
