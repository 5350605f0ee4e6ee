import type { Database } from '../../db/database.ts'
import { recordEndedTransfer } from '../../db/groups.ts'
import {
  endTransfer,
  forgetSegments,
  type NewTransfer,
  type Received,
  type Refusal,
} from '../../db/transfers.ts'
import type { Store } from '../store/store.ts'
import { deleteDoomedSegments } from './sweep.ts'

/** A transfer of which nothing is to be kept, and why. */
export interface Ending extends Received {
  transferID: string
  /** It never got a row: what is to be recorded of it. */
  unrecorded?: (Omit<NewTransfer, 'segmentID'> & { ageMs: number }) | undefined
  /** All that were announced for it, whether their objects were made or not. */
  segmentIDs: readonly string[]
  state: 'refused' | 'aborted'
  reason: string
  /** In the order of the parts. */
  refused: Refusal[]
}

/**
 * Ends a transfer in the database, then deletes what it wrote. May be repeated until it succeeds.
 *
 * Its objects are deleted by name, not by what the database says of them: their rows may be gone. A
 * crash of Postgres loses the rows of its last moments (`open_transfer`), and a server that ended the
 * transfer in our place may have deleted object and row before we made the object.
 *
 * A transfer that turns out to be committed, because nobody heard the answer, is left as it is.
 */
export async function settle(ending: Ending, db: Database, store: Store): Promise<void> {
  const { transferID, segmentIDs, unrecorded } = ending
  if (unrecorded !== undefined) {
    await recordEndedTransfer(db, unrecorded, ending)
    return
  }
  const state = await endTransfer(db, transferID, ending)
  if (state === 'committed') {
    await deleteDoomedSegments(db, store, transferID)
    return
  }
  for (const segmentID of segmentIDs) await store.delete(segmentID)
  await forgetSegments(db, [...segmentIDs])
}
