import { mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { allOf, expectClean, expectNothingOf, seenOf, testStudy } from '../support/archive.ts'
import { startServer } from '../support/server.ts'
import { requestHead, sendRaw, stow } from '../support/stow.ts'

const MiB = 2 ** 20

test('a store that is not mounted is not written to, nothing is taken for lost, and it is back without a restart', async () => {
  await using server = await startServer({ env: { STOWAGE_VERIFY_BYTES_PER_SECOND: '1GiB' } })
  const studies = `${server.dicomWeb}/studies`
  // With a segment of its own.
  const kept = testStudy(3, MiB)
  expect((await stow(studies, kept.files)).status).toBe(200)
  const away = `${server.storeDir}-away`
  const url = `${studies}/${kept.studyInstanceUID}`
  const refused = testStudy(3, MiB)

  async function expectAway(): Promise<void> {
    const head = requestHead('/dicom-web/studies', { 'content-length': 1e9 })
    const early = await sendRaw(server.port, head, 'wait')
    expect(early).toMatch(/^HTTP\/1\.1 503 /)
    expect(early).toMatch(/\r\nretry-after: \d+\r\n/i)
    expect((await stow(studies, refused.files)).status).toBe(503)
    const read = await fetch(url)
    expect(read.status).toBe(503)
    expect(read.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await fetch(`${url}/instances`)).status).toBe(200)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    const ready = await fetch(`${server.url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({ database: true, store: false })
    // Whoever asks to look at the bytes again is not told that they are damaged.
    await fetch(`${server.url}/api/studies/${kept.studyInstanceUID}/verify`, { method: 'POST' })
    expect(await readdir(server.storeDir)).toEqual([])
  }

  async function expectBack(): Promise<void> {
    await rmdir(server.storeDir)
    await rename(away, server.storeDir)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    expect(await seenOf(server, kept.studyInstanceUID)).toEqual(allOf(3))
    await expectNothingOf(server, refused)
    expect((await stow(studies, testStudy(3, MiB).files)).status).toBe(200)
  }

  await rename(server.storeDir, away)
  await mkdir(server.storeDir)
  await expectAway()
  await expectBack()

  // As after a start of the machine, when the disk comes late.
  await server.stop()
  await rename(server.storeDir, away)
  await mkdir(server.storeDir)
  const started = server.start()
  await server.until(async () => server.log.includes('nothing can be stored'))
  await server.until(
    async () => (await fetch(`${server.url}/healthz`).catch(() => undefined))?.ok ?? false,
  )
  await expectAway()
  await expectBack()
  await started
  await expectClean(server)
})
