import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { allOf, filesOf, seenOf, type TestStudy, testStudy } from '../support/archive.ts'
import { hasPostgres15, startPostgres15 } from '../support/debian-postgres.ts'
import { StowageServer, startServer, temporaryFolder } from '../support/server.ts'
import { stow } from '../support/stow.ts'

/** A server on a folder that is not there yet, with an embedded Postgres, not started. */
function serverOn(dataDir: string, databaseURL?: string): StowageServer {
  return new StowageServer(dataDir, databaseURL, { dataDir, databaseURL })
}

describe('backup and restore', () => {
  test('a backup in the middle of storing, deleting and compacting holds each study whole or not at all', async () => {
    const folder = await temporaryFolder()
    try {
      await using server = await startServer()
      await using traffic = new Traffic(server)
      await server.until(async () => traffic.stored.size > 12)
      const before = new Set(traffic.stored.keys())
      const backups = join(folder, 'backups')
      const first = await server.run('backup', backups)
      expect(first).toMatchObject({ code: 0, stdout: expect.not.stringContaining('missing') })
      await traffic[Symbol.asyncDispose]()
      expect(traffic.wrong).toEqual([])

      // What the first one has is not copied again, and what it had alone goes with it.
      const second = await server.run('backup', backups, '--keep', '2')
      expect(second).toMatchObject({ code: 0 })
      expect(copiedCount(second.stdout)).toBeLessThan((await filesOf(server.storeDir)).files)

      const restored = serverOn(join(folder, 'restored'))
      const name = /^\d{8}T\d{9}Z/m.exec(first.stdout)?.[0] as string
      const done = await restored.run('restore', backups, '--backup', name)
      expect(done.stdout + done.stderr).toContain('no problem found')
      expect(done.code).toBe(0)
      const again = await restored.run('restore', backups)
      expect(again.code).toBe(1)
      expect(again.stderr).toMatch(/Cannot restore: .* nothing was changed/)

      // The whole archive moves by moving its folder.
      const moved = serverOn(join(folder, 'moved'))
      await rename(restored.dataDir, moved.dataDir)
      await moved.start()
      try {
        await using sql = await moved.connect()
        const rows = await sql<{ uid: string; count: number }[]>`
          select t.study_instance_uid as uid, t.instance_count as count from studies t`
        const partial = rows.filter(
          ({ uid, count }) => traffic.sent.get(uid)?.files.length !== count,
        )
        expect(partial).toEqual([])
        const there = new Set(rows.map(({ uid }) => uid))
        const lost = [...before].filter((uid) => !there.has(uid) && !traffic.deleted.has(uid))
        expect(lost).toEqual([])
        const [one] = rows
        expect(await seenOf(moved, one?.uid as string)).toEqual(allOf(one?.count as number))
        // It goes on: keys and numbers begin where they stood.
        const study = testStudy(2)
        expect((await stow(`${moved.dicomWeb}/studies`, study.files)).status).toBe(200)
      } finally {
        await moved.stop()
      }
      expect((await moved.run('check')).code).toBe(0)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('stowage migrate --to', () => {
  test('moves all rows from the embedded Postgres to another embedded one', async () => {
    const folder = await temporaryFolder()
    try {
      await using target = await startEmbeddedPostgres({
        dataDir: join(folder, 'other'),
        log: silentLog,
      })
      await expectToMove(folder, target.url)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test.skipIf(!hasPostgres15)('moves all rows to PostgreSQL 15', async () => {
    const folder = await temporaryFolder()
    try {
      await using target = await startPostgres15()
      await expectToMove(folder, target.url)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

/** Fills an embedded archive, moves it, and goes on beside its old folder. */
async function expectToMove(folder: string, url: string): Promise<void> {
  const dataDir = join(folder, 'data')
  const old = serverOn(dataDir)
  await old.start()
  const study = testStudy(3)
  try {
    expect((await stow(`${old.dicomWeb}/studies`, study.files)).status).toBe(200)
    const refused = await old.run('migrate', '--to', url)
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toContain('a server runs on')
  } finally {
    await old.stop()
  }
  const moved = await old.run('migrate', '--to', url)
  expect(moved.stderr).toBe('')
  expect(moved.stdout).toContain('instances: 3 rows')
  // Nobody goes on with the old rows by mistake, nor moves them over the new ones.
  await expect(old.start()).rejects.toThrow(/its rows were moved to/)
  expect((await old.run('migrate', '--to', url)).code).toBe(1)

  const next = serverOn(dataDir, url)
  await next.start()
  try {
    expect(await seenOf(next, study.studyInstanceUID)).toEqual(allOf(3))
    const late = testStudy(2)
    expect((await stow(`${next.dicomWeb}/studies`, late.files)).status).toBe(200)
    expect(await seenOf(next, late.studyInstanceUID)).toEqual(allOf(2))
  } finally {
    await next.stop()
  }
  const checked = await next.run('check', '--deep')
  expect(checked.stdout).toContain('5 instances')
  expect(checked.code).toBe(0)
}

function copiedCount(said: string): number {
  return Number(/(\d+) segments? of [\d.]+ \w+ (?:was|were) new/.exec(said)?.[1])
}

/** Four senders of small and large studies, and one who deletes every third, until it is disposed. */
class Traffic implements AsyncDisposable {
  /** By StudyInstanceUID. */
  readonly sent = new Map<string, TestStudy>()
  readonly stored = new Map<string, TestStudy>()
  readonly deleted = new Set<string>()
  readonly wrong: string[] = []
  readonly #server: StowageServer
  readonly #running: Promise<void>[]
  #isOver = false

  constructor(server: StowageServer) {
    this.#server = server
    this.#running = [0, 1, 2, 3].map((sender) => this.#send(sender))
  }

  async #send(sender: number): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      // Every second sender brings studies with a segment of their own, the others share one.
      const study = testStudy(3 + (n % 3), sender % 2 === 0 ? 700_000 : 512)
      const uid = study.studyInstanceUID
      this.sent.set(uid, study)
      const answer = await stow(`${this.#server.dicomWeb}/studies`, study.files)
      if (answer.status !== 200) this.wrong.push(`stored: ${answer.status}`)
      this.stored.set(uid, study)
      if (n % 3 !== 1) continue
      this.deleted.add(uid)
      const gone = await fetch(`${this.#server.dicomWeb}/studies/${uid}`, { method: 'DELETE' })
      if (!gone.ok) this.wrong.push(`deleted: ${gone.status}`)
      await gone.body?.cancel()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }
}
