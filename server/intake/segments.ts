import { randomUUID } from 'node:crypto'
import type { SegmentWriter, Store } from '../store/store.ts'
import type { HeldSegment } from './held-segment.ts'

/** Where the bytes of a part go. */
export type Target = Pick<SegmentWriter, 'append' | 'rewind' | 'byteLength'>

/**
 * The segments of one transfer, written one after another. The first lies in memory until `open`.
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
  #segmentID: string
  #held: HeldSegment | undefined
  #current: Target
  #next: SegmentWriter | undefined

  /**
   * @param segmentID What the first segment will be called.
   * @param segmentBytes Bytes after which the next segment is begun.
   * @param announce Makes the row of a segment, before its object is made.
   */
  constructor(
    store: Store,
    segmentID: string,
    held: HeldSegment,
    segmentBytes: number,
    announce: (segmentID: string) => Promise<void>,
  ) {
    this.#store = store
    this.#segmentID = segmentID
    this.#held = held
    this.#current = held
    this.#segmentBytes = segmentBytes
    this.#announce = announce
  }

  get current(): Target {
    return this.#current
  }

  get segmentID(): string {
    return this.#segmentID
  }

  /** The bytes in memory, as long as there is no segment. */
  get held(): HeldSegment | undefined {
    return this.#held
  }

  /** Makes the first segment and moves there what is held. May run beside `append`, not beside `drain`. */
  async open(): Promise<void> {
    await this.#announce(this.#segmentID)
    const writer = await this.#store.create(this.#segmentID)
    this.#all.push(writer)
    this.#held?.moveTo(writer)
    this.#held = undefined
    this.#current = writer
  }

  /** To be called when a part begins; between two calls all bytes go to the same segment. */
  turn(): Target {
    if (this.#next !== undefined) {
      this.#seal(this.#current as SegmentWriter)
      this.#current = this.#next
      this.#segmentID = this.#next.segmentID
      this.#next = undefined
    }
    return this.#current
  }

  /** Whether `drain` has something to do, or what is held has become too much. */
  get isBehind(): boolean {
    if (this.#held !== undefined) return this.#held.isTooMuch
    const current = this.#current as SegmentWriter
    return current.isBehind || (this.#next === undefined && this.#isFull)
  }

  get #isFull(): boolean {
    return this.#current.byteLength >= this.#segmentBytes
  }

  /** Waits until little is queued, and makes the next segment ready when the current one is full. */
  async drain(): Promise<void> {
    if (this.#held !== undefined) return
    if (this.#next === undefined && this.#isFull) {
      // One segment may lag behind, not any number of them: each holds what it has not yet written.
      await Promise.all(this.#sealing.values())
      const segmentID = randomUUID()
      await this.#announce(segmentID)
      this.#next = await this.#store.create(segmentID)
      this.#all.push(this.#next)
    }
    await (this.#current as SegmentWriter).drain()
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
    this.#held?.clear()
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
