-- What stood in the place of commit_plain_group. In the transaction that defines a commit_group which does not call it.
drop function if exists store_plainly(jsonb, text[], bigint);

-- Commits several small transfers in this one transaction: their instances, which lie in one shared
-- segment, and a row for each of them. `members` is [{transferID, service, handling, sender?,
-- senderProduct?, sentBy?, studyInstanceUID?, announcedBytes?, ageMs, receivedBytes, partCount, storedCount,
-- duplicateCount, refused, warned}]; `batch` is what stage_instances takes, with the ordinal of the
-- instance in the group as its position, and with `member`, an index in members, and `part`, the
-- instance's position in the request of that member. Without any instance, the_segment is null.
--
-- The rows of the transfers are inserted without "on conflict": where record_ended_transfer was faster,
-- the group fails (23505), for a member of it was answered as ended.
--
-- Raises ST001 (the shared segment is not this server's any more), and what store_staged raises of
-- instances that are not strict, with ordinals.
create or replace function commit_group(
  the_group uuid, the_server uuid, the_segment uuid, the_byte_length bigint, members jsonb, batch jsonb
) returns jsonb language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  disagreements jsonb := '[]';
  are_warned boolean;
  senders text[];
  declared jsonb := case when jsonb_path_exists(members, '$[*].declaredInstanceCount') then members end;
begin
  perform insist_on_durability();
  -- Groups of a server follow one another: one that waits for long would hold up every small transfer.
  perform set_config('lock_timeout', '200ms', true);
  -- It is committed when the bytes are durable. A disk that hangs must not hold the locks for ever.
  perform set_config('idle_in_transaction_session_timeout', '60s', true);
  if the_segment is not null then
    perform hold_quiet_rules();
    -- Before all locks of rows; whoever takes the segment away (releaseAbandonedSegments) has no others.
    -- Of two groups the one with less in it may come second.
    update segments
    set byte_length = greatest(byte_length, the_byte_length)
    where segment_id = the_segment
    and appended_by = the_server
    and state = 'kept';
    if not found then
      raise exception 'The shared segment was taken away' using errcode = 'ST001';
    end if;
    senders := array(
      select m ->> 'sender' from jsonb_array_elements(members) with ordinality as m (m, n) order by n
    );
    perform stage_rows(the_group, batch);
    disagreements := store_staged(the_group, jsonb_array_length(batch), false, senders, declared);
    delete from staged_instances where transfer_id = the_group;
  elsif declared is not null then
    perform declare_counts(declared, '{}', false);
  end if;

  if jsonb_path_exists(members, '$[*].refused[*]') then
    perform record_refusals(m."transferID", m.refused)
    from jsonb_to_recordset(members) as m ("transferID" uuid, refused jsonb);
  end if;
  are_warned := disagreements <> '[]' or jsonb_path_exists(members, '$[*].warned[*]');
  if are_warned then
    perform record_warnings(m."transferID", m.warned)
    from jsonb_to_recordset(members) as m ("transferID" uuid, warned jsonb);
    insert into warnings (
      transfer_id, position, warning_reason, detail, study_instance_uid, sop_instance_uid
    )
    select
      (members -> b.member ->> 'transferID')::uuid, b.part, d."warningReason", d.detail,
      b.study_instance_uid, b.sop_instance_uid
    from jsonb_to_recordset(disagreements) as d (position integer, "warningReason" integer, detail text)
    join jsonb_to_recordset(batch) as b (
      position integer, member integer, part integer, study_instance_uid text, sop_instance_uid text
    ) on b.position = d.position;
  end if;

  -- None of them was ever announced, so there is nothing to take back from transfer_studies.
  with ended as (
    insert into transfers (
      transfer_id, state, service, server_id, sender, sender_product, handling, study_instance_uid,
      announced_bytes, declared_instance_count, received_bytes, part_count, stored_count, duplicate_count,
      refused_count, warning_count, started_at, ended_at, lease_until, sent_by
    )
    select
      m."transferID", 'committed', m.service, the_server, m.sender, m."senderProduct", m.handling,
      m."studyInstanceUID", m."announcedBytes", m."declaredInstanceCount", m."receivedBytes",
      m."partCount", m."storedCount", m."duplicateCount", jsonb_array_length(m.refused),
      case when are_warned then (select count(*) from warnings w where w.transfer_id = m."transferID") else 0 end,
      clock_timestamp() - m."ageMs" * interval '1 ms', clock_timestamp(), now(), m."sentBy"
    from jsonb_to_recordset(members) as m (
      "transferID" uuid, service text, sender text, "senderProduct" text, handling text,
      "studyInstanceUID" text, "announcedBytes" bigint, "declaredInstanceCount" integer,
      "ageMs" double precision, "receivedBytes" bigint,
      "partCount" integer, "storedCount" integer, "duplicateCount" integer, refused jsonb, "sentBy" text
    )
    returning transfer_id, state, study_instance_uid, stored_count, duplicate_count, refused_count
  )
  insert into changes_to_come (type, level, transfer_id, study_instance_uid, details)
  select 'transfer-ended', 'transfer', t.transfer_id, t.study_instance_uid, 
    jsonb_build_object(
      'state', t.state, 'storedCount', t.stored_count, 'duplicateCount', t.duplicate_count,
      'refusedCount', t.refused_count
    )
  from ended t;
  return disagreements;
end $$;

-- Records a transfer that ended as refused or aborted without ever having had a row: `ended` is a member
-- of commit_group with serverID, state and reason. Where it has a row nothing is done. An insert waits
-- for the other one of the same key, so a group that is being committed decides first, and one that comes
-- later fails. Returns the state that the transfer is in now.
create or replace function record_ended_transfer(ended jsonb, refused jsonb) returns text language plpgsql as $$
declare
  found_state text;
begin
  -- The group that it waits for may be of a connection that is lost without Postgres knowing it.
  perform set_config('lock_timeout', '5s', true);
  insert into transfers (
    transfer_id, state, service, server_id, sender, sender_product, handling, study_instance_uid,
    announced_bytes, received_bytes, part_count, duplicate_count, refused_count, started_at, ended_at,
    lease_until, reason, sent_by
  )
  select
    e."transferID", e.state, e.service, e."serverID", e.sender, e."senderProduct", e.handling,
    e."studyInstanceUID", e."announcedBytes", e."receivedBytes", e."partCount", e."duplicateCount",
    jsonb_array_length(refused), clock_timestamp() - e."ageMs" * interval '1 ms', clock_timestamp(),
    now(), e.reason, e."sentBy"
  from jsonb_to_record(ended) as e (
    "transferID" uuid, state text, service text, "serverID" uuid, sender text, "senderProduct" text,
    handling text, "studyInstanceUID" text, "announcedBytes" bigint, "receivedBytes" bigint,
    "partCount" integer, "duplicateCount" integer, "ageMs" double precision, reason text, "sentBy" text
  )
  on conflict (transfer_id) do nothing;
  if found then
    perform record_refusals((ended ->> 'transferID')::uuid, refused);
    perform note_ended_transfers(array[(ended ->> 'transferID')::uuid]);
  end if;
  -- A statement of its own, which sees what the insert has waited for.
  select state into found_state from transfers where transfer_id = (ended ->> 'transferID')::uuid;
  return found_state;
end $$;

-- Commits made-up groups, a study and more of it, both ways, and takes all back: nobody else ever sees a row of them.
create or replace function rehearse_commit(the_server uuid) returns void language plpgsql as $$
declare
  the_segment uuid := gen_random_uuid();
  root text := '2.25.' || ('x' || substr(md5(the_segment::text), 1, 15))::bit(60)::bigint;
  study_says jsonb := jsonb_build_object('PatientID', root, 'PatientName', 'Nobody', 'StudyDate', '20200101');
  -- Columns of four.
  texts text[] := array_fill('1'::text, array[4]);
  nothing text[] := array_fill(null::text, array[4]);
  ones integer[] := array_fill(1, array[4]);
  series text[] := array(select concat_ws('.', root, n) from generate_series(1, 4) as n);
begin
  insert into segments (segment_id, appended_by, state) values (the_segment, the_server, 'kept');
  for turn in 1 .. 2 loop
    perform commit_plain_group(
      the_server, the_segment, 1, array[root], array[study_says::text], array[4], array[4], array[4],
      series, ones, array_fill('{"Modality": "OT"}'::text, array[4]), texts, ones, ones,
      array(select concat_ws('.', one, turn) from unnest(series) as one), array[1, 2, 3, 4], ones, ones, ones,
      array_fill('00'::text, array[4]), texts, texts, texts, ones, ones, ones, ones,
      array(select gen_random_uuid() from generate_series(1, 4)), texts, texts, texts, nothing, nothing, nothing, ones,
      ones, ones, ones, ones, ones
    );
  end loop;
  perform commit_group(
    gen_random_uuid(), the_server, the_segment, 1,
    (
      select jsonb_agg(jsonb_build_object(
        'transferID', gen_random_uuid(), 'service', 'stow', 'sender', 'rehearsal', 'handling', 'strict', 'ageMs', 0,
        'receivedBytes', 1, 'partCount', 10, 'storedCount', 10, 'duplicateCount', 0, 'refused', '[]'::jsonb,
        'warned', '[]'::jsonb
      ))
      from generate_series(1, 4)
    ),
    (
      select jsonb_agg(jsonb_build_object(
        'member', n / 10, 'position', n, 'part', n % 10, 'study_instance_uid', root,
        'series_instance_uid', concat_ws('.', root, 'more', n / 10), 'sop_instance_uid', concat_ws('.', root, 'more', n),
        'sop_class_uid', '1.2', 'transfer_syntax_uid', '1.2', 'segment_id', the_segment,
        'segment_offset', n, 'byte_length', 1, 'metadata_length', 0, 'digest', '00',
        'study', study_says,
        'series', jsonb_build_object('Modality', 'OT', 'SeriesNumber', n / 10), 'instance', '{}'::jsonb
      ))
      from generate_series(0, 39) as n
    )
  );
  raise exception 'Rehearsed' using errcode = 'ST009';
exception
  when sqlstate 'ST009' then
    null;
end $$;
