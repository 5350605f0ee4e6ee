import type { SegmentWriter, Store } from '../store/store.ts'
import { type HeldMemory, HeldSegment } from './held-segment.ts'

/**
 * Where bytes of a transfer wait until it is known what they belong to.
 *
 * They lie in memory while they are few, and in a segment that is never committed when they have become many: so it is
 * given back with the transfer, whatever becomes of it.
 */
export class Spool {
  readonly #store: Store
  readonly #create: () => Promise<SegmentWriter>
  #held: HeldSegment | undefined
  #writer: SegmentWriter | undefined

  /** @param create Makes a segment of the transfer. */
  constructor(store: Store, memory: HeldMemory, create: () => Promise<SegmentWriter>) {
    this.#store = store
    this.#create = create
    this.#held = new HeldSegment(memory)
  }

  /** Bytes appended so far: the offset of the next one. */
  get byteLength(): number {
    return (this.#held ?? (this.#writer as SegmentWriter)).byteLength
  }

  /** Takes `bytes` without copying: they must not be changed afterwards. */
  append(bytes: Uint8Array): void {
    const target = this.#held ?? (this.#writer as SegmentWriter)
    target.append(bytes)
  }

  /** Resolves when more may be appended. @throws {StoreError} → 503 or 507; {TransferLostError} → 503 */
  async drain(): Promise<void> {
    if (this.#held?.isTooMuch) {
      this.#writer = await this.#create()
      this.#held.moveTo(this.#writer)
      this.#held = undefined
    }
    await this.#writer?.drain()
  }

  /** Nothing more comes; from now on it can be read. @throws {StoreError} */
  async seal(): Promise<void> {
    await this.#writer?.seal()
  }

  /** Reads a range, in order, in chunks of at most 1 MiB. @throws {StoreError} */
  async *read(offset: number, length: number): AsyncGenerator<Uint8Array, void, void> {
    if (length === 0) return
    if (this.#held !== undefined) yield* this.#held.pieces([{ offset, length }])
    else yield* this.#store.read((this.#writer as SegmentWriter).segmentID, offset, length)
  }

  /** Lets go of memory and file. Never throws. */
  async abandon(): Promise<void> {
    this.#held?.clear()
    await this.#writer?.abandon()
  }
}
