-- Why: webhooks are told of changes as they come. What is on its way is rows, so that it outlives every server,
--   and any server takes what is due.
-- Locks: creates tables and functions.
-- An old server beside it: goes on; it delivers nothing.

CREATE TABLE "webhook_deliveries" (
	"webhook_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"subject" text NOT NULL,
	"state" text NOT NULL,
	"due_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"is_retry" boolean GENERATED ALWAYS AS (attempts > 0) STORED,
	"last_attempt_at" timestamp with time zone,
	"last_status" integer,
	"last_error" text,
	CONSTRAINT "webhook_deliveries_pk" PRIMARY KEY("webhook_id","seq")
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"webhook_id" uuid PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"types" text[],
	"levels" text[],
	"secret" text NOT NULL,
	"is_paused" boolean DEFAULT false NOT NULL,
	"position_seq" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_count" bigint DEFAULT 0 NOT NULL,
	"failed_attempt_count" bigint DEFAULT 0 NOT NULL,
	"last_attempt_at" timestamp with time zone,
	"last_delivered_at" timestamp with time zone,
	"last_status" integer,
	"last_error" text
);
--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_webhooks_webhook_id_fk" FOREIGN KEY ("webhook_id") REFERENCES "public"."webhooks"("webhook_id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_deliveries_subject" ON "webhook_deliveries" USING btree ("webhook_id","subject","seq");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("webhook_id","is_retry","due_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "webhook_deliveries_state" ON "webhook_deliveries" USING btree ("webhook_id","state","seq");
--> statement-breakpoint

-- Within which the order of deliveries is kept. A patient is hashed: identifiers need not be here again.
create function subject_of(c changes) returns text language sql immutable as $$
  select coalesce(
    c.study_instance_uid,
    encode(sha256(convert_to(c.patient_id || E'\n' || coalesce(c.issuer_of_patient_id, ''), 'UTF8')), 'hex'),
    c.transfer_id::text,
    c.seq::text
  )
$$;
--> statement-breakpoint

-- Makes deliveries of the next changes that fit a webhook, and moves its position, in one transaction.
-- Returns whether there are more.
--
-- Here and below the row of the webhook is locked before its deliveries, so that whoever looks for the next
-- one of a subject sees all that there are.
create function enqueue_deliveries(the_webhook uuid, at_most integer) returns boolean
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
--> statement-breakpoint

-- The next one of a subject may be sent. Called with the webhook locked, when the oldest one is gone.
create function release_next_delivery(the_webhook uuid, the_subject text) returns void
language sql as $$
  update webhook_deliveries
  set state = 'waiting', due_at = clock_timestamp()
  where webhook_id = the_webhook
  and seq = (
    select min(seq) from webhook_deliveries where webhook_id = the_webhook and subject = the_subject
  )
  and state = 'held'
$$;
--> statement-breakpoint

-- A receiver took it: it is gone, and the next one of its subject may be sent. Of a claim that is somebody
-- else's by now (its lease was over) nothing is believed: false.
create function complete_delivery(the_webhook uuid, the_seq bigint, the_attempt integer, the_status integer)
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
--> statement-breakpoint

-- An attempt failed: again after `retry_ms`, or null: never, and what comes later of its subject waits for an
-- administrator.
create function fail_delivery(
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
--> statement-breakpoint

-- An administrator wants them sent now, with all attempts before them again: one, or null: all that are dead
-- or wait for their next attempt. Returns how many.
create function resend_deliveries(the_webhook uuid, the_seq bigint) returns integer
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
--> statement-breakpoint

-- An administrator gives up on one that is dead; the next one of its subject may be sent.
create function drop_delivery(the_webhook uuid, the_seq bigint) returns boolean
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
