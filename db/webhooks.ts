import { asc, eq, sql as raw } from 'drizzle-orm'
import { ChangesRemovedError } from './changes.ts'
import type { Database } from './database.ts'
import { type DeliveryState, webhooks } from './schema.ts'

export type Webhook = typeof webhooks.$inferSelect
export type NewWebhook = Pick<
  typeof webhooks.$inferInsert,
  'webhookID' | 'url' | 'types' | 'levels' | 'secret' | 'isPaused' | 'positionSeq'
>
export type WebhookUpdate = Partial<Pick<NewWebhook, 'url' | 'types' | 'levels' | 'isPaused'>>

/**
 * @returns undefined: there are `atMost` already.
 * @throws {ChangesRemovedError} What comes after its position is not all there any more.
 */
export async function addWebhook(
  db: Database,
  webhook: NewWebhook,
  atMost: number,
): Promise<Webhook | undefined> {
  const { webhookID, url, types, levels, secret, isPaused = false, positionSeq } = webhook
  // Whoever removes changes waits until this one is known, or is waited for. One statement, as in `acknowledge`.
  const [row] = await db.sql<{ removedSeq: number; isAdded: boolean }[]>`
    with kept as (
      select removed_seq
      from feed
      for share
    ), added as (
      insert into webhooks (webhook_id, url, types, levels, secret, is_paused, position_seq)
      select
        ${webhookID}::uuid, ${url}, ${types ?? null}::text[], ${levels ?? null}::text[], ${secret}, ${isPaused},
        ${positionSeq}::bigint
      from kept
      where removed_seq <= ${positionSeq}
      and (select count(*) from webhooks) < ${atMost}
      returning webhook_id
    )
    select removed_seq as "removedSeq", exists (select from added) as "isAdded"
    from kept`
  if (row === undefined || positionSeq < row.removedSeq) {
    throw new ChangesRemovedError(row?.removedSeq ?? 0)
  }
  return row.isAdded ? findWebhook(db, webhookID) : undefined
}

export async function listWebhooks({ orm }: Database): Promise<Webhook[]> {
  return orm.select().from(webhooks).orderBy(asc(webhooks.createdAt), asc(webhooks.webhookID))
}

export async function findWebhook(
  { orm }: Database,
  webhookID: string,
): Promise<Webhook | undefined> {
  const [row] = await orm.select().from(webhooks).where(eq(webhooks.webhookID, webhookID))
  return row
}

/** What has become a delivery already stays one. */
export async function updateWebhook(
  db: Database,
  webhookID: string,
  update: WebhookUpdate,
): Promise<Webhook | undefined> {
  if (Object.keys(update).length === 0) return findWebhook(db, webhookID)
  const [row] = await db.orm
    .update(webhooks)
    .set(update)
    .where(eq(webhooks.webhookID, webhookID))
    .returning()
  return row
}

/**
 * Gives it another secret. Until `oldMs` are over, by the clock of the database, the one that it had signs too.
 */
export async function replaceSecret(
  { orm }: Database,
  webhookID: string,
  secret: string,
  oldMs: number,
): Promise<Webhook | undefined> {
  const [row] = await orm
    .update(webhooks)
    .set({
      secret,
      oldSecret: raw`secret`,
      oldSecretUntil: raw`now() + ${oldMs}::double precision * interval '1 ms'`,
    })
    .where(eq(webhooks.webhookID, webhookID))
    .returning()
  return row
}

/** Forgets it, and all that was to be delivered. @returns false: there was none. */
export async function deleteWebhook({ orm }: Database, webhookID: string): Promise<boolean> {
  const gone = await orm
    .delete(webhooks)
    .where(eq(webhooks.webhookID, webhookID))
    .returning({ webhookID: webhooks.webhookID })
  return gone.length > 0
}

/** How many deliveries of each webhook are in which state; those that are zero are left out. */
export async function countDeliveries({
  sql,
}: Database): Promise<{ webhookID: string; state: DeliveryState; count: number }[]> {
  return sql`
    select webhook_id as "webhookID", state, count(*)::integer as count
    from webhook_deliveries
    group by webhook_id, state`
}
