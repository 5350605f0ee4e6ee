import type { Happened, Waiting } from './audit.ts'

/** Milliseconds within which what the same one does again is one row. */
const foldMs = 60_000
/** Milliseconds between looks at what is over. */
const lookMs = 1000
/** Beyond it the oldest is written early: 4 MB. */
const foldsAtMost = 10_000

interface Fold {
  endsAt: number
  /** Those after the first; its instant is that of the first of them. */
  rest: Waiting | undefined
}

/** Makes one event of many that say the same within a minute. */
export class Folding {
  readonly #folds = new Map<string, Fold>()
  readonly #give: (event: Waiting) => void
  #timer: NodeJS.Timeout | undefined

  /** @param give Takes an event that is ready to be written. */
  constructor(give: (event: Waiting) => void) {
    this.#give = give
  }

  /** Events that were not given yet. */
  get count(): number {
    let count = 0
    for (const { rest } of this.#folds.values()) if (rest !== undefined) count++
    return count
  }

  /** @param happenedAt By the clock of `performance.now`. */
  record(event: Happened, happenedAt: number): void {
    const { action, actor, source, studyInstanceUID, outcome } = event
    // None of them has a line break.
    const key = `${action}\n${actor}\n${source}\n${studyInstanceUID}\n${outcome}`
    const known = this.#folds.get(key)
    if (known === undefined || known.endsAt <= happenedAt) {
      if (known !== undefined) this.#end(key, known)
      this.#begin(key, { ...event, happenedAt, eventCount: 1 })
    } else if (known.rest === undefined) {
      // What it is of beyond that is of the first only.
      const { seriesInstanceUID: _, sopInstanceUID: __, ...rest } = event
      known.rest = { ...rest, happenedAt, eventCount: 1 }
    } else {
      known.rest.eventCount++
    }
  }

  /** Gives all that there is. */
  finish(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const [key, fold] of this.#folds) this.#end(key, fold)
  }

  #begin(key: string, event: Waiting): void {
    this.#give(event)
    if (this.#folds.size >= foldsAtMost) {
      // The first that was set is the oldest.
      const [oldest] = this.#folds
      if (oldest !== undefined) this.#end(...oldest)
    }
    this.#folds.set(key, { endsAt: event.happenedAt + foldMs, rest: undefined })
    this.#timer ??= setInterval(() => this.#endOver(), lookMs).unref()
  }

  #end(key: string, { rest }: Fold): void {
    this.#folds.delete(key)
    if (rest !== undefined) this.#give(rest)
  }

  #endOver(): void {
    const now = performance.now()
    for (const [key, fold] of this.#folds) {
      if (fold.endsAt > now) break
      this.#end(key, fold)
    }
    if (this.#folds.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
