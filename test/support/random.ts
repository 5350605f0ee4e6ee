/**
 * Random numbers that come again: a test that fails prints its seed, and `TEST_SEED=…` repeats it.
 *
 * mulberry32 by Tommy Ettinger, in the public domain.
 */
export class SeededRandom {
  readonly seed: number
  #state: number

  constructor(seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed
    this.#state = seed >>> 0
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }
}
