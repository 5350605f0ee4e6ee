import { removeOldChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import { describeError, type Log } from '../log.ts'

const betweenMs = 60_000

export interface RetentionDeps {
  db: Database
  log: Log
  /** Milliseconds that a change is kept; undefined: for ever. */
  keepMs: number | undefined
}

/** Removes old changes once a minute, where somebody wants that. Any number of servers may do the same. */
export class Retention {
  readonly #deps: RetentionDeps
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(deps: RetentionDeps) {
    this.#deps = deps
  }

  start(): void {
    const { keepMs } = this.#deps
    if (keepMs === undefined) return
    this.#remove(keepMs)
    this.#timer = setInterval(() => this.#remove(keepMs), betweenMs)
    this.#timer.unref?.()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#timer)
    await this.#running
  }

  #remove(keepMs: number): void {
    const { db, log } = this.#deps
    this.#running ??= removeOldChanges(db, keepMs, this.#stopping.signal)
      .then((removed) => {
        if (removed > 0) log.info('old changes were removed from the feed', { removed })
      })
      .catch((error) => {
        log.warn('old changes could not be removed, which is tried again', {
          error: describeError(error),
        })
      })
      .finally(() => {
        this.#running = undefined
      })
  }
}
