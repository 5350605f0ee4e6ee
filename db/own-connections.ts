import postgres from 'postgres'
import type { Database } from './database.ts'

type Sql = Database['sql']

/** How long somebody waits for a connection: those who have them have 30 s at most. */
const waitMs = 10_000

/** All connections were in use for long → 503. */
export class NoConnectionError extends Error {
  override name = 'NoConnectionError'
}

/**
 * Connections beside a pool's, each of which runs one statement at a time and nothing else. Half as many as the pool has
 * at most, opened when they are needed and closed when they were idle for a minute.
 *
 * Each is a postgres.js client of its own. Its `reserve()` would spare them, but where a connection breaks while it
 * opens, version 3.4.9 forgets who waits for it, or hands it to somebody who was refused already: after Postgres had been
 * away, a search was never answered, and the pool lost connections.
 */
class OwnConnections {
  readonly #pool: Sql
  readonly #all: Sql[] = []
  readonly #idle: Sql[] = []
  readonly #waiting: ((one: Sql) => void)[] = []

  constructor(pool: Sql) {
    this.#pool = pool
  }

  /** @throws {NoConnectionError} */
  async take(): Promise<Sql> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#all.length >= Math.ceil(this.#pool.options.max / 2)) {
      return this.#wait()
    }
    const one = connectionsBeside(this.#pool, 1, 60)
    this.#all.push(one)
    return one
  }

  #wait(): Promise<Sql> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(given), 1)
        reject(new NoConnectionError(`Waited ${waitMs / 1000} s for a connection in vain`))
      }, waitMs)
      function given(one: Sql): void {
        clearTimeout(timer)
        resolve(one)
      }
      this.#waiting.push(given)
    })
  }

  giveBack(one: Sql): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(one)
    else next(one)
  }
}

const ofPools = new WeakMap<Sql, OwnConnections>()
const besidePools = new WeakMap<Sql, Sql[]>()

export function ownConnectionsOf(pool: Sql): OwnConnections {
  const known = ofPools.get(pool)
  if (known !== undefined) return known
  const own = new OwnConnections(pool)
  ofPools.set(pool, own)
  return own
}

/** More connections beside those of a pool, opened when they are needed, which end with the pool. */
export function connectionsBeside(pool: Sql, max: number, idleSeconds: number): Sql {
  return beside(pool, { max, idle_timeout: idleSeconds })
}

/**
 * One connection beside a pool, as `commitWhen` wants it. postgres.js ends others at some age as soon as no statement runs, which
 * may be in the middle of a transaction.
 */
export function oneConnectionBeside(pool: Sql, idleSeconds: number): Sql {
  return beside(pool, { max: 1, idle_timeout: idleSeconds, max_lifetime: null })
}

function beside(pool: Sql, other: postgres.Options<never>): Sql {
  // The options are parsed already, as those that `listen` of postgres.js hands on to its own client.
  const options = { ...pool.options, ...other }
  const one = postgres(options as unknown as postgres.Options<never>) as unknown as Sql
  const known = besidePools.get(pool)
  if (known === undefined) besidePools.set(pool, [one])
  else known.push(one)
  return one
}

/** Ends a pool and what stands beside it; statements that run have five seconds. */
export async function endPool(pool: Sql): Promise<void> {
  const all = [pool, ...(besidePools.get(pool) ?? [])]
  await Promise.all(all.map((one) => one.end({ timeout: 5 })))
}
