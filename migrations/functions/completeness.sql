-- What the evidence says of `received` instances. Of statements that say how many there are in all, `low` and
-- `high` are the least and the most (null: there is none); `missing` are named somewhere and not here. Whoever
-- says all and is contradicted, by another, by what is named, or by what is here, is in conflict. Without a
-- statement about all of it nothing is ever complete.
create or replace function verdict_of(received bigint, low bigint, high bigint, missing bigint)
returns text language sql immutable as $$
  select case
    when low is null then case when missing > 0 then 'partial' else 'unknown' end
    when low <> high or received + missing > high then 'conflict'
    when received < high then 'partial'
    else 'complete'
  end
$$;

-- Keeps commits to a study away until this transaction ends, also where it has no row yet: then a row is made that
-- its first commit has to wait for, and which has to be taken away again (release_study).
create or replace function hold_study(the_study text, out the_key bigint, out is_placeholder boolean)
language plpgsql as $$
begin
  is_placeholder := false;
  loop
    select study_key into the_key from studies where study_instance_uid = the_study for no key update;
    exit when found;
    insert into studies (study_instance_uid, first_received_at, last_received_at)
    values (the_study, now(), now())
    on conflict (study_instance_uid) do nothing
    returning study_key into the_key;
    is_placeholder := found;
    exit when found;
  end loop;
end $$;

create or replace function release_study(the_key bigint, is_placeholder boolean) returns void
language sql as $$
  delete from studies where is_placeholder and study_key = the_key
$$;

-- Records what a source says of a study, in place of what it said before with the same origin, and judges the study.
-- `claims` is [{seriesInstanceUID?, instanceCount, sopInstanceUIDs?, detail?}]; an instanceCount of null: nothing could
-- be had. Returns the verdict of the study.
create or replace function put_evidence(
  the_study text, the_source text, the_origin text, the_extent text, claims jsonb, the_claimant text
) returns text language plpgsql as $$
declare
  held record;
  the_verdict text;
begin
  perform insist_on_durability();
  held := hold_study(the_study);
  perform record_evidence(the_study, the_source, the_origin, the_extent, claims, the_claimant);
  the_verdict := judge_study(the_study);
  perform release_study(held.the_key, held.is_placeholder);
  return the_verdict;
end $$;

-- The same of a study that the caller has locked and is going to judge. Where nothing could be had, what was said
-- before stays, with why there is nothing newer.
create or replace function record_evidence(
  the_study text, the_source text, the_origin text, the_extent text, claims jsonb,
  the_claimant text
) returns void language plpgsql as $$
declare
  claim record;
  the_evidence bigint;
  asked timestamptz := case when the_source = 'peer' then now() end;
begin
  if not jsonb_path_exists(claims, '$[*].instanceCount ? (@ != null)') then
    update evidence
    set asked_at = asked, detail = claims -> 0 ->> 'detail'
    where study_instance_uid = the_study
    and source = the_source
    and origin = the_origin
    and instance_count is not null;
    if found then
      return;
    end if;
  end if;
  delete from evidence
  where study_instance_uid = the_study
  and source = the_source
  and origin = the_origin;
  for claim in
    select c."seriesInstanceUID" as series, c."instanceCount" as instance_count, c."sopInstanceUIDs" as uids, c.detail
    from jsonb_to_recordset(claims) as c (
      "seriesInstanceUID" text, "instanceCount" integer, "sopInstanceUIDs" jsonb, detail text
    )
  loop
    insert into evidence (
      study_instance_uid, series_instance_uid, source, origin, extent, instance_count, is_list,
      claimed_by, detail, asked_at
    ) values (
      the_study, claim.series, the_source, the_origin, the_extent, claim.instance_count,
      claim.uids is not null, the_claimant, claim.detail, asked
    )
    returning evidence_key into the_evidence;
    if claim.uids is not null then
      perform list_evidence(the_evidence, claim.uids);
    end if;
  end loop;
end $$;

-- What senders said with transfers that are being committed: how many instances their study holds in all. `declared` is
-- [{studyInstanceUID, declaredInstanceCount, sender?}]; of two of a study the later one counts. `are_here`: of the
-- studies that the commit adds to, or of the others; those are locked and judged here.
create or replace function declare_counts(declared jsonb, the_studies text[], are_here boolean) returns void
language plpgsql as $$
declare
  d record;
  claims jsonb;
begin
  for d in
    select distinct on (m.study) m.study, m.declared_count, m.sender
    from (
      select
        m.value ->> 'studyInstanceUID' as study, (m.value ->> 'declaredInstanceCount')::integer as declared_count,
        m.value ->> 'sender' as sender, m.ordinality
      from jsonb_array_elements(declared) with ordinality as m
    ) m
    where m.declared_count is not null
    and (m.study = any(the_studies)) = are_here
    order by m.study, m.ordinality desc
  loop
    claims := jsonb_build_array(jsonb_build_object('instanceCount', d.declared_count));
    if are_here then
      perform record_evidence(d.study, 'declared', 'transfer', 'all', claims, d.sender);
    else
      perform put_evidence(d.study, 'declared', 'transfer', 'all', claims, d.sender);
    end if;
  end loop;
end $$;

-- The instances that a statement names. `uids` is an array of texts without repetition. What a statement about a series
-- names is here if it is in that series. Of what they name the rows say nothing else: a commit that had to mark each of
-- its instances in a list lost a tenth of its speed (test/bench/evidence.ts).
create or replace function list_evidence(the_evidence bigint, uids jsonb) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  insert into evidence_instances (evidence_key, sop_instance_uid)
  select the_evidence, u.uid
  from jsonb_array_elements_text(uids) as u (uid);
  update evidence
  set
    missing_count = jsonb_array_length(uids),
    list_digest = (
      select sha256(convert_to(string_agg(u.uid, ',' order by u.uid collate "C"), 'UTF8'))
      from jsonb_array_elements_text(uids) as u (uid)
    )
  where evidence_key = the_evidence;
  update evidence e
  set missing_count = (
    select count(*)
    from missing_instances(e.study_instance_uid) m
    where m.evidence_key = the_evidence
  )
  where e.evidence_key = the_evidence;
end $$;

-- What statements name and is not here, a row for each statement that names it.
create or replace function missing_instances(the_study text)
returns table (evidence_key bigint, series_instance_uid text, source text, sop_instance_uid text)
language sql stable as $$
  select e.evidence_key, e.series_instance_uid, e.source, x.sop_instance_uid
  from evidence e
  join evidence_instances x on x.evidence_key = e.evidence_key
  left join studies t on t.study_instance_uid = e.study_instance_uid
  left join series s on s.series_instance_uid = e.series_instance_uid
  left join lateral (
    select i.study_key, i.series_key from instances i where i.sop_instance_uid = x.sop_instance_uid offset 0
  ) i on i.study_key = t.study_key
  and (e.series_instance_uid is null or i.series_key = s.series_key)
  where e.study_instance_uid = the_study
  and e.missing_count > 0
  and i.study_key is null
$$;

-- Takes back what a source said of a study. False: it said nothing.
create or replace function withdraw_evidence(the_study text, the_source text) returns boolean
language plpgsql as $$
declare
  held record;
  is_withdrawn boolean;
begin
  perform insist_on_durability();
  held := hold_study(the_study);
  delete from evidence where study_instance_uid = the_study and source = the_source;
  is_withdrawn := found;
  if is_withdrawn then
    perform judge_study(the_study);
  end if;
  perform release_study(held.the_key, held.is_placeholder);
  return is_withdrawn;
end $$;

-- What stood in the place of those that are told what is healed.
drop function if exists weigh_staged(uuid, text[], jsonb);
drop function if exists weigh_arrived(uuid);

-- What a commit changes: called by store_staged when the instances are stored and all their parents are locked.
-- `the_studies` are those that it adds to; `healed` are positions of what was here before. What is declared with it is weighed together with what it brings, so that
-- the feed tells no verdict in between.
create or replace function weigh_staged(
  the_transfer uuid, the_studies text[], declared jsonb, healed integer[]
) returns void language plpgsql as $$
declare
  the_study text;
  has_evidence boolean;
  has_lists boolean;
  brings_evidence boolean;
begin
  if declared is not null then
    perform declare_counts(declared, the_studies, true);
  end if;
  select
    count(*) > 0, coalesce(bool_or(e.is_list), false),
    exists (select from staged_instances where transfer_id = the_transfer and evidence is not null)
  into has_evidence, has_lists, brings_evidence
  from evidence e
  where e.study_instance_uid = any(the_studies);
  if declared is null and not has_evidence and not brings_evidence then
    return;
  end if;
  -- Before new lists are made: those know already what is here.
  if has_lists then
    perform weigh_arrived(the_transfer, healed);
  end if;
  if brings_evidence then
    perform claim_staged(the_transfer);
  end if;
  for the_study in
    select distinct study_instance_uid
    from evidence
    where study_instance_uid = any(the_studies)
    order by study_instance_uid
  loop
    perform judge_study(the_study);
  end loop;
  if declared is not null then
    perform declare_counts(declared, the_studies, false);
  end if;
end $$;

-- Takes what came off what the lists that name it miss. Each of them is looked up by its UID: by the key of the list,
-- which the planner would take, a commit would read all of the list for each of its instances.
create or replace function weigh_arrived(the_transfer uuid, healed integer[]) returns void language plpgsql as $$
begin
  with arrived as (
    select x.evidence_key, count(*) as arrived_count
    from staged_instances s
    cross join lateral (
      select y.evidence_key from evidence_instances y where y.sop_instance_uid = s.sop_instance_uid offset 0
    ) x
    cross join lateral (
      select
      from evidence e
      where e.evidence_key = x.evidence_key
      and e.study_instance_uid = s.study_instance_uid
      and (e.series_instance_uid is null or e.series_instance_uid = s.series_instance_uid)
      offset 0
    ) e
    where s.transfer_id = the_transfer
    and s.position not in (select unnest(healed))
    group by x.evidence_key
  )
  update evidence e
  set missing_count = e.missing_count - a.arrived_count
  from arrived a
  where e.evidence_key = a.evidence_key;
end $$;

-- What deleted instances said, and what is said of them, when they are gone, and their study is locked or gone, too.
create or replace function weigh_deleted(the_study text, the_deletion bigint) returns void
language plpgsql as $$
declare
  deleted text[];
begin
  if not exists (select from evidence where study_instance_uid = the_study) then
    return;
  end if;
  deleted := array(select sop_instance_uid from tombstones where deletion_key = the_deletion);
  delete from evidence
  where study_instance_uid = the_study
  and source = 'references'
  and origin = any(deleted);
  delete from evidence e
  where e.study_instance_uid = the_study
  and e.source = 'tags'
  and not exists (
    select
    from series s
    join studies t on t.study_key = s.study_key
    where t.study_instance_uid = the_study
    and s.series_instance_uid = coalesce(e.series_instance_uid, s.series_instance_uid)
  );
  -- As in weigh_arrived.
  with gone as (
    select x.evidence_key, count(*) as gone_count
    from tombstones d
    cross join lateral (
      select y.evidence_key from evidence_instances y where y.sop_instance_uid = d.sop_instance_uid offset 0
    ) x
    cross join lateral (
      select
      from evidence e
      where e.evidence_key = x.evidence_key
      and e.study_instance_uid = the_study
      and (e.series_instance_uid is null or e.series_instance_uid = d.series_instance_uid)
      offset 0
    ) e
    where d.deletion_key = the_deletion
    group by x.evidence_key
  )
  update evidence e
  set missing_count = e.missing_count + g.gone_count
  from gone g
  where e.evidence_key = g.evidence_key;
  perform judge_study(the_study);
end $$;

-- What staged instances say of others: `evidence` is {study?: {rule: count}, series?: {rule: count},
-- references?: [SOP Instance UID]}.
create or replace function claim_staged(the_transfer uuid) returns void language plpgsql as $$
declare
  claim record;
  the_evidence bigint;
begin
  -- Instances that say different numbers cancel each other out: the statement stays, and says nothing.
  insert into evidence (
    study_instance_uid, series_instance_uid, source, origin, extent, instance_count, detail
  )
  select
    c.study, c.series, 'tags', c.rule, 'all', case when min(c.n) = max(c.n) then min(c.n) end,
    case when min(c.n) <> max(c.n) then 'Its instances say different numbers' end
  from (
    select s.study_instance_uid as study, null as series, r.key as rule, r.value::integer as n
    from staged_instances s
    cross join lateral jsonb_each_text(s.evidence -> 'study') as r
    where s.transfer_id = the_transfer
    union all
    select s.study_instance_uid, s.series_instance_uid, r.key, r.value::integer
    from staged_instances s
    cross join lateral jsonb_each_text(s.evidence -> 'series') as r
    where s.transfer_id = the_transfer
  ) c
  group by c.study, c.series, c.rule
  order by c.study, c.series, c.rule
  on conflict on constraint evidence_claim do update
  set
    instance_count = case
      when evidence.instance_count = excluded.instance_count then evidence.instance_count
    end,
    detail = case
      when evidence.instance_count is distinct from excluded.instance_count
      then 'Its instances say different numbers'
      else evidence.detail
    end
  where evidence.instance_count is distinct from excluded.instance_count;

  for claim in
    select s.study_instance_uid, s.sop_instance_uid, s.evidence -> 'references' as uids
    from staged_instances s
    where s.transfer_id = the_transfer
    and s.evidence ? 'references'
    order by s.study_instance_uid, s.sop_instance_uid
  loop
    insert into evidence (study_instance_uid, source, origin, extent, instance_count, is_list)
    values (
      claim.study_instance_uid, 'references', claim.sop_instance_uid, 'some',
      jsonb_array_length(claim.uids), true
    )
    on conflict on constraint evidence_claim do nothing
    returning evidence_key into the_evidence;
    if found then
      perform list_evidence(the_evidence, claim.uids);
    end if;
  end loop;
end $$;

-- Sets the verdicts of a study and its series, and tells the feed where one changed. The study is locked by the
-- caller; so are the series, by that, against everybody who changes their counts.
create or replace function judge_study(the_study text) returns text language plpgsql as $$
declare
  t studies;
  r record;
  said record;
  the_verdict text;
  the_expected bigint;
  series_missing bigint := 0;
  has_conflict boolean := false;
begin
  select * into t from studies where study_instance_uid = the_study;
  if not found then
    return null;
  end if;
  for r in
    select
      coalesce(c.series_instance_uid, e.series_instance_uid) as series_instance_uid, e.series_key,
      coalesce(e.instance_count, 0) as received, e.verdict, e.expected_instance_count, c.low, c.high,
      coalesce(c.missing, 0) as missing
    from (
      select
        v.series_instance_uid, min(v.instance_count) filter (where v.extent = 'all') as low,
        max(v.instance_count) filter (where v.extent = 'all') as high, max(v.missing_count) as missing
      from evidence v
      where v.study_instance_uid = the_study
      and v.series_instance_uid is not null
      and v.instance_count is not null
      group by v.series_instance_uid
    ) c
    full join (
      select s.series_key, s.series_instance_uid, s.instance_count, s.verdict, s.expected_instance_count
      from series s
      where s.study_key = t.study_key
    ) e on e.series_instance_uid = c.series_instance_uid
    where c.series_instance_uid is not null
    or e.verdict <> 'unknown'
    order by 1
  loop
    the_verdict := verdict_of(r.received, r.low, r.high, r.missing);
    the_expected := coalesce(r.high, case when r.missing > 0 then r.received + r.missing end);
    has_conflict := has_conflict or the_verdict = 'conflict';
    if the_verdict = 'partial' then
      series_missing := series_missing + the_expected - r.received;
    end if;
    if r.series_key is not null
      and (r.verdict, r.expected_instance_count) is distinct from (the_verdict, the_expected::integer)
    then
      update series
      set verdict = the_verdict, expected_instance_count = the_expected
      where series_key = r.series_key;
    end if;
    if r.series_key is not null and r.verdict <> the_verdict then
      perform tell_verdict(t, r.series_instance_uid, the_verdict, r.received, the_expected);
    end if;
  end loop;

  select
    min(v.instance_count) filter (where v.extent = 'all') as low,
    max(v.instance_count) filter (where v.extent = 'all') as high,
    -- The same list said by two names no more than itself.
    case
      when count(distinct v.list_digest) filter (where v.missing_count > 0) < 2 then max(v.missing_count)
      else (
        select count(distinct m.sop_instance_uid)
        from missing_instances(the_study) m
        where m.series_instance_uid is null
      )
    end as missing
  into said
  from evidence v
  where v.study_instance_uid = the_study
  and v.series_instance_uid is null
  and v.instance_count is not null;
  said.missing := greatest(coalesce(said.missing, 0), series_missing);
  the_verdict := case
    when has_conflict then 'conflict'
    else verdict_of(t.instance_count, said.low, said.high, said.missing)
  end;
  the_expected := coalesce(said.high, case when said.missing > 0 then t.instance_count + said.missing end);
  if (t.verdict, t.expected_instance_count) is distinct from (the_verdict, the_expected::integer) then
    update studies
    set verdict = the_verdict, expected_instance_count = the_expected
    where study_key = t.study_key;
  end if;
  -- A study without an instance is nobody's yet: it is told of when its first one comes.
  if t.instance_count > 0 and t.verdict <> the_verdict then
    perform tell_verdict(t, null, the_verdict, t.instance_count, the_expected);
    if the_verdict = 'complete' then
      perform settle_complete(t);
    end if;
  end if;
  return the_verdict;
end $$;

create or replace function tell_verdict(
  t studies, the_series text, the_verdict text, received bigint, expected bigint
) returns void language sql as $$
  insert into changes_to_come (
    type, level, study_instance_uid, series_instance_uid, patient_id, issuer_of_patient_id, details
  ) values (
    case when the_verdict = 'complete' then 'complete' else 'incomplete' end,
    case when the_series is null then 'study' else 'series' end, t.study_instance_uid, the_series,
    t.patient_id, t.issuer_of_patient_id, jsonb_strip_nulls(jsonb_build_object(
      'verdict', the_verdict, 'instanceCount', received, 'expectedInstanceCount', expected
    ))
  )
$$;
