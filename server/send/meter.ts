/** How far the sending is. */
export interface Reading {
  sentBytes: number
  totalBytes: number
  sentInstances: number
  totalInstances: number
  bytesPerSecond: number
  /** Undefined until there is a rate to reckon with. */
  leftMs: number | undefined
}

/** Milliseconds over which the rate is taken, and between two of the points it is taken from. */
const windowMs = 10_000
const stepMs = 500

/**
 * Counts what is sent, and how fast.
 *
 * What an attempt sent in vain is taken off again, so that the end is where it was; the rate knows of it.
 */
export class Meter {
  readonly #totalBytes: number
  readonly #totalInstances: number
  readonly #now: () => number
  #sentBytes = 0
  #sentInstances = 0
  #wireBytes = 0
  #points: { at: number; wireBytes: number }[]

  constructor(total: { bytes: number; instances: number }, now: () => number) {
    this.#totalBytes = total.bytes
    this.#totalInstances = total.instances
    this.#now = now
    this.#points = [{ at: now(), wireBytes: 0 }]
  }

  add(bytes: number, instances: number): void {
    this.#sentBytes += bytes
    this.#sentInstances += instances
    if (bytes <= 0) return
    this.#wireBytes += bytes
    const now = this.#now()
    const last = this.#points.at(-1)
    if (last !== undefined && now - last.at < stepMs) return
    this.#points.push({ at: now, wireBytes: this.#wireBytes })
    while (this.#points.length > 2 && now - (this.#points[1]?.at ?? now) > windowMs) {
      this.#points.shift()
    }
  }

  /** @param bytes @param instances What an attempt had added. */
  takeBack(bytes: number, instances: number): void {
    this.add(-bytes, -instances)
  }

  read(): Reading {
    const first = this.#points[0] as { at: number; wireBytes: number }
    const elapsedMs = this.#now() - first.at
    const bytesPerSecond =
      elapsedMs > 0 ? ((this.#wireBytes - first.wireBytes) * 1000) / elapsedMs : 0
    const left = Math.max(0, this.#totalBytes - this.#sentBytes)
    return {
      sentBytes: this.#sentBytes,
      totalBytes: this.#totalBytes,
      sentInstances: this.#sentInstances,
      totalInstances: this.#totalInstances,
      bytesPerSecond,
      leftMs: bytesPerSecond > 0 ? (left / bytesPerSecond) * 1000 : undefined,
    }
  }
}
