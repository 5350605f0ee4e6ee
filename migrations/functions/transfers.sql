-- Opens a transfer and its first segment. The row must be there before the segment's object is, so that
-- no object is without a row; it need not survive a crash, for then there is nothing to keep.
create or replace function open_transfer(
  the_transfer uuid, the_segment uuid, the_server uuid, the_service text, the_sender text,
  the_sender_product text, the_handling text, the_study text, the_announced_bytes bigint,
  the_declared_count integer, lease_seconds double precision, the_sent_by text default null
) returns void language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into transfers (
    transfer_id, state, server_id, service, sender, sender_product, handling,
    study_instance_uid, announced_bytes, declared_instance_count, lease_until, sent_by
  ) values (
    the_transfer, 'receiving', the_server, the_service, the_sender, the_sender_product, the_handling,
    the_study, the_announced_bytes, the_declared_count, now() + make_interval(secs => lease_seconds),
    the_sent_by
  );
  insert into segments (segment_id, transfer_id, state) values (the_segment, the_transfer, 'open');
end $$;

-- A further segment of a transfer that is still receiving. False: the transfer was ended meanwhile.
create or replace function open_segment(the_transfer uuid, the_segment uuid) returns boolean
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

-- Stages a batch. `batch` is an array of objects with the names of the columns, the digest in hex.
-- False: the transfer was ended meanwhile, and nobody would ever take these rows away again. The lock
-- makes whoever ends it wait until they are there; renewing its lease goes on beside it.
create or replace function stage_instances(the_transfer uuid, batch jsonb) returns boolean
language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  perform 1 from transfers where transfer_id = the_transfer and state = 'receiving' for key share;
  if not found then
    return false;
  end if;
  perform stage_rows(the_transfer, batch);
  return true;
end $$;

create or replace function stage_rows(the_transfer uuid, batch jsonb) returns void language plpgsql as $$
begin
  insert into staged_instances (
    transfer_id, position, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
    transfer_syntax_uid, segment_id, segment_offset, byte_length, metadata_length, digest,
    study, series, instance, evidence, member
  )
  select
    the_transfer, b.position, b.study_instance_uid, b.series_instance_uid, b.sop_instance_uid,
    b.sop_class_uid, b.transfer_syntax_uid, b.segment_id, b.segment_offset, b.byte_length,
    b.metadata_length, decode(b.digest, 'hex'), b.study, b.series, b.instance, b.evidence, b.member
  from jsonb_to_recordset(batch) as b (
    member integer, position integer, study_instance_uid text, series_instance_uid text, sop_instance_uid text,
    sop_class_uid text, transfer_syntax_uid text, segment_id uuid, segment_offset bigint,
    byte_length bigint, metadata_length integer, digest text, study jsonb, series jsonb, instance jsonb,
    evidence jsonb
  );
end $$;

-- Makes the staged instances of one transfer visible, all in this one transaction.
--
-- Raises ST001 (the transfer is not receiving any more: its lease expired), and what store_staged raises.
create or replace function commit_transfer(
  the_transfer uuid, expected_count integer, strict boolean, the_received_bytes bigint,
  the_part_count integer, the_duplicate_count integer, the_segments jsonb, the_refusals jsonb,
  the_warnings jsonb
) returns jsonb language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  disagreements jsonb;
  declared record;
begin
  perform insist_on_durability();
  perform hold_quiet_rules();
  select sender, study_instance_uid, declared_instance_count
  into declared
  from transfers
  where transfer_id = the_transfer
  and state = 'receiving'
  for update;
  if not found then
    raise exception 'The transfer is not receiving any more' using errcode = 'ST001';
  end if;
  disagreements := store_staged(
    the_transfer, expected_count, strict, array[declared.sender],
    case
      when declared.declared_instance_count is not null then jsonb_build_array(jsonb_build_object(
        'studyInstanceUID', declared.study_instance_uid, 'sender', declared.sender,
        'declaredInstanceCount', declared.declared_instance_count
      ))
    end
  );

  if disagreements <> '[]' then
    insert into warnings (
      transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid
    )
    select the_transfer, d.position, d."warningReason", d.detail, s.study_instance_uid, s.sop_instance_uid
    from jsonb_to_recordset(disagreements) as d (position integer, "warningReason" integer, detail text)
    join staged_instances s on s.transfer_id = the_transfer and s.position = d.position;
  end if;
  perform record_refusals(the_transfer, the_refusals);
  perform record_warnings(the_transfer, the_warnings);
  delete from staged_instances where transfer_id = the_transfer;

  update segments g
  set state = 'kept', byte_length = k.byte_length
  from jsonb_to_recordset(the_segments) as k (segment_id uuid, byte_length bigint)
  where g.segment_id = k.segment_id;
  -- Segments that were written again without what nobody needs (ST004) have done their work.
  update segments set state = 'doomed' where transfer_id = the_transfer and state = 'open';

  update transfers
  set
    state = 'committed', ended_at = clock_timestamp(), received_bytes = the_received_bytes,
    part_count = the_part_count, stored_count = expected_count,
    duplicate_count = the_duplicate_count, refused_count = jsonb_array_length(the_refusals),
    warning_count = jsonb_array_length(disagreements) + jsonb_array_length(the_warnings)
  where transfer_id = the_transfer;
  perform note_ended_transfers(array[the_transfer]);
  return disagreements;
end $$;

-- Takes staged instances out again: those a commit found stored already, or refuses. The others may
-- have moved: `moved` is [{position, segment_id, segment_offset}]. Study and series attributes that only
-- a dropped one carried go to another one: `heirs` is [{level, from_position, to_position}].
create or replace function restage_instances(
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

-- Ends a transfer of which nothing is kept. Its segments are doomed: their objects are deleted first,
-- then their rows, by whoever comes first. Waits for a commit that is running, and does nothing to a
-- transfer that has ended. Returns the state that the transfer is in now, null when it is not known.
create or replace function end_transfer(
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
  perform note_ended_transfers(array[the_transfer]);
  return the_state;
end $$;

-- Renews the leases of a server's transfers and notes how far they are. `progress` is
-- [{transfer_id, received_bytes, part_count}]. Returns those that are still receiving. One that is being
-- committed or ended at this moment is passed over, for the others' leases must not wait for it.
create or replace function renew_transfers(progress jsonb, lease_seconds double precision) returns setof uuid
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

-- Ends the transfers whose servers do not answer for them any more. Any server may call it; skip locked
-- leaves alone what is committing at this moment. A server that has the database for itself says so with
-- its id: then all but its own are dead. Returns how many it ended.
create or replace function expire_transfers(alone uuid) returns integer language plpgsql as $$
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
  perform note_ended_transfers(dead);
  return cardinality(dead);
end $$;

-- What an open transfer is bringing does not settle meanwhile. `found` is
-- [{studyInstanceUID, patientID?, issuerOfPatientID?}]. False: the transfer was ended meanwhile.
create or replace function announce_studies(the_transfer uuid, found_studies jsonb) returns boolean
language plpgsql as $$
begin
  -- A crash of Postgres must not forget it: the transfer may live on.
  perform insist_on_durability();
  perform 1 from transfers where transfer_id = the_transfer and state = 'receiving' for key share;
  if not found then
    return false;
  end if;
  insert into transfer_studies (transfer_id, study_instance_uid, patient_id, issuer_of_patient_id)
  select the_transfer, f."studyInstanceUID", f."patientID", f."issuerOfPatientID"
  from jsonb_to_recordset(found_studies) as f (
    "studyInstanceUID" text, "patientID" text, "issuerOfPatientID" text
  )
  on conflict (transfer_id, study_instance_uid) do update
  set
    patient_id = coalesce(transfer_studies.patient_id, excluded.patient_id),
    issuer_of_patient_id = coalesce(transfer_studies.issuer_of_patient_id, excluded.issuer_of_patient_id);
  return true;
end $$;

-- To be called when transfers have got their end: nothing of theirs is on its way any more.
create or replace function note_ended_transfers(ended uuid[]) returns void language plpgsql as $$
begin
  delete from transfer_studies where transfer_id = any(ended);
  insert into changes_to_come (type, level, transfer_id, study_instance_uid, details)
  select
    'transfer-ended', 'transfer', t.transfer_id, t.study_instance_uid,
    jsonb_build_object(
      'state', t.state, 'storedCount', t.stored_count, 'duplicateCount', t.duplicate_count,
      'refusedCount', t.refused_count
    )
  from unnest(ended) with ordinality as e (transfer_id, n)
  -- As in store_staged: the plan is made when the table is small, and kept when it is large.
  cross join lateral (
    select * from transfers where transfer_id = e.transfer_id offset 0
  ) t
  order by e.n;
end $$;

-- `refused` is [{position, failureReason, detail, studyInstanceUID?, sopClassUID?, sopInstanceUID?}].
create or replace function record_refusals(the_transfer uuid, refused jsonb) returns void language plpgsql as $$
begin
  if refused = '[]' then
    return;
  end if;
  insert into refusals (
    transfer_id, position, failure_reason, detail, study_instance_uid, sop_class_uid, sop_instance_uid
  )
  select
    the_transfer, r.position, r."failureReason", r.detail, r."studyInstanceUID", r."sopClassUID",
    r."sopInstanceUID"
  from jsonb_to_recordset(refused) as r (
    position integer, "failureReason" integer, detail text, "studyInstanceUID" text,
    "sopClassUID" text, "sopInstanceUID" text
  );
end $$;

-- `warned` is [{position, warningReason, detail, studyInstanceUID, sopInstanceUID}].
create or replace function record_warnings(the_transfer uuid, warned jsonb) returns void language plpgsql as $$
begin
  if warned = '[]' then
    return;
  end if;
  insert into warnings (
    transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid
  )
  select the_transfer, w.position, w."warningReason", w.detail, w."studyInstanceUID", w."sopInstanceUID"
  from jsonb_to_recordset(warned) as w (
    position integer, "warningReason" integer, detail text, "studyInstanceUID" text, "sopInstanceUID" text
  );
end $$;

-- What is acknowledged must survive a crash, even where the database's default says otherwise.
create or replace function insist_on_durability() returns void language plpgsql as $$
begin
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end $$;
