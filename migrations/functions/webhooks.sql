-- Within which the order of deliveries is kept. A patient is hashed: identifiers need not be here again.
create or replace function subject_of(c changes) returns text language sql immutable as $$
  select coalesce(
    c.study_instance_uid,
    encode(sha256(convert_to(c.patient_id || E'\n' || coalesce(c.issuer_of_patient_id, ''), 'UTF8')), 'hex'),
    c.transfer_id::text,
    c.seq::text
  )
$$;

-- Makes deliveries of the next changes that fit a webhook, and moves its position, in one transaction.
-- Returns whether there are more.
--
-- Here and below the row of the webhook is locked before its deliveries, so that whoever looks for the next
-- one of a subject sees all that there are.
create or replace function enqueue_deliveries(the_webhook uuid, at_most integer) returns boolean
language plpgsql as $$
declare
  w webhooks;
  reached bigint;
  last bigint;
begin
  select * into w from webhooks where webhook_id = the_webhook and not is_paused for no key update;
  if not found then
    return false;
  end if;
  select last_seq into last from feed where only_row = 1;
  reached := least(last, w.position_seq + at_most);
  if reached <= w.position_seq then
    return false;
  end if;
  insert into webhook_deliveries (webhook_id, seq, subject, state, due_at)
  select
    the_webhook, n.seq, n.subject,
    case when n.is_oldest then 'waiting' else 'held' end,
    case when n.is_oldest then clock_timestamp() end
  from (
    select
      f.seq, f.subject,
      row_number() over (partition by f.subject order by f.seq) = 1 and not exists (
        select from webhook_deliveries d where d.webhook_id = the_webhook and d.subject = f.subject
      ) as is_oldest
    from (
      select c.seq, subject_of(c) as subject
      from changes c
      where c.seq > w.position_seq
      and c.seq <= reached
      and (w.types is null or c.type = any(w.types))
      and (w.levels is null or c.level = any(w.levels))
    ) f
  ) n;
  update webhooks set position_seq = reached where webhook_id = the_webhook;
  return reached < last;
end $$;

-- The next one of a subject may be sent. Called with the webhook locked, when the oldest one is gone.
create or replace function release_next_delivery(the_webhook uuid, the_subject text) returns void
language sql as $$
  update webhook_deliveries
  set state = 'waiting', due_at = clock_timestamp()
  where webhook_id = the_webhook
  and seq = (
    select min(seq) from webhook_deliveries where webhook_id = the_webhook and subject = the_subject
  )
  and state = 'held'
$$;

-- A receiver took it: it is gone, and the next one of its subject may be sent. Of a claim that is somebody
-- else's by now (its lease was over) nothing is believed: false.
create or replace function complete_delivery(the_webhook uuid, the_seq bigint, the_attempt integer, the_status integer)
returns boolean language plpgsql as $$
declare
  the_subject text;
begin
  perform 1 from webhooks where webhook_id = the_webhook for no key update;
  delete from webhook_deliveries
  where webhook_id = the_webhook
  and seq = the_seq
  and attempts = the_attempt
  and state = 'sending'
  returning subject into the_subject;
  if not found then
    return false;
  end if;
  perform release_next_delivery(the_webhook, the_subject);
  update webhooks
  set
    delivered_count = delivered_count + 1, last_attempt_at = clock_timestamp(),
    last_delivered_at = clock_timestamp(), last_status = the_status, last_error = null
  where webhook_id = the_webhook;
  return true;
end $$;

-- An attempt failed: again after `retry_ms`, or null: never, and what comes later of its subject waits for an
-- administrator.
create or replace function fail_delivery(
  the_webhook uuid, the_seq bigint, the_attempt integer, the_status integer, the_error text,
  retry_ms double precision
) returns boolean language plpgsql as $$
begin
  perform 1 from webhooks where webhook_id = the_webhook for no key update;
  update webhook_deliveries
  set
    state = case when retry_ms is null then 'dead' else 'waiting' end,
    due_at = clock_timestamp() + retry_ms * interval '1 ms',
    last_status = the_status, last_error = the_error
  where webhook_id = the_webhook
  and seq = the_seq
  and attempts = the_attempt
  and state = 'sending';
  if not found then
    return false;
  end if;
  update webhooks
  set
    failed_attempt_count = failed_attempt_count + 1, last_attempt_at = clock_timestamp(),
    last_status = the_status, last_error = the_error
  where webhook_id = the_webhook;
  return true;
end $$;

-- An administrator wants them sent now, with all attempts before them again: one, or null: all that are dead
-- or wait for their next attempt. Returns how many.
create or replace function resend_deliveries(the_webhook uuid, the_seq bigint) returns integer
language plpgsql as $$
declare
  found_count integer;
begin
  perform 1 from webhooks where webhook_id = the_webhook for no key update;
  update webhook_deliveries
  set state = 'waiting', due_at = clock_timestamp(), attempts = 0
  where webhook_id = the_webhook
  and state in ('dead', 'waiting')
  and seq = coalesce(the_seq, seq);
  get diagnostics found_count = row_count;
  return found_count;
end $$;

-- An administrator gives up on one that is dead; the next one of its subject may be sent.
create or replace function drop_delivery(the_webhook uuid, the_seq bigint) returns boolean
language plpgsql as $$
declare
  the_subject text;
begin
  perform 1 from webhooks where webhook_id = the_webhook for no key update;
  delete from webhook_deliveries
  where webhook_id = the_webhook
  and seq = the_seq
  and state = 'dead'
  returning subject into the_subject;
  if not found then
    return false;
  end if;
  perform release_next_delivery(the_webhook, the_subject);
  return true;
end $$;
