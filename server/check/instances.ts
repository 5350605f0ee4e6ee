import type { Database } from '../../db/database.ts'
import type { Store } from '../store/store.ts'
import { isSegmentMissing, readFault } from './bytes.ts'
import type { Report } from './finding.ts'
import {
  findInstanceRow,
  type InstanceRow,
  instanceRows,
  studiesInSegment,
} from './instance-rows.ts'
import { Recorder } from './recorder.ts'

/** How much was looked at. */
export interface Totals {
  instanceCount: number
  segmentCount: number
  byteLength: number
}

/**
 * Reads every instance, in the order in which they lie in their segments, and compares it with its row.
 *
 * @param isQuick Reads metadata only, no files.
 * @param isDeep Writes down what is damaged, and what was read.
 * @param totals Counted on while it goes, for somebody who watches.
 */
export async function checkInstances(
  db: Database,
  store: Store,
  {
    isQuick,
    isDeep = false,
    signal,
  }: { isQuick: boolean; isDeep?: boolean | undefined; signal?: AbortSignal | undefined },
  totals: Totals,
  report: Report,
): Promise<void> {
  const recorder = isDeep ? new Recorder(db) : undefined
  let segmentKey: number | undefined
  let isMissing = false
  /** The one that reaches furthest, of those seen in this segment. */
  let furthest: InstanceRow | undefined
  for await (const row of instanceRows(db)) {
    signal?.throwIfAborted()
    if (row.segmentKey !== segmentKey) {
      segmentKey = row.segmentKey
      totals.segmentCount++
      furthest = undefined
      isMissing = false
    }
    totals.instanceCount++
    totals.byteLength += row.byteLength
    if (furthest !== undefined && row.segmentOffset < endOf(furthest)) {
      await reportOverlap(db, furthest, row, report)
    }
    if (furthest === undefined || endOf(row) > endOf(furthest)) furthest = row
    // One line for the segment, not one for each of its instances.
    if (isMissing && !isDeep) continue
    const fault = await readFault(row, store, isQuick)
    await recorder?.note(row, fault)
    if (isMissing) continue
    if (isSegmentMissing(fault)) isMissing = await reportMissing(db, store, row, report)
    else if (fault !== undefined) await reportAgain(db, store, row, isQuick, report)
  }
  await recorder?.end()
}

function endOf({ segmentOffset, byteLength, metadataLength }: InstanceRow): number {
  return segmentOffset + byteLength + metadataLength
}

function placeOf(row: InstanceRow) {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID, segmentID } = row
  return { studyInstanceUID, seriesInstanceUID, sopInstanceUID, segmentID }
}

/** Its row may have changed since the page was read: what is wrong now counts. */
async function reportAgain(
  db: Database,
  store: Store,
  { sopInstanceUID }: InstanceRow,
  isQuick: boolean,
  report: Report,
): Promise<void> {
  const row = await findInstanceRow(db, sopInstanceUID)
  const fault = row && (await readFault(row, store, isQuick))
  if (row && fault) report({ ...fault, place: placeOf(row) })
}

/** @returns whether the segment is missing indeed, and not deleted together with its rows. */
async function reportMissing(
  db: Database,
  store: Store,
  row: InstanceRow,
  report: Report,
): Promise<boolean> {
  const { segmentID } = row
  const now = await findInstanceRow(db, row.sopInstanceUID)
  if (now?.segmentID !== segmentID || !isSegmentMissing(await readFault(now, store, true))) {
    return false
  }
  for (const { studyInstanceUID, count } of await studiesInSegment(db, row.segmentKey)) {
    report({
      problem: 'segment-missing',
      place: { studyInstanceUID, segmentID },
      detail: `it is not in the store, and with it ${count} instances of this study`,
    })
  }
  return true
}

async function reportOverlap(
  db: Database,
  first: InstanceRow,
  second: InstanceRow,
  report: Report,
): Promise<void> {
  const [one, other] = await Promise.all([
    findInstanceRow(db, first.sopInstanceUID),
    findInstanceRow(db, second.sopInstanceUID),
  ])
  if (one === undefined || other === undefined || one.segmentKey !== other.segmentKey) return
  if (one.segmentOffset >= endOf(other) || other.segmentOffset >= endOf(one)) return
  report({
    problem: 'instances-overlap',
    place: placeOf(other),
    detail: `its bytes overlap with those of instance ${one.sopInstanceUID}`,
  })
}
