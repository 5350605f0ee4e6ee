import { describe, expect, test } from 'vitest'
import {
  addAuditEvents,
  listAuditEvents,
  removeOldAuditEvents,
  setAuditRetention,
} from '../../db/audit.ts'
import { openDatabase } from '../../db/database.ts'
import { Audit } from '../../server/audit/audit.ts'
import { silentLog } from '../../server/log.ts'
import { freshDatabase } from '../support/database.ts'

const dayMs = 86_400_000
const view = { action: 'view', outcome: 0, eventCount: 1 } as const

async function database() {
  const fresh = await freshDatabase()
  const db = openDatabase(fresh.sql)
  const all = () => listAuditEvents(db, {}, { limit: 10_000, newestFirst: false })
  return { db, all, [Symbol.asyncDispose]: () => fresh[Symbol.asyncDispose]() }
}

describe('the database', () => {
  test.each([
    ['changes no audit event', 'update audit_events set actor = null'],
    ['deletes none', 'delete from audit_events'],
    ['does not empty the log', 'truncate audit_events'],
  ])('%s', async (_, statement) => {
    await using archive = await database()
    await addAuditEvents(archive.db, [{ ...view, ageMs: 400 * dayMs, actor: 'user:ann' }])
    await expect(archive.db.sql.unsafe(statement)).rejects.toThrow(/Cannot (change|delete)/)
    expect(await archive.all()).toMatchObject([{ actor: 'user:ann' }])
  })

  test('gives up what is older than the retention, and says who shortened it that it was', async () => {
    await using archive = await database()
    await addAuditEvents(archive.db, [
      { ...view, ageMs: 31 * dayMs, actor: 'user:old' },
      { ...view, ageMs: 29 * dayMs, actor: 'user:young' },
    ])
    expect(await removeOldAuditEvents(archive.db)).toBe(0)
    await setAuditRetention(archive.db, 30)
    expect(await removeOldAuditEvents(archive.db)).toBe(1)
    expect(await archive.all()).toMatchObject([
      { actor: 'user:young' },
      { action: 'configure', what: 'audit events are kept for 30 days' },
    ])
    await expect(archive.db.sql`delete from audit_events`).rejects.toThrow(/before its time/)
    await setAuditRetention(archive.db, 30)
    expect(await archive.all()).toHaveLength(2)
  })
})

describe('the audit log of a server', () => {
  test('writes what it has when it is told to stop, and the stop itself', async () => {
    await using archive = await database()
    const audit = new Audit({ db: archive.db, log: silentLog })
    audit.start('a test')
    audit.record({ action: 'view', outcome: 0, studyInstanceUID: '1.2.3' })
    for (let n = 0; n < 5; n++) audit.recordFolded({ action: 'search', outcome: 0 })
    expect(audit.unwrittenCount).toBeGreaterThan(0)
    await audit.stop()
    expect(audit.unwrittenCount).toBe(0)
    const written = await archive.all()
    expect(written.map(({ action, eventCount }) => [action, eventCount]).sort()).toEqual([
      ['search', 1],
      ['search', 4],
      ['start', 1],
      ['stop', 1],
      ['view', 1],
    ])
  })

  test('keeps what cannot be written until it can, with the instant at which it happened', async () => {
    await using archive = await database()
    const { sql } = archive.db
    const audit = new Audit({ db: archive.db, log: silentLog })
    await sql`alter table audit_events rename to away`
    audit.record({ action: 'delete', outcome: 0, actor: 'user:ann' })
    await audit.write()
    expect(audit.unwrittenCount).toBe(1)
    // Long enough to tell the instant of the event from that of the statement.
    await sql`select pg_sleep(2)`
    const [{ before }] = (await sql`select now() - interval '1 second' as before`) as unknown as [
      { before: Date },
    ]
    await sql`alter table away rename to audit_events`
    await audit.write()
    const [event] = await archive.all()
    expect(event).toMatchObject({ action: 'delete', actor: 'user:ann' })
    expect(event?.at.getTime()).toBeLessThanOrEqual(new Date(before).getTime())
    await audit.stop()
  })

  test('takes more events than one statement writes, each once', async () => {
    await using archive = await database()
    const audit = new Audit({ db: archive.db, log: silentLog })
    for (let n = 0; n < 2500; n++) audit.record({ action: 'view', outcome: 0, what: String(n) })
    await audit.write()
    const written = (await archive.all()).map(({ what }) => Number(what))
    expect(written).toHaveLength(2500)
    expect(new Set(written).size).toBe(2500)
    await audit.stop()
  })
})
