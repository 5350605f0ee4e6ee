import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorError } from '../operator-error.ts'
import { fileStore } from '../store/file-store.ts'
import type { Store } from '../store/store.ts'
import { type RowsFile, syncFile } from './files.ts'
import type { Sequence, TableShape } from './tables.ts'

/** It cannot be backed up, restored or moved, and this is why. */
export class BackupError extends OperatorError {
  override name = 'BackupError'
}

/** A segment, and how much of it was committed. */
export interface SavedSegment {
  segmentID: string
  byteLength: number
  /** Somebody may still append to it: other backups will have more of it. */
  isGrowing: boolean
}

/** `manifest.json` of a snapshot: written last, so a folder without one is no backup. */
export interface Manifest {
  format: 1
  /** The version of Stowage that made it. */
  stowage: string
  startedAt: string
  finishedAt: string
  /** The times of the migrations that had made its tables. */
  migrations: number[]
  /** In the order in which they can be filled. */
  tables: (TableShape & RowsFile)[]
  sequences: Sequence[]
  /** The last number of the feed. */
  lastSeq: number
  instanceCount: number
  segmentCount: number
  segmentBytes: number
  /** Segments that the store no longer had whole; what they held is lost here, too. */
  missing: string[]
}

/**
 * Where backups lie: a folder for each, named by its time, with the rows and the segments that still grew then; and one
 * folder of segments that never change again, which all of them share.
 */
export interface BackupFolder {
  path: string
  /** Segments of all backups. */
  shared: Store
}

export interface Snapshot {
  name: string
  path: string
  manifest: Manifest
}

export const manifestName = 'manifest.json'
const segmentListName = 'segments.txt'
const unreadable: Record<string, string> = {
  ENOENT: 'there is no such folder; write the one that "stowage backup" was given',
  ENOTDIR: 'it is no folder; write the one that "stowage backup" was given',
  EACCES: 'this user may not read it; run this as the one who made the backups',
}
const namePattern = /^\d{8}T\d{9}Z$/

export function backupFolder(path: string): BackupFolder {
  return { path, shared: fileStore(join(path, 'segments')) }
}

/** `20261123T093930123Z`: sorts by time, and is a name on every file system. */
export function snapshotName(at: Date): string {
  return at.toISOString().replace(/[-:.]/g, '')
}

export function growingStore(snapshotPath: string): Store {
  return fileStore(join(snapshotPath, 'growing'))
}

export function rowsPath(snapshotPath: string, table: string): string {
  return join(snapshotPath, `${table}.copy.gz`)
}

/** The segments that the rows name: one a line, with its length, and `+` where it still grew. */
export async function writeSegmentList(
  snapshotPath: string,
  segments: readonly SavedSegment[],
): Promise<void> {
  const path = join(snapshotPath, segmentListName)
  const lines = segments.map(
    ({ segmentID, byteLength, isGrowing }) =>
      `${segmentID} ${byteLength}${isGrowing ? ' +' : ''}\n`,
  )
  await writeFile(path, lines.join(''), { mode: 0o600 })
  await syncFile(path)
}

export async function readSegmentList(snapshotPath: string): Promise<SavedSegment[]> {
  const text = await readFile(join(snapshotPath, segmentListName), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [segmentID, byteLength, mark] = line.split(' ')
      return {
        segmentID: segmentID as string,
        byteLength: Number(byteLength),
        isGrowing: mark !== undefined,
      }
    })
}

/** Finished backups, the oldest first. @throws {BackupError} the folder cannot be read */
export async function listSnapshots({ path }: BackupFolder): Promise<Snapshot[]> {
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    const why = unreadable[error.code ?? ''] ?? String(error.code)
    throw new BackupError(`Cannot read the backups in ${path}: ${why}`)
  })
  const snapshots: Snapshot[] = []
  for (const name of names.filter((one) => namePattern.test(one)).sort()) {
    const text = await readFile(join(path, name, manifestName), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const manifest: Manifest = JSON.parse(text)
    if (manifest.format !== 1) {
      throw new BackupError(`Cannot read the backup ${name}: a newer Stowage made it`)
    }
    snapshots.push({ name, path: join(path, name), manifest })
  }
  return snapshots
}

/** Folders of backups that were cut off. */
export async function listUnfinished(folder: BackupFolder): Promise<string[]> {
  const finished = new Set((await listSnapshots(folder)).map(({ name }) => name))
  return (await readdir(folder.path)).filter(
    (name) => namePattern.test(name) && !finished.has(name),
  )
}
