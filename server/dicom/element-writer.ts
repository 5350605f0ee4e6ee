import { Buffer } from 'node:buffer'
import { LONG_FORM, vrCode, vrFlags } from './vr.ts'

export const undefinedLength = 0xffffffff
const UN = vrCode('UN')

/**
 * The header of an element in Explicit VR Little Endian (PS3.5 7.1.2).
 *
 * @param vr A VR code. One with a length of 16 bits, whose value has more bytes, becomes UN (PS3.5 6.2.2 note 8).
 * @param length Bytes of the value, or {@link undefinedLength}.
 */
export function elementHeader(tag: number, vr: number, length: number): Buffer {
  const isLong = ((vrFlags[vr] as number) & LONG_FORM) !== 0 || length > 0xffff
  const header = Buffer.alloc(isLong ? 12 : 8)
  header.writeUInt16LE(tag >>> 16, 0)
  header.writeUInt16LE(tag & 0xffff, 2)
  const written = isLong && ((vrFlags[vr] as number) & LONG_FORM) === 0 ? UN : vr
  header.writeUInt16BE(written, 4)
  if (isLong) header.writeUInt32LE(length, 8)
  else header.writeUInt16LE(length, 6)
  return header
}

/** A whole element with a short text, padded: `CS`, `UI`. */
export function textElement(tag: number, vr: string, text: string): Buffer {
  const even = text.length % 2 === 0 ? text : `${text}${vr === 'UI' ? '\0' : ' '}`
  const value = Buffer.from(even, 'latin1')
  return Buffer.concat([elementHeader(tag, vrCode(vr), value.length), value])
}

/** A whole element with one number of 16 bits. */
export function shortElement(tag: number, value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return Buffer.concat([elementHeader(tag, vrCode('US'), 2), bytes])
}

/** Item (FFFE,E000), Item Delimitation (FFFE,E00D) or Sequence Delimitation Item (FFFE,E0DD). */
export type ItemElement = 0xe000 | 0xe00d | 0xe0dd

/** An element of group FFFE, which has no VR (PS3.5 7.5). */
export function itemHeader(element: ItemElement, length: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16LE(0xfffe, 0)
  header.writeUInt16LE(element, 2)
  header.writeUInt32LE(length, 4)
  return header
}
