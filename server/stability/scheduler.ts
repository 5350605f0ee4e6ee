import { numberChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import { type AnnouncedStudy, settleDue } from '../../db/stability.ts'
import { describeError, type Log } from '../log.ts'
import type { Tracing } from '../trace.ts'

/** Between two calls at most; an idle system asks no more often. */
const idleMs = 5000
/** Between two calls at least, unless there is more to do. */
const betweenCallsMs = 100

export interface SchedulerDeps {
  db: Database
  log: Log
  tracing: Tracing
  /** Studies that this server is receiving and has not told the database of. */
  untoldStudies(): AnnouncedStudy[]
  /** Told how long a call took that settled something. */
  settled?(seconds: number): void
  /** Something settled, or got its number in the feed. */
  changed(): void
}

/**
 * Calls the scheduler, which is in the database: it settles what is due, and numbers what changed.
 *
 * Nothing is remembered here but when to call next. So any number of servers do the same, and whatever one
 * of them leaves behind the others find: when it is due where they know of it, or within `idleMs`.
 */
export class Scheduler {
  readonly #deps: SchedulerDeps
  #timer: NodeJS.Timeout | undefined
  #nextAt = Number.POSITIVE_INFINITY
  #calledAt = 0
  #running: Promise<void> | undefined
  #isStopped = false
  #hasFailed = false

  constructor(deps: SchedulerDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#callIn(0)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#running
  }

  /** Something was committed, here or by another server. Costs nothing, may be called at any rate. */
  wake(): void {
    this.#callIn(Math.max(0, this.#calledAt + betweenCallsMs - performance.now()))
  }

  #callIn(ms: number): void {
    const at = performance.now() + ms
    if (this.#isStopped || at >= this.#nextAt) return
    clearTimeout(this.#timer)
    this.#nextAt = at
    this.#timer = setTimeout(() => this.#call(), ms)
    this.#timer.unref?.()
  }

  #call(): void {
    this.#nextAt = Number.POSITIVE_INFINITY
    if (this.#running !== undefined) {
      this.#callIn(betweenCallsMs)
      return
    }
    this.#calledAt = performance.now()
    this.#running = this.#settle()
      .catch((error) => {
        // What is due stays due.
        if (!this.#hasFailed) {
          this.#deps.log.warn('what is due could not be settled, and is tried again', {
            error: describeError(error),
          })
        }
        this.#hasFailed = true
        return idleMs / 10
      })
      .then((waitMs) => {
        this.#running = undefined
        this.#callIn(waitMs)
      })
  }

  /** @returns when to call again, in milliseconds. */
  async #settle(): Promise<number> {
    const { db, tracing } = this.#deps
    const beganAt = performance.now()
    const { settled, waitMs } = await settleDue(db, this.#deps.untoldStudies())
    const numbered = await numberChanges(db)
    this.#hasFailed = false
    // Most calls find nothing due, and are no news.
    if (settled > 0) {
      const agoMs = performance.now() - beganAt
      this.#deps.settled?.(agoMs / 1000)
      const facts = { 'stowage.settled': settled, 'stowage.numbered': numbered }
      tracing.begin('settle', { facts, agoMs }).end()
    }
    if (settled > 0 || numbered > 0) this.#deps.changed()
    return Math.min(waitMs ?? idleMs, idleMs)
  }
}
