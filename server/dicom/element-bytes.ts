import { Buffer } from 'node:buffer'
import { elementHeader, type ItemElement, itemHeader } from './element-writer.ts'
import { vrCode } from './vr.ts'

const NUL = 0
const SPACE = 0x20

/** Bytes of Explicit VR Little Endian under construction, in one buffer that doubles when it is full. */
export class ElementBytes {
  #bytes = Buffer.allocUnsafe(4096)
  #end = 0

  header(tag: number, vr: string, length: number): void {
    this.value(elementHeader(tag, vrCode(vr), length))
  }

  delimiter(element: ItemElement, length: number): void {
    this.value(itemHeader(element, length))
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
