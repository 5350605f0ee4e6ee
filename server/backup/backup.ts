import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { endBackupLease, renewBackupLease, takeBackupLease } from '../../db/backups.ts'
import type { Database } from '../../db/database.ts'
import type { Store } from '../store/store.ts'
import { copySegment, segmentLengths } from './copy-segment.ts'
import { syncFile, writeRowsFile } from './files.ts'
import {
  BackupError,
  type BackupFolder,
  growingStore,
  listSnapshots,
  listUnfinished,
  type Manifest,
  manifestName,
  readSegmentList,
  rowsPath,
  type SavedSegment,
  snapshotName,
  writeSegmentList,
} from './snapshot.ts'
import { listSequences, listTables, readRows, speakPlainly } from './tables.ts'

export interface BackupDeps {
  /** Its connections must not lead through a pooler. */
  db: Database
  store: Store
  /** Milliseconds after which segments are deleted again, when the backup dies. */
  leaseMs: number
  /** The version of Stowage. */
  version: string
  signal: AbortSignal
  /** Told what it does, now and then. */
  report(line: string): void
}

export interface BackupResult {
  name: string
  manifest: Manifest
  copiedCount: number
  copiedBytes: number
}

/**
 * Makes a backup: all rows in one snapshot of the database, then the segments that they name and the folder does not
 * have yet. Servers go on meanwhile. What is deleted meanwhile stays in the store until the backup is done. (Decision 26)
 *
 * @throws {BackupError} another one is under way, or the lease was lost
 */
export async function makeBackup(deps: BackupDeps, folder: BackupFolder): Promise<BackupResult> {
  const { db, leaseMs } = deps
  const backupID = randomUUID()
  if (!(await takeBackupLease(db, backupID, leaseMs / 1000))) {
    throw new BackupError('Cannot back up: another backup of this archive is under way')
  }
  const lost = new AbortController()
  const renew = async () => {
    // An error passes, or the lease does, which the next renewal finds.
    const isHeld = await renewBackupLease(db, backupID, leaseMs / 1000).catch(() => true)
    if (!isHeld)
      lost.abort(new BackupError('Cannot back up: its lease was over; is the database overloaded?'))
  }
  const timer = setInterval(() => void renew(), leaseMs / 3)
  try {
    const signal = AbortSignal.any([deps.signal, lost.signal])
    const startedAt = new Date()
    const name = snapshotName(startedAt)
    const path = join(folder.path, name)
    await makeFolder(folder.path)
    await makeFolder(path)
    const rows = await saveRows({ ...deps, signal }, path)
    deps.report(`${rows.tables.reduce((sum, { rowCount }) => sum + rowCount, 0)} rows saved`)
    const { segments, ...counted } = rows
    await writeSegmentList(path, segments)
    const copied = await saveSegments({ ...deps, signal }, folder, path, segments)
    await renew()
    signal.throwIfAborted()
    const { missing, ...counts } = copied
    const manifest: Manifest = {
      format: 1,
      stowage: deps.version,
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      ...counted,
      segmentCount: segments.length,
      segmentBytes: segments.reduce((sum, { byteLength }) => sum + byteLength, 0),
      missing,
    }
    await finish(path, manifest)
    return { name, manifest, ...counts }
  } finally {
    clearInterval(timer)
    await endBackupLease(db, backupID).catch(() => {})
  }
}

type Rows = Pick<Manifest, 'migrations' | 'tables' | 'sequences' | 'lastSeq' | 'instanceCount'> & {
  segments: SavedSegment[]
}

async function saveRows({ db, signal }: BackupDeps, path: string): Promise<Rows> {
  const rows = await db.sql.begin('isolation level repeatable read read only', async (sql) => {
    await speakPlainly(sql)
    const migrations = await sql<{ when: string }[]>`
      select created_at as when from drizzle.__drizzle_migrations order by created_at`
    const tables: Manifest['tables'] = []
    for (const shape of await listTables(sql)) {
      await readRows(sql, shape, async (rows) => {
        const file = await writeRowsFile(rowsPath(path, shape.name), rows, signal)
        tables.push({ ...shape, ...file })
      })
    }
    const segments = await sql<SavedSegment[]>`
      select
        segment_id as "segmentID", byte_length as "byteLength",
        appended_by is not null as "isGrowing"
      from segments
      where state = 'kept'
      and byte_length > 0
      order by segment_key`
    const [feed] = await sql`select last_seq as "lastSeq" from feed`
    return {
      migrations: migrations.map(({ when }) => Number(when)),
      tables,
      segments: [...segments],
      lastSeq: (feed?.lastSeq as number | undefined) ?? 0,
      instanceCount: tables.find(({ name }) => name === 'instances')?.rowCount ?? 0,
    }
  })
  return { ...rows, sequences: await listSequences(db.sql) }
}

async function saveSegments(
  { store, signal, report }: BackupDeps,
  folder: BackupFolder,
  path: string,
  segments: readonly SavedSegment[],
) {
  const { shared } = folder
  const marked = await segmentLengths(shared, true)
  const named = await namedSegments(folder)
  const growing = growingStore(path)
  const missing: string[] = []
  let copiedCount = 0
  let copiedBytes = 0
  let reportedAt = Date.now()
  for (const { segmentID, byteLength, isGrowing } of segments) {
    if (Math.max(marked.get(segmentID) ?? 0, named.get(segmentID) ?? 0) >= byteLength) continue
    const to = isGrowing ? growing : shared
    // Marked, and shorter: somebody else has cut it.
    if (!isGrowing && marked.has(segmentID)) await shared.discard(segmentID)
    if (await copySegment(store, to, segmentID, byteLength, signal)) {
      copiedCount++
      copiedBytes += byteLength
    } else missing.push(segmentID)
    if (Date.now() - reportedAt > reportMs) {
      reportedAt = Date.now()
      report(`${copiedCount} of ${segments.length} segments copied, ${copiedBytes} bytes`)
    }
  }
  return { copiedCount, copiedBytes, missing }
}

const reportMs = 10_000

/**
 * The shared segments that finished backups name, and that are no shorter than these say: they were whole, with the mark
 * or without. Where modes are lost it is their copies that earlier backups would lose.
 */
async function namedSegments(folder: BackupFolder): Promise<Map<string, number>> {
  const lengths = await segmentLengths(folder.shared)
  const named = new Map<string, number>()
  for (const { path, manifest } of await listSnapshots(folder)) {
    const missing = new Set(manifest.missing)
    for (const { segmentID, byteLength, isGrowing } of await readSegmentList(path)) {
      if (isGrowing || missing.has(segmentID)) continue
      const length = lengths.get(segmentID) ?? 0
      if (length >= byteLength) named.set(segmentID, length)
    }
  }
  return named
}

async function finish(path: string, manifest: Manifest): Promise<void> {
  const unfinished = join(path, `${manifestName}.new`)
  await writeFile(unfinished, `${JSON.stringify(manifest, undefined, 1)}\n`, { mode: 0o600 })
  await syncFile(unfinished)
  await rename(unfinished, join(path, manifestName))
  await syncFolder(path)
  await syncFolder(join(path, '..'))
}

/**
 * Deletes all backups but the newest, what was left of those that were cut off, and the segments that no backup needs
 * any more. No other backup into this folder may be under way.
 *
 * @param keepCount At least 1.
 */
export async function pruneBackups(folder: BackupFolder, keepCount: number): Promise<string[]> {
  const snapshots = await listSnapshots(folder)
  const kept = snapshots.slice(-keepCount)
  const gone = snapshots.slice(0, -keepCount).map(({ name }) => name)
  for (const name of [...gone, ...(await listUnfinished(folder))]) {
    // First what makes it a backup: one that is cut off here is none.
    await rm(join(folder.path, name, manifestName), { force: true })
    await rm(join(folder.path, name), { recursive: true })
  }
  const needed = new Set<string>()
  for (const { path } of kept) {
    for (const { segmentID } of await readSegmentList(path)) needed.add(segmentID)
  }
  for await (const { segmentID } of folder.shared.list()) {
    if (!needed.has(segmentID)) await folder.shared.discard(segmentID)
  }
  return gone
}

/** Others do not look into it. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  await readdir(path)
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}
