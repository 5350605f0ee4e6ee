import { SegmentNotFoundError, SegmentTooShortError, type Store } from '../store/store.ts'

/**
 * Copies the first `byteLength` bytes of a segment into another store, durably, and marks it as kept there, so that
 * one that was cut off is known by having no mark.
 *
 * @returns false when the segment is not there, or not so long.
 */
export async function copySegment(
  from: Store,
  to: Store,
  segmentID: string,
  byteLength: number,
  signal: AbortSignal,
): Promise<boolean> {
  // What an earlier attempt left, without the mark.
  await to.delete(segmentID)
  const writer = await to.create(segmentID)
  try {
    for await (const chunk of from.read(segmentID, 0, byteLength)) {
      signal.throwIfAborted()
      writer.append(chunk)
      await writer.drain()
    }
    await writer.seal()
    await to.keep(segmentID)
    return true
  } catch (error) {
    await writer.abandon()
    await to.delete(segmentID)
    if (error instanceof SegmentNotFoundError || error instanceof SegmentTooShortError) return false
    throw error
  }
}

/** The segments of a store, by id, with their lengths. @param areKept Only those with the mark: no copy of them was cut off. */
export async function segmentLengths(store: Store, areKept = false): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for await (const { segmentID, byteLength, isKept } of store.list()) {
    if (isKept || !areKept) found.set(segmentID, byteLength)
  }
  return found
}
