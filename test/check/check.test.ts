import { randomUUID } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderFinding } from '../../server/check/finding.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { testIntake } from '../support/intake.ts'
import { age, checked, filledArchive, overwrite, placeOf } from './support.ts'

describe('a sound archive', () => {
  test('has no finding, and everything in it was looked at', async () => {
    await using archive = await filledArchive()
    const { findings, instanceCount, segmentCount, byteLength } = await checked(archive)
    expect(findings).toEqual([])
    const files = [archive.first, archive.second, archive.third].flatMap((study) => study.files)
    expect([instanceCount, segmentCount]).toEqual([12, 3])
    expect(byteLength).toBe(files.reduce((sum, file) => sum + file.length, 0))
  })

  test('has none when it is empty', async () => {
    await using archive = await testIntake()
    expect(await checked(archive)).toMatchObject({ findings: [], instanceCount: 0 })
  })

  test('has none after refusals, repetitions, lenient transfers and several segments a transfer', async () => {
    await using archive = await filledArchive(2000)
    const { files, studyInstanceUID, instances } = archive.first
    const other = dicomFile({ ...instances[0], studyInstanceUID, patientID: 'P1', pixelBytes: 10 })
    const fresh = dicomFile({ ...instances[0], studyInstanceUID, sopInstanceUID: uniqueUID() })
    expect((await archive.send(files)).state).toBe('committed')
    expect((await archive.send([...files, other])).state).toBe('refused')
    expect((await archive.send([...files, other, fresh], { handling: 'lenient' })).state).toBe(
      'committed',
    )
    expect((await archive.send([dicomFile({ without: ['00100020'] })])).state).toBe('committed')
    const { findings, segmentCount } = await checked(archive)
    expect(findings).toEqual([])
    expect(segmentCount).toBeGreaterThan(5)
  })

  test('may have transfers under way and segments about to be deleted', async () => {
    await using archive = await filledArchive()
    const transfer = await archive.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile())
    transfer.endPart()
    await transfer.drain()
    await archive.db.sql`
      insert into segments (segment_id, transfer_id, state)
      values (${randomUUID()}, ${randomUUID()}, 'doomed')`
    const young = randomUUID()
    await mkdir(join(archive.folder, young.slice(-2)), { recursive: true })
    await writeFile(join(archive.folder, young.slice(-2), `${young}.segment`), 'young')
    expect(await checked(archive)).toMatchObject({
      findings: [],
      receivingCount: 1,
      leaselessCount: 0,
      doomedCount: 1,
      youngCount: 1,
    })
    await transfer.abort('The test is over')
  })

  test('is sound at every moment while servers store', async () => {
    await using archive = await filledArchive(20_000)
    let isOver = false
    const storing = [1, 2, 3].map(async () => {
      while (!isOver) {
        const studyInstanceUID = uniqueUID()
        const seriesInstanceUID = uniqueUID()
        const names = { studyInstanceUID, seriesInstanceUID, patientID: 'P1' }
        const files = Array.from({ length: 30 }, () => dicomFile(names))
        await archive.send(files)
        await archive.send([...files, dicomFile(names)])
      }
    })
    try {
      for (let rounds = 0; rounds < 4; rounds++) {
        const { findings, instanceCount } = await checked(archive, rounds % 2 === 0)
        expect(findings.map(renderFinding)).toEqual([])
        expect(instanceCount).toBeGreaterThan(11)
      }
    } finally {
      isOver = true
      await Promise.all(storing)
    }
    // What there is to check grows all the while.
  }, 180_000)

  test('is read in pages, whatever they cut', async () => {
    await using archive = await testIntake()
    const [seriesInstanceUID, studyInstanceUID] = [uniqueUID(), uniqueUID()]
    const files = Array.from({ length: 5010 }, () =>
      dicomFile({ studyInstanceUID, seriesInstanceUID, pixelBytes: null }),
    )
    await archive.send(files)
    const { findings, instanceCount, segmentCount } = await checked(archive, true)
    expect([findings, instanceCount, segmentCount]).toEqual([[], 5010, 1])
  }, 120_000)
})

describe('objects that belong to nobody', () => {
  test('are found when they are older than a transfer could leave them', async () => {
    await using archive = await filledArchive()
    const segmentID = randomUUID()
    const folder = join(archive.folder, segmentID.slice(-2))
    await mkdir(folder, { recursive: true })
    const path = join(folder, `${segmentID}.segment`)
    await writeFile(path, 'stray')
    expect((await checked(archive)).findings).toEqual([])
    await age(path, 5)
    expect((await checked(archive)).findings).toMatchObject([
      { problem: 'object-without-row', place: { segmentID } },
    ])
  })

  test('are found when no segment could have their name', async () => {
    await using archive = await filledArchive()
    const [folder] = await readdir(archive.folder)
    await writeFile(join(archive.folder, folder as string, 'copy of.segment'), 'x')
    expect((await checked(archive)).problems).toEqual(['object-foreign'])
  })

  test('are found among hundreds that belong to somebody', async () => {
    await using archive = await filledArchive()
    const { path } = await placeOf(archive, archive.first.instances[0]?.sopInstanceUID)
    const { size } = await stat(path)
    const ids = Array.from({ length: 600 }, () => randomUUID())
    for (const id of ids) {
      await mkdir(join(archive.folder, id.slice(-2)), { recursive: true })
      await writeFile(join(archive.folder, id.slice(-2), `${id}.segment`), Buffer.alloc(size))
    }
    const [stray, ...known] = ids as [string, ...string[]]
    await archive.db.sql`
      insert into segments (segment_id, transfer_id, state)
      select id, id, 'doomed' from unnest(${known}::uuid[]) as id`
    await age(join(archive.folder, stray.slice(-2), `${stray}.segment`), 5)
    const { findings, doomedCount } = await checked(archive)
    expect(findings).toMatchObject([{ problem: 'object-without-row', place: { segmentID: stray } }])
    expect(doomedCount).toBe(599)
  })
})

describe('what a finding says (P10)', () => {
  test('is one line with the place, what is wrong and what to do, and nothing of a patient', async () => {
    await using archive = await filledArchive()
    await archive.db.sql`update patients set study_count = 9, patient_name = 'Doe^Jane'`
    const place = await placeOf(archive, archive.first.instances[0]?.sopInstanceUID)
    await overwrite(place.path, place.offset, '!')
    const { findings } = await checked(archive)
    const lines = findings.map(renderFinding)
    expect(lines.every((line) => !line.includes('\n'))).toBe(true)
    expect(lines[0]).toMatch(
      /^patient-counts {2}patient \d+: it says 9 studies and has 2; the instances/,
    )
    expect(lines.at(-1)).toMatch(
      /^digest-differs {2}study [\d.]+ series [\d.]+ instance [\d.]+ segment [\da-f-]+: .*; restore/,
    )
    expect(lines.join() + JSON.stringify(findings)).not.toMatch(/Doe|"P1"/)
  })
})
