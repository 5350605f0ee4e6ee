import type { Database } from '../../db/database.ts'
import {
  recordVerification,
  type UnverifiedInstance,
  type Verification,
} from '../../db/verification.ts'
import type { Store } from '../store/store.ts'
import { type Finding, type ReadOptions, readAgain } from './read-again.ts'

/** What was read, and what is wrong with it. */
export interface Verified {
  instanceCount: number
  byteLength: number
  damagedCount: number
  /** Those whose bytes the store could not give now; nothing was written down of them. */
  unreadableCount: number
  /** The first of those that are not whole. */
  faults: { sopInstanceUID: string; finding: Exclude<Finding, 'whole'> }[]
}

export interface VerifyDeps {
  db: Database
  store: Store
  /** Something that people look at has changed. */
  changed(): void
}

/** Of many damaged instances, as many as are named. */
const namedFaults = 1000

/**
 * Reads instances again, and writes down at once what is damaged, or whole again.
 *
 * @param pages In the order in which they lie in their segments.
 */
export async function verify(
  { db, store, changed }: VerifyDeps,
  pages: AsyncIterable<UnverifiedInstance[]>,
  options: ReadOptions,
): Promise<Verified> {
  const verified: Verified = {
    instanceCount: 0,
    byteLength: 0,
    damagedCount: 0,
    unreadableCount: 0,
    faults: [],
  }
  for await (const page of pages) {
    const news: Verification[] = []
    for await (const { instance, finding } of readAgain(store, page, options)) {
      verified.instanceCount++
      verified.byteLength += instance.byteLength
      if (finding === 'unreadable') verified.unreadableCount++
      else if (finding !== 'whole') verified.damagedCount++
      if (finding !== 'whole' && verified.faults.length < namedFaults) {
        verified.faults.push({ sopInstanceUID: instance.sopInstanceUID, finding })
      }
      const isNews = newsOf(instance, finding)
      if (isNews !== undefined) news.push(isNews)
    }
    if ((await recordVerification(db, news)) > 0) changed()
  }
  return verified
}

/** What the row of an instance does not say yet; undefined: nothing. */
export function newsOf(instance: UnverifiedInstance, finding: Finding): Verification | undefined {
  const { sopInstanceUID, segmentKey, segmentOffset, isDamaged } = instance
  const isWhole = finding === 'whole'
  if (finding === 'unreadable' || isWhole !== isDamaged) return undefined
  return { sopInstanceUID, segmentKey, segmentOffset, isWhole }
}
