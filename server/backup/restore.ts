import { randomUUID } from 'node:crypto'
import { expireCompactions } from '../../db/compaction.ts'
import { openDatabase } from '../../db/database.ts'
import { sweepTransfers } from '../intake/sweep.ts'
import type { Sql } from '../postgres/connect.ts'
import { migrateDatabase, readJournal } from '../postgres/migrate.ts'
import type { Store } from '../store/store.ts'
import { copySegment, segmentLengths } from './copy-segment.ts'
import { digestOf, readRowsFile } from './files.ts'
import {
  BackupError,
  type BackupFolder,
  growingStore,
  listSnapshots,
  readSegmentList,
  rowsPath,
  type Snapshot,
} from './snapshot.ts'
import { emptyTables, isUsed, setSequences, speakPlainly, writeRows } from './tables.ts'

export interface RestoreDeps {
  /** Where the segments go. */
  store: Store
  /** Where the migrations lie. */
  migrationsFolder: string
  signal: AbortSignal
  report(line: string): void
}

/** The newest backup of a folder, or the one of this name. @throws {BackupError} there is none */
export async function findSnapshot(folder: BackupFolder, name?: string): Promise<Snapshot> {
  const snapshots = await listSnapshots(folder)
  const found = name === undefined ? snapshots.at(-1) : snapshots.find((one) => one.name === name)
  if (found !== undefined) return found
  const names = snapshots.map((one) => one.name).join(', ')
  throw new BackupError(
    name === undefined
      ? `Cannot restore: there is no finished backup in ${folder.path}`
      : `Cannot restore: there is no backup "${name}" in ${folder.path}; there is ${names || 'none'}`,
  )
}

/**
 * Looks at all that a restore will read, before anything is written.
 *
 * @throws {BackupError} rows are not what was written, a segment is missing or short, the backup is of a newer Stowage,
 *   or something lies in the store that is not of this backup
 */
export async function examine(
  deps: RestoreDeps,
  folder: BackupFolder,
  snapshot: Snapshot,
): Promise<void> {
  const { manifest, path, name } = snapshot
  const known = (await readJournal(deps.migrationsFolder)).entries.map(({ when }) => when)
  if (manifest.migrations.some((when) => !known.includes(when))) {
    throw new BackupError(
      `Cannot restore ${name}: Stowage ${manifest.stowage} made it, which is newer than this one; restore with that one`,
    )
  }
  for (const table of manifest.tables) {
    deps.signal.throwIfAborted()
    const digest = await digestOf(rowsPath(path, table.name)).catch(() => undefined)
    if (digest !== table.digest) {
      throw new BackupError(
        `Cannot restore ${name}: the rows of "${table.name}" are ${digest ? 'not what was written' : 'missing'}`,
      )
    }
  }
  // By length, not by mark: the manifest says that all of them were whole, and copies elsewhere have other modes.
  const [shared, growing] = await Promise.all([
    segmentLengths(folder.shared),
    segmentLengths(growingStore(path)),
  ])
  const wanted = await readSegmentList(path)
  const lost = wanted.filter(({ segmentID, byteLength }) => {
    if (manifest.missing.includes(segmentID)) return false
    return (growing.get(segmentID) ?? shared.get(segmentID) ?? -1) < byteLength
  })
  if (lost.length > 0) {
    throw new BackupError(
      `Cannot restore ${name}: ${lost.length} segments are missing from the backup, the first is ${lost[0]?.segmentID}`,
    )
  }
  const ours = new Set(wanted.map(({ segmentID }) => segmentID))
  for await (const { segmentID } of deps.store.list()) {
    if (!ours.has(segmentID)) {
      throw new BackupError(
        'Cannot restore: the store is not empty, and what lies there is not of this backup; nothing was changed',
      )
    }
  }
}

/**
 * Puts a backup into an empty database and an empty store: tables as they were made then, segments, rows in one
 * transaction, then the migrations since. What was cut off may be repeated.
 *
 * @param direct Connections that no pooler stands before.
 * @throws {BackupError} the database is in use
 */
export async function restore(
  deps: RestoreDeps,
  direct: Sql,
  folder: BackupFolder,
  { manifest, path }: Snapshot,
): Promise<void> {
  const { store, migrationsFolder, signal, report } = deps
  await refuseUsed(direct, manifest.migrations, 'restore')
  await migrateDatabase(direct, { folder: migrationsFolder, only: manifest.migrations })
  await restoreSegments(deps, folder, path, manifest.missing)
  report(`${manifest.segmentCount} segments are there`)
  await direct.begin(async (sql) => {
    await speakPlainly(sql)
    await emptyTables(sql, manifest.tables)
    for (const table of manifest.tables) {
      const rows = await writeRows(sql, table)
      await readRowsFile(rowsPath(path, table.name), rows, signal)
      const [row] = await sql`select count(*) as count from ${sql(table.name)}`
      if (row?.count !== table.rowCount) {
        throw new BackupError(
          `Cannot restore: ${row?.count} rows of "${table.name}" arrived, of ${table.rowCount}`,
        )
      }
    }
    await setSequences(sql, manifest.sequences)
  })
  report('rows are there')
  await migrateDatabase(direct, { folder: migrationsFolder })
  // Whoever received or compacted when the backup was made did it elsewhere.
  const db = openDatabase(direct)
  await expireCompactions(db, true)
  await sweepTransfers(db, store, randomUUID(), true)
  await direct`analyze`
}

/**
 * @param known The migrations that may have run here.
 * @throws {BackupError} somebody uses this database, or its tables are newer
 */
export async function refuseUsed(
  direct: Sql,
  known: readonly number[],
  verb: string,
): Promise<void> {
  const [row] = await direct`
    select to_regclass('drizzle.__drizzle_migrations') is not null as "isOurs",
      exists (select from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r') as "isTaken"`
  if (!row?.isOurs) {
    if (!row?.isTaken) return
    throw new BackupError(
      `Cannot ${verb}: the database holds tables of something else; nothing was changed`,
    )
  }
  const applied = await direct<{ when: string }[]>`
    select created_at as when from drizzle.__drizzle_migrations`
  if (applied.some(({ when }) => !known.includes(Number(when)))) {
    throw new BackupError(
      `Cannot ${verb}: the database was made by a newer Stowage; use an empty one; nothing was changed`,
    )
  }
  if (await isUsed(direct)) {
    throw new BackupError(
      `Cannot ${verb}: the database is not empty; use an empty one; nothing was changed`,
    )
  }
}

async function restoreSegments(
  { store, signal, report }: RestoreDeps,
  folder: BackupFolder,
  path: string,
  missing: readonly string[],
): Promise<void> {
  const here = await segmentLengths(store, true)
  const growing = growingStore(path)
  const grew = await segmentLengths(growing)
  const segments = await readSegmentList(path)
  let count = 0
  let reportedAt = Date.now()
  for (const { segmentID, byteLength } of segments) {
    if (here.get(segmentID) === byteLength || missing.includes(segmentID)) continue
    const from = grew.has(segmentID) ? growing : folder.shared
    if (!(await copySegment(from, store, segmentID, byteLength, signal))) {
      throw new BackupError(`Cannot restore: segment ${segmentID} is gone from the backup`)
    }
    count++
    if (Date.now() - reportedAt > reportMs) {
      reportedAt = Date.now()
      report(`${count} of ${segments.length} segments copied`)
    }
  }
}

const reportMs = 10_000
