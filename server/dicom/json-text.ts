import { NumberText } from './data-set-model.ts'

/** Any JSON value. Members keep their order and their repetitions, numbers their digits. */
export type JsonValue = null | boolean | string | NumberText | JsonValue[] | JsonObject

/** A list, for arrays of the members would take three times the memory: metadata consist of small objects. */
export class JsonObject {
  first: JsonMember | undefined
  count = 0;

  *all(): Generator<JsonMember> {
    for (let member = this.first; member !== undefined; member = member.next) {
      yield member
    }
  }
}

export class JsonMember {
  readonly name: string
  readonly value: JsonValue
  next: JsonMember | undefined

  constructor(name: string, value: JsonValue) {
    this.name = name
    this.value = value
  }
}

/** The metadata as a whole cannot be read, so that nobody knows which instances they tell of. → 400 */
export class MetadataSyntaxError extends SyntaxError {
  override readonly name = 'MetadataSyntaxError'
  readonly status = 400
}

/** The text of JSON, which is UTF-8 (RFC 8259 8.1). @throws {MetadataSyntaxError} it is not → 400 */
export function decodeJson(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new MetadataSyntaxError('Cannot read metadata: they are not UTF-8', { cause })
  }
}

/** Arrays and objects inside each other: 64 sequences, each an attribute, its values and an item, and some more. */
const maximumDepth = 256

/**
 * Parses JSON (RFC 8259) as `JSON.parse` does, but for two things that DICOM needs: a number stays the text that it
 * was, and an object that names a member twice shows both (JS-26).
 *
 * @throws {MetadataSyntaxError} with the character at which it ended to be JSON, never with what stands there
 */
export function parseJson(text: string): JsonValue {
  const parser = new JsonParser(text)
  const value = parser.value(0)
  parser.end()
  return value
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20

/** One copy of what nearly all members are called. */
const memberNames = new Map(['vr', 'Value', 'Alphabetic'].map((name) => [name, name]))

class JsonParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): JsonValue {
    this.#skipSpace()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  end(): void {
    this.#skipSpace()
    if (this.#at < this.#text.length) this.#fail()
  }

  #object(depth: number): JsonObject {
    const object = new JsonObject()
    this.#enter(depth)
    if (this.#takes('}')) return object
    let last: JsonMember | undefined
    do {
      this.#skipSpace()
      const name = this.#string()
      if (!this.#takes(':')) this.#fail()
      const member = new JsonMember(memberNames.get(name) ?? name, this.value(depth + 1))
      if (last === undefined) object.first = member
      else last.next = member
      last = member
      object.count++
    } while (this.#takes(','))
    if (!this.#takes('}')) this.#fail()
    return object
  }

  #array(depth: number): JsonValue[] {
    this.#enter(depth)
    if (this.#takes(']')) return []
    // Most have one value: a list of that has no room for more.
    const values = [this.value(depth + 1)]
    while (this.#takes(',')) values.push(this.value(depth + 1))
    if (!this.#takes(']')) this.#fail()
    return values
  }

  #enter(depth: number): void {
    if (depth >= maximumDepth) {
      throw new MetadataSyntaxError(
        `Cannot read metadata: arrays and objects are nested deeper than ${maximumDepth}`,
      )
    }
    this.#at++
  }

  #string(): string {
    const text = this.#text
    const start = this.#at
    if (text.charCodeAt(start) !== QUOTE) this.#fail()
    let isEscaped = false
    let at = start + 1
    for (;;) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) break
      // Beyond the end the code is NaN, which is not a character that may stand here, either.
      if (!(code >= SPACE)) this.#fail()
      if (code === BACKSLASH) isEscaped = true
      at += code === BACKSLASH ? 2 : 1
    }
    this.#at = at + 1
    return isEscaped ? this.#unescaped(start) : text.slice(start + 1, at)
  }

  #unescaped(start: number): string {
    try {
      return JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      this.#at = start
      return this.#fail()
    }
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail()
    this.#at += word.length
    return value
  }

  #takes(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #number(): NumberText {
    numberPattern.lastIndex = this.#at
    const [found] = numberPattern.exec(this.#text) ?? []
    if (found === undefined) return this.#fail()
    this.#at += found.length
    return new NumberText(found)
  }

  #fail(): never {
    throw new MetadataSyntaxError(
      `Cannot read metadata: no JSON at character ${this.#at} of the object of an instance`,
    )
  }
}
