import { describe, expect, test } from 'vitest'
import { instancesOf } from '../../db/instances.ts'
import { sweepTransfers } from '../../server/intake/sweep.ts'
import { StoreError } from '../../server/store/store.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

describe('a transfer that is ended by another server (P1)', () => {
  test('leaves no staged rows, although it goes on staging', async () => {
    await using t = await testIntake({ ...nothingHeld, batchRows: 1 })
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    const part = async () => {
      transfer.beginPart()
      transfer.push(dicomFile())
      transfer.endPart()
      await transfer.drain()
    }
    await part()
    // Its server renews its lease once a second, and may do so in between.
    await expect
      .poll(async () => {
        await t.db.sql`update transfers set lease_until = now() - interval '1 second'`
        return sweepTransfers(t.db, t.store, t.intake.serverID)
      })
      .toEqual({ expired: 1, deleted: 1 })
    await expect.poll(() => part().then(() => '', String)).toContain('Nothing of it is stored')
    await transfer.abort('lost')
    expect(await t.db.sql`select from staged_instances`).toHaveLength(0)
  })

  test('leaves no object that it made after the other one had looked', async () => {
    await using t = await testIntake({ ...nothingHeld, segmentBytes: 1000 })
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    await transfer.open()
    const create = t.store.create
    t.store.create = async (segmentID) => {
      await t.db.sql`update transfers set lease_until = now() - interval '1 second'`
      await sweepTransfers(t.db, t.store, t.intake.serverID)
      return create(segmentID)
    }
    transfer.beginPart()
    transfer.push(dicomFile())
    transfer.endPart()
    await transfer.drain()
    await expect(transfer.commit()).rejects.toThrow('Nothing of it is stored')
    await transfer.abort('lost')
    const left: string[] = []
    for await (const { segmentID } of t.store.list()) left.push(segmentID)
    expect(left).toEqual([])
  })
})

describe('a transfer that cannot begin', () => {
  test('is aborted, and leaves nothing', async () => {
    await using t = await testIntake()
    const create = t.store.create
    t.store.create = async () => {
      throw new StoreError('create a segment', { code: 'EACCES' })
    }
    const announcedBytes = 1e9
    const opening = t.intake.open({ service: 'stow', handling: 'strict', announcedBytes })
    await expect(opening).rejects.toThrow(StoreError)
    t.store.create = create
    const rows = await t.db.sql`select state from transfers`
    expect([...rows]).toEqual([{ state: 'aborted' }])
    expect(await t.db.sql`select from segments`).toHaveLength(0)
    expect(t.intake.openCount).toBe(0)
  })
})

describe('a transfer that cannot be ended', () => {
  test('is ended as soon as it can be', async () => {
    await using t = await testIntake()
    await t.intake.start(false)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile())
    await transfer.open()
    const deleteSegment = t.store.delete
    t.store.delete = async () => {
      throw new StoreError('delete a segment', { code: 'EIO' })
    }
    await transfer.abort('The connection ended')
    expect(t.intake.openCount).toBe(0)
    t.store.delete = deleteSegment
    await expect
      .poll(async () => (await t.db.sql`select from segments`).length, { timeout: 10_000 })
      .toBe(0)
    expect(await t.storedBytes()).toBe(0)
  })
})

describe.each([
  {
    kind: 'a commit whose answer is lost (AT-11)',
    statement: 'commit_transfer',
    held: nothingHeld,
  },
  { kind: 'a group whose answer is lost (AT-11)', statement: 'commit_plain_group', held: {} },
])('$kind', ({ statement, held }) => {
  /** The connection breaks before the next commit, or after it. */
  function breakCommit(t: TestIntake, isMade: boolean): void {
    const database = statement === 'commit_plain_group' ? t.groupsDB : t.db
    const whole = database.sql
    const broken = new Proxy(whole, {
      apply(target, self, [strings, ...values]) {
        const query = () => Reflect.apply(target, self, [strings, ...values])
        if (!String(strings).includes(statement)) return query()
        Object.assign(database, { sql: whole })
        return (async () => {
          if (isMade) await query()
          throw Object.assign(new Error('write CONNECTION_CLOSED'), { code: 'CONNECTION_CLOSED' })
        })()
      },
    })
    Object.assign(database, { sql: broken })
  }

  test('is a success when it was made', async () => {
    await using t = await testIntake(held)
    breakCommit(t, true)
    const outcome = await t.send([dicomFile(), dicomFile()])
    expect(outcome).toMatchObject({ state: 'committed' })
    expect(outcome.stored).toHaveLength(2)
    expect(await t.counts()).toMatchObject({ instances: 2 })
    expect(await t.storedBytes()).toBeGreaterThan(0)
  })

  test('leaves nothing, and says so, when it was not', async () => {
    await using t = await testIntake(held)
    breakCommit(t, false)
    await expect(t.send([dicomFile(), dicomFile()])).rejects.toThrow('Nothing of it is stored')
    expect(await t.counts()).toMatchObject({ instances: 0 })
    const rows = await t.db.sql`select state from transfers`
    expect([...rows]).toEqual([{ state: 'aborted' }])
  })
})

describe('what a transfer shares among its instances', () => {
  test('is handed on when the first of a new study is refused by what is stored (AT-07)', async () => {
    await using t = await testIntake()
    const sopInstanceUID = uniqueUID()
    await t.send([dicomFile({ sopInstanceUID, patientID: 'P1' })])
    const study = {
      studyInstanceUID: uniqueUID(),
      seriesInstanceUID: uniqueUID(),
      patientID: 'P2',
      studyDescription: 'Knee',
    }
    const files = [
      dicomFile({ ...study, sopInstanceUID }),
      dicomFile({ ...study, studyDescription: 'Elbow', seriesInstanceUID: uniqueUID() }),
      dicomFile(study),
      dicomFile(study),
    ]
    const outcome = await t.send(files, { handling: 'lenient' })
    expect(outcome.refused.map(({ position }) => position)).toEqual([0])
    expect(outcome.stored.map(({ position }) => position)).toEqual([1, 2, 3])
    // The first that is stored decides; the two others differ from it, and it is said of both.
    expect(outcome.stored.map(({ warning }) => warning !== undefined)).toEqual([false, true, true])
    const [row] = await t.db.sql`
      select patient_id, study_description, instance_count
      from studies
      where study_instance_uid = ${study.studyInstanceUID}`
    expect(row).toEqual({ patient_id: 'P2', study_description: 'Elbow', instance_count: 3 })
  })
})

describe('commits at the same time', () => {
  test('leave no patient without a study when they disagree about whose a new study is', async () => {
    await using t = await testIntake()
    for (let round = 0; round < 10; round++) {
      const studyInstanceUID = uniqueUID()
      const seriesInstanceUID = uniqueUID()
      const outcomes = await Promise.all(
        [1, 2, 3, 4].map((patient) =>
          t.send([
            dicomFile({
              studyInstanceUID,
              seriesInstanceUID,
              patientID: `R${round}P${patient}`,
            }),
          ]),
        ),
      )
      expect(outcomes.map(({ state }) => state)).toEqual(Array(4).fill('committed'))
    }
    expect(await t.counts()).toEqual({ studies: 10, series: 10, instances: 40, patients: 10 })
    const wrong = await t.db.sql`
      select patient_id
      from patients
      where study_count <> 1
      or instance_count <> 4`
    expect([...wrong]).toEqual([])
  })
})

describe('reading while others store (P1)', () => {
  test('a study that is read slowly shows each transfer whole or not at all', async () => {
    await using t = await testIntake()
    const studyInstanceUID = uniqueUID()
    const seriesInstanceUID = uniqueUID()
    const first = uniqueUID()
    const file = (number: number) =>
      dicomFile({
        studyInstanceUID,
        seriesInstanceUID,
        sopInstanceUID: `${first}.${String(number + 10_000)}`,
        pixelBytes: 2,
      })
    const even = Array.from({ length: 1100 }, (_, index) => file(index * 2))
    const odd = Array.from({ length: 1100 }, (_, index) => file(index * 2 + 1))
    await t.send(even)
    let count = 0
    for await (const _ of instancesOf(t.db, { studyInstanceUID })) {
      if (count++ === 0) await t.send(odd)
    }
    expect([1100, 2200]).toContain(count)
  })
})
