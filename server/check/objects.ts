import type { Database } from '../../db/database.ts'
import { SegmentNotFoundError, SegmentTooShortError, type Store } from '../store/store.ts'
import type { Report } from './finding.ts'

const objectsAtOnce = 500

/**
 * Holds the store against the rows of segments: objects that belong to nobody, and kept ones that are
 * longer or shorter than they were when they were sealed.
 *
 * @param olderThan Younger objects without a row are normal: their rows may be on their way.
 * @returns how many younger ones there are, and how many bytes lie behind what was committed in shared
 *   segments: left by servers that died.
 */
export async function checkObjects(
  db: Database,
  store: Store,
  olderThan: Date,
  report: Report,
): Promise<{ youngCount: number; uncommittedBytes: number }> {
  let youngCount = 0
  let uncommittedBytes = 0
  let batch = new Map<string, { byteLength: number; isYoung: boolean }>()
  async function compare(): Promise<void> {
    const known = await segmentsByID(db, [...batch.keys()])
    for (const [segmentID, { byteLength, isYoung }] of batch) {
      const row = known.get(segmentID)
      if (row === undefined && isYoung) youngCount++
      else if (row === undefined) await checkStray(db, store, segmentID, report)
      else if (row.state === 'kept' && isOtherLength(row, byteLength)) {
        await checkLength(db, store, segmentID, report)
      }
      if (row?.isShared && !row.isAppendedTo) {
        uncommittedBytes += Math.max(0, byteLength - row.byteLength)
      }
    }
    batch = new Map()
  }
  for await (const { segmentID, byteLength, modifiedAt } of store.list()) {
    if (isUUID(segmentID)) {
      batch.set(segmentID, { byteLength, isYoung: modifiedAt >= olderThan })
    } else {
      report({ problem: 'object-foreign', place: { segmentID }, detail: 'it has no row' })
    }
    if (batch.size === objectsAtOnce) await compare()
  }
  await compare()
  return { youngCount, uncommittedBytes }
}

/** The row may have gone, and the object with it, since the store was listed. */
async function checkStray(
  db: Database,
  store: Store,
  segmentID: string,
  report: Report,
): Promise<void> {
  if ((await holds(store, segmentID, 0)) === false) return
  if ((await segmentsByID(db, [segmentID])).size > 0) return
  report({
    problem: 'object-without-row',
    place: { segmentID },
    detail: 'it belongs to no transfer',
  })
}

/** The object may have been written to between the listing and the question for its row. */
async function checkLength(
  db: Database,
  store: Store,
  segmentID: string,
  report: Report,
): Promise<void> {
  const row = (await segmentsByID(db, [segmentID])).get(segmentID)
  if (row?.state !== 'kept') return
  const { byteLength } = row
  if ((await holds(store, segmentID, byteLength)) === false) {
    const when = row.isShared ? 'last committed to' : 'sealed'
    const detail = `it had ${byteLength} bytes when it was ${when}, and has fewer`
    report({ problem: 'segment-length', place: { segmentID }, detail })
  } else if (!row.isShared && (await holds(store, segmentID, byteLength + 1)) === true) {
    const detail = `it had ${byteLength} bytes when it was sealed, and has more`
    report({ problem: 'segment-length', place: { segmentID }, detail })
  }
}

/** A shared segment may be longer, by a group that was not committed yet or never will be. */
function isOtherLength(row: SegmentRow, byteLength: number): boolean {
  return row.isShared ? byteLength < row.byteLength : byteLength !== row.byteLength
}

/**
 * Whether an object has so many bytes; with 0, whether it is there. Undefined when it cannot be read:
 * whoever reads the instances in it says so.
 */
async function holds(
  store: Store,
  segmentID: string,
  byteLength: number,
): Promise<boolean | undefined> {
  try {
    const last = Math.max(0, byteLength - 1)
    for await (const _ of store.read(segmentID, last, byteLength - last)) break
    return true
  } catch (error) {
    const isShort = error instanceof SegmentNotFoundError || error instanceof SegmentTooShortError
    return isShort ? false : undefined
  }
}

interface SegmentRow {
  segmentID: string
  state: string
  byteLength: number
  isShared: boolean
  isAppendedTo: boolean
}

async function segmentsByID(
  { sql }: Database,
  segmentIDs: string[],
): Promise<Map<string, SegmentRow>> {
  if (segmentIDs.length === 0) return new Map()
  const rows = await sql<SegmentRow[]>`
    select
      segment_id as "segmentID", state, byte_length as "byteLength",
      transfer_id is null as "isShared", appended_by is not null as "isAppendedTo"
    from segments
    where segment_id = any(${segmentIDs}::uuid[])`
  return new Map(rows.map((row) => [row.segmentID, row]))
}

function isUUID(name: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name)
}
