import { Buffer } from 'node:buffer'

/** Bytes in which frame and scan header have to be found; colour profiles may come before them. */
const headBytes = 64 * 1024

const base = '1.2.840.10008.1.2.4'

/**
 * Finds out in which transfer syntax of JPEG (PS3.5 8.2.1) a frame is, by the marker of its process: for image/jpeg stands
 * for several, and PS3.18 takes one that is not named for lossless, which most are not.
 *
 * @see ISO/IEC 10918-1 B.2.2, B.2.3
 */
export class JpegProcess {
  readonly #bytes = Buffer.allocUnsafe(headBytes)
  #length = 0
  #isDecided = false
  /** Undefined while the process is not known, or is none that is sent without its transfer syntax. */
  transferSyntaxUID: string | undefined

  push(bytes: Uint8Array): void {
    if (this.#isDecided) return
    const taken = bytes.subarray(0, headBytes - this.#length)
    this.#bytes.set(taken, this.#length)
    this.#length += taken.length
    this.#isDecided =
      this.#read(this.#bytes.subarray(0, this.#length)) || this.#length === headBytes
  }

  /** Walks over the marker segments. @returns whether nothing more is needed. */
  #read(head: Buffer): boolean {
    let process: number | undefined
    for (let at = 2; at + 4 <= head.length; at += 2 + head.readUInt16BE(at + 2)) {
      if (head[at] !== 0xff) return true
      const marker = head[at + 1] as number
      if (marker === 0xc0 || marker === 0xc1 || marker === 0xc3) process = marker
      if (process === 0xc0 || process === 0xc1) {
        this.transferSyntaxUID = `${base}.${process === 0xc0 ? 50 : 51}`
        return true
      }
      if (marker !== 0xda) continue
      // Scan header: how many components, two bytes of each, and the predictor.
      const predictor = head[at + 5 + 2 * (head[at + 4] ?? 0)]
      if (predictor === undefined) return false
      if (process === 0xc3) this.transferSyntaxUID = `${base}.${predictor === 1 ? 70 : 57}`
      return true
    }
    return false
  }
}
