import { rm } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { listChanges, numberChanges } from '../../db/changes.ts'
import { putEvidence } from '../../db/evidence.ts'
import { deleteDoomedSegments } from '../../server/intake/sweep.ts'
import { checked, placeOf } from '../check/support.ts'
import {
  type CommitmentTest,
  commitmentTest,
  ctImage,
  flipByte,
  marksOf,
} from '../commitment/support.ts'
import {
  compact,
  deleted,
  filesOfStudy,
  type MadeStudy,
  madeStudy,
  wrongRows,
} from '../deletion/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { intakeBeside, nothingHeld } from '../support/intake.ts'

const ways = [
  ['in a segment that small ones share', {}],
  ['in a segment of its own', nothingHeld],
] as const

describe.each(ways)('an instance that is damaged and comes again, %s', (_, limits) => {
  test('is whole again and can be committed, and its old bytes are given back (P2, P6, P9)', async () => {
    await using t = await commitmentTest(limits)
    const study = madeStudy(2, 3)
    await t.send(filesOfStudy(study))
    const [hurt] = await damage(t, study, 1)
    const before = await rowsOf(t, study)

    const again = await t.send(filesOfStudy(study))
    expect(again.state).toBe('committed')
    expect(again.stored.filter((one) => !one.duplicate)).toMatchObject([{ sopInstanceUID: hurt }])
    expect(await marksOf(t.db, study.studyInstanceUID)).toEqual({ committed: 5, damaged: 0 })
    expect(await toldOf(t)).toEqual([
      [hurt, { isDamaged: true, damagedInstanceCount: 1 }],
      [hurt, { isDamaged: false, damagedInstanceCount: 0 }],
    ])
    // It is the same instance: nothing else became other, and nothing settles anew.
    expect(await rowsOf(t, study)).toEqual(before)
    expect(await wrongRows(t.db)).toEqual([])
    await expectWhole(t)

    const transactionUID = await t.request(referencesOf(study))
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 6, failedCount: 0 })

    await t.db.sql`update segments set appended_by = null`
    await compact(t)
    // A sixth of it is dead: that is worth it after a day.
    await t.db.sql`update segments set dead_since = dead_since - interval '2 days'`
    await compact(t)
    await deleteDoomedSegments(t.db, t.store)
    await expectWhole(t)
    expect(await t.storedBytes()).toBe(await neededBytes(t))
  })

  test('is whole again when the object of its segment is gone, and so is all that lay there', async () => {
    await using t = await commitmentTest(limits)
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    const { path, segmentID } = await placeOf(t, study.instances[0]?.sopInstanceUID)
    await t.db.sql`update segments set appended_by = null where segment_id = ${segmentID}`
    await rm(path)
    t.committer()
    await t.result(await t.request(referencesOf(study)))
    expect(await marksOf(t.db, study.studyInstanceUID)).toMatchObject({ damaged: 3 })
    expect(await t.send(filesOfStudy(study))).toMatchObject({ state: 'committed' })
    expect(await marksOf(t.db, study.studyInstanceUID)).toEqual({ committed: 0, damaged: 0 })
    expect(await wrongRows(t.db)).toEqual([])
    await compact(t)
    await deleteDoomedSegments(t.db, t.store)
    await expectWhole(t)
  })

  test('stays damaged when another one of its request is refused (P1)', async () => {
    await using t = await commitmentTest(limits)
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    await damage(t, study, 1)
    const contradiction = dicomFile({
      ...uidsOf(study, 2),
      patientID: 'P',
      modality: 'CT',
      instanceNumber: 99,
    })
    const again = await t.send([...filesOfStudy(study).slice(0, 2), contradiction])
    expect(again.state).toBe('refused')
    expect(again.refused.map((one) => one.failureReason.toString(16)).sort()).toEqual([
      '111',
      'c0ff',
      'c0ff',
    ])
    expect(await marksOf(t.db, study.studyInstanceUID)).toMatchObject({ damaged: 1 })
    expect(await wrongRows(t.db)).toEqual([])
  })

  test('comes with new ones, of its series and of another study, each counted once', async () => {
    await using t = await commitmentTest(limits)
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    await damage(t, study, 0)
    const { studyInstanceUID } = study
    const { seriesInstanceUID } = uidsOf(study, 0)
    const more = [uniqueUID(), uniqueUID()]
    const sopInstanceUIDs = [...study.instances.map((one) => one.sopInstanceUID), ...more]
    await putEvidence(t.db, studyInstanceUID, {
      source: 'declared',
      origin: 'declared',
      extent: 'all',
      claims: [{ instanceCount: 5, sopInstanceUIDs }],
    })
    const news = more.map((sopInstanceUID) =>
      dicomFile({
        studyInstanceUID,
        seriesInstanceUID,
        sopInstanceUID,
        patientID: 'P',
        modality: 'CT',
      }),
    )
    const other = madeStudy(1, 2)
    // The damaged one is first, so that it alone carries what study and series say.
    const again = await t.send([
      ...filesOfStudy(study).slice(0, 1),
      ...news,
      ...filesOfStudy(other),
    ])
    expect(again.stored.map((one) => one.duplicate)).toEqual([false, false, false, false, false])
    expect(await t.counts()).toEqual({ studies: 2, series: 2, instances: 7, patients: 1 })
    expect(await wrongRows(t.db)).toEqual([])
    const [row] = await t.db.sql`
      select t.verdict, e.missing_count from studies t
      join evidence e on e.study_instance_uid = t.study_instance_uid
      where t.study_instance_uid = ${studyInstanceUID}`
    expect(row).toEqual({ verdict: 'complete', missing_count: 0 })
    await expectWhole(t)
  })

  test('comes twice at once, or while it is deleted: rows stay right, and nobody is told what is not so', async () => {
    await using t = await commitmentTest(limits)
    await using other = intakeBeside(t, limits)
    for (let round = 0; round < 12; round++) {
      const study = madeStudy(2, 2, `P${round % 2}`)
      await t.send(filesOfStudy(study))
      await damage(t, study, 0, 3)
      const { studyInstanceUID } = study
      const path = { studyInstanceUID, ...(round % 3 === 1 ? uidsOf(study, 0) : {}) }
      const [first, second] = await Promise.all([
        t.send(filesOfStudy(study)),
        other.send(filesOfStudy(study).reverse()),
        round % 3 === 0 ? undefined : deleted(t.db, path, { force: true, reason: 'a test' }),
      ])
      const told = [first, second].filter(({ state }) => state === 'committed')
      if (told.length > 0) {
        const [row] = await t.db.sql`
          select count(*)::int as damaged from instances i join studies t using (study_key)
          where t.study_instance_uid = ${studyInstanceUID} and i.damaged_at is not null`
        expect(row?.damaged).toBe(0)
      }
      if (round % 3 === 0) {
        expect(told).toHaveLength(2)
        const fresh = told.flatMap(({ stored }) => stored).filter((one) => !one.duplicate)
        expect(fresh).toHaveLength(2)
      }
      expect(await wrongRows(t.db)).toEqual([])
      // Where a deletion came first, all was refused.
      await t.send(filesOfStudy(study).slice(3))
    }
    await expectWhole(t)
  }, 60_000)
})

/** Flips a byte of some of its instances, and has a commitment find it; all others are committed. @returns their UIDs */
async function damage(t: CommitmentTest, study: MadeStudy, ...which: number[]): Promise<string[]> {
  const hurt = which.map((index) => uidsOf(study, index).sopInstanceUID)
  for (const sopInstanceUID of hurt) await flipByte(t, sopInstanceUID)
  t.committer()
  const transactionUID = await t.request(referencesOf(study))
  await t.result(transactionUID)
  const reasons = await t.reasons(transactionUID)
  expect(hurt.map((uid) => reasons[uid])).toEqual(hurt.map(() => 0x0110))
  return hurt
}

function uidsOf({ studyInstanceUID, instances }: MadeStudy, index: number) {
  const { seriesInstanceUID, sopInstanceUID } = instances[index] as MadeStudy['instances'][number]
  return { studyInstanceUID, seriesInstanceUID, sopInstanceUID }
}

function referencesOf(study: MadeStudy) {
  return study.instances.map((_, index) => ({ ...uidsOf(study, index), sopClassUID: ctImage }))
}

/** All that must stay, of a study that was healed. */
async function rowsOf({ db }: CommitmentTest, { studyInstanceUID }: MadeStudy): Promise<unknown> {
  const rows = await db.sql`
    select
      i.sop_instance_uid, i.digest, i.byte_length, i.received_at, i.committed_at, i.transfer_syntax_uid,
      e.generation, e.due_at, e.instance_count, t.generation as study_generation, t.due_at as study_due_at,
      t.instance_count as instances, t.byte_length as bytes, t.last_received_at
    from instances i
    join series e on e.series_key = i.series_key
    join studies t on t.study_key = i.study_key
    where t.study_instance_uid = ${studyInstanceUID}
    order by 1`
  return [...rows]
}

async function toldOf({ db }: CommitmentTest): Promise<unknown[]> {
  await numberChanges(db)
  const changes = await listChanges(db, { since: 0, limit: 10_000 })
  return changes
    .filter(({ type }) => type === 'damaged')
    .map(({ sopInstanceUID, details }) => [sopInstanceUID, details])
}

/** `stowage check --deep` finds nothing. */
async function expectWhole(t: CommitmentTest): Promise<void> {
  expect((await checked(t, false, true)).findings).toEqual([])
}

async function neededBytes({ db }: CommitmentTest): Promise<number> {
  const [row] =
    await db.sql`select sum(byte_length + metadata_length)::float8 as bytes from instances`
  return row?.bytes
}
