import { chmod, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allOf, seenOf, type TestStudy, testStudy } from '../support/archive.ts'
import { StowageServer, startServer, temporaryFolder } from '../support/server.ts'
import { mountSmallDisk, whyNoSmallDisk } from '../support/small-disk.ts'
import { stow } from '../support/stow.ts'

const reason = await whyNoSmallDisk()
if (reason !== undefined) console.log(`not run: a full disk for backups, because ${reason}`)

const MiB = 2 ** 20

/** An archive with an embedded Postgres that is not there yet. */
function emptyArchive(dataDir: string): StowageServer {
  return new StowageServer(dataDir, undefined, { dataDir })
}

describe('a backup', () => {
  let folder: string
  let server: StowageServer
  let study: TestStudy

  beforeAll(async () => {
    folder = await temporaryFolder()
    server = await startServer()
    study = testStudy(5, 100_000)
    expect((await stow(`${server.dicomWeb}/studies`, study.files)).status).toBe(200)
  })

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  test.skipIf(reason !== undefined)(
    'that finds no space says so, leaves the one before it whole, and is made when there is space',
    async () => {
      await using disk = await mountSmallDisk(6 * MiB)
      const backups = join(disk.folder, 'backups')
      expect(await server.run('backup', backups)).toMatchObject({ code: 0 })
      const more = testStudy(10, 100_000)
      expect((await stow(`${server.dicomWeb}/studies`, more.files)).status).toBe(200)
      const giveBack = await disk.fill(200_000)
      const failed = await server.run('backup', backups)
      expect(failed.code).toBe(1)
      expect(failed.stderr).toMatch(/ENOSPC|no space/i)
      await giveBack()
      const first = emptyArchive(join(folder, 'first'))
      expect((await first.run('restore', backups)).code).toBe(0)
      expect(await server.run('backup', backups)).toMatchObject({ code: 0 })
      const second = emptyArchive(join(folder, 'second'))
      expect((await second.run('restore', backups)).code).toBe(0)
      await second.start()
      try {
        expect(await seenOf(second, study.studyInstanceUID)).toEqual(allOf(5))
        expect(await seenOf(second, more.studyInstanceUID)).toEqual(allOf(10))
      } finally {
        await second.stop()
      }
    },
  )

  test('that is damaged is not restored, and says what is wrong with it', async () => {
    const backups = join(folder, 'backups')
    expect(await server.run('backup', backups)).toMatchObject({ code: 0 })
    const names = await readdir(backups, { recursive: true })
    const rows = names.find((name) => /\/instances\.[^/]*$/.test(name)) as string
    const segment = names.find((name) => /[0-9a-f]{8}-[0-9a-f-]{27}[^/]*$/.test(name)) as string
    for (const [index, [name, damage, word]] of (
      [
        [rows, (path: string) => truncate(path, 20), /the rows of "\w+" are not what was written/],
        [rows, (path: string) => rm(path), /the rows of "\w+" are missing/],
        [segment, (path: string) => truncate(path, 1000), /segments are missing from the backup/],
        [segment, (path: string) => rm(path), /segments are missing from the backup/],
        [segment, flipMiddle, /digest|not what/i],
      ] as const
    ).entries()) {
      const path = join(backups, name)
      const before = await readFile(path)
      const { mode } = await stat(path)
      await chmod(path, 0o600)
      await damage(path)
      await chmod(path, mode).catch(() => {})
      const target = emptyArchive(join(folder, `damaged-${index}`))
      const { code, stdout, stderr } = await target.run('restore', backups)
      expect([name, code]).toEqual([name, 1])
      expect(stdout + stderr).toMatch(word)
      await rm(path, { force: true })
      await writeFile(path, before)
      // The mode says that a segment is kept.
      await chmod(path, mode)
    }
    const whole = emptyArchive(join(folder, 'whole'))
    expect((await whole.run('restore', backups)).code).toBe(0)
  })
})

async function flipMiddle(path: string): Promise<void> {
  const bytes = await readFile(path)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] as number) ^ 1
  await writeFile(path, bytes)
}
