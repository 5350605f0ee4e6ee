import { Buffer } from 'node:buffer'

/**
 * The same bytes as a Buffer, which is what the readers of this room are given.
 *
 * Chunks of a request are Buffers. V8 compiles the inner loops for the kind of array that it has seen, and throws
 * that code away at the first of another kind. With carries that were plain Uint8Arrays it did so for 20 functions
 * in the first seconds of a server (`--trace-deopt`), and these were slower ever after.
 */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Reads 16 bits. The caller knows that they are there. */
export function u16(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  const first = bytes[at] as number
  const second = bytes[at + 1] as number
  return bigEndian ? (first << 8) | second : first | (second << 8)
}

/** Reads 32 bits, unsigned. The caller knows that they are there. */
export function u32(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  const a = bytes[at] as number
  const b = bytes[at + 1] as number
  const c = bytes[at + 2] as number
  const d = bytes[at + 3] as number
  return (
    (bigEndian ? (a << 24) | (b << 16) | (c << 8) | d : a | (b << 8) | (c << 16) | (d << 24)) >>> 0
  )
}

/** Reads bytes as latin-1, which for ASCII is what they say. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString('latin1', start, end)
}

/** Whether two capital letters stand there, as those of a VR. */
export function isLetters(bytes: Uint8Array, at: number): boolean {
  return isCapital(bytes[at]) && isCapital(bytes[at + 1])
}

function isCapital(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x41 && byte <= 0x5a
}

/** Where a text ends without its padding: spaces and NULs (JS-17, VA-2). */
export function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let last = end
  while (last > start && (bytes[last - 1] === 0x20 || bytes[last - 1] === 0)) last--
  return last
}

/** A tag as eight uppercase hexadecimal digits. */
export function tagHex(tag: number): string {
  return tag.toString(16).toUpperCase().padStart(8, '0')
}

/** A tag as messages name it: `(0010,0020)`. */
export function tagName(tag: number): string {
  const hex = tagHex(tag)
  return `(${hex.slice(0, 4)},${hex.slice(4)})`
}
