import { describe, expect, test } from 'vitest'
import type { Database } from '../../db/database.ts'
import { allowResend, deleteResource } from '../../db/deletions.ts'
import { checked } from '../check/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'
import { SeededRandom } from '../support/random.ts'
import { compact, deleted, filesOfStudy, type MadeStudy, madeStudy, wrongRows } from './support.ts'

const random = new SeededRandom()
console.log(`TEST_SEED=${random.seed} chose these rounds`)

describe.each([
  ['of its own', nothingHeld],
  ['in a group', {}],
])('a transfer %s and a deletion at once', (_, limits) => {
  test('that waited for the deletion makes the study anew, with what was never deleted', async () => {
    await using t = await testIntake(limits)
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    const { held, commit } = await holdBack(t.db)
    await held`
      select delete_resource(${study.studyInstanceUID}, null, null, null, null, false, false)`
    const late = t.send([fileOf(study)])
    await someWait(t.db, 1)
    await commit()
    expect((await late).state).toBe('committed')
    expect(await t.counts()).toEqual({ studies: 1, series: 1, instances: 1, patients: 1 })
    await expectTrue(t)
  })

  test('for which the deletion waited is deleted with the rest, and stays deleted', async () => {
    await using t = await testIntake(limits)
    const study = madeStudy(1, 3)
    const late = fileOf(study)
    await t.send(filesOfStudy(study))
    const { held, commit } = await holdBack(t.db)
    await held`select from patients for update`
    const sending = t.send([late])
    await someWait(t.db, 1)
    // One of a group does not wait for long, but its second way does.
    const deletion = deleteResource(t.db, study, {})
    await someWait(t.db, 2)
    await commit()
    expect((await deletion).outcome).toBe('deleted')
    expect((await sending).state).toBe('committed')
    // Whoever came first: what is there was committed after the deletion.
    const [{ instances }, again] = [await t.counts(), await t.send([late])]
    expect(again.state).toBe(instances === 0 ? 'refused' : 'committed')
    await expectTrue(t)
  })

  test('does not bring what was stored and deleted elsewhere after it had looked', async () => {
    await using t = await testIntake(limits)
    const [study, other] = [madeStudy(1, 2, 'P1'), madeStudy(1, 1, 'P2')]
    await t.send(filesOfStudy(study))
    const { held, commit } = await holdBack(t.db)
    await held`select from patients for update`
    const twice = other.instances[0]?.sopInstanceUID as string
    const sending = t.send([fileOf(study, twice)])
    // One of a group gives up soon, and looks again on its own.
    await someWait(t.db, 1, 'commit_transfer')
    await t.send(filesOfStudy(other))
    await deleted(t.db, other)
    await commit()
    expect((await sending).refused.map((one) => one.failureReason)).toEqual([0xc410])
    expect((await t.counts()).instances).toBe(2)
    await expectTrue(t)
  })
})

describe('two deletions at once', () => {
  test('of the same study: one deletes, the other finds nothing', async () => {
    await using t = await testIntake()
    const study = madeStudy(2, 3)
    await t.send(filesOfStudy(study))
    const results = await Promise.all([1, 2, 3].map(() => deleteResource(t.db, study, {})))
    expect(results.map(({ outcome }) => outcome).sort()).toEqual([
      'deleted',
      'not-found',
      'not-found',
    ])
    expect(await t.db.sql`select from deletions`).toHaveLength(1)
    await expectTrue(t)
  })

  test('of all instances of a study, one by one, leave nothing', async () => {
    await using t = await testIntake()
    const [study, other] = [madeStudy(2, 4), madeStudy(1, 1)]
    await t.send([...filesOfStudy(study), ...filesOfStudy(other)])
    const results = await Promise.all(
      study.instances.map((one) => deleteResource(t.db, { ...study, ...one }, {})),
    )
    expect(results.every(({ outcome }) => outcome === 'deleted')).toBe(true)
    expect(await t.counts()).toEqual({ studies: 1, series: 1, instances: 1, patients: 1 })
    await expectTrue(t)
  })
})

describe('whatever meets', () => {
  test('senders, deletions, leave to send again and compactions: counts are right, and nothing deleted is there', async () => {
    await using t = await testIntake({ held: { bytesOfOne: 8000, bytesOfAll: 1e6 } })
    const studies = [madeStudy(2, 3), madeStudy(1, 2), madeStudy(1, 4, 'Q')]
    const files = studies.flatMap((study) => study.instances.map((one) => ({ study, ...one })))
    for (let round = 0; round < 12; round++) {
      const work = Array.from({ length: 10 }, async () => {
        const one = pick(files)
        const { study } = one
        const path = pick([
          { studyInstanceUID: study.studyInstanceUID },
          {
            studyInstanceUID: study.studyInstanceUID,
            seriesInstanceUID: one.seriesInstanceUID,
          },
          { ...study, ...one },
        ])
        switch (pick(['send', 'send', 'send', 'delete', 'delete', 'allow', 'compact'])) {
          case 'send':
            return t.send(
              files.filter((file) => file === one || pick([true, false])).map(({ file }) => file),
              { handling: pick(['strict', 'lenient']) },
            )
          case 'delete':
            return deleteResource(t.db, path, { allowResend: pick([true, false]) })
          case 'allow':
            return allowResend(t.db, path)
          default:
            return compact(t)
        }
      })
      await Promise.all(work)
      await expectTrue(t)
    }
    await t.intake.stop(0)
    await compact(t)
    await expectTrue(t)
  })
})

/** Counts are right, and nothing is stored whose tombstone stands. */
async function expectTrue(t: TestIntake): Promise<void> {
  expect(await wrongRows(t.db)).toEqual([])
  expect((await checked(t)).findings).toEqual([])
}

function fileOf(
  { studyInstanceUID, patientID, instances }: MadeStudy,
  sopInstanceUID = uniqueUID(),
) {
  const seriesInstanceUID = instances[0]?.seriesInstanceUID as string
  return dicomFile({
    studyInstanceUID,
    seriesInstanceUID,
    sopInstanceUID,
    patientID,
    modality: 'CT',
    instanceNumber: 99,
  })
}

/** A transaction that stays open until it is told to end. */
async function holdBack({ sql }: Database) {
  // postgres.js 3.4.9 never hands out a connection of a pool that has none yet.
  await sql`select`
  const held = await sql.reserve()
  await held`begin`
  return {
    held,
    async commit() {
      await held`commit`
      held.release()
    },
  }
}

function pick<T>(choices: readonly T[]): T {
  return choices[Math.floor(random.next() * choices.length)] as T
}

/** @param statement Which of them wait; default any. */
async function someWait({ sql }: Database, count: number, statement = ''): Promise<void> {
  await expect
    .poll(async () => {
      const rows = await sql`
        select from pg_stat_activity
        where datname = current_database()
        and wait_event_type = 'Lock'
        and strpos(query, ${statement}) > 0`
      return rows.length
    })
    .toBeGreaterThanOrEqual(count)
}
