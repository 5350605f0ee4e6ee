import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDatabase } from '../../db/database.ts'
import { oneConnectionBeside } from '../../db/own-connections.ts'
import { Intake } from '../../server/intake/intake.ts'
import { silentLog } from '../../server/log.ts'
import { connectDatabase } from '../../server/postgres/connect.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { migrateDatabase } from '../../server/postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'
import { fileStore } from '../../server/store/file-store.ts'
import { bytesText } from '../../web/parts/quantity.tsx'
import { dicomFile } from '../support/dicom-file.ts'
import { temporaryFolder } from '../support/server.ts'

test('a running server is not disturbed, and without one Postgres runs for as long as the check', async () => {
  const dataDir = await temporaryFolder()
  const first = dicomFile()
  await whileServing(dataDir, async (send, pid) => {
    await send([first])
    expect(await stowageCheck(dataDir)).toEqual({ code: 0, last: summary(first.length) })
    // The server has its folder and its Postgres still.
    expect(pid()).toBe(await postmasterOf(dataDir))
    await send([dicomFile({ pixelBytes: 10 })])
    expect((await stowageCheck(dataDir)).last).toContain('2 instances, 2 segments')
  })
  expect(await postmasterOf(dataDir)).toBeUndefined()
  expect((await stowageCheck(dataDir)).last).toContain('2 instances, 2 segments')
  expect(await postmasterOf(dataDir)).toBeUndefined()
}, 120_000)

function summary(bytes: number): string {
  return `1 instance, 1 segment, ${bytesText(bytes)} checked: no problem found`
}

/** What a server does with a data folder: its Postgres, its lock, its store. */
async function whileServing(
  dataDir: string,
  work: (send: (files: Buffer[]) => Promise<void>, pid: () => number) => Promise<void>,
): Promise<void> {
  await using embedded = await startEmbeddedPostgres({ dataDir, log: silentLog })
  await using database = await connectDatabase(
    { databaseConnections: 4, databaseWaitMs: 5000 },
    { embedded: embedded.connection, log: silentLog },
  )
  await migrateDatabase(database.direct, { folder: MIGRATIONS_FOLDER })
  const intake = new Intake({
    db: openDatabase(database.sql),
    groupsDB: openDatabase(oneConnectionBeside(database.sql, 60)),
    store: fileStore(join(dataDir, 'segments')),
    log: silentLog,
    changed() {},
    limits: {
      transfers: 10,
      uncommittedBytes: 1e15,
      leaseMs: 30_000,
      partBytes: 1e9,
      segmentBytes: 1e9,
      batchRows: 500,
      held: { bytesOfOne: 0, bytesOfAll: 0 },
      instance: {},
    },
  })
  await work(
    async (files) => {
      const transfer = await intake.open({ service: 'stow', handling: 'strict' })
      for (const file of files) {
        transfer.beginPart()
        transfer.push(file)
        await transfer.drain()
        transfer.endPart()
      }
      expect((await transfer.commit()).state).toBe('committed')
    },
    () => embedded.pid,
  )
}

async function stowageCheck(dataDir: string): Promise<{ code: number; last: string }> {
  const env = { ...process.env, DATABASE_URL: '', STOWAGE_STORE_DIR: '', STOWAGE_DATA_DIR: dataDir }
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/stowage.mjs', 'check'], { env }, (error, stdout, stderr) => {
      const last = stdout.trim().split('\n').at(-1) || stderr
      resolve({ code: error === null ? 0 : Number(error.code), last })
    })
  })
}

/** The Postgres that runs on a data folder, by its own word. */
async function postmasterOf(dataDir: string): Promise<number | undefined> {
  const path = join(dataDir, 'postgres', 'postmaster.pid')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text.split('\n')[0])
}
