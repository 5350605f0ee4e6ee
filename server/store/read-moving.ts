import { Buffer } from 'node:buffer'
import { SegmentNotFoundError, type Store } from './store.ts'

/** Something that lies in a segment, and may be moved to another one, or deleted, while it is read. */
export interface Movable {
  segmentID: string
  segmentOffset: number
  /** Where it is now. Throws when it was deleted. */
  whereNow(): Promise<{ segmentID: string; segmentOffset: number }>
}

/**
 * Reads a range of something that may be moved meanwhile: where its segment is gone, it is looked for again. Its bytes
 * are the same wherever it lies.
 *
 * @param it Is told where it lies now.
 * @param offset Bytes from its first one.
 * @throws what `Store.read` and `whereNow` throw
 */
export async function* readMoving(
  store: Store,
  it: Movable,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  for (let done = 0; ; ) {
    const { segmentID } = it
    try {
      const from = it.segmentOffset + offset + done
      for await (const chunk of store.read(segmentID, from, length - done)) {
        done += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      await lookAgain(it, segmentID, error)
    }
  }
}

/** The same, of what is small, as a whole. */
export async function readSmallMoving(
  store: Store,
  it: Movable,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (;;) {
    const { segmentID } = it
    try {
      await store.readInto(segmentID, it.segmentOffset + offset, bytes)
      return bytes
    } catch (error) {
      await lookAgain(it, segmentID, error)
    }
  }
}

/** @param tried Where it was looked for. Another reader of it may have been told its new place meanwhile. */
async function lookAgain(it: Movable, tried: string, error: unknown): Promise<void> {
  if (!(error instanceof SegmentNotFoundError)) throw error
  const place = await it.whereNow()
  if (place.segmentID === tried) throw error
  Object.assign(it, place)
}
