import { NumberText } from './data-set-model.ts'

/** Any JSON value. Members keep their order and their repetitions, numbers their digits. */
export type JsonValue = null | boolean | string | NumberText | JsonValue[] | JsonObject

export class JsonObject {
  readonly members: [name: string, value: JsonValue][] = []
}

/** The metadata as a whole cannot be read, so that nobody knows which instances they tell of. → 400 */
export class MetadataSyntaxError extends SyntaxError {
  override readonly name = 'MetadataSyntaxError'
  readonly status = 400
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
const spacePattern = /[ \t\n\r]*/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside a string
const plainString = /"[^"\\\u0000-\u001f]*"/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside a string
const anyString = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y

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
        return new NumberText(this.#match(numberPattern) ?? this.#fail())
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
    do {
      this.#skipSpace()
      const name = this.#string()
      if (!this.#takes(':')) this.#fail()
      object.members.push([name, this.value(depth + 1)])
    } while (this.#takes(','))
    if (!this.#takes('}')) this.#fail()
    return object
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = []
    this.#enter(depth)
    if (this.#takes(']')) return values
    do values.push(this.value(depth + 1))
    while (this.#takes(','))
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
    const plain = this.#match(plainString)
    if (plain !== undefined) return plain.slice(1, -1)
    const start = this.#at
    const escaped = this.#match(anyString) ?? this.#fail()
    try {
      return JSON.parse(escaped)
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
    this.#match(spacePattern)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const [found] = pattern.exec(this.#text) ?? []
    this.#at += found?.length ?? 0
    return found
  }

  #fail(): never {
    throw new MetadataSyntaxError(
      `Cannot read metadata: no JSON at character ${this.#at} of the object of an instance`,
    )
  }
}
