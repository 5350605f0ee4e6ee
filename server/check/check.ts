import type { Database } from '../../db/database.ts'
import type { Store } from '../store/store.ts'
import { checkCounts } from './counts.ts'
import type { Report } from './finding.ts'
import { checkInstances, type Totals } from './instances.ts'
import { checkObjects } from './objects.ts'
import { checkOwnership, type UnderWay } from './ownership.ts'

export interface CheckOptions {
  /** Leaves the digests out: reads metadata, no files. */
  isQuick: boolean
  /** Writes down what is damaged or whole again, and which segments were read. Default false. */
  isDeep?: boolean | undefined
  /** How long a server answers for a transfer: what is younger may have its row on the way. */
  leaseMs: number
  signal?: AbortSignal | undefined
}

/** What was looked at, and what is under way and normal. */
export interface CheckResult extends Totals, UnderWay {
  findingCount: number
  /** Objects without a row that are too young to be nobody's. */
  youngCount: number
  /** Bytes in shared segments behind what was committed. */
  uncommittedBytes: number
}

/**
 * Compares the rows of the database, the segments of the store, and the digests.
 *
 * Changes nothing unless it is deep, and may run while servers store: what is wrong is looked at twice before it is
 * reported. Memory does not grow with the archive.
 *
 * @param totals Counted on while it goes, for somebody who watches.
 * @throws what the database or the store throw when they cannot be asked at all.
 */
export async function check(
  db: Database,
  store: Store,
  { isQuick, isDeep, leaseMs, signal }: CheckOptions,
  report: Report,
  totals: Totals = { instanceCount: 0, segmentCount: 0, byteLength: 0 },
): Promise<CheckResult> {
  let findingCount = 0
  const count: Report = (finding) => {
    findingCount++
    report(finding)
  }
  await checkCounts(db, count)
  signal?.throwIfAborted()
  const underWay = await checkOwnership(db, count)
  // The same patience as the server's own sweep has.
  const olderThan = new Date(Date.now() - 2 * leaseMs)
  const objects = await checkObjects(db, store, olderThan, count)
  await checkInstances(db, store, { isQuick, isDeep, signal }, totals, count)
  return { ...totals, ...underWay, ...objects, findingCount }
}
