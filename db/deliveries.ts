import { and, asc, eq, gt, inArray } from 'drizzle-orm'
import type { Change } from './changes.ts'
import type { Database } from './database.ts'
import { changes, type DeliveryState, webhookDeliveries } from './schema.ts'

/** A webhook that is not paused, and when something of it is to be done. */
export interface OpenWebhook {
  webhookID: string
  url: string
  secret: string
  /** Signs too, for a time after the secret was replaced. */
  oldSecret: string | null
  /** There are changes that have not been looked at for it. */
  isBehind: boolean
  /** Milliseconds until one is due that never failed; null: there is none. */
  freshWaitMs: number | null
  /** Milliseconds until one is due that failed before; null: there is none. */
  retryWaitMs: number | null
}

/** One cheap query, however much waits: two looks into an index for each webhook. */
export async function openWebhooks({ sql }: Database): Promise<OpenWebhook[]> {
  return sql<OpenWebhook[]>`
    select
      w.webhook_id as "webhookID", w.url, w.secret,
      case when w.old_secret_until > now() then w.old_secret end as "oldSecret",
      w.position_seq < f.last_seq as "isBehind",
      (extract(epoch from (
        select min(d.due_at)
        from webhook_deliveries d
        where d.webhook_id = w.webhook_id
        and not d.is_retry
        and d.due_at is not null
      ) - now()) * 1000)::double precision as "freshWaitMs",
      (extract(epoch from (
        select min(d.due_at)
        from webhook_deliveries d
        where d.webhook_id = w.webhook_id
        and d.is_retry
        and d.due_at is not null
      ) - now()) * 1000)::double precision as "retryWaitMs"
    from webhooks w
    cross join feed f
    where not w.is_paused`
}

/** Makes deliveries of the next `atMost` changes. @returns whether there are more. */
export async function enqueueDeliveries(
  { sql }: Database,
  webhookID: string,
  atMost: number,
): Promise<boolean> {
  const [row] = await sql`select enqueue_deliveries(${webhookID}, ${atMost}) as has_more`
  return row?.has_more === true
}

/** A delivery that this server may send, until its lease is over. */
export interface Claim {
  webhookID: string
  /** Which attempt this is, from 1. */
  attempt: number
  change: Change
}

/**
 * Claims what is due. Any number of servers may do so at once: skip locked keeps them off each other's rows.
 *
 * A claim is a due time in the future, by the database's clock: if its server dies, it is due again then.
 */
export async function claimDeliveries(
  { sql, orm }: Database,
  webhookID: string,
  limits: { atMost: number; retriesAtMost: number; leaseMs: number },
): Promise<Claim[]> {
  const claimed = await sql<{ seq: number; attempts: number }[]>`
    with again as materialized (
      select seq
      from webhook_deliveries
      where webhook_id = ${webhookID}
      and is_retry
      and due_at <= now()
      order by due_at
      limit ${limits.retriesAtMost}
      for update skip locked
    ),
    fresh as materialized (
      select seq
      from webhook_deliveries
      where webhook_id = ${webhookID}
      and not is_retry
      and due_at <= now()
      order by due_at
      limit greatest(0, ${limits.atMost} - (select count(*) from again))
      for update skip locked
    )
    update webhook_deliveries
    set
      state = 'sending', attempts = attempts + 1, last_attempt_at = clock_timestamp(),
      due_at = clock_timestamp() + ${limits.leaseMs}::double precision * interval '1 ms'
    where webhook_id = ${webhookID}
    and seq in (select seq from again union all select seq from fresh)
    and exists (select from webhooks w where w.webhook_id = ${webhookID} and not w.is_paused)
    returning seq, attempts`
  if (claimed.length === 0) return []
  const attempts = new Map(claimed.map(({ seq, attempts }) => [seq, attempts]))
  const found = await orm
    .select()
    .from(changes)
    .where(inArray(changes.seq, [...attempts.keys()]))
  return found.map((change) => ({
    webhookID,
    attempt: attempts.get(change.seq) as number,
    change,
  }))
}

/** @returns false: the lease was over, and it is somebody else's now. */
export async function completeDelivery(
  { sql }: Database,
  { webhookID, change, attempt }: Claim,
  status: number,
): Promise<boolean> {
  const [row] = await sql`
    select complete_delivery(${webhookID}, ${change.seq}, ${attempt}, ${status}) as done`
  return row?.done === true
}

/** @param retryMs Milliseconds to the next attempt; undefined: there is none, it is dead. */
export async function failDelivery(
  { sql }: Database,
  { webhookID, change, attempt }: Claim,
  failure: { status: number | undefined; error: string; retryMs: number | undefined },
): Promise<boolean> {
  const { status = null, error, retryMs = null } = failure
  const [row] = await sql`
    select fail_delivery(
      ${webhookID}, ${change.seq}, ${attempt}, ${status}, ${error}, ${retryMs}
    ) as done`
  return row?.done === true
}

/** Sends now what is dead or waits for its next attempt: one of them, or all. @returns how many. */
export async function resendDeliveries(
  { sql }: Database,
  webhookID: string,
  seq: number | undefined,
): Promise<number> {
  const [row] = await sql`select resend_deliveries(${webhookID}, ${seq ?? null}) as resent`
  return row?.resent as number
}

/** Gives up on one that is dead. @returns false: there is none. */
export async function dropDelivery(
  { sql }: Database,
  webhookID: string,
  seq: number,
): Promise<boolean> {
  const [row] = await sql`select drop_delivery(${webhookID}, ${seq}) as dropped`
  return row?.dropped === true
}

const shown = {
  seq: webhookDeliveries.seq,
  state: webhookDeliveries.state,
  type: changes.type,
  level: changes.level,
  studyInstanceUID: changes.studyInstanceUID,
  seriesInstanceUID: changes.seriesInstanceUID,
  transferID: changes.transferID,
  attempts: webhookDeliveries.attempts,
  dueAt: webhookDeliveries.dueAt,
  lastAttemptAt: webhookDeliveries.lastAttemptAt,
  lastStatus: webhookDeliveries.lastStatus,
  lastError: webhookDeliveries.lastError,
}

/** What is not delivered, by the order of the feed, after `since`. */
export async function listDeliveries(
  { orm }: Database,
  webhookID: string,
  { states, since, limit }: { states: DeliveryState[]; since: number; limit: number },
) {
  return orm
    .select(shown)
    .from(webhookDeliveries)
    .innerJoin(changes, eq(changes.seq, webhookDeliveries.seq))
    .where(
      and(
        eq(webhookDeliveries.webhookID, webhookID),
        inArray(webhookDeliveries.state, states),
        gt(webhookDeliveries.seq, since),
      ),
    )
    .orderBy(asc(webhookDeliveries.seq))
    .limit(limit)
}
