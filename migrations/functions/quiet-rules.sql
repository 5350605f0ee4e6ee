-- Lets nobody change the rules until this transaction ends. It goes before all other locks, wherever something gets a quiet
-- time: a row that is not committed is out of sight for whoever gives all that wait another one.
create or replace function hold_quiet_rules() returns void language sql as $$
  select pg_advisory_xact_lock_shared(x'53746f77'::integer, 4)
$$;

-- Waits until nobody goes by the rules any more, and keeps away who comes. Not for long, since all that come wait behind it:
-- then it raises 55P03, and is to be tried again.
create or replace function close_quiet_rules() returns void language plpgsql as $$
begin
  perform set_config('lock_timeout', '200ms', true), pg_advisory_xact_lock(x'53746f77'::integer, 4);
end $$;

-- The rule that fits a series of a study and whoever brought its last instance: the first one that does.
create or replace function quiet_rule_of(the_sender text, the_modality text, t studies) returns quiet_rules
language sql stable as $$
  select r.*
  from quiet_rules r
  where coalesce(r.sender = the_sender, r.sender is null)
  and coalesce(r.modality = the_modality, r.modality is null)
  and (r.keyword is null or study_attributes(t) ->> r.keyword = r.value)
  order by r.position
  limit 1
$$;

-- How long nothing may arrive from a sender before a series of a study is stable, in seconds.
create or replace function quiet_seconds_of(the_sender text, the_modality text, t studies) returns real
language sql stable as $$
  select (quiet_rule_of(the_sender, the_modality, t)).quiet_seconds
$$;

-- Lets a study that is proven complete settle without waiting, and its series, if the rules of all of them say so.
-- The caller has locked the study. What is on its way holds it back all the same; its patient goes on waiting, for
-- who knows what else comes of him.
create or replace function settle_complete(t studies) returns void language plpgsql as $$
begin
  if not exists (select from quiet_rules where settle_when_complete) or exists (
    select
    from series e
    where e.study_key = t.study_key
    and not (quiet_rule_of(e.last_sender, e.modality, t)).settle_when_complete
  ) then
    return;
  end if;
  update studies set due_at = clock_timestamp(), quiet_seconds = 0
  where study_key = t.study_key
  and due_at is not null;
  update series set due_at = clock_timestamp(), quiet_seconds = 0
  where study_key = t.study_key
  and due_at is not null;
end $$;

-- The quiet times of some series, in the order of `uids`, beside which are their senders.
create or replace function quiet_seconds_of_series(uids text[], senders text[]) returns real[]
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
declare
  shortest real;
  rule_count integer;
begin
  select count(*), min(quiet_seconds) into rule_count, shortest from quiet_rules;
  if rule_count = 1 then
    return array_fill(shortest, array[coalesce(cardinality(uids), 0)]);
  end if;
  return array(
    select quiet_seconds_of(u.sender, e.modality, t)
    from unnest(uids, senders) with ordinality as u (uid, sender, n)
    join series e on e.series_instance_uid = u.uid
    join studies t on t.study_key = e.study_key
    order by u.n
  );
end $$;

-- Sets the quiet time of the rule that fits everything. What waits already waits as long as the rules say now.
create or replace function set_default_quiet_seconds(seconds real) returns void language plpgsql as $$
begin
  if (select quiet_seconds from quiet_rules order by position desc limit 1) = seconds then
    return;
  end if;
  perform close_quiet_rules();
  update quiet_rules
  set quiet_seconds = seconds
  where position = (select max(position) from quiet_rules)
  and quiet_seconds <> seconds;
  if found then
    perform apply_quiet_rules();
  end if;
end $$;

-- Gives what waits the quiet time that the rules say now.
create or replace function apply_quiet_rules() returns void language plpgsql as $$
declare
  the_patients bigint[];
  the_studies bigint[];
  the_series bigint[];
begin
  -- In the order in which every commit locks; what becomes due meanwhile has got the new rules already.
  the_patients := array(
    select patient_key from patients where due_at is not null order by patient_id, issuer_of_patient_id for update
  );
  the_studies := array(
    select study_key from studies where due_at is not null order by study_instance_uid for update
  );
  the_series := array(
    select series_key from series where due_at is not null order by series_instance_uid for update
  );
  update series e
  set
    quiet_seconds = quiet_seconds_of(e.last_sender, e.modality, t),
    due_at = least(e.due_at, clock_timestamp())
  from studies t
  where e.series_key = any(the_series)
  and t.study_key = e.study_key;
  update studies t
  set
    quiet_seconds = coalesce((
      select max(e.quiet_seconds) from series e where e.study_key = t.study_key and e.due_at is not null
    ), t.quiet_seconds),
    due_at = least(t.due_at, clock_timestamp())
  where t.study_key = any(the_studies);
  update patients p
  set
    quiet_seconds = coalesce((
      select max(t.quiet_seconds) from studies t where t.patient_key = p.patient_key and t.due_at is not null
    ), p.quiet_seconds),
    due_at = least(p.due_at, clock_timestamp())
  where p.patient_key = any(the_patients);
end $$;

-- Takes the place of all rules: [{sender?, modality?, keyword?, value?, quietSeconds, settleWhenComplete?}], the last
-- without conditions.
create or replace function replace_quiet_rules(rules jsonb) returns void language plpgsql as $$
begin
  perform close_quiet_rules();
  delete from quiet_rules;
  insert into quiet_rules (position, sender, modality, keyword, value, quiet_seconds, settle_when_complete)
  select r.n, r.rule ->> 'sender', r.rule ->> 'modality', r.rule ->> 'keyword', r.rule ->> 'value',
    (r.rule ->> 'quietSeconds')::real, coalesce((r.rule ->> 'settleWhenComplete')::boolean, false)
  from jsonb_array_elements(rules) with ordinality as r (rule, n);
  perform apply_quiet_rules();
end $$;
