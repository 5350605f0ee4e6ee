import { MetadataSyntaxError } from './json-text.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Finds where each object of one JSON array begins and ends, in any chunking, without keeping anything of them: so
 * the metadata of many instances can be read one by one. What is inside an object is for the parser.
 *
 * A body that is one object and no array counts as an array of one: `dcm2json` and others write that.
 */
export class JsonArraySplitter {
  readonly #found: (offset: number, length: number) => void
  #offset = 0
  #depth = 0
  #start = 0
  #isArray = false
  #isInString = false
  #isEscaped = false
  /** What may come at the top level. */
  #expects: 'anything' | 'object or end' | 'object' | 'comma or end' | 'nothing' = 'anything'

  /** @param found Is told of each object: bytes from the front, and bytes. */
  constructor(found: (offset: number, length: number) => void) {
    this.#found = found
  }

  /** Bytes of the object that is not yet at its end. */
  get openLength(): number {
    return this.#depth > 0 ? this.#offset - this.#start : 0
  }

  /** @throws {MetadataSyntaxError} this is no array of objects → 400 */
  push(bytes: Uint8Array): void {
    const before = this.#offset
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (byte === BACKSLASH) this.#isEscaped = true
        else if (byte === QUOTE) this.#isInString = false
        continue
      }
      if (this.#depth === 0) this.#topLevel(byte, before + at)
      else if (byte === QUOTE) this.#isInString = true
      else if (byte === 0x7b || byte === 0x5b) this.#depth++
      else if (byte === 0x7d || byte === 0x5d) this.#close(before + at)
    }
    this.#offset = before + bytes.length
  }

  /** @throws {MetadataSyntaxError} it is not at its end → 400 */
  end(): void {
    if (this.#expects !== 'nothing' || this.#depth > 0) this.#fail(this.#offset)
  }

  #close(offset: number): void {
    this.#depth--
    if (this.#depth > 0) return
    this.#expects = this.#isArray ? 'comma or end' : 'nothing'
    this.#found(this.#start, offset + 1 - this.#start)
  }

  #topLevel(byte: number, offset: number): void {
    const expects = this.#expects
    if (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) return
    const takesObject = expects !== 'comma or end' && expects !== 'nothing'
    if (byte === 0x7b && takesObject) {
      this.#depth = 1
      this.#start = offset
    } else if (byte === 0x5b && expects === 'anything') {
      this.#isArray = true
      this.#expects = 'object or end'
    } else if (byte === 0x2c && expects === 'comma or end') this.#expects = 'object'
    else if (byte === 0x5d && (expects === 'comma or end' || expects === 'object or end')) {
      this.#expects = 'nothing'
    } else this.#fail(offset)
  }

  #fail(offset: number): never {
    throw new MetadataSyntaxError(
      `Cannot read metadata: at byte ${offset} they are no array of objects, one for each instance`,
    )
  }
}
