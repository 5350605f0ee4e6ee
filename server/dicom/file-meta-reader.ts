import { Buffer } from 'node:buffer'
import { latin1, tagName, trimEnd, u16, u32 } from './bytes.ts'
import { FileMetaError, FileMetaTooLargeError, NotDicomError } from './errors.ts'
import type { InstanceLimits } from './limits.ts'
import { LONG_FORM, vrFlags } from './vr.ts'

const PREFIX_END = 132

/**
 * Reads the preamble, the prefix "DICM" and the File Meta Information, in any chunking (PS3.10 7.1).
 *
 * The group is walked element by element until another group begins: (0002,0000) is often missing or wrong, and
 * pydicom and dcmtk walk, too. Only where the data set is deflated, so that its first bytes are no tag, a
 * group length that fits is believed. Holds at most `fileMetaBytes` and one chunk.
 */
export class FileMetaReader {
  mediaStorageSOPClassUID = ''
  mediaStorageSOPInstanceUID = ''
  transferSyntaxUID = ''
  /** Offset of the data set, once {@link push} has returned true. */
  dataSetOffset = 0
  /** Bytes of the data set that were held before it was known to be there. */
  rest = none
  /** Bytes of the last chunk that were taken, {@link rest} included. */
  taken = 0

  readonly #limits: InstanceLimits
  #bytes = none
  #held = 0
  #need = PREFIX_END
  /** Where the next element begins. */
  #at = 0
  #groupEnd = -1

  constructor(limits: InstanceLimits) {
    this.#limits = limits
  }

  /** Takes the next bytes. @returns Whether the File Meta Information has ended. */
  push(bytes: Uint8Array): boolean {
    if (this.#held === 0) {
      if (this.#parse(bytes, bytes.length)) {
        this.taken = this.#at
        return true
      }
      this.#hold(bytes, 0, bytes.length)
      return false
    }
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + this.#need - this.#held)
      this.#hold(bytes, at, end)
      at = end
      if (this.#held < this.#need) return false
      if (this.#parse(this.#bytes, this.#held)) {
        this.taken = at
        this.rest = this.#bytes.subarray(this.#at, this.#held)
        return true
      }
    }
    return false
  }

  /** Says why the file ended too early. */
  ended(): NotDicomError | FileMetaError {
    if (this.#at < PREFIX_END) return new NotDicomError(`the file ends at offset ${this.#held}`)
    return new FileMetaError(`the file ends at offset ${this.#held}, before its data set`)
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start
    if (this.#bytes.length < this.#held + count) {
      const larger = Buffer.alloc(Math.max(this.#held + count, this.#bytes.length * 2, 1024))
      larger.set(this.#bytes.subarray(0, this.#held))
      this.#bytes = larger
    }
    this.#bytes.set(bytes.subarray(start, end), this.#held)
    this.#held += count
  }

  /** Goes on where it stopped. @returns Whether the group has ended; if not, `#need` says how many bytes it needs. */
  #parse(bytes: Uint8Array, end: number): boolean {
    if (this.#at === 0) {
      if (end < PREFIX_END) return this.#needs(PREFIX_END)
      if (latin1(bytes, 128, PREFIX_END) !== 'DICM')
        throw new NotDicomError('no "DICM" at offset 128')
      this.#at = PREFIX_END
    }
    for (;;) {
      const at = this.#at
      if (at === this.#groupEnd && this.transferSyntaxUID === DEFLATED) return this.#done()
      if (at + 2 > end) return this.#needs(at + 2)
      if (u16(bytes, at, false) !== 2) return this.#done()
      if (at + 8 > end) return this.#needs(at + 8)
      const next = this.#element(bytes, at, end)
      if (next < 0) return false
      this.#at = next
    }
  }

  /** @returns Where the element ends, or -1 when `#need` bytes are needed. */
  #element(bytes: Uint8Array, at: number, end: number): number {
    const tag = 0x20000 | u16(bytes, at + 2, false)
    const flags = vrFlags[((bytes[at + 4] as number) << 8) | (bytes[at + 5] as number)] as number
    if (flags === 0) throw new FileMetaError(`${tagName(tag)} at offset ${at} has no known VR`)
    const isLong = (flags & LONG_FORM) !== 0
    const valueAt = at + (isLong ? 12 : 8)
    if (valueAt > end) {
      this.#needs(valueAt)
      return -1
    }
    const length = isLong ? u32(bytes, at + 8, false) : u16(bytes, at + 6, false)
    const { fileMetaBytes } = this.#limits
    if (valueAt + length > fileMetaBytes) {
      throw new FileMetaTooLargeError(
        `${tagName(tag)} at offset ${at} takes the File Meta Information over ${fileMetaBytes} bytes`,
        fileMetaBytes,
      )
    }
    if (valueAt + length > end) {
      this.#needs(valueAt + length)
      return -1
    }
    this.#take(tag, bytes, valueAt, length)
    return valueAt + length
  }

  #take(tag: number, bytes: Uint8Array, valueAt: number, length: number): void {
    if (tag === 0x20000 && length === 4) this.#groupEnd = valueAt + 4 + u32(bytes, valueAt, false)
    if (tag !== 0x20002 && tag !== 0x20003 && tag !== 0x20010) return
    const text = latin1(bytes, valueAt, trimEnd(bytes, valueAt, valueAt + length))
    if (tag === 0x20002) this.mediaStorageSOPClassUID = text
    else if (tag === 0x20003) this.mediaStorageSOPInstanceUID = text
    else this.transferSyntaxUID = text
  }

  #needs(bytes: number): false {
    this.#need = bytes
    return false
  }

  #done(): true {
    if (this.#at === PREFIX_END) throw new FileMetaError('no File Meta Information at offset 132')
    if (this.transferSyntaxUID === '') {
      throw new FileMetaError('the File Meta Information names no transfer syntax (0002,0010)')
    }
    this.dataSetOffset = this.#at
    return true
  }
}

const none = Buffer.alloc(0)
const DEFLATED = '1.2.840.10008.1.2.1.99'
