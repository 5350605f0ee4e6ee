import { symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findStudies } from '../../server/send/find-studies.ts'
import { deflatedLittleEndian, dicomFile, implicitLittleEndian } from '../support/dicom-file.ts'
import { temporaryFolder } from './support.ts'

describe('finding studies in folders', () => {
  test('groups files by study, wherever they lie, in the order of their names', async () => {
    await using folder = await temporaryFolder()
    const second = await folder.putStudy('b/deep/er/x', 3)
    const first = await folder.putStudy('a/y', 2)
    await folder.put('c.dcm', dicomFile({ studyInstanceUID: second.studyInstanceUID }))
    const { studies, skippedCount, failed } = await findStudies([folder.path])
    expect(studies.map((study) => [study.studyInstanceUID, study.files.length])).toEqual([
      [first.studyInstanceUID, 2],
      [second.studyInstanceUID, 4],
    ])
    expect(studies[0]?.files.map((file) => file.path)).toEqual([
      join(folder.path, 'a/y-0.dcm'),
      join(folder.path, 'a/y-1.dcm'),
    ])
    expect(studies[0]?.files.map((file) => file.sopInstanceUID)).toEqual(first.uids)
    expect(studies[0]?.byteLength).toBe(first.files.reduce((sum, file) => sum + file.length, 0))
    expect([skippedCount, failed]).toEqual([0, []])
  })

  test('counts what is no DICOM and a DICOMDIR as skipped, and does not mind them', async () => {
    await using folder = await temporaryFolder()
    await folder.put('notes.txt', 'no DICOM')
    await folder.put('empty', '')
    await folder.put('long', Buffer.alloc(100_000, 'x'))
    await folder.put('DICOMDIR', dicomFile({ sopClassUID: '1.2.840.10008.1.3.10' }))
    expect(await findStudies([folder.path])).toEqual({ studies: [], skippedCount: 4, failed: [] })
  })

  test('ends where symbolic links make a loop, and enters a folder once', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a/b/x', 2)
    await symlink('..', join(folder.path, 'a/b/up'))
    await symlink(folder.path, join(folder.path, 'a/all'))
    await symlink('a', join(folder.path, 'again'))
    const { studies } = await findStudies([folder.path, join(folder.path, 'a')])
    expect(studies.map((study) => study.files.length)).toEqual([2])
  })

  test('follows a symbolic link to a file, and fails for one that leads nowhere', async () => {
    await using folder = await temporaryFolder()
    await using elsewhere = await temporaryFolder()
    await elsewhere.putStudy('x', 1)
    await symlink(join(elsewhere.path, 'x-0.dcm'), join(folder.path, 'link.dcm'))
    await symlink('/nowhere/at/all', join(folder.path, 'dead.dcm'))
    const { studies, failed } = await findStudies([folder.path])
    expect(studies.map((study) => study.files.length)).toEqual([1])
    expect(failed).toEqual([
      { path: join(folder.path, 'dead.dcm'), reason: 'Cannot read it: ENOENT' },
    ])
  })

  test('takes files by name beside folders', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('x', 2)
    const { studies } = await findStudies([join(folder.path, 'x-1.dcm')])
    expect(studies[0]?.files.map((file) => file.path)).toEqual([join(folder.path, 'x-1.dcm')])
  })

  test.each([
    ['no Study Instance UID', dicomFile({ without: ['0020000D'] }), /no Study ?Instance ?UID/],
    ['one that is no UID', dicomFile({ studyInstanceUID: '1.02.3' }), /not a UID/],
    ['one that is a path', dicomFile({ studyInstanceUID: '..' }), /not a UID/],
    ['an unknown transfer syntax', dicomFile({ transferSyntaxUID: '1.2.3.4' }), /transfer syntax/],
    ['an end within its head', dicomFile().subarray(0, 300), /Cannot read instance/],
  ])('fails for a DICOM file with %s, and says why', async (_what, content, why) => {
    await using folder = await temporaryFolder()
    const path = await folder.put('x.dcm', content)
    const { studies, skippedCount, failed } = await findStudies([folder.path])
    expect([studies, skippedCount]).toEqual([[], 0])
    expect(failed).toEqual([{ path, reason: expect.stringMatching(why) }])
  })

  test('leaves it to the server to refuse what is broken behind its Study Instance UID', async () => {
    await using folder = await temporaryFolder()
    const whole = dicomFile()
    await folder.put('cut.dcm', whole.subarray(0, whole.length - 100))
    await folder.put('nameless.dcm', dicomFile({ without: ['00080018', '00020003'] }))
    const { studies, failed } = await findStudies([folder.path])
    expect(studies[0]?.files.map((file) => file.sopInstanceUID === undefined)).toEqual([
      false,
      true,
    ])
    expect(failed).toEqual([])
  })

  test.each([implicitLittleEndian, deflatedLittleEndian])('reads %s too', async (syntax) => {
    await using folder = await temporaryFolder()
    await folder.putStudy('x', 1, { transferSyntaxUID: syntax })
    expect((await findStudies([folder.path])).studies.length).toBe(1)
  })

  test('reads the front of a file only, however long it is', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('x', 1)
    const path = join(folder.path, 'x-0.dcm')
    await truncate(path, 200 * 1024 ** 3)
    const startedAt = Date.now()
    const { studies } = await findStudies([folder.path])
    expect(studies[0]?.byteLength).toBe(200 * 1024 ** 3)
    expect(Date.now() - startedAt).toBeLessThan(2000)
  })

  test('stops when it is told to', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'x'), '')
    await expect(findStudies([folder.path], { signal: AbortSignal.abort() })).rejects.toThrow()
  })
})
