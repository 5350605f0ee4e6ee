-- Why: a search finds by every key that PS3.18 10.6.1.2.3 requires, each by an index, and by names and
--   times whatever their form. What it compares is made by Postgres, in the commit, of what is stored.
-- Locks: studies and series are written anew with the new columns, instances is read for two indexes: all
--   three are locked until it is done, some minutes for ten million instances.
-- An old server beside it: works, and stores no Request Attributes Sequence. Of series that are stored
--   already the rows have none either: it stands in their metadata only. The next instance brings it.

-- These functions are plpgsql, for one in SQL would be parsed and put in its place again by every statement that
-- writes a row: 60 µs each.

-- The form in which names are compared: lower case, without marks, without empty components at the end.
-- PS3.4 C.2.2.2.1 leaves all that to the server. Wildcards stay what they are. Letters keep their
-- syllables (NFC at the end), so that a beginning is one for people, too.
create function person_name_key(name text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  -- Most names need nothing more, and this is a third of the work.
  if name !~ '[^ -~]|  |^ | $| [=^]|[=^] |[=^]$|\^=' then
    return lower(name);
  end if;
  return regexp_replace(
    regexp_replace(
      lower(normalize(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g'), NFC)),
      '\s*([=^])\s*|^\s+|\s+$|(\s)\s+', '\1\2', 'g'
    ),
    '\^+(?==|$)|[=^]+$', '', 'g'
  );
end $$;
--> statement-breakpoint

-- A TM in the form in which it is compared, hhmmss.ffffff, for 2230 is 223000. (PS3.4 C.2.2.2.1) Null if it is
-- none.
create function time_key(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  if value ~ '^\d\d(\d\d(\d\d(\.\d{1,6})?)?)?$' then
    return rpad(split_part(value, '.', 1), 6, '0') || '.' || rpad(split_part(value, '.', 2), 6, '0');
  end if;
  return null;
end $$;
--> statement-breakpoint

-- The pattern of LIKE for a value with the wildcards of DICOM. (PS3.4 C.2.2.2.4)
create function like_pattern(value text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return translate(regexp_replace(value, '([\\%_])', '\\\1', 'g'), '*?', '%_');
end $$;
--> statement-breakpoint

DROP INDEX "series_study_key";--> statement-breakpoint
DROP INDEX "studies_patient_id";--> statement-breakpoint
DROP INDEX "studies_study_date";--> statement-breakpoint
-- One statement for each table, so that it is written anew once.
ALTER TABLE "series"
  ADD COLUMN "request_attributes_sequence" jsonb,
  ADD COLUMN "performed_procedure_step_start_time_key" text
    GENERATED ALWAYS AS (time_key(performed_procedure_step_start_time)) STORED;--> statement-breakpoint
ALTER TABLE "studies"
  ADD COLUMN "patient_name_key" text GENERATED ALWAYS AS (person_name_key(patient_name)) STORED,
  ADD COLUMN "referring_physician_name_key" text
    GENERATED ALWAYS AS (person_name_key(referring_physician_name)) STORED,
  ADD COLUMN "study_time_key" text GENERATED ALWAYS AS (time_key(study_time)) STORED;--> statement-breakpoint
CREATE INDEX "instances_sop_class_uid" ON "instances" USING btree ("sop_class_uid","series_key");--> statement-breakpoint
CREATE INDEX "instances_instance_number" ON "instances" USING btree ("instance_number","series_key");--> statement-breakpoint
CREATE INDEX "series_study_key_series_key" ON "series" USING btree ("study_key","series_key");--> statement-breakpoint
CREATE INDEX "series_modality" ON "series" USING btree ("modality" text_pattern_ops,"study_key");--> statement-breakpoint
CREATE INDEX "series_series_number" ON "series" USING btree ("series_number" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "series_start_date_time" ON "series" USING btree ("performed_procedure_step_start_date","performed_procedure_step_start_time_key");--> statement-breakpoint
CREATE INDEX "series_start_time" ON "series" USING btree ("performed_procedure_step_start_time_key");--> statement-breakpoint
CREATE INDEX "series_request_attributes" ON "series" USING gin ("request_attributes_sequence" jsonb_path_ops) WHERE request_attributes_sequence is not null;--> statement-breakpoint
CREATE INDEX "studies_study_date_time" ON "studies" USING btree ("study_date" DESC NULLS LAST,"study_time_key" DESC NULLS LAST,"study_key" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "studies_patient_id_pattern" ON "studies" USING btree ("patient_id" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_study_time" ON "studies" USING btree ("study_time_key");--> statement-breakpoint
CREATE INDEX "studies_accession_number" ON "studies" USING btree ("accession_number" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_study_id" ON "studies" USING btree ("study_id" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_patient_name" ON "studies" USING btree ("patient_name_key" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "studies_referring_physician_name" ON "studies" USING btree ("referring_physician_name_key" text_pattern_ops);
--> statement-breakpoint

-- The other groups of a name (PS3.5 6.2.1.1); few archives have any.
create index studies_patient_name_ideographic
  on studies (split_part(patient_name_key, '=', 2) text_pattern_ops)
  where patient_name_key like '%=%';
--> statement-breakpoint

create index studies_patient_name_phonetic
  on studies (split_part(patient_name_key, '=', 3) text_pattern_ops)
  where patient_name_key like '%=%';
--> statement-breakpoint

create index studies_referring_physician_name_ideographic
  on studies (split_part(referring_physician_name_key, '=', 2) text_pattern_ops)
  where referring_physician_name_key like '%=%';
--> statement-breakpoint

create index studies_referring_physician_name_phonetic
  on studies (split_part(referring_physician_name_key, '=', 3) text_pattern_ops)
  where referring_physician_name_key like '%=%';
--> statement-breakpoint

-- As in 0001, and a series has its Request Attributes Sequence.
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
--> statement-breakpoint

create or replace function series_attributes(e series) returns jsonb language sql stable as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'Modality', e.modality, 'SeriesNumber', e.series_number,
    'SeriesDescription', e.series_description, 'BodyPartExamined', e.body_part_examined,
    'PerformedProcedureStepStartDate', e.performed_procedure_step_start_date,
    'PerformedProcedureStepStartTime', e.performed_procedure_step_start_time,
    'RequestAttributesSequence', e.request_attributes_sequence
  ))
$$;
