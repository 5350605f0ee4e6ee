import { constants, deflateRawSync } from 'node:zlib'

/** A part of a stream, compressed on its own: whoever is sent it need not be the only one. */
export interface DeflatedPart {
  blocks: Uint8Array
  /** Before it was compressed. */
  byteLength: number
  /** Adler-32 of its bytes alone. */
  sums: [a: number, b: number]
}

const modulus = 65521
/** As many bytes as can be summed up before a sum is no whole number any more. */
const summedBytes = 1 << 20

/** Blocks that refer to nothing before them and are not the last, so that they may stand in any stream. (RFC 1951 3.2.4) */
export function deflatePart(bytes: Uint8Array): DeflatedPart {
  let [a, b] = [1, 0]
  for (let from = 0; from < bytes.length; from += summedBytes) {
    for (const byte of bytes.subarray(from, from + summedBytes)) {
      a += byte
      b += a
    }
    a %= modulus
    b %= modulus
  }
  const blocks = deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  return { blocks, byteLength: bytes.length, sums: [a, b] }
}

/** One stream of such parts, as `Content-Encoding: deflate` has it. (RFC 9110 8.4.1.2, RFC 1950) */
export class DeflatedStream {
  static readonly beginning = Uint8Array.of(0x78, 0x9c)
  #a = 1
  #b = 0

  /** The bytes to send for it. */
  add({ blocks, byteLength, sums: [a, b] }: DeflatedPart): Uint8Array {
    this.#b = (this.#b + b + (byteLength % modulus) * (this.#a - 1 + modulus)) % modulus
    this.#a = (this.#a + a - 1 + modulus) % modulus
    return blocks
  }

  /** The last bytes: a block without content, and the sums of all that was sent. */
  end(): Uint8Array {
    const bytes = new Uint8Array(6)
    bytes.set([3, 0])
    new DataView(bytes.buffer).setUint32(2, this.#b * 65536 + this.#a)
    return bytes
  }
}
