import { Buffer } from 'node:buffer'
import { asBuffer } from './bytes.ts'

/** Reads chunks as if they were one piece. Holds what was asked for last, and one chunk. */
export class ByteReader {
  /** What is at hand: from {@link at} on it was not read yet. */
  bytes: Buffer = none
  at = 0
  /** Bytes that lay before `bytes[0]`. */
  #before = 0
  readonly #chunks: AsyncIterator<Uint8Array>

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Bytes from the front to the next one. */
  get offset(): number {
    return this.#before + this.at
  }

  /** Whether so many bytes are at hand. If not, {@link fill} them. */
  has(count: number): boolean {
    return this.bytes.length - this.at >= count
  }

  /** Gets so many bytes to hand. @returns false: the end comes first. */
  async fill(count: number): Promise<boolean> {
    while (!this.has(count)) {
      const { done, value } = await this.#chunks.next()
      if (done) return false
      const rest = this.bytes.subarray(this.at)
      this.#before += this.at
      this.at = 0
      this.bytes = rest.length === 0 ? asBuffer(value) : Buffer.concat([rest, value])
    }
    return true
  }

  /** The next bytes, which are at hand. */
  take(count: number): Buffer {
    const taken = this.bytes.subarray(this.at, this.at + count)
    this.at += taken.length
    return taken
  }

  /** Everything that was not read yet. */
  async *rest(): AsyncGenerator<Uint8Array, void, void> {
    if (this.at < this.bytes.length) yield this.take(this.bytes.length - this.at)
    for (;;) {
      const { done, value } = await this.#chunks.next()
      if (done) return
      yield value
    }
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

const none = Buffer.alloc(0)
