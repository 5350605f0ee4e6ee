import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  allOf,
  expectClean,
  expectConsistent,
  expectNothingOf,
  seenOf,
  settledHoldings,
  testStudy,
} from '../support/archive.ts'
import {
  externalDatabaseURL,
  type StowageServer,
  startServer,
  temporaryFolder,
} from '../support/server.ts'
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../support/small-disk.ts'
import { requestHead, type StowAnswer, sendRaw, stow } from '../support/stow.ts'

const reason = await whyNoSmallDisk()
if (reason !== undefined) console.log(`not run: full disks, because ${reason}`)

const MiB = 2 ** 20

async function serverOn(disk: SmallDisk, env = {}): Promise<StowageServer> {
  return startServer({ env: { STOWAGE_STORE_DIR: join(disk.folder, 'segments'), ...env } })
}

function expectFull(answer: StowAnswer): void {
  expect(answer.status).toBe(507)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body).toMatchObject({ status: 507, failureReason: 0xa700 })
}

describe.skipIf(reason !== undefined)('a store without space (OTA-13)', () => {
  test.each([
    { name: 'in one segment', env: {} },
    { name: 'in several segments', env: { STOWAGE_SEGMENT_BYTES: '1MiB' } },
  ])(
    'answers 507 to a request larger than what is free, $name, and gives it back',
    async ({ env }) => {
      await using disk = await mountSmallDisk(16 * MiB)
      await using server = await serverOn(disk, env)
      await using sql = await server.connect()
      const kept = testStudy(3)
      expect((await stow(`${server.dicomWeb}/studies`, kept.files)).status).toBe(200)
      const before = await settledHoldings(server, sql)

      for (const study of [testStudy(30, MiB), testStudy(1, 30 * MiB)]) {
        expectFull(await stow(`${server.dicomWeb}/studies`, study.files))
        expect(await settledHoldings(server, sql)).toEqual(before)
        await expectNothingOf(server, study)
        expect(await seenOf(server, kept.studyInstanceUID)).toEqual(allOf(3))
        // What was given back is enough for one that fits.
      }
      const fitting = testStudy(10, MiB)
      expect((await stow(`${server.dicomWeb}/studies`, fitting.files)).status).toBe(200)
      expect(await seenOf(server, fitting.studyInstanceUID)).toEqual(allOf(10))
      await settledHoldings(server, sql)
      await expectConsistent(server, sql)
      await expectClean(server)
    },
  )

  test('DV-25: goes on reading while there is no space, and storing when there is again', async () => {
    await using disk = await mountSmallDisk(16 * MiB)
    await using server = await serverOn(disk)
    await using sql = await server.connect()
    const kept = testStudy(3)
    await stow(`${server.dicomWeb}/studies`, kept.files)
    const before = await settledHoldings(server, sql)
    const study = testStudy(20, 10_000)
    for (const shortage of [() => disk.fill(0), () => disk.fill(40_000), () => disk.fillInodes()]) {
      const giveBack = await shortage()
      expectFull(await stow(`${server.dicomWeb}/studies`, study.files))
      expect(await seenOf(server, kept.studyInstanceUID)).toEqual(allOf(3))
      await expectNothingOf(server, study)
      await giveBack()
      expect(await settledHoldings(server, sql)).toEqual(before)
    }
    expect((await stow(`${server.dicomWeb}/studies`, study.files)).status).toBe(200)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(20))
  })

  test('stores whole or not at all what several senders send into the last space', async () => {
    await using disk = await mountSmallDisk(16 * MiB)
    await using server = await serverOn(disk)
    await using sql = await server.connect()
    const studies = Array.from({ length: 6 }, () => testStudy(6, MiB))
    const answers = await Promise.all(
      studies.map(({ files }) => stow(`${server.dicomWeb}/studies`, files)),
    )
    await settledHoldings(server, sql)
    for (const [index, answer] of answers.entries()) {
      const study = studies[index] as (typeof studies)[number]
      if (answer.status === 200) {
        expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(6))
      } else {
        expectFull(answer)
        await expectNothingOf(server, study)
      }
    }
    expect(answers.map(({ status }) => status)).toContain(507)
    await expectConsistent(server, sql)
    await expectClean(server)
  })
})

const reasonHere =
  reason ?? (externalDatabaseURL === undefined ? undefined : 'Postgres is not in the data folder')

describe.skipIf(reasonHere !== undefined)('a data folder without space, Postgres in it', () => {
  test.each([
    { where: 'the store as well', storeDir: undefined },
    { where: 'the store elsewhere', storeDir: temporaryFolder },
  ])(
    'DV-25: loses nothing that was acknowledged, says that it is full, and goes on when there is space; $where',
    async ({ storeDir }) => {
      await using disk = await mountSmallDisk(400 * MiB, 5000)
      const env: Record<string, string> =
        storeDir === undefined ? {} : { STOWAGE_STORE_DIR: await storeDir() }
      await using server = await startServer({ dataDir: join(disk.folder, 'data'), env })
      const kept = testStudy(3)
      expect((await stow(`${server.dicomWeb}/studies`, kept.files)).status).toBe(200)
      const stored = [kept]
      const refused: ReturnType<typeof testStudy>[] = []
      for (const left of [300_000, 0]) {
        const giveBack = await disk.fill(left)
        // As long as there is space for bytes, rows or WAL, it may store; then it must not.
        for (let round = 0; round < 60; round++) {
          const study = testStudy(100, 500)
          const answer = await stow(`${server.dicomWeb}/studies`, study.files)
          if (answer.status === 200) stored.push(study)
          else {
            // A Postgres that has no space for its log ends, and is brought back.
            if (answer.status !== 503) expectFull(answer)
            refused.push(study)
            if (refused.length % 3 === 0) break
          }
        }
        await giveBack()
        await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
      }
      expect(refused.length).toBeGreaterThanOrEqual(6)
      for (const study of stored) {
        expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(study.files.length))
      }
      for (const study of refused) await expectNothingOf(server, study)
      const after = testStudy(3)
      expect((await stow(`${server.dicomWeb}/studies`, after.files)).status).toBe(200)
      await using sql = await server.connect()
      await settledHoldings(server, sql)
      await expectConsistent(server, sql)
      await expectClean(server)
    },
  )
})

describe('a store that cannot be written', () => {
  async function expectUnavailable(
    server: StowageServer,
    setWritable: (isWritable: boolean) => Promise<void>,
  ): Promise<void> {
    await using sql = await server.connect()
    // With a segment of its own: a shared one would stay open, and its file system busy.
    const kept = testStudy(3, MiB)
    expect((await stow(`${server.dicomWeb}/studies`, kept.files)).status).toBe(200)
    const before = await settledHoldings(server, sql)
    await setWritable(false)
    const study = testStudy(3)
    const answer = await stow(`${server.dicomWeb}/studies`, study.files)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    // Said before the body is read: nothing of it has been sent.
    const head = requestHead('/dicom-web/studies', { 'content-length': 1e9 })
    expect(await sendRaw(server.port, head, 'wait')).toMatch(/^HTTP\/1\.1 503 /)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
    expect(await seenOf(server, kept.studyInstanceUID)).toEqual(allOf(3))
    await expectNothingOf(server, study)
    const receiving = await sql`select from transfers where state = 'receiving'`
    expect(receiving).toHaveLength(0)

    await setWritable(true)
    expect(await settledHoldings(server, sql)).toEqual(before)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    expect((await stow(`${server.dicomWeb}/studies`, study.files)).status).toBe(200)
    await settledHoldings(server, sql)
    await expectConsistent(server, sql)
  }

  test.skipIf(reason !== undefined)(
    'answers 503 while its file system is read-only, and reads',
    async () => {
      await using disk = await mountSmallDisk(16 * MiB)
      await using server = await serverOn(disk)
      await expectUnavailable(server, (isWritable) => disk.setWritable(isWritable))
    },
  )

  // For root no folder is closed.
  test.skipIf(process.getuid?.() === 0)(
    'answers 503 while it may not write the folder, and reads',
    async () => {
      const folder = join(await temporaryFolder(), 'segments')
      await mkdir(folder)
      await using server = await startServer({ env: { STOWAGE_STORE_DIR: folder } })
      const folders = Array.from({ length: 256 }, (_, n) =>
        join(folder, n.toString(16).padStart(2, '0')),
      )
      await expectUnavailable(server, async (isWritable) => {
        const mode = isWritable ? 0o755 : 0o555
        for (const one of [folder, ...folders]) await chmod(one, mode).catch(() => {})
      })
    },
  )
})
