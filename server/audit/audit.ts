import { addAuditEvents, type NewAuditEvent, removeOldAuditEvents } from '../../db/audit.ts'
import type { Database } from '../../db/database.ts'
import { describeError, type Log } from '../log.ts'
import { Folding } from './folding.ts'

/** Milliseconds that an event waits for others, so that they are written in one statement. */
const gatherMs = 500
/** Milliseconds after which what could not be written is tried again. */
const againMs = 1000
/** Events of one statement: some 300 KB of JSON. */
const atOnce = 1000
/** Events in memory, of some 400 bytes, while the database is away. */
const waitingAtMost = 50_000
/** Milliseconds that the last ones have at the end. */
const lastMs = 5000
const betweenRemovalsMs = 10 * 60_000

/** An event as it happens. */
export type Happened = Omit<NewAuditEvent, 'ageMs' | 'eventCount'>

export interface Waiting extends Happened {
  /** By the clock of `performance.now`. */
  happenedAt: number
  eventCount: number
}

export interface AuditDeps {
  db: Database
  log: Log
}

/**
 * The audit log of this server: takes events in memory, which costs whoever tells them nothing, and writes them half a
 * second later, many in one statement. What a server had not written when it was killed is lost; told to stop, it
 * writes all. What could not be written, because the database is away, waits; should there be too much of it, the
 * oldest are dropped, and how many is an event itself.
 */
export class Audit {
  readonly #deps: AuditDeps
  readonly #folding = new Folding((event) => this.#queue(event))
  #waiting: Waiting[] = []
  #lostCount = 0
  #timer: NodeJS.Timeout | undefined
  #removing: NodeJS.Timeout | undefined
  readonly #stopping = new AbortController()
  #writing: Promise<void> | undefined
  #hasFailed = false

  constructor(deps: AuditDeps) {
    this.#deps = deps
  }

  /** Events that have no row yet. */
  get unwrittenCount(): number {
    return this.#waiting.length + this.#folding.count
  }

  start(what: string): void {
    this.record({ action: 'start', outcome: 0, what })
    this.#removing = setInterval(() => this.#removeOld(), betweenRemovalsMs).unref()
  }

  /** Notes what happened. Never throws, waits for nothing. */
  record(event: Happened): void {
    this.#queue({ ...event, happenedAt: performance.now(), eventCount: 1 })
  }

  /**
   * The same, for what happens often: the first is written as any other, so that who did this to which study is known at
   * once; what the same one does to the same study within a minute from then is one more row, with their number.
   */
  recordFolded(event: Happened): void {
    this.#folding.record(event, performance.now())
  }

  /** Writes what waits, before it resolves: for what somebody changes. Never throws; what fails goes on waiting. */
  async write(): Promise<void> {
    await this.#writing
    await this.#write()
  }

  /** Writes all that there is. To be called when nothing can happen any more. */
  async stop(): Promise<void> {
    clearInterval(this.#removing)
    this.#stopping.abort()
    this.record({ action: 'stop', outcome: 0 })
    this.#folding.finish()
    for (const giveUpAt = performance.now() + lastMs; ; ) {
      await this.write()
      if (this.#waiting.length === 0 || performance.now() > giveUpAt) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    clearTimeout(this.#timer)
    const lost = this.#waiting.length
    if (lost > 0) this.#deps.log.error('audit events are lost: the database is away', { lost })
  }

  #queue(event: Waiting): void {
    if (this.#waiting.length >= waitingAtMost) {
      this.#waiting.shift()
      this.#lostCount++
    }
    this.#waiting.push(event)
    this.#writeIn(gatherMs)
  }

  #writeIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.write()
    }, ms).unref()
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeAll()
      .catch((error) => {
        if (!this.#hasFailed) {
          this.#deps.log.warn('audit events could not be written, and are tried again', {
            error: describeError(error),
          })
        }
        this.#hasFailed = true
        this.#writeIn(againMs)
      })
      .finally(() => {
        this.#writing = undefined
      })
    return this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#tellLost()
      const events = this.#waiting.slice(0, atOnce)
      const now = performance.now()
      await addAuditEvents(
        this.#deps.db,
        events.map(({ happenedAt, ...event }) => ({ ...event, ageMs: now - happenedAt })),
      )
      // Meanwhile some of them may have been dropped from the front.
      const written = new Set(events)
      this.#waiting = this.#waiting.filter((event) => !written.has(event))
      this.#hasFailed = false
    }
  }

  #tellLost(): void {
    if (this.#lostCount === 0) return
    const what = `${this.#lostCount} events were lost while the database was away`
    this.#lostCount = 0
    this.#deps.log.error(`audit: ${what}`)
    const happenedAt = performance.now()
    this.#waiting.push({ action: 'audit', outcome: 8, what, happenedAt, eventCount: 1 })
  }

  #removeOld(): void {
    removeOldAuditEvents(this.#deps.db, this.#stopping.signal)
      .then((removed) => {
        if (removed > 0) this.#deps.log.info('old audit events were removed', { removed })
      })
      .catch((error) => {
        this.#deps.log.warn('old audit events could not be removed, which is tried again', {
          error: describeError(error),
        })
      })
  }
}
