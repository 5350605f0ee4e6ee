import { Buffer } from 'node:buffer'

/** CR LF, of which the search for a delimiter needs both or the second. */
const LEAD_BYTES = 2

/**
 * CR LF `--` boundary, and where it is in a chunk.
 *
 * What stands behind CR LF covers as many bytes as it has, so the search looks at one byte of so many: nearly all of them
 * occur nowhere in it, and only around the others something is compared. CR and LF, of which pixels are full, are not among
 * them. (528 KB of words of 12 bits, a boundary of 22, by `indexOf` and so: Node 110 and 38 µs, Bun 33 and 25, Deno 1,800
 * and 26.)
 */
export class Needle {
  readonly bytes: Buffer
  readonly #boundary: string
  /** By byte: its last place behind CR LF, or -1. */
  readonly #places = new Int8Array(256).fill(-1)
  /** By place: the one before of the same byte, or -1. */
  readonly #earlier: Int8Array

  /** @param boundary Checked already: at most 70 characters of printable ASCII. */
  static of(boundary: string): Needle {
    if (last === undefined || last.#boundary !== boundary) last = new Needle(boundary)
    return last
  }

  private constructor(boundary: string) {
    this.#boundary = boundary
    this.bytes = Buffer.from(`\r\n--${boundary}`, 'latin1')
    this.#earlier = new Int8Array(this.bytes.length)
    for (let place = LEAD_BYTES; place < this.bytes.length; place++) {
      const byte = this.bytes[place] as number
      this.#earlier[place] = this.#places[byte] as number
      this.#places[byte] = place
    }
  }

  /**
   * Finds the first occurrence that begins at `from` or behind.
   *
   * @param start 0: the whole; 1: without its CR.
   * @returns Its offset; -1: there is none that is whole.
   */
  find(chunk: Buffer, from: number, start: 0 | 1): number {
    const places = this.#places
    const { length } = this.bytes
    const stride = length - LEAD_BYTES
    for (let at = from + length - 1 - start; at < chunk.length; at += stride) {
      let place = places[chunk[at] as number] as number
      // Occurrences do not overlap, so there is one at most around a byte.
      for (; place >= 0; place = this.#earlier[place] as number) {
        const candidate = at - place + start
        if (this.#isAt(chunk, candidate, start)) return candidate
      }
    }
    return -1
  }

  #isAt(chunk: Buffer, candidate: number, start: number): boolean {
    const { bytes } = this
    if (candidate + bytes.length - start > chunk.length) return false
    // From the front: its first byte occurs only once in it, so that no byte of a chunk is compared twice for long.
    for (let index = start; index < bytes.length; index++) {
      if (chunk[candidate + index - start] !== bytes[index]) return false
    }
    return true
  }

  /**
   * Finds where the chunk ends like the beginning of an occurrence.
   *
   * @returns The offset, at `from` or behind; the length of the chunk: it does not.
   */
  findCutOff(chunk: Buffer, from: number, start: 0 | 1): number {
    const { bytes } = this
    const first = bytes[start]
    const earliest = Math.max(from, chunk.length - bytes.length + start + 1)
    for (let candidate = chunk.length - 1; candidate >= earliest; candidate--) {
      if (chunk[candidate] !== first) continue
      // Its first byte occurs only once in it, so no earlier candidate reaches here.
      for (let at = candidate; at < chunk.length; at++) {
        if (chunk[at] !== bytes[start + at - candidate]) return chunk.length
      }
      return candidate
    }
    return chunk.length
  }
}

/** Of the last body: the next one is often of the same client, and many of these have one boundary for ever. */
let last: Needle | undefined
