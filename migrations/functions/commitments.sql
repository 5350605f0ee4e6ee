-- Writes a request down; `asked` is [{studyInstanceUID?, seriesInstanceUID?, sopClassUID, sopInstanceUID,
-- failureReason?}] in the order of the request, a reason where it cannot be committed whatever is here. Returns how much
-- there is to read, or nothing: the Transaction UID was used before, by whomever and for whatever. (SC-R9, SC-R11)
create or replace function request_commitment(
  the_transaction text, the_form text, the_requester text, the_product text, asked jsonb,
  out commitment_key bigint, out byte_length bigint
) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
  made_key bigint;
begin
  perform insist_on_durability();
  -- Of two at the same time the second one waits here for the first.
  insert into commitments (transaction_uid, form, requester, requester_product, instance_count)
  values (the_transaction, the_form, the_requester, the_product, jsonb_array_length(asked))
  on conflict (transaction_uid) do nothing
  returning commitments.commitment_key into made_key;
  if made_key is null then
    return;
  end if;
  insert into commitment_references (
    commitment_key, position, study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid,
    failure_reason
  )
  select
    made_key, a.n - 1, a.one ->> 'studyInstanceUID', a.one ->> 'seriesInstanceUID', a.one ->> 'sopClassUID',
    a.one ->> 'sopInstanceUID', (a.one ->> 'failureReason')::integer
  from jsonb_array_elements(asked) with ordinality as a (one, n);
  update commitments c
  set byte_length = (
    select coalesce(sum(i.byte_length), 0)
    from commitment_references r
    cross join lateral (
      select i.byte_length from instances i where i.sop_instance_uid = r.sop_instance_uid offset 0
    ) i
    where r.commitment_key = made_key
  )
  where c.commitment_key = made_key
  returning c.byte_length into byte_length;
  commitment_key := made_key;
  perform note_commitment_request(made_key);
end $$;

-- What a sender asks to be committed, it has: evidence that some instances belong to a study. Where the request does
-- not say to which, the study is taken in which they are here; of those that are nowhere nothing is known.
create or replace function note_commitment_request(the_commitment bigint) returns void
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
  r record;
begin
  for r in
    select
      coalesce(f.study_instance_uid, i.study_instance_uid) as study, c.transaction_uid, c.requester,
      jsonb_agg(distinct f.sop_instance_uid) as uids
    from commitments c
    join commitment_references f on f.commitment_key = c.commitment_key
    left join lateral (
      select t.study_instance_uid
      from instances i
      join studies t on t.study_key = i.study_key
      where i.sop_instance_uid = f.sop_instance_uid
      offset 0
    ) i on true
    where c.commitment_key = the_commitment
    and coalesce(f.study_instance_uid, i.study_instance_uid) is not null
    group by 1, c.transaction_uid, c.requester
    order by 1
  loop
    perform put_evidence(
      r.study, 'commitment-request', r.transaction_uid, 'some',
      jsonb_build_array(
        jsonb_build_object('instanceCount', jsonb_array_length(r.uids), 'sopInstanceUIDs', r.uids)
      ),
      r.requester
    );
  end loop;
end $$;

-- The oldest request that nobody works on, for this server as long as it renews its lease.
create or replace function claim_commitment(the_server uuid, lease_seconds double precision)
returns table (commitment_key bigint, byte_length bigint)
language sql as $$
  update commitments c
  set claimed_by = the_server, lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
  where c.commitment_key = (
    select w.commitment_key
    from commitments w
    where w.state = 'waiting'
    and (w.lease_until is null or w.lease_until < clock_timestamp())
    order by w.commitment_key
    limit 1
    for no key update skip locked
  )
  returning c.commitment_key, c.byte_length
$$;

-- Notes what was read, [{position, segmentKey, segmentOffset, isWhole}], and renews the lease. False: it is not this
-- server's any more, and nothing was noted.
create or replace function note_checked(
  the_commitment bigint, the_server uuid, checked jsonb, lease_seconds double precision
) returns boolean
language plpgsql set enable_seqscan = off set enable_nestloop = off set jit = off
as $$
begin
  update commitments
  set
    checked_count = checked_count + jsonb_array_length(checked),
    lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
  where commitment_key = the_commitment
  and claimed_by = the_server
  and state = 'waiting';
  if not found then
    return false;
  end if;
  update commitment_references r
  set is_whole = c."isWhole", segment_key = c."segmentKey", segment_offset = c."segmentOffset"
  from jsonb_to_recordset(checked) as c (
    position integer, "segmentKey" bigint, "segmentOffset" bigint, "isWhole" boolean
  )
  where r.commitment_key = the_commitment
  and r.position = c.position;
  return true;
end $$;

-- The instances of a request that are here and were not read for it yet, in the order in which they lie.
create or replace function unchecked_references(the_commitment bigint, at_most integer)
returns table (
  "position" integer, "sopInstanceUID" text, "segmentKey" bigint, "segmentID" uuid, "segmentOffset" bigint,
  "byteLength" bigint, digest bytea, "isDamaged" boolean
)
language sql stable
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
  select
    r.position, r.sop_instance_uid, r.segment_key, g.segment_id, r.segment_offset, r.byte_length, r.digest,
    r.damaged_at is not null
  from (
    select r.position, r.sop_instance_uid, i.*
    from commitment_references r
    cross join lateral (
      select i.segment_key, i.segment_offset, i.byte_length, i.digest, i.damaged_at
      from instances i
      where i.sop_instance_uid = r.sop_instance_uid
      and i.sop_class_uid = r.sop_class_uid
      offset 0
    ) i
    where r.commitment_key = the_commitment
    and r.is_whole is null
    and r.failure_reason is null
    order by i.segment_key, i.segment_offset
    limit at_most
  ) r
  left join lateral (
    select g.segment_id from segments g where g.segment_key = r.segment_key offset 0
  ) g on true
  order by r.segment_key, r.segment_offset
$$;

-- Decides what is committed, marks and counts it, and tells the feed, all in this one transaction. Returns
--   finished  done
--   again     some instances came or were moved meanwhile: they have to be read first
--   lost      it is not this server's any more
--
-- Locks the request, then studies and series as every commit does: what was found stays so until the marks are made,
-- and a deletion comes before it (then the instance is not there) or after it (then it is that of a committed one).
create or replace function finish_commitment(the_commitment bigint, the_server uuid) returns text
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  c commitments;
  judged record;
begin
  perform insist_on_durability();
  select * into c from commitments where commitment_key = the_commitment for no key update;
  if c.state is distinct from 'waiting' or c.claimed_by is distinct from the_server then
    return 'lost';
  end if;
  perform lock_studies_of(array(
    select r.sop_instance_uid from commitment_references r where r.commitment_key = the_commitment
  ));

  -- In this order: PS3.3 C.14.1.1; 0112 no such instance, 0119 another class, 0110 not what it was. One look: what comes
  -- between two, or after the locks, would be committed unread. Whatever is to be read (0) is told before anything is written.
  for judged in
    select j.reason, array_agg(j.position) as positions
    from (
      select
        o.position,
        case
          when i.sop_class_uid is null then x'0112'::integer
          when o.study_instance_uid is not null
            and (o.study_instance_uid, o.series_instance_uid)
              is distinct from (i.study_instance_uid, i.series_instance_uid) then x'0112'::integer
          when i.sop_class_uid <> o.sop_class_uid then x'0119'::integer
          when o.is_whole is null or (o.segment_key, o.segment_offset) is distinct from (i.segment_key, i.segment_offset)
            then 0
          when not o.is_whole or i.is_damaged then x'0110'::integer
        end as reason
      from commitment_references o
      left join lateral (
        select
          i.sop_class_uid, i.segment_key, i.segment_offset, i.damaged_at is not null as is_damaged,
          e.series_instance_uid, t.study_instance_uid
        from instances i
        join series e on e.series_key = i.series_key
        join studies t on t.study_key = i.study_key
        where i.sop_instance_uid = o.sop_instance_uid
        offset 0
      ) i on true
      where o.commitment_key = the_commitment
      and o.failure_reason is null
      offset 0
    ) j
    where j.reason is not null
    group by j.reason
    order by j.reason
  loop
    if judged.reason = 0 then
      update commitment_references
      set is_whole = null
      where commitment_key = the_commitment
      and position = any (judged.positions);
      update commitments
      set checked_count = greatest(0, instance_count - cardinality(judged.positions))
      where commitment_key = the_commitment;
      return 'again';
    end if;
    update commitment_references
    set failure_reason = judged.reason
    where commitment_key = the_commitment
    and position = any (judged.positions);
  end loop;

  with marked as (
    update instances i
    set committed_at = clock_timestamp()
    where i.sop_instance_uid = any (array(
      select r.sop_instance_uid
      from commitment_references r
      where r.commitment_key = the_commitment
      and r.failure_reason is null
    ))
    and i.committed_at is null
    returning i.study_key, i.series_key
  ), of_series as (
    update series e
    set committed_instance_count = e.committed_instance_count + m.marked_count
    from (select series_key, count(*) as marked_count from marked group by series_key) m
    where e.series_key = m.series_key
  )
  update studies t
  set committed_instance_count = t.committed_instance_count + m.marked_count
  from (select study_key, count(*) as marked_count from marked group by study_key) m
  where t.study_key = m.study_key;

  insert into commitment_studies (commitment_key, study_instance_uid, committed_count, failed_count)
  select
    the_commitment, s.study_instance_uid, count(*) filter (where s.failure_reason is null),
    count(*) filter (where s.failure_reason is not null)
  from (
    select r.failure_reason, coalesce(r.study_instance_uid, i.study_instance_uid) as study_instance_uid
    from commitment_references r
    left join lateral (
      select t.study_instance_uid
      from instances i
      join studies t on t.study_key = i.study_key
      where i.sop_instance_uid = r.sop_instance_uid
      offset 0
    ) i on true
    where r.commitment_key = the_commitment
  ) s
  where s.study_instance_uid is not null
  group by s.study_instance_uid;

  insert into changes_to_come (type, level, study_instance_uid, patient_id, issuer_of_patient_id, details)
  select
    'committed', 'study', t.study_instance_uid, t.patient_id, t.issuer_of_patient_id, jsonb_build_object(
      'transactionUID', c.transaction_uid, 'committedCount', s.committed_count, 'failedCount', s.failed_count,
      'committedInstanceCount', t.committed_instance_count, 'instanceCount', t.instance_count
    )
  from commitment_studies s
  join studies t on t.study_instance_uid = s.study_instance_uid
  where s.commitment_key = the_commitment
  and s.committed_count > 0
  order by t.study_instance_uid;

  update commitments
  set
    state = 'finished', finished_at = clock_timestamp(), checked_count = instance_count,
    failed_count = f.failed_count, committed_count = instance_count - f.failed_count,
    claimed_by = null, lease_until = null
  from (
    select count(*) as failed_count
    from commitment_references r
    where r.commitment_key = the_commitment
    and r.failure_reason is not null
  ) f
  where commitment_key = the_commitment;
  return 'finished';
end $$;

-- Discards the result of the request that finished longest ago, if that was before; its Transaction UID stays. (SC-R8)
create or replace function discard_commitment(kept_seconds double precision) returns boolean
language plpgsql set enable_seqscan = off as $$
declare
  old_key bigint;
begin
  update commitments
  set state = 'discarded'
  where commitment_key = (
    select commitment_key
    from commitments
    where state = 'finished'
    and finished_at < clock_timestamp() - make_interval(secs => kept_seconds)
    order by finished_at
    limit 1
    for no key update skip locked
  )
  returning commitment_key into old_key;
  delete from commitment_references where commitment_key = old_key;
  return old_key is not null;
end $$;
