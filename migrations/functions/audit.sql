-- The audit log is written once. Rows may go only when they are older than audit_retention says, which is for ever unless
-- somebody sets it; and setting it is an event itself.

create or replace function refuse_audit_change() returns trigger language plpgsql as $$
declare
  keep integer;
begin
  if tg_op = 'DELETE' then
    select keep_days into keep from audit_retention;
    if keep is not null and old.at < now() - make_interval(days => keep) then
      return old;
    end if;
    raise exception 'Cannot delete an audit event before its time'
      using errcode = 'restrict_violation', hint = 'See STOWAGE_KEEP_AUDIT_DAYS';
  end if;
  raise exception 'Cannot change audit events: they are only added' using errcode = 'restrict_violation';
end
$$;

create or replace trigger audit_events_are_kept before update or delete on audit_events
for each row execute function refuse_audit_change();

create or replace trigger audit_events_are_not_emptied before truncate on audit_events
for each statement execute function refuse_audit_change();

create or replace function audit_retention_change() returns trigger language plpgsql as $$
begin
  if tg_op in ('DELETE', 'TRUNCATE') then
    raise exception 'Cannot do without a retention of audit events: set it' using errcode = 'restrict_violation';
  end if;
  if new.keep_days < 1 then
    raise exception 'Cannot keep audit events for less than a day' using errcode = 'check_violation';
  end if;
  insert into audit_events (at, action, actor, outcome, what, event_count)
  values (
    clock_timestamp(), 'configure', null, 0,
    format('audit events are kept for %s', coalesce(new.keep_days || ' days', 'ever')), 1
  );
  return new;
end
$$;

create or replace trigger audit_retention_is_told before update on audit_retention
for each row when (old.keep_days is distinct from new.keep_days) execute function audit_retention_change();

create or replace trigger audit_retention_stays before delete on audit_retention
for each row execute function audit_retention_change();

-- Adds what happened: [{ageMs, action, actor?, source?, studyInstanceUID?, seriesInstanceUID?, sopInstanceUID?, transferID?,
-- outcome, what?, eventCount, instanceCount?}]; `ageMs`: how long ago.
create or replace function add_audit_events(events jsonb) returns void language sql as $$
  insert into audit_events (
    at, action, actor, source, study_instance_uid, series_instance_uid, sop_instance_uid, transfer_id, outcome, what,
    event_count, instance_count
  )
  select
    clock_timestamp() - e."ageMs" * interval '1 millisecond', e.action, e.actor, e.source, e."studyInstanceUID",
    e."seriesInstanceUID", e."sopInstanceUID", e."transferID", e.outcome, e.what, e."eventCount", e."instanceCount"
  from jsonb_to_recordset(events) as e (
    "ageMs" double precision, action text, actor text, source text, "studyInstanceUID" text, "seriesInstanceUID" text,
    "sopInstanceUID" text, "transferID" uuid, outcome smallint, what text, "eventCount" integer, "instanceCount" integer
  )
$$;

-- Removes the oldest events whose time is over, `at_most` of them. Any number of servers may call it.
create or replace function remove_old_audit_events(at_most integer) returns integer language plpgsql as $$
declare
  removed integer;
begin
  delete from audit_events
  where (at, audit_key) in (
    select e.at, e.audit_key
    from audit_events e
    where e.at < now() - make_interval(days => (select keep_days from audit_retention))
    order by e.at, e.audit_key
    limit at_most
    for update skip locked
  );
  get diagnostics removed = row_count;
  return removed;
end
$$;
