-- Why: the life of a transfer (open, stage, commit or end, expire) is SQL, so that each step is one
--   round trip and one transaction, and any server can end what a dead one left behind.
-- Locks: creates functions, one partial index; makes one empty table unlogged.
-- An old server beside it: there is none.

-- Staged rows need no WAL: a crash of Postgres empties the table, and a transfer whose rows are gone
-- cannot commit.
alter table staged_instances set unlogged;
--> statement-breakpoint

-- For renew_transfers and expire_transfers.
create index transfers_receiving on transfers (lease_until) where state = 'receiving';
--> statement-breakpoint

-- For the sweep: segments whose objects are to be deleted.
create index segments_doomed on segments (segment_key) where state = 'doomed';
--> statement-breakpoint

-- Opens a transfer and its first segment. The row must be there before the segment's object is, so that
-- no object is without a row; it need not survive a crash, for then there is nothing to keep.
create function open_transfer(
  the_transfer uuid, the_segment uuid, the_server uuid, the_service text, the_sender text,
  the_sender_product text, the_handling text, the_study text, the_announced_bytes bigint,
  lease_seconds double precision
) returns void language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into transfers (
    transfer_id, state, server_id, service, sender, sender_product, handling,
    study_instance_uid, announced_bytes, lease_until
  ) values (
    the_transfer, 'receiving', the_server, the_service, the_sender, the_sender_product, the_handling,
    the_study, the_announced_bytes, now() + make_interval(secs => lease_seconds)
  );
  insert into segments (segment_id, transfer_id, state) values (the_segment, the_transfer, 'open');
end $$;
--> statement-breakpoint

-- A further segment of a transfer that is still receiving. False: the transfer was ended meanwhile.
create function open_segment(the_transfer uuid, the_segment uuid) returns boolean
language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into segments (segment_id, transfer_id, state)
  select the_segment, transfer_id, 'open'
  from transfers
  where transfer_id = the_transfer
  and state = 'receiving'
  -- Whoever ends the transfer waits until the segment is there, and takes it along.
  for key share;
  return found;
end $$;
--> statement-breakpoint

-- Stages a batch. `batch` is an array of objects with the names of the columns, the digest in hex.
-- False: the transfer was ended meanwhile, and nobody would ever take these rows away again. The lock
-- makes whoever ends it wait until they are there; renewing its lease goes on beside it.
create function stage_instances(the_transfer uuid, batch jsonb) returns boolean
language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  perform 1 from transfers where transfer_id = the_transfer and state = 'receiving' for key share;
  if not found then
    return false;
  end if;
  insert into staged_instances (
    transfer_id, position, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
    transfer_syntax_uid, segment_id, segment_offset, byte_length, metadata_length, digest,
    study, series, instance
  )
  select
    the_transfer, b.position, b.study_instance_uid, b.series_instance_uid, b.sop_instance_uid,
    b.sop_class_uid, b.transfer_syntax_uid, b.segment_id, b.segment_offset, b.byte_length,
    b.metadata_length, decode(b.digest, 'hex'), b.study, b.series, b.instance
  from jsonb_to_recordset(batch) as b (
    position integer, study_instance_uid text, series_instance_uid text, sop_instance_uid text,
    sop_class_uid text, transfer_syntax_uid text, segment_id uuid, segment_offset bigint,
    byte_length bigint, metadata_length integer, digest text, study jsonb, series jsonb, instance jsonb
  );
  return true;
end $$;
--> statement-breakpoint

-- Makes the staged instances of one transfer visible, all in this one transaction.
--
-- Locks are taken in one order by every commit: the transfer, then patients, studies, series and
-- instances, each in the order of their identifiers. So commits that meet in a study wait for each
-- other and never deadlock. The parents are locked by their upsert before the first instance is
-- inserted; an instance that another transaction brought in between makes the insert come up short,
-- and the whole commit is tried again by the caller (40001).
--
-- Raises:
--   ST001  the transfer is not receiving any more (its lease expired)
--   ST002  staged rows are missing (Postgres crashed meanwhile)
--   ST003  strict, and instances are refused; detail = [{position, failureReason, detail}]
--   ST004  some instances are stored already, so the segments hold bytes nobody needs; detail =
--          {duplicates: [position], refused: [{position, failureReason, detail}]}. The caller writes
--          the segments again without them, unstages them and commits again.
--   40001  another transaction was faster with the same instance; try again
--
-- Joins here look up a few staged rows in tables of any size, so only nested loops over indexes are
-- right, whatever the statistics of an unlogged table say at the moment.
create function commit_transfer(
  the_transfer uuid, expected_count integer, strict boolean, the_received_bytes bigint,
  the_part_count integer, the_duplicate_count integer, the_segments jsonb, the_refusals jsonb,
  the_warnings jsonb
) returns jsonb language plpgsql
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
declare
  committed_at timestamptz;
  staged_count integer;
  duplicate_positions jsonb;
  refused jsonb;
  locked_patients bigint[];
  inserted_count integer;
  disagreements jsonb;
begin
  -- What is acknowledged must survive a crash, even where the database's default says otherwise.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;

  perform 1 from transfers where transfer_id = the_transfer and state = 'receiving' for update;
  if not found then
    raise exception 'The transfer is not receiving any more' using errcode = 'ST001';
  end if;
  select count(*) into staged_count from staged_instances where transfer_id = the_transfer;
  if staged_count <> expected_count then
    raise exception 'Staged instances are missing: % of %', expected_count - staged_count, expected_count
      using errcode = 'ST002';
  end if;

  -- An instance that is here already: equal bytes are success, other bytes a refusal. (AT-05 to AT-07, DV-15 to DV-17)
  update staged_instances s
  set
    outcome = case when i.digest = s.digest then 'duplicate' else 'refused' end,
    failure_reason = case
      when i.digest = s.digest then null
      when i.sop_class_uid <> s.sop_class_uid then x'0119'::int
      when e.series_instance_uid <> s.series_instance_uid then x'a902'::int
      else x'0111'::int
    end,
    detail = case
      when i.digest = s.digest then null
      when i.sop_class_uid <> s.sop_class_uid then 'This SOP Instance UID is stored with another SOP Class UID'
      when e.series_instance_uid <> s.series_instance_uid then 'This SOP Instance UID is stored in another series'
      else 'This SOP Instance UID is stored with other content'
    end
  from instances i
  join series e on e.series_key = i.series_key
  where s.transfer_id = the_transfer
  and i.sop_instance_uid = s.sop_instance_uid;

  -- A series belongs to one study. (AT-12, DV-15)
  update staged_instances s
  set
    outcome = 'refused',
    failure_reason = x'a903'::int,
    detail = 'This Series Instance UID is stored in another study'
  from series e
  join studies t on t.study_key = e.study_key
  where s.transfer_id = the_transfer
  and s.outcome is null
  and e.series_instance_uid = s.series_instance_uid
  and t.study_instance_uid <> s.study_instance_uid;

  select
    jsonb_agg(position order by position) filter (where outcome = 'duplicate'),
    jsonb_agg(
      jsonb_build_object('position', position, 'failureReason', failure_reason, 'detail', detail)
      order by position
    ) filter (where outcome = 'refused')
  into duplicate_positions, refused
  from staged_instances
  where transfer_id = the_transfer
  and outcome is not null;

  if strict and refused is not null then
    raise exception 'Instances are refused' using errcode = 'ST003', detail = refused::text;
  end if;
  if duplicate_positions is not null or refused is not null then
    raise exception 'Some instances are not to be stored' using errcode = 'ST004',
      detail = jsonb_build_object(
        'duplicates', coalesce(duplicate_positions, '[]'), 'refused', coalesce(refused, '[]')
      )::text;
  end if;

  committed_at := clock_timestamp();

  -- One ordered pass locks the patients of the studies that are here and makes those of the new ones.
  with named as (
    select study_instance_uid, study, position
    from staged_instances
    where transfer_id = the_transfer
    and study is not null
  ), concerned as (
    select
      study ->> 'PatientID' as id, coalesce(study ->> 'IssuerOfPatientID', '') as issuer,
      study ->> 'PatientName' as name, study ->> 'PatientBirthDate' as birth_date,
      study ->> 'PatientSex' as sex, position
    from (select distinct on (study_instance_uid) * from named order by study_instance_uid, position) f
    where study ? 'PatientID'
    and not exists (select from studies t where t.study_instance_uid = f.study_instance_uid)
    union all
    select t.patient_id, coalesce(t.issuer_of_patient_id, ''), null, null, null, n.position
    from named n
    join studies t on t.study_instance_uid = n.study_instance_uid
    where t.patient_key is not null
  ), locked as (
    insert into patients (
      patient_id, issuer_of_patient_id, patient_name, patient_birth_date, patient_sex,
      first_received_at, last_received_at
    )
    select distinct on (id, issuer) id, issuer, name, birth_date, sex, committed_at, committed_at
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
    f.referring_physician_name, f.timezone, committed_at, committed_at
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
  left join patients p on p.patient_id = f.patient_id and p.issuer_of_patient_id = coalesce(f.issuer, '')
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
    from staged_instances s
    join studies t on t.study_instance_uid = s.study_instance_uid
    where s.transfer_id = the_transfer
    and s.study is not null
    and t.patient_key is not null
  ) then
    raise exception 'Another transfer decided whose a study is' using errcode = '40001';
  end if;

  insert into series (
    series_instance_uid, study_key, modality, series_number, series_description, body_part_examined,
    performed_procedure_step_start_date, performed_procedure_step_start_time,
    first_received_at, last_received_at
  )
  select
    f.series_instance_uid, t.study_key, f.modality, f.series_number, f.series_description,
    f.body_part_examined, f.start_date, f.start_time, committed_at, committed_at
  from (
    select
      series_instance_uid,
      min(study_instance_uid) as study_instance_uid,
      (array_agg(series ->> 'Modality' order by position) filter (where series ? 'Modality'))[1] as modality,
      (array_agg(series ->> 'SeriesNumber' order by position) filter (where series ? 'SeriesNumber'))[1] as series_number,
      (array_agg(series ->> 'SeriesDescription' order by position) filter (where series ? 'SeriesDescription'))[1] as series_description,
      (array_agg(series ->> 'BodyPartExamined' order by position) filter (where series ? 'BodyPartExamined'))[1] as body_part_examined,
      (array_agg(series ->> 'PerformedProcedureStepStartDate' order by position) filter (where series ? 'PerformedProcedureStepStartDate'))[1] as start_date,
      (array_agg(series ->> 'PerformedProcedureStepStartTime' order by position) filter (where series ? 'PerformedProcedureStepStartTime'))[1] as start_time
    from staged_instances
    where transfer_id = the_transfer
    and series is not null
    group by series_instance_uid
  ) f
  join studies t on t.study_instance_uid = f.study_instance_uid
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
      coalesce(series.performed_procedure_step_start_time, excluded.performed_procedure_step_start_time);

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
  join series e on e.series_instance_uid = s.series_instance_uid
  join studies t on t.study_key = e.study_key and t.study_instance_uid = s.study_instance_uid
  join segments g on g.segment_id = s.segment_id
  where s.transfer_id = the_transfer
  order by s.sop_instance_uid
  on conflict (sop_instance_uid) do nothing;
  get diagnostics inserted_count = row_count;
  if inserted_count <> expected_count then
    raise exception 'Another transfer stored an instance of this one' using errcode = '40001';
  end if;

  -- All locks are held now, so no other commit to these studies can have a later time already.
  committed_at := clock_timestamp();
  perform count_transfer(the_transfer, committed_at);

  -- Where an instance contradicts what its study or series says: stored, with a warning. (DV-18, DV-19)
  with contradictions as (
    select s.position, a.key as keyword
    from staged_instances s
    join studies t on t.study_instance_uid = s.study_instance_uid
    cross join lateral jsonb_each_text(s.study) a
    where s.transfer_id = the_transfer
    and s.study is not null
    and a.value is distinct from (jsonb_build_object(
      'PatientID', t.patient_id, 'IssuerOfPatientID', t.issuer_of_patient_id,
      'PatientName', t.patient_name, 'PatientBirthDate', t.patient_birth_date,
      'PatientSex', t.patient_sex, 'StudyDate', t.study_date, 'StudyTime', t.study_time,
      'AccessionNumber', t.accession_number, 'StudyID', t.study_id,
      'StudyDescription', t.study_description, 'ReferringPhysicianName', t.referring_physician_name,
      'TimezoneOffsetFromUTC', t.timezone_offset_from_utc
    ) ->> a.key)
    union all
    select s.position, a.key
    from staged_instances s
    join series e on e.series_instance_uid = s.series_instance_uid
    cross join lateral jsonb_each_text(s.series) a
    where s.transfer_id = the_transfer
    and s.series is not null
    and a.value is distinct from (jsonb_build_object(
      'Modality', e.modality, 'SeriesNumber', e.series_number,
      'SeriesDescription', e.series_description, 'BodyPartExamined', e.body_part_examined,
      'PerformedProcedureStepStartDate', e.performed_procedure_step_start_date,
      'PerformedProcedureStepStartTime', e.performed_procedure_step_start_time
    ) ->> a.key)
  ), by_instance as (
    select position, string_agg(keyword, ', ' order by keyword) as keywords
    from contradictions
    group by position
  ), recorded as (
    insert into warnings (
      transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid
    )
    select
      the_transfer, b.position, x'b007'::int,
      'Differs from what its study or series says: ' || b.keywords,
      s.study_instance_uid, s.sop_instance_uid
    from by_instance b
    join staged_instances s on s.transfer_id = the_transfer and s.position = b.position
    returning position, warning_reason, detail
  )
  select jsonb_agg(
    jsonb_build_object('position', position, 'warningReason', warning_reason, 'detail', detail)
    order by position
  )
  into disagreements
  from recorded;

  perform record_refusals(the_transfer, the_refusals);
  insert into warnings (
    transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid
  )
  select the_transfer, w.position, w."warningReason", w.detail, w."studyInstanceUID", w."sopInstanceUID"
  from jsonb_to_recordset(the_warnings) as w (
    position integer, "warningReason" integer, detail text, "studyInstanceUID" text, "sopInstanceUID" text
  );
  delete from staged_instances where transfer_id = the_transfer;

  update segments g
  set state = 'kept', byte_length = k.byte_length
  from jsonb_to_recordset(the_segments) as k (segment_id uuid, byte_length bigint)
  where g.segment_id = k.segment_id;
  -- Segments that were written again without what nobody needs (ST004) have done their work.
  update segments set state = 'doomed' where transfer_id = the_transfer and state = 'open';

  update transfers
  set
    state = 'committed', ended_at = committed_at, received_bytes = the_received_bytes,
    part_count = the_part_count, stored_count = expected_count,
    duplicate_count = the_duplicate_count, refused_count = jsonb_array_length(the_refusals),
    warning_count = coalesce(jsonb_array_length(disagreements), 0) + jsonb_array_length(the_warnings)
  where transfer_id = the_transfer;

  return coalesce(disagreements, '[]');
end $$;
--> statement-breakpoint

-- Adds what a commit has just inserted to the counts of its series, studies and patients. Their rows
-- are locked already.
create function count_transfer(the_transfer uuid, committed_at timestamptz) returns void language plpgsql
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
begin
  with added as (
    select e.series_key, count(*) as instances, sum(s.byte_length) as bytes
    from staged_instances s
    join series e on e.series_instance_uid = s.series_instance_uid
    where s.transfer_id = the_transfer
    group by e.series_key
  )
  update series e
  set
    instance_count = e.instance_count + a.instances,
    byte_length = e.byte_length + a.bytes,
    last_received_at = committed_at
  from added a
  where e.series_key = a.series_key;

  -- Recounting the series of a study costs a few index reads, for a study has few. A patient may have
  -- any number of studies, so there only the difference is added.
  with touched as (
    select distinct t.study_key, t.patient_key, t.series_count, t.instance_count, t.byte_length
    from staged_instances s
    join studies t on t.study_instance_uid = s.study_instance_uid
    where s.transfer_id = the_transfer
  ), counted as (
    select
      d.study_key, count(*) as series, sum(e.instance_count) as instances, sum(e.byte_length) as bytes,
      coalesce(array_agg(distinct e.modality) filter (where e.modality is not null), '{}') as modalities
    from touched d
    join series e on e.study_key = d.study_key
    group by d.study_key
  ), updated as (
    update studies t
    set
      series_count = c.series,
      instance_count = c.instances,
      byte_length = c.bytes,
      modalities_in_study = c.modalities,
      last_received_at = committed_at
    from counted c
    where t.study_key = c.study_key
  ), added as (
    select
      d.patient_key,
      count(*) filter (where d.instance_count = 0) as studies,
      sum(c.series - d.series_count) as series,
      sum(c.instances - d.instance_count) as instances,
      sum(c.bytes - d.byte_length) as bytes
    from touched d
    join counted c on c.study_key = d.study_key
    where d.patient_key is not null
    group by d.patient_key
  )
  update patients p
  set
    study_count = p.study_count + a.studies,
    series_count = p.series_count + a.series,
    instance_count = p.instance_count + a.instances,
    byte_length = p.byte_length + a.bytes,
    last_received_at = committed_at
  from added a
  where p.patient_key = a.patient_key;
end $$;
--> statement-breakpoint

-- `refused` is [{position, failureReason, detail, studyInstanceUID?, sopClassUID?, sopInstanceUID?}].
create function record_refusals(the_transfer uuid, refused jsonb) returns void language sql as $$
  insert into refusals (
    transfer_id, position, failure_reason, detail, study_instance_uid, sop_class_uid, sop_instance_uid
  )
  select
    the_transfer, r.position, r."failureReason", r.detail, r."studyInstanceUID", r."sopClassUID",
    r."sopInstanceUID"
  from jsonb_to_recordset(refused) as r (
    position integer, "failureReason" integer, detail text, "studyInstanceUID" text,
    "sopClassUID" text, "sopInstanceUID" text
  )
$$;
--> statement-breakpoint

-- Takes staged instances out again: those a commit found stored already, or refuses. The others may
-- have moved: `moved` is [{position, segment_id, segment_offset}]. Study and series attributes that only
-- a dropped one carried go to another one: `heirs` is [{level, from_position, to_position}].
create function restage_instances(
  the_transfer uuid, dropped integer[], moved jsonb, heirs jsonb
) returns void
language plpgsql as $$
begin
  update staged_instances s
  set study = d.study
  from jsonb_to_recordset(heirs) as h (level text, from_position integer, to_position integer)
  join staged_instances d on d.transfer_id = the_transfer and d.position = h.from_position
  where h.level = 'study'
  and s.transfer_id = the_transfer
  and s.position = h.to_position;
  update staged_instances s
  set series = d.series
  from jsonb_to_recordset(heirs) as h (level text, from_position integer, to_position integer)
  join staged_instances d on d.transfer_id = the_transfer and d.position = h.from_position
  where h.level = 'series'
  and s.transfer_id = the_transfer
  and s.position = h.to_position;
  delete from staged_instances where transfer_id = the_transfer and position = any(dropped);
  update staged_instances s
  set segment_id = m.segment_id, segment_offset = m.segment_offset
  from jsonb_to_recordset(moved) as m (position integer, segment_id uuid, segment_offset bigint)
  where s.transfer_id = the_transfer
  and s.position = m.position;
end $$;
--> statement-breakpoint

-- Ends a transfer of which nothing is kept. Its segments are doomed: their objects are deleted first,
-- then their rows, by whoever comes first. Waits for a commit that is running, and does nothing to a
-- transfer that has ended. Returns the state that the transfer is in now, null when it is not known.
create function end_transfer(
  the_transfer uuid, the_state text, the_reason text, the_received_bytes bigint, the_part_count integer,
  the_duplicate_count integer, the_refusals jsonb
) returns text language plpgsql as $$
declare
  found_state text;
begin
  select state into found_state from transfers where transfer_id = the_transfer for update;
  if found_state is distinct from 'receiving' then
    return found_state;
  end if;
  update transfers
  set
    state = the_state, reason = the_reason, ended_at = clock_timestamp(),
    received_bytes = the_received_bytes, part_count = the_part_count,
    duplicate_count = the_duplicate_count, refused_count = jsonb_array_length(the_refusals)
  where transfer_id = the_transfer;
  delete from staged_instances where transfer_id = the_transfer;
  update segments set state = 'doomed' where transfer_id = the_transfer and state = 'open';
  perform record_refusals(the_transfer, the_refusals);
  return the_state;
end $$;
--> statement-breakpoint

-- Renews the leases of a server's transfers and notes how far they are. `progress` is
-- [{transfer_id, received_bytes, part_count}]. Returns those that are still receiving. One that is being
-- committed or ended at this moment is passed over, for the others' leases must not wait for it.
create function renew_transfers(progress jsonb, lease_seconds double precision) returns setof uuid
language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  with free as (
    select t.transfer_id, p.received_bytes, p.part_count
    from transfers t
    join jsonb_to_recordset(progress) as p (transfer_id uuid, received_bytes bigint, part_count integer)
      on p.transfer_id = t.transfer_id
    where t.state = 'receiving'
    for no key update of t skip locked
  )
  update transfers t
  set
    lease_until = now() + make_interval(secs => lease_seconds),
    received_bytes = f.received_bytes,
    part_count = f.part_count
  from free f
  where t.transfer_id = f.transfer_id;
  return query
  select t.transfer_id
  from transfers t
  join jsonb_to_recordset(progress) as p (transfer_id uuid) on p.transfer_id = t.transfer_id
  where t.state = 'receiving';
end $$;
--> statement-breakpoint

-- Ends the transfers whose servers do not answer for them any more. Any server may call it; skip locked
-- leaves alone what is committing at this moment. A server that has the database for itself says so with
-- its id: then all but its own are dead. Returns how many it ended.
create function expire_transfers(alone uuid) returns integer language plpgsql as $$
declare
  dead uuid[];
begin
  select array_agg(transfer_id)
  into dead
  from (
    select transfer_id
    from transfers
    where state = 'receiving'
    and (lease_until < now() or server_id <> alone)
    for update skip locked
  ) expired;
  if dead is null then
    return 0;
  end if;
  update transfers
  set state = 'expired', ended_at = clock_timestamp(), reason = 'Its server stopped answering for it'
  where transfer_id = any(dead);
  delete from staged_instances where transfer_id = any(dead);
  update segments set state = 'doomed' where transfer_id = any(dead) and state = 'open';
  return cardinality(dead);
end $$;
