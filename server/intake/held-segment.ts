import type { SegmentWriter } from '../store/store.ts'

/** What the transfers of a server may hold in memory together, and one of them alone. */
export interface HeldLimits {
  bytesOfAll: number
  bytesOfOne: number
}

/** What all transfers of a server hold at this moment. */
export class HeldMemory {
  readonly #limits: HeldLimits
  #bytes = 0

  constructor(limits: HeldLimits) {
    this.#limits = limits
  }

  get byteLength(): number {
    return this.#bytes
  }

  hold(bytes: number): void {
    this.#bytes += bytes
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }

  /** Whether a transfer that holds so much has to get a segment of its own. */
  isTooMuch(bytes: number): boolean {
    return bytes > this.#limits.bytesOfOne || this.#bytes > this.#limits.bytesOfAll
  }
}

/**
 * The bytes of a transfer while they are few: they lie in memory, as they came, at the offsets that they
 * would have in a segment. At its end the transfer writes them to a segment that it shares with others; or
 * they go to one of its own, when they have become too many or the transfer lasts.
 */
export class HeldSegment implements Pick<SegmentWriter, 'append' | 'rewind' | 'byteLength'> {
  readonly #memory: HeldMemory
  #pieces: Uint8Array[] = []
  #byteLength = 0

  constructor(memory: HeldMemory) {
    this.#memory = memory
  }

  get byteLength(): number {
    return this.#byteLength
  }

  get isTooMuch(): boolean {
    return this.#memory.isTooMuch(this.#byteLength)
  }

  append(bytes: Uint8Array): void {
    this.#pieces.push(bytes)
    this.#byteLength += bytes.length
    this.#memory.hold(bytes.length)
  }

  rewind(offset: number): void {
    this.#memory.release(this.#byteLength - offset)
    while (this.#byteLength > offset) {
      const last = this.#pieces.pop() as Uint8Array
      this.#byteLength -= last.length
      if (this.#byteLength >= offset) continue
      this.#pieces.push(last.subarray(0, offset - this.#byteLength))
      this.#byteLength = offset
    }
  }

  /** What lies in some ranges, which must be in order, uncopied. */
  pieces(ranges: readonly { offset: number; length: number }[]): Iterable<Uint8Array> {
    return this.#isAll(ranges) ? this.#pieces : this.#piecesIn(ranges)
  }

  /** As it is, unless a part was found to be superfluous. */
  #isAll(ranges: readonly { offset: number; length: number }[]): boolean {
    let end = 0
    for (const { offset, length } of ranges) {
      if (offset !== end) return false
      end += length
    }
    return end === this.#byteLength
  }

  *#piecesIn(ranges: Iterable<{ offset: number; length: number }>): Generator<Uint8Array> {
    let index = 0
    let start = 0
    for (const { offset, length } of ranges) {
      for (let at = offset; at < offset + length; ) {
        let piece = this.#pieces[index] as Uint8Array
        while (start + piece.length <= at) {
          start += piece.length
          piece = this.#pieces[++index] as Uint8Array
        }
        const from = at - start
        const to = Math.min(piece.length, offset + length - start)
        yield from === 0 && to === piece.length ? piece : piece.subarray(from, to)
        at = start + to
      }
    }
  }

  /** Hands all over to a writer that is empty, and holds nothing any more. */
  moveTo(writer: SegmentWriter): void {
    for (const piece of this.#pieces) writer.append(piece)
    this.clear()
  }

  clear(): void {
    this.rewind(0)
  }
}
