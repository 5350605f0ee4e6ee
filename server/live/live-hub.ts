import type { Database } from '../../db/database.ts'
import type { Log } from '../log.ts'

const channel = 'stowage_changed'
const betweenNoticesMs = 250

/** Where LISTEN can be said: a connection that no pooler stands before. */
export interface Listening {
  listen(
    channel: string,
    heard: (payload: string) => void,
    connected?: () => void,
  ): Promise<{ unlisten(): Promise<void> }>
}

/**
 * Tells the pages of every server that something changed, so that they look again.
 *
 * A notice says nothing but "look": who hears it reads the database. So notices may be merged and even
 * lost, and one in 250 ms from each server is enough. They are sent on their own, never inside a
 * commit, for Postgres lets only one transaction with a notice commit at a time.
 */
export class LiveHub {
  readonly #db: Database
  readonly #log: Log
  readonly #subscribers = new Set<() => void>()
  #notice: NodeJS.Timeout | undefined
  #unlisten: (() => Promise<void>) | undefined
  #stopped = false

  constructor({ db, log }: { db: Database; log: Log }) {
    this.#db = db
    this.#log = log
  }

  async start(direct: Listening): Promise<void> {
    const tell = () => this.#tell()
    // After a reconnection something may have been missed, so everybody looks again.
    const { unlisten } = await direct.listen(channel, tell, tell)
    this.#unlisten = unlisten
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#notice)
    // First, so that no page waits for a database that does not answer.
    this.#tell()
    await this.#unlisten?.().catch(() => {})
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Something that people look at has changed. Costs nothing, may be called at any rate. */
  changed(): void {
    if (this.#notice !== undefined || this.#stopped) return
    this.#notice = setTimeout(() => {
      this.#notice = undefined
      this.#db.sql`select pg_notify(${channel}, '')`.catch((error) => {
        this.#log.debug('a notice could not be sent', { error: error.message })
      })
    }, betweenNoticesMs)
  }

  /** @returns what ends the subscription. */
  subscribe(heard: () => void): () => void {
    this.#subscribers.add(heard)
    return () => this.#subscribers.delete(heard)
  }

  #tell(): void {
    for (const heard of this.#subscribers) heard()
  }
}
