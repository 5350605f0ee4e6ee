import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '../../db/database.ts'
import { addWebhook, findWebhook, type NewWebhook, type Webhook } from '../../db/webhooks.ts'
import { silentLog } from '../../server/log.ts'
import { noTracing } from '../../server/trace.ts'
import { Deliverer, type DelivererLimits } from '../../server/webhooks/deliverer.ts'
import { freshDatabase } from '../support/database.ts'

export const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

const quick: DelivererLimits = {
  timeoutMs: 500,
  leaseMs: 5000,
  retryDelaysMs: Array.from({ length: 200 }, () => 20),
  atOnce: 8,
  retriesAtOnce: 4,
  isPrivateAllowed: true,
}

export interface DelivererTest extends AsyncDisposable {
  db: Database
  /** One more server that delivers. */
  deliverer(limits?: Partial<DelivererLimits>): Deliverer
  add(url: string, more?: Partial<NewWebhook>): Promise<string>
  webhook(webhookID: string): Promise<Webhook>
  /** Writes a change, and wakes whoever delivers. */
  change(studyInstanceUID: string, n: number, more?: { type?: string }): Promise<void>
  /** What is not delivered, by state. */
  states(webhookID?: string): Promise<Record<string, number>>
}

/** A database with a feed, and any number of servers that deliver from it. */
export async function delivererTest(): Promise<DelivererTest> {
  const database = await freshDatabase(20)
  const db = openDatabase(database.sql)
  const deliverers: Deliverer[] = []
  return {
    db,
    deliverer(limits = {}) {
      const one = new Deliverer({
        db,
        log: silentLog,
        tracing: noTracing,
        limits: { ...quick, ...limits },
      })
      deliverers.push(one)
      one.start()
      return one
    },
    async add(url, more = {}) {
      const webhookID = randomUUID()
      await addWebhook(db, { webhookID, url, secret, positionSeq: 0, ...more }, 100)
      return webhookID
    },
    async webhook(webhookID) {
      return (await findWebhook(db, webhookID)) as Webhook
    },
    async change(studyInstanceUID, n, { type = 'instances-added' } = {}) {
      await db.sql`
        insert into changes_to_come (type, level, study_instance_uid, patient_id, details)
        values (${type}, 'study', ${studyInstanceUID}, 'SECRET^NAME', ${JSON.stringify({ n })}::text::jsonb)`
      for (const one of deliverers) one.wake()
    },
    async states(webhookID) {
      const rows = await db.sql`
        select state, count(*)::integer as count
        from webhook_deliveries
        where webhook_id = coalesce(${webhookID ?? null}::uuid, webhook_id)
        group by state`
      return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(deliverers.map((one) => one.stop()))
      await database[Symbol.asyncDispose]()
    },
  }
}
