/** Milliseconds between two looks at the most; a fourth of the time that is given where that is less. */
const lookMs = 1000

/** Somebody who may wait only so long. */
export interface IdleWait {
  /** Since when, by `performance.now`; undefined: he does not wait now. */
  since: number | undefined
  readonly idleMs: number
  /** Called once, when it was too long. */
  tooLong(): void
}

/**
 * Sees to it that nobody waits too long for a sender, by one timer for all: a timer for each body took 6 µs of a small
 * request, to be set, moved and cleared. It looks now and then, so a wait may last a second longer.
 */
export class IdleWatch {
  readonly #waits = new Set<IdleWait>()
  #timer: NodeJS.Timeout | undefined

  add(wait: IdleWait): void {
    this.#waits.add(wait)
    this.#timer ??= this.#lookIn(Math.min(lookMs, wait.idleMs / 4))
  }

  remove(wait: IdleWait): void {
    this.#waits.delete(wait)
  }

  #lookIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const now = performance.now()
      const late = [...this.#waits].filter(
        ({ since, idleMs }) => since !== undefined && now - since >= idleMs,
      )
      for (const wait of late) this.#waits.delete(wait)
      // Before anybody is told: one who throws shall not be the last who was watched.
      this.#timer = this.#waits.size === 0 ? undefined : this.#lookIn(ms)
      for (const wait of late) wait.tooLong()
    }, ms).unref()
  }
}
