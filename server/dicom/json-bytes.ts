const QUOTE = 0x22
const BACKSLASH = 0x5c
const ESCAPE = 0x1b
const hexDigits = latin1Bytes('0123456789ABCDEF')
const base64Digits = latin1Bytes('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const encoder = new TextEncoder()

/**
 * JSON under construction, as UTF-8 bytes in one buffer that doubles when it is full.
 *
 * Bytes of the file become bytes of the JSON without a string in between. `bytes` and `length` are open to the
 * writers of values, which check the room once a value by {@link reserve}.
 */
export class JsonBytes {
  bytes = new Uint8Array(16_384)
  length = 0

  /** Makes room for `count` more bytes. May replace `bytes`. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  /** Appends text that is ASCII and needs no escape. */
  ascii(text: string): void {
    this.reserve(text.length)
    const { bytes } = this
    let at = this.length
    for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index)
    this.length = at
  }

  /** Appends text as a JSON string, quoted and escaped. */
  string(text: string): void {
    const quoted = JSON.stringify(text.replaceAll('\0', '\uFFFD'))
    this.reserve(quoted.length * 3)
    this.length += encoder.encodeInto(quoted, this.bytes.subarray(this.length)).written
  }

  /**
   * Appends bytes of the default repertoire as a JSON string.
   *
   * NUL becomes U+FFFD: it is no character of any VR, and Postgres does not take it in jsonb.
   *
   * @returns false, with nothing appended, when a byte needs a character set: above 7Fh, or ESC.
   */
  plain(source: Uint8Array, start: number, end: number): boolean {
    this.reserve((end - start) * 6 + 2)
    const { bytes } = this
    let at = this.length
    bytes[at++] = QUOTE
    for (let index = start; index < end; index++) {
      const byte = source[index] as number
      if (byte >= 0x20 && byte < 0x7f && byte !== QUOTE && byte !== BACKSLASH) bytes[at++] = byte
      else if (byte > 0x7f || byte === ESCAPE) return false
      else at = escaped(bytes, at, byte)
    }
    bytes[at++] = QUOTE
    this.length = at
    return true
  }

  /** Appends bytes as they are: the caller knows that they are JSON. */
  raw(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    const { bytes } = this
    let at = this.length
    for (let index = start; index < end; index++) bytes[at++] = source[index] as number
    this.length = at
  }

  /** Appends an integer between -2^31 and 2^32. */
  integer(value: number): void {
    this.reserve(11)
    const { bytes } = this
    let rest = value
    if (rest < 0) {
      bytes[this.length++] = 0x2d
      rest = -rest
    }
    let digits = 1
    for (let power = 10; rest >= power; power *= 10) digits++
    this.length += digits
    for (let at = this.length - 1; digits > 0; digits--) {
      const tenth = Math.floor(rest / 10)
      bytes[at--] = 0x30 + rest - tenth * 10
      rest = tenth
    }
  }

  /** Appends `"GGGGEEEE":{"vr":"XX"`, after a comma unless it is the first member of its object. */
  member(tag: number, vr: number): void {
    this.reserve(24)
    const { bytes } = this
    let at = this.length
    if (bytes[at - 1] !== 0x7b) bytes[at++] = 0x2c
    bytes[at++] = QUOTE
    for (let shift = 28; shift >= 0; shift -= 4) {
      bytes[at++] = hexDigits[(tag >>> shift) & 15] as number
    }
    // ":{"vr":"
    bytes[at++] = QUOTE
    bytes[at++] = 0x3a
    bytes[at++] = 0x7b
    bytes[at++] = QUOTE
    bytes[at++] = 0x76
    bytes[at++] = 0x72
    bytes[at++] = QUOTE
    bytes[at++] = 0x3a
    bytes[at++] = QUOTE
    bytes[at++] = vr >> 8
    bytes[at++] = vr & 255
    bytes[at++] = QUOTE
    this.length = at
  }

  /** Appends a tag as eight hexadecimal digits. */
  hex(tag: number): void {
    this.reserve(8)
    for (let shift = 28; shift >= 0; shift -= 4) {
      this.bytes[this.length++] = hexDigits[(tag >>> shift) & 15] as number
    }
  }

  /**
   * Appends bytes in base64.
   *
   * @param swap Bytes of a word less one: 1, 3 or 7 turn big endian words around (JS-09), 0 leaves all as it is.
   */
  base64(source: Uint8Array, start: number, end: number, swap: number): void {
    const count = end - start
    // A last word that is not whole stays as it is: there is no word to turn.
    const whole = count - (count % (swap + 1))
    this.reserve(Math.ceil(count / 3) * 4)
    const { bytes } = this
    let at = this.length
    for (let index = 0; index < count; index += 3) {
      const a = byteAt(source, start, index, whole, swap)
      const b = index + 1 < count ? byteAt(source, start, index + 1, whole, swap) : 0
      const c = index + 2 < count ? byteAt(source, start, index + 2, whole, swap) : 0
      bytes[at++] = base64Digits[a >> 2] as number
      bytes[at++] = base64Digits[((a & 3) << 4) | (b >> 4)] as number
      bytes[at++] = index + 1 < count ? (base64Digits[((b & 15) << 2) | (c >> 6)] as number) : 0x3d
      bytes[at++] = index + 2 < count ? (base64Digits[c & 63] as number) : 0x3d
    }
    this.length = at
  }
}

function byteAt(
  source: Uint8Array,
  start: number,
  index: number,
  whole: number,
  swap: number,
): number {
  return source[start + (index < whole ? index ^ swap : index)] as number
}

function escaped(bytes: Uint8Array, start: number, byte: number): number {
  let at = start
  if (byte === 0) {
    bytes[at++] = 0xef
    bytes[at++] = 0xbf
    bytes[at++] = 0xbd
    return at
  }
  bytes[at++] = BACKSLASH
  if (byte === QUOTE || byte === BACKSLASH) {
    bytes[at++] = byte
    return at
  }
  bytes[at++] = 0x75
  bytes[at++] = 0x30
  bytes[at++] = 0x30
  bytes[at++] = hexDigits[byte >> 4] as number
  bytes[at++] = hexDigits[byte & 15] as number
  return at
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}
