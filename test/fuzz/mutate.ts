import { Buffer } from 'node:buffer'
import type { SeededRandom } from '../support/random.ts'

const interesting = [
  0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0xfffffffe, 0xffffffff,
]

/** Changes inputs at random: bytes, lengths, tokens, pieces of other inputs, in one to eight steps. */
export class Mutator {
  readonly #random: SeededRandom
  readonly #tokens: Buffer[]
  readonly #maxBytes: number

  constructor(random: SeededRandom, tokens: readonly (string | Uint8Array)[], maxBytes: number) {
    this.#random = random
    this.#tokens = tokens.map((token) =>
      typeof token === 'string' ? Buffer.from(token) : Buffer.from(token),
    )
    this.#maxBytes = maxBytes
  }

  /** @param other Another input, to take pieces from. */
  mutate(input: Buffer, other: Buffer): Buffer {
    let bytes: Buffer = Buffer.from(input)
    for (let steps = 1 + this.#below(1 << this.#below(4)); steps > 0; steps--) {
      bytes = this.#step(bytes, other)
    }
    return bytes.subarray(0, this.#maxBytes)
  }

  #step(bytes: Buffer, other: Buffer): Buffer {
    const at = this.#below(bytes.length + 1)
    const length = this.#length(bytes.length - at)
    switch (this.#below(10)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << this.#below(8))
        return bytes
      case 1:
        if (at < bytes.length) bytes[at] = this.#below(256)
        return bytes
      case 2:
        return this.#number(bytes, at)
      case 3:
        return this.#digit(bytes, at)
      case 4:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
      case 5:
        return this.#repeated(bytes, at, bytes.subarray(at, at + length))
      case 6: {
        const from = this.#below(other.length + 1)
        const piece = other.subarray(from, from + this.#length(other.length - from))
        return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
      }
      case 7:
        return bytes.subarray(0, at)
      case 8:
        return this.#overwritten(bytes, at, this.#token())
      default:
        return this.#repeated(bytes, at, this.#token())
    }
  }

  /** Puts a number where one may be: a length, a tag, a count. */
  #number(bytes: Buffer, at: number): Buffer {
    const size = [1, 2, 4][this.#below(3)] as number
    if (at + size > bytes.length) return bytes
    const value = (interesting[this.#below(interesting.length)] as number) % 256 ** size
    if (this.#below(2) === 0) bytes.writeUIntLE(value, at, size)
    else bytes.writeUIntBE(value, at, size)
    return bytes
  }

  #digit(bytes: Buffer, at: number): Buffer {
    const digits = (length: number) =>
      Buffer.from(Array.from({ length }, () => 0x30 + this.#below(10)))
    return this.#overwritten(bytes, at, digits(1 + this.#below(20)))
  }

  #overwritten(bytes: Buffer, at: number, piece: Buffer): Buffer {
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + piece.length)])
  }

  /** Mostly once, seldom very often: lists and nesting without end are made so. */
  #repeated(bytes: Buffer, at: number, piece: Buffer): Buffer {
    const often = this.#below(20) === 0 ? this.#below(2000) : this.#below(3) + 1
    const count = Math.min(often, Math.ceil(this.#maxBytes / Math.max(1, piece.length)))
    const pieces = Array.from({ length: count }, () => piece)
    return Buffer.concat([bytes.subarray(0, at), ...pieces, bytes.subarray(at)])
  }

  #token(): Buffer {
    return this.#tokens[this.#below(this.#tokens.length)] ?? Buffer.from('\0')
  }

  #length(room: number): number {
    return this.#below(Math.min(room, 1 << this.#below(9)) + 1)
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }
}
