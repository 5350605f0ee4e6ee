import { mkdir, open, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { flipByte, marksOf } from '../commitment/support.ts'
import { checked, filledArchive, overwrite, placeOf, type Study } from './support.ts'

describe('damaged bytes', () => {
  test('in a file are found by its digest, and its instance is named', async () => {
    await using archive = await filledArchive()
    const { studyInstanceUID, instances } = archive.first
    const { seriesInstanceUID, sopInstanceUID } = instances[1] as Study['instances'][0]
    const { path, offset, byteLength, segmentID } = await placeOf(archive, sopInstanceUID)
    await overwrite(path, offset + byteLength - 1, '!')
    const { findings } = await checked(archive)
    const place = { studyInstanceUID, seriesInstanceUID, sopInstanceUID, segmentID }
    expect(findings).toMatchObject([{ problem: 'digest-differs', place }])
    expect((await checked(archive, true)).findings).toEqual([])
  })

  test.each([false, true])('in metadata are found, quick: %s', async (isQuick) => {
    await using archive = await filledArchive()
    const { offset, byteLength, path } = await placeOf(
      archive,
      archive.second.instances[0]?.sopInstanceUID,
    )
    await overwrite(path, offset + byteLength, 'x')
    expect((await checked(archive, isQuick)).problems).toEqual(['metadata-broken'])
  })

  test('that make the metadata those of another instance are found', async () => {
    await using archive = await filledArchive()
    const uid = archive.second.instances[0]?.sopInstanceUID as string
    const { offset, byteLength, metadataLength, path } = await placeOf(archive, uid)
    const file = await open(path, 'r+')
    const metadata = Buffer.alloc(metadataLength)
    await file.read(metadata, 0, metadataLength, offset + byteLength)
    const at = metadata.indexOf(uid) + uid.length - 1
    await file.write(uid.endsWith('1') ? '2' : '1', offset + byteLength + at)
    await file.close()
    const { findings } = await checked(archive, true)
    expect(findings).toMatchObject([{ problem: 'metadata-names-other' }])
    expect(findings[0]?.detail).toContain('SOP Instance UID')
  })

  test('cut off at the end of a segment are found, and whose they were', async () => {
    await using archive = await filledArchive()
    const { instances } = archive.third
    const last = await placeOf(archive, instances[2]?.sopInstanceUID)
    await truncate(last.path, last.offset + 10)
    const { findings, problems } = await checked(archive)
    expect(problems).toEqual(['segment-length', 'segment-too-short'])
    expect(findings.at(-1)?.place.sopInstanceUID).toBe(instances[2]?.sopInstanceUID)
    expect((await checked(archive, true)).problems).toEqual(problems)
  })

  test('appended to a segment are found', async () => {
    await using archive = await filledArchive()
    const { path } = await placeOf(archive, archive.third.instances[0]?.sopInstanceUID)
    await writeFile(path, 'more', { flag: 'a' })
    expect((await checked(archive)).problems).toEqual(['segment-length'])
  })

  test.each([false, true])(
    'missing with their segment are one finding a study, quick: %s',
    async (isQuick) => {
      await using archive = await filledArchive()
      const { studyInstanceUID, instances } = archive.first
      const { path, segmentID } = await placeOf(archive, instances[0]?.sopInstanceUID)
      await rm(path)
      const { findings, instanceCount } = await checked(archive, isQuick)
      expect(findings).toMatchObject([
        { problem: 'segment-missing', place: { studyInstanceUID, segmentID } },
      ])
      expect(findings[0]?.detail).toContain('6 instances')
      expect(instanceCount).toBe(12)
    },
  )

  test('that cannot be read are found, and the rest is checked', async () => {
    await using archive = await filledArchive()
    const { path } = await placeOf(archive, archive.first.instances[0]?.sopInstanceUID)
    await rename(path, `${path}.away`)
    await mkdir(path)
    const { problems, findings } = await checked(archive)
    expect(problems).toContain('bytes-unreadable')
    expect(findings.find(({ problem }) => problem === 'bytes-unreadable')?.detail).toMatch(
      /E[A-Z]+/,
    )
    expect(findings.every(({ place }) => place.segmentID !== undefined)).toBe(true)
  })
})

describe('a deep check', () => {
  test('writes down what is damaged, and that it is whole again; and which segments it read', async () => {
    await using archive = await filledArchive()
    const { first, second, third } = archive
    const uid = first.instances[1]?.sopInstanceUID as string
    await flipByte(archive, uid)
    const { path } = await placeOf(archive, second.instances[0]?.sopInstanceUID)
    await rename(path, `${path}.away`)
    expect((await checked(archive)).problems).toEqual(['digest-differs', 'segment-missing'])
    expect(await marksOf(archive.db, first.studyInstanceUID)).toMatchObject({ damaged: 0 })
    const { problems } = await checked(archive, false, true)
    expect(problems).toEqual(['digest-differs', 'segment-missing'])
    expect(await marksOf(archive.db, first.studyInstanceUID)).toMatchObject({ damaged: 1 })
    expect(await marksOf(archive.db, second.studyInstanceUID)).toMatchObject({ damaged: 3 })
    expect(await marksOf(archive.db, third.studyInstanceUID)).toMatchObject({ damaged: 0 })
    expect(await archive.db.sql`select from segments where verified_at is null`).toEqual([])
    await flipByte(archive, uid)
    await rename(`${path}.away`, path)
    expect((await checked(archive, false, true)).problems).toEqual([])
    expect(await archive.db.sql`select from instances where damaged_at is not null`).toEqual([])
  })
})
