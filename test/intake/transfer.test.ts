import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { instancesOf } from '../../db/instances.ts'
import { findTransfer } from '../../db/transfers.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { testIntake as intakeWith, nothingHeld } from '../support/intake.ts'

function study() {
  const studyInstanceUID = uniqueUID()
  const seriesInstanceUID = uniqueUID()
  return {
    studyInstanceUID,
    seriesInstanceUID,
    file: (options: Parameters<typeof dicomFile>[0] = {}) =>
      dicomFile({ studyInstanceUID, seriesInstanceUID, patientID: 'P1', ...options }),
  }
}

const reasons = (outcome: { refused: { position: number; failureReason: number }[] }) =>
  outcome.refused.map(({ position, failureReason }) => [position, failureReason])

describe.each([
  { kind: 'a small transfer, committed in a group', held: {} },
  { kind: 'a transfer with a segment of its own', held: nothingHeld },
])('$kind', ({ held }) => {
  const testIntake = (limits: Parameters<typeof intakeWith>[0] = {}) =>
    intakeWith({ ...held, ...limits })

  test('stores all its instances in one commit, with bytes and digests as sent', async () => {
    await using t = await testIntake()
    const { file, studyInstanceUID } = study()
    const files = Array.from({ length: 7 }, () => file())
    const outcome = await t.send(files)
    expect(outcome).toMatchObject({ state: 'committed', refused: [] })
    expect(outcome.stored).toHaveLength(7)
    const digests = new Set(files.map((one) => createHash('sha256').update(one).digest('hex')))
    for await (const instance of instancesOf(t.db, { studyInstanceUID })) {
      const chunks: Uint8Array[] = []
      const { segmentID, segmentOffset, byteLength } = instance
      for await (const chunk of t.store.read(segmentID, segmentOffset, byteLength))
        chunks.push(chunk)
      const digest = createHash('sha256').update(Buffer.concat(chunks)).digest('hex')
      expect(Buffer.from(instance.digest).toString('hex')).toBe(digest)
      expect(digests.delete(digest)).toBe(true)
    }
    expect(digests.size).toBe(0)
  })

  test('shows nothing before its commit', async () => {
    await using t = await testIntake({ batchRows: 1 })
    const { file } = study()
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    for (let i = 0; i < 5; i++) {
      transfer.beginPart()
      transfer.push(file())
      transfer.endPart()
      await transfer.drain()
    }
    await expect.poll(async () => (await t.db.sql`select from staged_instances`).length).toBe(5)
    expect(await t.counts()).toEqual({ studies: 0, series: 0, instances: 0, patients: 0 })
    await transfer.commit()
    expect(await t.counts()).toEqual({ studies: 1, series: 1, instances: 5, patients: 1 })
    expect(await t.db.sql`select from staged_instances`).toHaveLength(0)
  })

  test('keeps nothing of a strict request with one bad part, and names the innocent (AT-02, AT-03)', async () => {
    await using t = await testIntake()
    const { file } = study()
    const outcome = await t.send([file(), Buffer.from('not DICOM'), file()])
    expect(outcome).toMatchObject({ state: 'refused', stored: [] })
    expect(reasons(outcome)).toEqual([
      [0, 0xc0ff],
      [1, 0xc000],
      [2, 0xc0ff],
    ])
    expect(await t.counts()).toMatchObject({ instances: 0, studies: 0 })
    expect(await t.storedBytes()).toBe(0)
    expect(await t.db.sql`select from segments`).toHaveLength(0)
    const recorded = await findTransfer(t.db, outcome.transferID)
    expect(recorded).toMatchObject({ state: 'refused', partCount: 3, refusedCount: 1 })
    expect(recorded?.refusals).toMatchObject([{ position: 1, failureReason: 0xc000 }])
  })

  test('keeps the good parts of a lenient request, and no bytes of the bad ones (OTA-4)', async () => {
    await using t = await testIntake()
    const { file } = study()
    const good = [file(), file()] as const
    await t.send([...good])
    const bytesOfTwo = await t.storedBytes()
    await using other = await testIntake()
    const outcome = await other.send([good[0], Buffer.alloc(500_000, 1), good[1]], {
      handling: 'lenient',
    })
    expect(outcome.stored.map((one) => one.position)).toEqual([0, 2])
    expect(reasons(outcome)).toEqual([[1, 0xc000]])
    expect(await other.storedBytes()).toBe(bytesOfTwo)
  })

  test('is refused when every instance of a lenient request is', async () => {
    await using t = await testIntake()
    const outcome = await t.send([Buffer.from('a'), Buffer.from('b')], { handling: 'lenient' })
    expect(outcome).toMatchObject({ state: 'refused', stored: [] })
    expect(reasons(outcome)).toEqual([
      [0, 0xc000],
      [1, 0xc000],
    ])
  })

  test('takes equal bytes again as success, without new bytes (AT-05, AT-08, OTA-14)', async () => {
    await using t = await testIntake()
    const { file } = study()
    const files = [file(), file()] as const
    await t.send([files[0], files[1], files[0]])
    const bytes = await t.storedBytes()
    const [before] = await t.db.sql`select last_received_at from studies`
    const outcome = await t.send([...files])
    expect(outcome.state).toBe('committed')
    expect(outcome.stored.map((one) => one.duplicate)).toEqual([true, true])
    expect(await t.storedBytes()).toBe(bytes)
    expect(await t.counts()).toMatchObject({ instances: 2 })
    expect(await t.db.sql`select last_received_at from studies`).toEqual([before])
  })

  test('stores what is new of a mixed request, and no byte of what is not', async () => {
    await using t = await testIntake({ segmentBytes: 3000 })
    const { file } = study()
    const old = Array.from({ length: 4 }, () => file())
    const fresh = Array.from({ length: 4 }, () => file())
    await t.send(old)
    const before = await t.storedBytes()
    const outcome = await t.send([...old.slice(0, 2), ...fresh, ...old.slice(2)])
    expect(outcome.stored.map((one) => one.duplicate)).toEqual(
      [true, true, false, false, false, false, true, true], // biome-ignore format: in the order of the parts
    )
    const [sum] = await t.db
      .sql`select sum(byte_length + metadata_length)::int as bytes from instances`
    expect(await t.storedBytes()).toBe(sum?.bytes)
    expect((await t.storedBytes()) - before).toBeGreaterThan(0)
    expect(await t.counts()).toMatchObject({ instances: 8 })
  })

  test('refuses a stored SOP Instance UID with other bytes, and leaves it as it is (AT-06, AT-09)', async () => {
    await using t = await testIntake()
    const { file } = study()
    const sopInstanceUID = uniqueUID()
    const first = file({ sopInstanceUID })
    await t.send([first])
    const other = file({ sopInstanceUID, instanceNumber: 99 })
    expect(reasons(await t.send([other, file()]))).toEqual([
      [0, 0x0111],
      [1, 0xc0ff],
    ])
    const lenient = await t.send([other, file(), other], { handling: 'lenient' })
    expect(reasons(lenient)).toEqual([
      [0, 0x0111],
      [2, 0x0111],
    ])
    expect(lenient.stored.map((one) => one.position)).toEqual([1])
    expect(await t.counts()).toMatchObject({ instances: 2 })
    const both = await t.send([
      file({ sopInstanceUID: '1.2.3' }),
      file({ sopInstanceUID: '1.2.3', rows: 4 }),
    ])
    expect(reasons(both)).toEqual([
      [0, 0xc0ff],
      [1, 0x0111],
    ])
  })

  test('refuses an instance or a series that is stored under another parent (AT-07, AT-12, DV-15, DV-17)', async () => {
    await using t = await testIntake()
    const { file } = study()
    const sopInstanceUID = uniqueUID()
    await t.send([file({ sopInstanceUID })])
    const elsewhere = await t.send([file({ sopInstanceUID, seriesInstanceUID: uniqueUID() })])
    expect(reasons(elsewhere)).toEqual([[0, 0xa902]])
    const otherStudy = await t.send([file({ studyInstanceUID: uniqueUID() })])
    expect(reasons(otherStudy)).toEqual([[0, 0xa903]])
    const otherClass = await t.send([
      file({ sopInstanceUID, sopClassUID: '1.2.840.10008.5.1.4.1.1.4' }),
    ])
    expect(reasons(otherClass)).toEqual([[0, 0x0119]])
    const seriesInstanceUID = uniqueUID()
    const twoStudies = await t.send([
      file({ seriesInstanceUID }),
      file({ seriesInstanceUID, studyInstanceUID: uniqueUID() }),
    ])
    expect(reasons(twoStudies)).toEqual([
      [0, 0xc0ff],
      [1, 0xa903],
    ])
    expect(await t.counts()).toEqual({ studies: 1, series: 1, instances: 1, patients: 1 })
  })

  test('refuses an instance of another study than that of its path (AT-04, DV-14)', async () => {
    await using t = await testIntake()
    const outcome = await t.send([study().file()], { studyInstanceUID: '1.2.3' })
    expect(reasons(outcome)).toEqual([[0, 0xa901]])
  })

  test('stores what contradicts its study with a warning; the first instance decides (DV-18)', async () => {
    await using t = await testIntake()
    const { file } = study()
    await t.send([file({ studyDescription: 'Thorax' })])
    const outcome = await t.send([
      file({ studyDescription: 'Abdomen' }),
      file({ studyDescription: 'Abdomen' }),
      file({ studyDescription: 'Thorax', patientID: 'P2' }),
    ])
    expect(outcome.stored.map((one) => one.warning)).toEqual([
      'Differs from what its study or series says: StudyDescription',
      'Differs from what its study or series says: StudyDescription',
      'Differs from what its study or series says: PatientID',
    ])
    const [row] = await t.db.sql`select study_description, patient_id from studies`
    expect(row).toEqual({ study_description: 'Thorax', patient_id: 'P1' })
    expect(await t.counts()).toMatchObject({ patients: 1 })
  })

  test('counts series, studies and patients in the same commit', async () => {
    await using t = await testIntake()
    const one = study()
    const two = study()
    await t.send([
      one.file(),
      one.file({ seriesInstanceUID: uniqueUID(), modality: 'MR' }),
      two.file(),
      two.file(),
    ])
    await t.send([two.file(), two.file({ seriesInstanceUID: uniqueUID() })])
    const [patient] = await t.db.sql`
      select study_count, series_count, instance_count, byte_length from patients`
    expect(patient).toMatchObject({ study_count: 2, series_count: 4, instance_count: 6 })
    const [sum] = await t.db.sql`select sum(byte_length)::int as bytes from instances`
    expect(patient?.byte_length).toBe(sum?.bytes)
    const rows = await t.db.sql`
      select series_count, instance_count, modalities_in_study from studies order by study_key`
    expect(rows.map((row) => Object.values(row))).toEqual([
      [2, 2, ['CT', 'MR']],
      [2, 4, ['CT']],
    ])
  })

  test('goes on in a further segment when one is full', async () => {
    await using t = await testIntake({ ...nothingHeld, segmentBytes: 5000 })
    const { file } = study()
    const outcome = await t.send(Array.from({ length: 20 }, () => file()))
    expect(outcome.stored).toHaveLength(20)
    const segments = await t.db.sql`select byte_length from segments where state = 'kept'`
    expect(segments.length).toBeGreaterThan(3)
  })

  test('keeps nothing when it is aborted', async () => {
    await using t = await testIntake({ segmentBytes: 5000, batchRows: 2 })
    const { file } = study()
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    for (let i = 0; i < 9; i++) {
      transfer.beginPart()
      transfer.push(file())
      transfer.endPart()
      await transfer.drain()
    }
    transfer.beginPart()
    transfer.push(file().subarray(0, 500))
    await transfer.abort('The connection ended')
    expect(await t.storedBytes()).toBe(0)
    expect(await t.counts()).toMatchObject({ instances: 0 })
    for (const table of ['staged_instances', 'segments']) {
      expect(await t.db.sql`select from ${t.db.sql(table)}`).toHaveLength(0)
    }
    expect(await findTransfer(t.db, transfer.transferID)).toMatchObject({ state: 'aborted' })
    expect(t.intake.openCount).toBe(0)
  })

  test('cannot commit after another server ended it, nor when its staged rows are gone', async () => {
    await using t = await testIntake({ batchRows: 1 })
    const { file } = study()
    for (const loss of [
      t.db.sql`update transfers set state = 'expired'`,
      t.db.sql`truncate staged_instances`,
    ]) {
      const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
      transfer.beginPart()
      transfer.push(file())
      transfer.endPart()
      await expect.poll(async () => (await t.db.sql`select from staged_instances`).length).toBe(1)
      await loss
      await expect(transfer.commit()).rejects.toThrow('Nothing of it is stored')
      await transfer.abort('lost')
      expect(await t.counts()).toMatchObject({ instances: 0 })
      await t.db.sql`truncate staged_instances`
    }
  })
})

test('a transfer is behind when it holds too much, while it is opened, with a full segment, and with much to stage', async () => {
  await using t = await intakeWith({
    held: { bytesOfOne: 3000, bytesOfAll: 1e9 },
    segmentBytes: 20_000,
    batchRows: 1,
  })
  const { file } = study()
  const large = file({ pixelBytes: 20_000 })
  const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
  transfer.beginPart()
  transfer.push(large.subarray(0, 2500))
  expect(transfer.isBehind).toBe(false)
  transfer.push(large.subarray(2500, 5000))
  expect(transfer.isBehind).toBe(true)
  await transfer.drain()
  expect(transfer.isBehind).toBe(false)
  transfer.push(large.subarray(5000))
  expect(transfer.isBehind).toBe(true)
  await transfer.drain()
  expect(transfer.isBehind).toBe(false)
  transfer.endPart()
  for (let count = 0; count < 3; count++) {
    transfer.beginPart()
    transfer.push(file())
    transfer.endPart()
  }
  expect(transfer.isBehind).toBe(true)
  await transfer.drain()
  expect(transfer.isBehind).toBe(false)
  transfer.lose()
  expect(transfer.isBehind).toBe(true)
  await transfer.abort('The connection ended')

  const small = await t.intake.open({ service: 'stow', handling: 'strict' })
  const opening = small.open()
  expect(small.isBehind).toBe(true)
  await opening
  expect(small.isBehind).toBe(false)
  await small.abort('The connection ended')
})
