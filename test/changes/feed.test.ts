import { describe, expect, test } from 'vitest'
import { type ChangeQuery, listChanges, numberChanges } from '../../db/changes.ts'
import { type Database, openDatabase } from '../../db/database.ts'
import { freshDatabase } from '../support/database.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { testIntake } from '../support/intake.ts'
import { SeededRandom } from '../support/random.ts'

/** More with STOWAGE_TEST_LARGE=1. */
const changeCount = process.env.STOWAGE_TEST_LARGE === '1' ? 100_000 : 6000
const writerCount = 16
const pollerCount = 8

interface Seen {
  seq: number
  details: unknown
}

/**
 * Sixteen write transactions of one to five changes and commit them in any order, while eight read on from where
 * they were, some at a time. @returns the log of each reader, and the feed as it is at the end.
 */
async function writeAndPoll(db: Database, count: number): Promise<{ logs: Seen[][]; all: Seen[] }> {
  const random = new SeededRandom(1)
  let writersLeft = writerCount
  const writers = Array.from({ length: writerCount }, async (_, writer) => {
    for (let n = 0; n < count / writerCount; ) {
      const atOnce = 1 + Math.floor(random.next() * 5)
      await db.sql.begin(async (sql) => {
        for (let i = 0; i < atOnce; i++) {
          await sql`
            insert into changes_to_come (type, level, details)
            values ('new', 'study', ${JSON.stringify({ writer, n: n + i })}::text::jsonb)`
        }
        // Those who came later are often committed first.
        await sql`select pg_sleep(${random.next() * 0.003})`
      })
      n += atOnce
    }
    writersLeft--
  })
  const readers = Array.from({ length: pollerCount }, async (_, poller) => {
    const random = new SeededRandom(poller + 2)
    const log: Seen[] = []
    for (;;) {
      const isOver = writersLeft === 0
      await numberChanges(db)
      const limit = 1 + Math.floor(random.next() * 200)
      const found = await listChanges(db, { since: log.at(-1)?.seq ?? 0, limit })
      log.push(...found.map(({ seq, details }) => ({ seq, details })))
      if (isOver && found.length < limit) return log
    }
  })
  const [logs] = await Promise.all([Promise.all(readers), ...writers])
  const all = await listChanges(db, { since: 0, limit: 1_000_000 })
  return { logs, all: all.map(({ seq, details }) => ({ seq, details })) }
}

describe('the feed (P7)', () => {
  test('has no gap and no repeat for any poller, while many write and commit in any order (OST-8)', async () => {
    await using database = await freshDatabase(writerCount + pollerCount)
    const db = openDatabase(database.sql)
    const { logs, all } = await writeAndPoll(db, changeCount)
    expect(all.length).toBeGreaterThanOrEqual(changeCount)
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
    for (const log of logs) expect(log).toEqual(all)
    // What one writer said keeps its order.
    const next = new Map<number, number>()
    for (const { details } of all) {
      const { writer, n } = details as { writer: number; n: number }
      expect(n).toBe(next.get(writer) ?? 0)
      next.set(writer, n + 1)
    }
  }, 600_000)

  test('would have gaps if a sequence gave the numbers before the commit: the same pollers miss changes then (OST-8)', async () => {
    await using database = await freshDatabase(writerCount + pollerCount)
    const db = openDatabase(database.sql)
    await withoutProtection(db)
    const { logs, all } = await writeAndPoll(db, 2000)
    const missed = logs.map((log) => all.length - new Set(log.map(({ seq }) => seq)).size)
    expect(Math.max(...missed)).toBeGreaterThan(0)
  })

  test('tells of new patients, studies and series, of what was added to which, and of transfers that ended', async () => {
    await using t = await testIntake()
    const here = { patientID: 'P', studyInstanceUID: '1.2.3', seriesInstanceUID: '1.2.3.4' }
    await t.send([dicomFile(here), dicomFile(here)])
    await t.send([dicomFile(here)])
    await t.send([dicomFile({ ...here, sopInstanceUID: '1', without: ['00080016'] })])
    await numberChanges(t.db)
    const all = await listChanges(t.db, { since: 0, limit: 100 })
    expect(
      all.map(({ type, level, details }) => {
        const { addedInstanceCount, instanceCount, state } = details ?? {}
        return [type, level, addedInstanceCount ?? state, instanceCount].filter(Boolean).join(' ')
      }),
    ).toEqual([
      'new patient',
      'new study',
      'new series',
      'instances-added series 2 2',
      'transfer-ended transfer committed',
      'instances-added series 1 3',
      'transfer-ended transfer committed',
      'transfer-ended transfer refused',
    ])
    const ask = async (query: Partial<ChangeQuery>) =>
      (await listChanges(t.db, { since: 0, limit: 100, ...query })).map(({ seq }) => seq)
    expect(await ask({ types: ['new'] })).toEqual([1, 2, 3])
    expect(await ask({ levels: ['series'], since: 3 })).toEqual([4, 6])
    expect(await ask({ since: 5, backwards: true, limit: 2 })).toEqual([5, 4])
    expect(await ask({ studyInstanceUID: '1.2.3', types: ['instances-added'] })).toEqual([4, 6])
  })

  test('says nothing of what is rolled back', async () => {
    await using t = await testIntake()
    const first = dicomFile({ sopInstanceUID: '1.9', instanceNumber: 1 })
    await t.send([first])
    await numberChanges(t.db)
    const [before] = await t.db.sql`select last_seq from feed`
    await t.send([dicomFile(), dicomFile({ sopInstanceUID: '1.9', instanceNumber: 2 })])
    await numberChanges(t.db)
    const found = await listChanges(t.db, { since: Number(before?.last_seq), limit: 10 })
    expect(found.map(({ type }) => type)).toEqual(['transfer-ended'])
  })
})

/** As Orthanc does it: whoever writes takes the next number of a sequence. */
async function withoutProtection({ sql }: Database): Promise<void> {
  await sql.unsafe(`
    create sequence drawn;
    create or replace function number_changes(at_most integer) returns integer
    language sql as 'select 0';
    create function draw() returns trigger language plpgsql as $$
    begin
      insert into changes (seq, type, level, details) values (nextval('drawn'), new.type, new.level, new.details);
      return null;
    end $$;
    create trigger draw before insert on changes_to_come for each row execute function draw();
  `)
}
