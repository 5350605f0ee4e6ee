/** What Fetch takes for a name (RFC 9110 5.6.2), and what it does not take in a value. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const unfit = /[\0\n\r\u0100-\uffff]/

/** Names as they were written, with what they are called here: the same few come with each request. */
const known = new Map<string, string>()
const knownAtMost = 200
const knownLength = 50

/** As Fetch takes them. */
export type HeadersLike = Iterable<readonly [string, string]> | Readonly<Record<string, string>>

/**
 * Headers as Fetch has them, without what makes those of Node slow: each call of theirs checks and converts what it is given,
 * by a machinery made for browsers. With them, and a Response of Node's for each answer, a small POST took 33 µs more, and a
 * GET of one instance 22 (test/bench/requests-cost.ts).
 *
 * They are in the order in which they came; Fetch would sort them by name.
 */
export class PlainHeaders implements Headers {
  readonly #values = new Map<string, string>()
  /** The only one that may come several times, and cannot be joined (RFC 6265 3). */
  #cookies: string[] = []

  constructor(init?: HeadersLike) {
    if (init === undefined) return
    if (Symbol.iterator in init) for (const [name, value] of init) this.append(name, value)
    else for (const name in init) this.append(name, init[name] as string)
  }

  /** @param raw Names and values in turns, as Node gives them. @throws {TypeError} see `append` */
  static ofRaw(raw: readonly string[]): PlainHeaders {
    const headers = new PlainHeaders()
    for (let at = 0; at + 1 < raw.length; at += 2) {
      headers.append(raw[at] as string, raw[at + 1] as string)
    }
    return headers
  }

  /** @throws {TypeError} a name or value that does not fit a line of a head */
  append(name: string, value: string): void {
    const key = keyOf(name)
    const text = checked(value)
    if (key === 'set-cookie') {
      this.#cookies.push(text)
      return
    }
    const before = this.#values.get(key)
    // RFC 9113 8.2.3 for cookies, RFC 9110 5.3 for all others.
    const joint = key === 'cookie' ? '; ' : ', '
    this.#values.set(key, before === undefined ? text : `${before}${joint}${text}`)
  }

  /** @throws {TypeError} see `append` */
  set(name: string, value: string): void {
    const key = keyOf(name)
    if (key === 'set-cookie') this.#cookies = [checked(value)]
    else this.#values.set(key, checked(value))
  }

  delete(name: string): void {
    const key = keyOf(name)
    if (key === 'set-cookie') this.#cookies = []
    else this.#values.delete(key)
  }

  get(name: string): string | null {
    const key = keyOf(name)
    if (key === 'set-cookie') return this.#cookies.length === 0 ? null : this.#cookies.join(', ')
    return this.#values.get(key) ?? null
  }

  has(name: string): boolean {
    return this.get(name) !== null
  }

  getSetCookie(): string[] {
    return [...this.#cookies]
  }

  forEach(callback: (value: string, name: string, parent: Headers) => void): void {
    for (const [name, value] of this.#values) callback(value, name, this)
    for (const cookie of this.#cookies) callback(cookie, 'set-cookie', this)
  }

  *entries(): HeadersIterator<[string, string]> {
    yield* this.#values
    for (const cookie of this.#cookies) yield ['set-cookie', cookie]
  }

  *keys(): HeadersIterator<string> {
    for (const [name] of this.entries()) yield name
  }

  *values(): HeadersIterator<string> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): HeadersIterator<[string, string]> {
    return this.entries()
  }
}

function keyOf(name: string): string {
  const before = known.get(name)
  if (before !== undefined) return before
  if (!token.test(name)) throw new TypeError('Cannot take a header: its name is no token')
  const key = name.toLowerCase()
  if (known.size < knownAtMost && name.length <= knownLength) known.set(name, key)
  return key
}

function checked(value: string): string {
  let text = `${value}`
  const isTrimmed = text.charCodeAt(0) > 32 && text.charCodeAt(text.length - 1) > 32
  if (!isTrimmed) text = trimmed(text)
  if (unfit.test(text)) throw new TypeError('Cannot take a header: its value does not fit a line')
  return text
}

const spaces = '\t\n\r '

/** Not `trim`, which takes what may be a letter of another character set. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && spaces.includes(text[start] as string)) start++
  while (end > start && spaces.includes(text[end - 1] as string)) end--
  return end - start === text.length ? text : text.slice(start, end)
}
