import { chmod, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDatabase } from '../../db/database.ts'
import { type BackupResult, makeBackup } from '../../server/backup/backup.ts'
import { examine, findSnapshot, type RestoreDeps, restore } from '../../server/backup/restore.ts'
import { backupFolder } from '../../server/backup/snapshot.ts'
import { type CheckResult, check } from '../../server/check/check.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'
import { fileStore } from '../../server/store/file-store.ts'
import { type FilledArchive, filledArchive } from '../check/support.ts'
import { freshDatabase } from '../support/database.ts'
import { temporaryFolder } from '../support/server.ts'

// As object stores, FAT and copies that keep no modes have it: the mark of decision 8 is gone. (P2)

test('a backup whose files lost their modes is restored, and every digest is right', async () => {
  await using made = await backupOf()
  await forgetModes(made.backups)
  expect(await restored(made.backups)).toMatchObject({ findingCount: 0, instanceCount: 12 })
})

test('a backup without modes of which a segment was cut off is refused', async () => {
  await using made = await backupOf()
  const [segment] = await forgetModes(made.backups)
  const { size } = await stat(segment as string)
  await truncate(segment as string, size - 1)
  await expect(restored(made.backups)).rejects.toThrow(
    /Cannot restore .*: 1 segments are missing from the backup/,
  )
})

test('segments that earlier backups name are neither copied again nor lost where modes are', async () => {
  await using made = await backupOf()
  const segments = await forgetModes(made.backups)
  const before = await timesOf(segments)
  // What a backup has may be the last copy.
  await rm(made.archive.folder, { recursive: true })
  const again = await made.again()
  expect(again).toMatchObject({ copiedCount: 0, manifest: { missing: [] } })
  expect(await timesOf(segments)).toEqual(before)
  expect(await restored(made.backups)).toMatchObject({ findingCount: 0, instanceCount: 12 })
})

test('what a backup that was cut off has left is copied again, although it lies there', async () => {
  await using made = await backupOf()
  const segments = await forgetModes(made.backups)
  for (const name of await readdir(made.backups)) {
    await rm(join(made.backups, name, 'manifest.json'), { force: true })
  }
  await truncate(segments[0] as string, 10)
  expect(await made.again()).toMatchObject({ copiedCount: segments.length })
  expect(await restored(made.backups)).toMatchObject({ findingCount: 0 })
})

test('a segment that became shorter in the backup is replaced by the next one, marked or not', async () => {
  await using made = await backupOf()
  const segments = await segmentsIn(made.backups)
  for (const segment of segments) {
    await chmod(segment, 0o600)
    await truncate(segment, 10)
    if (segment !== segments[0]) await chmod(segment, 0o440)
  }
  expect(await made.again()).toMatchObject({ copiedCount: segments.length })
  expect(await restored(made.backups)).toMatchObject({ findingCount: 0 })
})

interface MadeBackup extends AsyncDisposable {
  archive: FilledArchive
  backups: string
  again(): Promise<BackupResult>
}

/** Of an archive of three segments. */
async function backupOf(): Promise<MadeBackup> {
  const archive = await filledArchive()
  const backups = await temporaryFolder()
  const again = () =>
    makeBackup(
      {
        ...archive,
        leaseMs: 30_000,
        version: '0',
        signal: new AbortController().signal,
        report() {},
      },
      backupFolder(backups),
    )
  expect(await again()).toMatchObject({ copiedCount: 3 })
  return {
    archive,
    backups,
    again,
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]()
      await rm(backups, { recursive: true, force: true })
    },
  }
}

/** Restores the newest one elsewhere, and does what `stowage check --deep` does. */
async function restored(backups: string): Promise<CheckResult> {
  await using database = await freshDatabase()
  const folder = await temporaryFolder()
  try {
    const deps: RestoreDeps = {
      store: fileStore(folder),
      migrationsFolder: MIGRATIONS_FOLDER,
      signal: new AbortController().signal,
      report() {},
    }
    const snapshot = await findSnapshot(backupFolder(backups))
    // Without the tables that the template has.
    await database.direct`drop schema public, drizzle cascade`
    await database.direct`create schema public`
    await examine(deps, backupFolder(backups), snapshot)
    await restore(deps, database.direct, backupFolder(backups), snapshot)
    const how = { isQuick: false, isDeep: true, leaseMs: 30_000 }
    return await check(openDatabase(database.sql), deps.store, how, () => {})
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function segmentsIn(backups: string): Promise<string[]> {
  const names = await readdir(backups, { recursive: true })
  return names.filter((name) => name.endsWith('.segment')).map((name) => join(backups, name))
}

async function forgetModes(backups: string): Promise<string[]> {
  const segments = await segmentsIn(backups)
  for (const segment of segments) await chmod(segment, 0o644)
  return segments
}

async function timesOf(files: string[]): Promise<number[]> {
  return Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))
}
