import { randomUUID } from 'node:crypto'
import type { StagedInstance } from '../../db/transfers.ts'
import type { Store } from '../store/store.ts'
import type { AcceptedInstance } from './parts.ts'

export interface SealedSegment {
  segmentID: string
  byteLength: number
}

/**
 * Writes segments again without the instances that are not needed: those that turned out to be stored
 * already. So a repeated request leaves no bytes behind, and a mixed one only what is new.
 *
 * Segments of which everything is needed stay; those of which nothing is are left out.
 *
 * @param instances All that lie in `segments`, with file and metadata.
 * @param announce Makes the row of a new segment, before its object is made.
 * @returns the segments to keep, sealed, and where the instances went that moved.
 */
export async function rewriteSegments(
  instances: AcceptedInstance[],
  dropped: ReadonlySet<number>,
  segments: SealedSegment[],
  store: Store,
  announce: (segmentID: string) => Promise<void>,
): Promise<{
  segments: SealedSegment[]
  moved: Pick<StagedInstance, 'position' | 'segment_id' | 'segment_offset'>[]
}> {
  // Grouped first, for the instances' places change on the way. (Node 20 has no Map.groupBy.)
  const bySegment = new Map<string, AcceptedInstance[]>()
  for (const one of instances) {
    const group = bySegment.get(one.segmentID)
    if (group === undefined) bySegment.set(one.segmentID, [one])
    else group.push(one)
  }
  const result: Awaited<ReturnType<typeof rewriteSegments>> = { segments: [], moved: [] }
  for (const segment of segments) {
    const all = bySegment.get(segment.segmentID) ?? []
    const needed = all.filter((one) => !dropped.has(one.position))
    if (needed.length === all.length) {
      result.segments.push(segment)
      continue
    }
    if (needed.length === 0) continue
    const segmentID = randomUUID()
    await announce(segmentID)
    const writer = await store.create(segmentID)
    try {
      for (const one of needed) {
        const offset = writer.byteLength
        for await (const chunk of store.read(one.segmentID, one.segmentOffset, one.storedBytes)) {
          writer.append(chunk)
          await writer.drain()
        }
        one.segmentID = segmentID
        one.segmentOffset = offset
        result.moved.push({ position: one.position, segment_id: segmentID, segment_offset: offset })
      }
      await writer.seal()
    } finally {
      await writer.abandon()
    }
    result.segments.push({ segmentID, byteLength: writer.byteLength })
  }
  return result
}
