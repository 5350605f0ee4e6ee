import type { Database } from './database.ts'

/** Milliseconds between two looks, and for which one waits for a connection until the pool counts as stuck. */
const betweenLooksMs = 1000
const stuckMs = 5000

/**
 * Whether the pool hands out connections: whoever asks for one while others have them all waits, without an end if those
 * wait for a lock or for a Postgres that does not answer.
 *
 * While somebody is watched for, it asks for a connection itself, once a second, in the same queue as all others. What waits
 * five seconds for it tells that there is no use in waiting, until it was given one.
 */
export class PoolWatch {
  readonly #sql: Database['sql']
  readonly #tellStuck = new Set<() => void>()
  #looking: NodeJS.Timeout | undefined
  #isAsking = false
  #isStuck = false

  constructor(sql: Database['sql']) {
    this.#sql = sql
  }

  get isStuck(): boolean {
    return this.#isStuck
  }

  /**
   * @param stuck Called when the pool is stuck while this is watched for.
   * @returns what ends that.
   */
  watch(stuck: () => void): () => void {
    this.#tellStuck.add(stuck)
    this.#looking ??= setInterval(() => this.#look(), betweenLooksMs)
    return () => {
      this.#tellStuck.delete(stuck)
      if (this.#tellStuck.size > 0) return
      clearInterval(this.#looking)
      this.#looking = undefined
    }
  }

  #look(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    const timer = setTimeout(() => {
      this.#isStuck = true
      for (const tell of [...this.#tellStuck]) tell()
    }, stuckMs)
    const done = () => {
      clearTimeout(timer)
      this.#isAsking = false
      this.#isStuck = false
    }
    // One that is refused is an answer, too: those who come meanwhile get theirs.
    this.#sql`select 1`.then(done, done)
  }
}
