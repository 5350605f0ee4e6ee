/** What there is only so much of. */
export type Scarce = 'transfers' | 'bytes' | 'requests' | 'connections' | 'database'

/** Whose limit is met: that of the server as a whole, or the share of whoever asks. */
export type Whose = 'server' | 'sender'

/** There is too much to do; nothing was begun → 503 with Retry-After, before the body. */
export class OverloadedError extends Error {
  override name = 'OverloadedError'
  readonly scarce: Scarce
  readonly whose: Whose

  constructor(scarce: Scarce, whose: Whose, detail: string) {
    super(`Cannot do this now: ${detail}. Try again in a moment`)
    this.scarce = scarce
    this.whose = whose
  }
}

/**
 * Whether somebody may have more of what there is so much of. (Decision 27) Nobody takes more who has twice what is free, or
 * more than that.
 *
 * So one alone gets two thirds of all, and of n who want all they can get, each has 2 / (2n + 1) of it; there is always
 * some left for the next one. Nobody needs to know how many there are, nor to be told to give back.
 *
 * @param own What whoever asks has already, of what is taken.
 * @returns which limit is in the way; undefined: none.
 */
export function limitMet(
  limit: number,
  taken: number,
  own: number,
  more: number,
): Whose | undefined {
  if (taken + more > limit) return 'server'
  return own >= 2 * (limit - taken) ? 'sender' : undefined
}

/** Something countable that is handed out and given back, in fair shares. */
export class Shares {
  readonly #limit: number
  readonly #byHolder = new Map<string, number>()
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get taken(): number {
    return this.#taken
  }

  /** @returns which limit is in the way; undefined: it is the holder's, until it is given back. */
  take(holder: string): Whose | undefined {
    const own = this.#byHolder.get(holder) ?? 0
    const met = limitMet(this.#limit, this.#taken, own, 1)
    if (met !== undefined) return met
    this.#taken++
    this.#byHolder.set(holder, own + 1)
    return undefined
  }

  giveBack(holder: string): void {
    const own = (this.#byHolder.get(holder) ?? 0) - 1
    this.#taken--
    if (own > 0) this.#byHolder.set(holder, own)
    else this.#byHolder.delete(holder)
  }
}

/** Those who share an address: a network of IPv6, where one customer of a provider has a whole /64 to call from. */
export function networkOf(address: string | undefined): string {
  const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? 'unknown'
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head.split(':').filter((group) => group !== '')
  const zeros = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  return `${[...groups, ...Array(Math.max(0, zeros)).fill('0')].slice(0, 4).join(':')}::/64`
}

/** Seconds after which to come again: not all at once, who were refused together. */
export function retryAfterSeconds(): string {
  return String(3 + Math.floor(Math.random() * 5))
}
