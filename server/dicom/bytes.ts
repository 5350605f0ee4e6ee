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

/** Reads bytes as latin-1, which for ASCII is what they say. For short texts: no decoder is started. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] as number)
  return text
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
