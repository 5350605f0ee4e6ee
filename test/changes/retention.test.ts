import { describe, expect, test } from 'vitest'
import {
  type ChangeQuery,
  ChangesRemovedError,
  insistOnAll,
  lastChange,
  listChanges,
  numberChanges,
  removeOldChanges,
} from '../../db/changes.ts'
import { acknowledge, forgetConsumer } from '../../db/consumers.ts'
import { type Database, openDatabase } from '../../db/database.ts'
import { claimDeliveries, completeDelivery, enqueueDeliveries } from '../../db/deliveries.ts'
import { addWebhook } from '../../db/webhooks.ts'
import { follow } from '../../server/changes/follow.ts'
import { freshDatabase } from '../support/database.ts'

const day = 86_400_000

/** `count` changes, every tenth of which is a deletion, `days` old. */
async function add(db: Database, count: number, days: number): Promise<void> {
  await db.sql`
    insert into changes_to_come (type, level, study_instance_uid, at)
    select case when n % 10 = 0 then 'deleted' else 'new' end, 'study', '1.2.' || n,
      now() - make_interval(days => ${days})
    from generate_series(1, ${count}) n
    order by n`
  await numberChanges(db)
}

async function read(db: Database, query: Partial<ChangeQuery> = {}) {
  const asked = { since: 0, limit: 100_000, ...query }
  const found = await listChanges(db, asked)
  await insistOnAll(db, asked)
  return found
}

async function webhook(db: Database, positionSeq: number): Promise<string> {
  const webhookID = crypto.randomUUID()
  const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
  await addWebhook(db, { webhookID, url: 'http://127.0.0.1:1/', secret, positionSeq }, 100)
  return webhookID
}

describe('old changes (P7, OST-9)', () => {
  test('are removed from the oldest on, but for deletions, which are kept for ever', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await add(db, 12_000, 8)
    await add(db, 100, 6)
    expect(await removeOldChanges(db, 7 * day)).toBe(10_800)
    expect(await read(db, { since: 12_000 })).toHaveLength(100)
    const deleted = await read(db, { types: ['deleted'] })
    expect(deleted.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 1210 }, (_, n) => (n + 1) * 10),
    )
    expect(await removeOldChanges(db, 7 * day)).toBe(0)
    expect(await lastChange(db)).toBe(12_100)
    // Numbers go on where they were, also when all else is gone.
    expect(await removeOldChanges(db, 0)).toBe(90)
    await add(db, 1, 0)
    expect((await read(db, { since: 12_100 })).map(({ seq }) => seq)).toEqual([12_101])
  })

  test('are told of to who begins in them, with where to go on; never to who asks for deletions only', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await add(db, 20, 8)
    await add(db, 20, 0)
    await removeOldChanges(db, day)
    for (const since of [0, 19]) {
      const error = await read(db, { since }).catch((error) => error)
      expect(error).toBeInstanceOf(ChangesRemovedError)
      expect(error.removedSeq).toBe(20)
    }
    expect(await read(db, { since: 20 })).toHaveLength(20)
    expect(await read(db, { since: 0, types: ['deleted'] })).toHaveLength(4)
    await expect(read(db, { since: 0, types: ['deleted', 'new'] })).rejects.toThrow('up to 20')
    await expect(acknowledge(db, 'late', 19)).rejects.toThrow(ChangesRemovedError)
    await expect(webhook(db, 19)).rejects.toThrow(ChangesRemovedError)
    await acknowledge(db, 'late', 20)
    await webhook(db, 20)
  })

  test('end a stream that is too slow for them, so that it never passes over one', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await add(db, 30, 8)
    const notices = { subscribe: () => () => {}, isStopped: false }
    const { signal } = new AbortController()
    const slow = follow(db, notices, { since: 0, limit: 5 }, signal, 10)
    expect((await slow.next()).value).toHaveLength(5)
    await removeOldChanges(db, day)
    await expect(slow.next()).rejects.toThrow(ChangesRemovedError)
  })

  test('stay while a named consumer has not acknowledged them', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await acknowledge(db, 'quick', 0)
    await acknowledge(db, 'slow', 0)
    await add(db, 40, 8)
    expect(await removeOldChanges(db, day)).toBe(0)
    await acknowledge(db, 'quick', 40)
    await acknowledge(db, 'slow', 15)
    expect(await removeOldChanges(db, day)).toBe(14)
    expect((await read(db, { since: 15 })).map(({ seq }) => seq)[0]).toBe(16)
    await forgetConsumer(db, 'slow')
    expect(await removeOldChanges(db, day)).toBe(22)
  })

  test('stay while a webhook is not past them, or has not delivered them', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await add(db, 30, 8)
    const webhookID = await webhook(db, 10)
    expect(await removeOldChanges(db, day)).toBe(9)
    await enqueueDeliveries(db, webhookID, 10)
    // Up to 20 they are deliveries by now, each of a study of its own.
    expect(await removeOldChanges(db, day)).toBe(0)
    const limits = { atMost: 5, retriesAtMost: 5, leaseMs: 60_000 }
    for (const claim of await claimDeliveries(db, webhookID, limits)) {
      await completeDelivery(db, claim, 200)
    }
    const [left] = await db.sql`select min(seq) as seq from webhook_deliveries`
    await removeOldChanges(db, day)
    const [row] = await db.sql`select removed_seq from feed`
    expect(Number(row?.removed_seq)).toBe(Number(left?.seq) - 1)
  })

  test('are not removed under a consumer that begins in them at the same moment', async () => {
    await using database = await freshDatabase(10)
    const db = openDatabase(database.sql)
    for (let round = 0; round < 20; round++) {
      await add(db, 20, 8)
      const name = `consumer-${round}`
      const since = (await lastChange(db)) - 10
      const begun = acknowledge(db, name, since).then(
        () => true,
        () => false,
      )
      const [hasBegun] = await Promise.all([begun, removeOldChanges(db, day)])
      const mine = await read(db, { since }).catch(() => undefined)
      if (hasBegun) expect(mine).toHaveLength(10)
      else expect(mine).toBeUndefined()
      await forgetConsumer(db, name)
      await removeOldChanges(db, day)
    }
  })
})
