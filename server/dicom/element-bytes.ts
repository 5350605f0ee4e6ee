import { Buffer } from 'node:buffer'
import { LONG_FORM, vrCode, vrFlags } from './vr.ts'

const NUL = 0
const SPACE = 0x20

/** Bytes of Explicit VR Little Endian under construction, in one buffer that doubles when it is full. */
export class ElementBytes {
  #bytes = Buffer.allocUnsafe(4096)
  #end = 0

  /** Header of an element: tag, VR, and a length of 16 or 32 bits (PS3.5 7.1.2). */
  header(tag: number, vr: string, length: number): void {
    const code = vrCode(vr)
    const isLong = ((vrFlags[code] as number) & LONG_FORM) !== 0
    this.#reserve(12)
    const bytes = this.#bytes
    bytes.writeUInt16LE(tag >>> 16, this.#end)
    bytes.writeUInt16LE(tag & 0xffff, this.#end + 2)
    bytes.writeUInt16BE(code, this.#end + 4)
    bytes.writeUInt16LE(isLong ? 0 : length, this.#end + 6)
    if (isLong) bytes.writeUInt32LE(length, this.#end + 8)
    this.#end += isLong ? 12 : 8
  }

  /** Item or delimiter: an element of group FFFE, which has no VR (PS3.5 7.5). */
  delimiter(element: number, length: number): void {
    this.#reserve(8)
    this.#bytes.writeUInt16LE(0xfffe, this.#end)
    this.#bytes.writeUInt16LE(element, this.#end + 2)
    this.#bytes.writeUInt32LE(length, this.#end + 4)
    this.#end += 8
  }

  value(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** What makes a value of odd length even: NUL for UI, OB and UN, a space for text (PS3.5 6.2). */
  pad(vr: string, length: number): void {
    if (length % 2 === 0) return
    this.#reserve(1)
    this.#bytes[this.#end++] = vr === 'UI' || vr === 'OB' || vr === 'UN' ? NUL : SPACE
  }

  /** All that was written since the last time; what is written from now on is not part of it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#end)
    this.#bytes = Buffer.allocUnsafe(4096)
    this.#end = 0
    return taken
  }

  #reserve(count: number): void {
    const needed = this.#end + count
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}

export function even(length: number): number {
  return length + (length % 2)
}
