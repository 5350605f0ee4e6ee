import { Buffer } from 'node:buffer'
import { asBuffer } from './bytes.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const SPACE = 0x20
const BACKSLASH = 0x5c
const CLOSING_BRACKET = 0x5d
const ESCAPE = 0x1b
const hexDigits = Buffer.from('0123456789ABCDEF')

/** The JSON of some small instances shares one slab: a buffer for each costs 2 µs, and the collector its work. */
const SLAB_BYTES = 65_536
/** With less room than this left, a slab takes no further JSON. */
const ROOM_BYTES = 16_384

/**
 * JSON under construction, as UTF-8 bytes in one buffer that doubles when it is full.
 *
 * Bytes of the file become bytes of the JSON without a string in between. `bytes` and `end` are open to the
 * writers of values, which check the room once a value by {@link reserve}.
 */
export class JsonBytes {
  bytes: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** Where the next byte goes. */
  end = 0
  #start = 0

  /** Bytes written since the last {@link take}. */
  get size(): number {
    return this.end - this.#start
  }

  /** All that was written. What is written from now on is another JSON. */
  take(): Uint8Array {
    const { bytes } = this
    const isSlab = bytes.length === SLAB_BYTES
    const written = bytes.subarray(this.#start, this.end)
    const json = isSlab ? written : new Uint8Array(written)
    if (!isSlab || this.end + ROOM_BYTES > SLAB_BYTES) {
      this.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.end = 0
    }
    this.#start = this.end
    return json
  }

  /** Makes room for `count` more bytes. May replace `bytes`. */
  reserve(count: number): void {
    if (this.end + count > this.bytes.length) this.#grow(this.end + count)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.end++] = value
  }

  /** Appends text that is ASCII and needs no escape. */
  ascii(text: string): void {
    this.reserve(text.length)
    const { bytes } = this
    let at = this.end
    for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index)
    this.end = at
  }

  /** Appends text as a JSON string, quoted and escaped. */
  string(text: string): void {
    const quoted = JSON.stringify(text.replaceAll('\0', '\uFFFD'))
    this.reserve(quoted.length * 3)
    this.end += this.bytes.write(quoted, this.end)
  }

  /**
   * Appends values between backslashes as JSON strings, with the bracket that ends their array, if no byte of them
   * asks for a decision: ordinary characters, no padding, no empty value. That is nearly every text of a file.
   *
   * @returns false, with nothing appended, when the slower way must be gone.
   */
  ordinaryValues(source: Uint8Array, start: number, end: number): boolean {
    this.reserve((end - start) * 3 + 3)
    const { bytes } = this
    let at = this.end
    bytes[at++] = QUOTE
    // As if a separator stood before the first value and after the last.
    let before = BACKSLASH
    for (let index = start; index < end; index++) {
      const byte = source[index] as number
      if (byte === BACKSLASH) {
        if (before === BACKSLASH || before === SPACE) return false
        bytes[at++] = QUOTE
        bytes[at++] = COMMA
        bytes[at++] = QUOTE
      } else {
        if (byte < SPACE || byte > 0x7e || byte === QUOTE) return false
        if (byte === SPACE && before === BACKSLASH) return false
        bytes[at++] = byte
      }
      before = byte
    }
    if (before === BACKSLASH || before === SPACE) return false
    bytes[at++] = QUOTE
    bytes[at++] = CLOSING_BRACKET
    this.end = at
    return true
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
    let at = this.end
    bytes[at++] = QUOTE
    for (let index = start; index < end; index++) {
      const byte = source[index] as number
      if (byte >= 0x20 && byte < 0x7f && byte !== QUOTE && byte !== BACKSLASH) bytes[at++] = byte
      else if (byte > 0x7f || byte === ESCAPE) return false
      else at = escaped(bytes, at, byte)
    }
    bytes[at++] = QUOTE
    this.end = at
    return true
  }

  /** Appends bytes as they are: the caller knows that they are JSON. */
  raw(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start)
    const { bytes } = this
    let at = this.end
    for (let index = start; index < end; index++) bytes[at++] = source[index] as number
    this.end = at
  }

  /** Appends an integer between -2^31 and 2^32. */
  integer(value: number): void {
    this.reserve(11)
    const { bytes } = this
    let rest = value
    if (rest < 0) {
      bytes[this.end++] = 0x2d
      rest = -rest
    }
    let digits = 1
    for (let power = 10; rest >= power; power *= 10) digits++
    this.end += digits
    for (let at = this.end - 1; digits > 0; digits--) {
      const tenth = Math.floor(rest / 10)
      bytes[at--] = 0x30 + rest - tenth * 10
      rest = tenth
    }
  }

  /** Appends a tag as eight hexadecimal digits. */
  hex(tag: number): void {
    this.reserve(8)
    for (let shift = 28; shift >= 0; shift -= 4) {
      this.bytes[this.end++] = hexDigits[(tag >>> shift) & 15] as number
    }
  }

  /**
   * Appends bytes in base64.
   *
   * @param swap Bytes of a word less one: 1, 3 or 7 turn big endian words around (JS-09), 0 leaves all as it is.
   */
  base64(source: Uint8Array, start: number, end: number, swap: number): void {
    const text =
      swap === 0
        ? asBuffer(source).toString('base64', start, end)
        : turned(source, start, end, swap).toString('base64')
    this.reserve(text.length)
    this.end += this.bytes.write(text, this.end, 'latin1')
  }

  /** What was written keeps its place: others remember places. */
  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(larger, this.#start, this.#start, this.end)
    this.bytes = larger
  }
}

function turned(source: Uint8Array, start: number, end: number, swap: number): Buffer {
  const words = Buffer.from(source.subarray(start, end))
  // A last word that is not whole stays as it is: there is no word to turn.
  const whole = words.length - (words.length % (swap + 1))
  for (let at = 0; at < whole; at++) words[at] = source[start + (at ^ swap)] as number
  return words
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
