import type { Database } from '../../db/database.ts'
import { releaseAbandonedSegments } from '../../db/shared-segments.ts'
import {
  doomedSegments,
  expireTransfers,
  forgetSegments,
  knownSegments,
} from '../../db/transfers.ts'
import type { Store } from '../store/store.ts'

const segmentsAtOnce = 500

/**
 * Deletes the objects of doomed and of emptied segments, then their rows: a crash in between repeats the deletion,
 * and never leaves an object without a row. Any server may do it at any time. What the store says is
 * kept stays, whatever an old copy of the database says; unless its row says that it was emptied on purpose.
 *
 * @param transferID Only those of this transfer. Default all.
 * @returns how many were deleted.
 */
export async function deleteDoomedSegments(
  db: Database,
  store: Store,
  transferID?: string,
): Promise<number> {
  let deleted = 0
  for (let afterKey = 0; ; ) {
    const doomed = await doomedSegments(db, { transferID, afterKey, limit: segmentsAtOnce })
    const gone: string[] = []
    for (const { segmentID, isEmptied } of doomed) {
      if (isEmptied) await store.discard(segmentID)
      else if (!(await store.delete(segmentID))) continue
      gone.push(segmentID)
    }
    await forgetSegments(db, gone)
    deleted += gone.length
    // Those that the store keeps are passed over, however many they are.
    afterKey = doomed.at(-1)?.segmentKey ?? 0
    if (doomed.length < segmentsAtOnce) return deleted
  }
}

/**
 * Ends what dead servers left: transfers whose lease ran out, and segments.
 *
 * @param alone This server has the database for itself; then all others are dead.
 */
export async function sweepTransfers(
  db: Database,
  store: Store,
  serverID: string,
  alone = false,
): Promise<{ expired: number; deleted: number }> {
  const expired = await expireTransfers(db, alone ? serverID : undefined)
  await releaseAbandonedSegments(db, serverID, alone)
  return { expired, deleted: await deleteDoomedSegments(db, store) }
}

/**
 * Deletes objects that have no row and were never committed. They come about when server and Postgres
 * die together within the moment in which the row of a new transfer is not yet on its disk, or the
 * machine before a deletion is.
 *
 * An object that is kept, but has no row, was acknowledged once: the database is another than the one this
 * store was written with, or an old copy of it. It is all that is left of somebody's study, and stays;
 * `stowage check` names it.
 *
 * @param olderThan Younger objects are left alone: their rows may be on their way.
 * @returns how many were deleted, and how many are kept without a row.
 */
export async function sweepStrays(
  db: Database,
  store: Store,
  olderThan: Date,
): Promise<{ deleted: number; kept: number }> {
  const swept = { deleted: 0, kept: 0 }
  let batch: string[] = []
  async function deleteUnknown(): Promise<void> {
    const known = await knownSegments(db, batch)
    for (const segmentID of batch) {
      if (known.has(segmentID)) continue
      if (await store.delete(segmentID)) swept.deleted++
      else swept.kept++
    }
    batch = []
  }
  for await (const { segmentID, modifiedAt } of store.list()) {
    if (modifiedAt < olderThan && isSegmentID(segmentID)) batch.push(segmentID)
    if (batch.length === segmentsAtOnce) await deleteUnknown()
  }
  await deleteUnknown()
  return swept
}

/** Whatever else lies in the store's folder is not ours to delete. */
function isSegmentID(name: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name)
}
