import { createHash, randomUUID } from 'node:crypto'
import {
  claimCompaction,
  endCompaction,
  instancesInSegment,
  moveInstances,
  type NewPlace,
  type PlacedInstance,
  renewCompaction,
} from '../../db/compaction.ts'
import type { Database } from '../../db/database.ts'
import { recordVerification, type Verification } from '../../db/verification.ts'
import { SegmentTooShortError, type SegmentWriter, type Store } from '../store/store.ts'

export interface CompactionDeps {
  db: Database
  store: Store
  /** Milliseconds after which others take it for dead, if it does not renew its lease. */
  leaseMs: number
  /** Ends it between two instances. */
  signal: AbortSignal
}

export interface Compacted {
  segmentKey: number
  /** Instances that were moved. */
  movedCount: number
  /** Instances that stayed, for their bytes are not what they were. */
  damagedCount: number
}

/** Instances that are moved in one transaction; of a segment with more the others come with the next compaction. */
const instancesAtOnce = 10_000

/**
 * Writes one segment again without the bytes that belong to no instance any more, if there is one worth it.
 *
 * The new segment has its row before its object, and is sealed before one transaction lets the instances be there; what
 * is cut off at any moment is a segment that nobody knows, which the sweep deletes. The old one is given up by the
 * same transaction, if nothing is left in it. Every byte is compared with its digest on the way: what is damaged stays
 * where it is and is marked.
 *
 * @param except Keys of segments to leave alone.
 * @returns undefined when there is nothing to do.
 * @throws {CompactionError} it was given up; what is stored is as it was.
 */
export async function compactOne(
  deps: CompactionDeps,
  except: number[],
): Promise<Compacted | undefined> {
  const { db, store } = deps
  const segmentID = randomUUID()
  const old = await claimCompaction(db, segmentID, deps.leaseMs / 1000, except)
  if (old === undefined) return undefined
  try {
    const instances = await instancesInSegment(db, old.segmentKey, instancesAtOnce)
    const writer = await store.create(segmentID)
    const copied = await copy(deps, old.segmentID, instances, writer).finally(() =>
      writer.abandon(),
    )
    const { segmentKey } = old
    await recordVerification(
      db,
      copied.damaged.map((one) => ({ ...one, segmentKey, isWhole: false })),
    )
    const moved = await moveInstances(db, segmentID, writer.byteLength, copied.places)
    if (moved === undefined) throw new Error('its lease was over')
    // A mark for the sweep, not a promise, as after a commit.
    if (moved > 0) await store.keep(segmentID).catch(() => {})
    return {
      segmentKey: old.segmentKey,
      movedCount: moved,
      damagedCount: copied.damaged.length,
    }
  } catch (cause) {
    await endCompaction(db, segmentID).catch(() => {})
    throw new CompactionError(old.segmentKey, cause)
  }
}

/** One segment could not be written again. */
export class CompactionError extends Error {
  override name = 'CompactionError'
  readonly segmentKey: number

  constructor(segmentKey: number, cause: unknown) {
    super('Cannot compact a segment', { cause })
    this.segmentKey = segmentKey
  }
}

type Damaged = Pick<Verification, 'sopInstanceUID' | 'segmentOffset'>

async function copy(
  { db, store, leaseMs, signal }: CompactionDeps,
  from: string,
  instances: PlacedInstance[],
  writer: SegmentWriter,
): Promise<{ places: NewPlace[]; damaged: Damaged[] }> {
  const places: NewPlace[] = []
  const damaged: Damaged[] = []
  let renewedAt = Date.now()
  async function renew(): Promise<void> {
    signal.throwIfAborted()
    if (Date.now() - renewedAt < leaseMs / 3) return
    renewedAt = Date.now()
    if (!(await renewCompaction(db, writer.segmentID, leaseMs / 1000))) {
      throw new Error('its lease was over')
    }
  }
  for (const one of instances) {
    const segmentOffset = writer.byteLength
    if (await isCopied(store, from, one, writer, renew)) {
      places.push({
        sop_instance_uid: one.sopInstanceUID,
        segment_offset: segmentOffset,
        from_offset: one.segmentOffset,
      })
    } else {
      writer.rewind(segmentOffset)
      damaged.push({ sopInstanceUID: one.sopInstanceUID, segmentOffset: one.segmentOffset })
    }
  }
  await writer.seal()
  return { places, damaged }
}

/** @returns false when the bytes are not those that came. */
async function isCopied(
  store: Store,
  from: string,
  one: PlacedInstance,
  writer: SegmentWriter,
  between: () => Promise<void>,
): Promise<boolean> {
  const digest = createHash('sha256')
  let left = one.byteLength
  try {
    const length = one.byteLength + one.metadataLength
    for await (const chunk of store.read(from, one.segmentOffset, length)) {
      if (left > 0) digest.update(chunk.subarray(0, left))
      left -= Math.min(left, chunk.length)
      writer.append(chunk)
      await writer.drain()
      await between()
    }
  } catch (error) {
    if (error instanceof SegmentTooShortError) return false
    throw error
  }
  return digest.digest().equals(one.digest)
}
