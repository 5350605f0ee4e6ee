import { randomUUID } from 'node:crypto'
import type { SegmentWriter, Store } from '../store/store.ts'

/**
 * The segments of one transfer, written one after another.
 *
 * A part never lies in two segments: when the current one has reached its limit, the next is made
 * ready, and the next part to begin goes there. The full one is sealed meanwhile.
 */
export class SegmentChain {
  readonly #store: Store
  readonly #segmentBytes: number
  readonly #announce: (segmentID: string) => Promise<void>
  readonly #all: SegmentWriter[] = []
  readonly #sealing = new Map<SegmentWriter, Promise<void>>()
  #current: SegmentWriter
  #next: SegmentWriter | undefined

  private constructor(
    store: Store,
    segmentBytes: number,
    announce: (segmentID: string) => Promise<void>,
    first: SegmentWriter,
  ) {
    this.#store = store
    this.#segmentBytes = segmentBytes
    this.#announce = announce
    this.#current = first
    this.#all.push(first)
  }

  /**
   * @param segmentID The first segment, whose row is there already.
   * @param segmentBytes Bytes after which the next segment is begun.
   * @param announce Makes the row of a further segment, before its object is made.
   */
  static async begin(
    store: Store,
    segmentID: string,
    segmentBytes: number,
    announce: (segmentID: string) => Promise<void>,
  ): Promise<SegmentChain> {
    return new SegmentChain(store, segmentBytes, announce, await store.create(segmentID))
  }

  get current(): SegmentWriter {
    return this.#current
  }

  /** To be called when a part begins; between two calls all bytes go to the same segment. */
  turn(): SegmentWriter {
    if (this.#next !== undefined) {
      this.#seal(this.#current)
      this.#current = this.#next
      this.#next = undefined
    }
    return this.#current
  }

  /** Waits until little is queued, and makes the next segment ready when the current one is full. */
  async drain(): Promise<void> {
    if (this.#next === undefined && this.#current.byteLength >= this.#segmentBytes) {
      // One segment may lag behind, not any number of them: each holds what it has not yet written.
      await Promise.all(this.#sealing.values())
      const segmentID = randomUUID()
      await this.#announce(segmentID)
      this.#next = await this.#store.create(segmentID)
      this.#all.push(this.#next)
    }
    await this.#current.drain()
  }

  /** Syncs every segment. Returns those that hold something. */
  async seal(): Promise<{ segmentID: string; byteLength: number }[]> {
    for (const writer of this.#all) this.#seal(writer)
    await Promise.all(this.#sealing.values())
    return this.#all
      .filter((writer) => writer.byteLength > 0)
      .map(({ segmentID, byteLength }) => ({ segmentID, byteLength }))
  }

  /** Stops all writing. Never throws. */
  async abandon(): Promise<void> {
    for (const writer of this.#all) {
      await this.#sealing.get(writer)?.catch(() => {})
      await writer.abandon()
    }
  }

  #seal(writer: SegmentWriter): void {
    if (this.#sealing.has(writer)) return
    const sealed = writer.seal()
    // Awaited by seal(); until then a failure must not count as unhandled.
    sealed.catch(() => {})
    this.#sealing.set(writer, sealed)
  }
}
