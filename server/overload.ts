import type { MiddlewareHandler } from 'hono'
import type { PoolWatch } from '../db/pool-watch.ts'
import type { AppEnv } from './http/env.ts'
import { networkOf, OverloadedError, Shares } from './http/overload.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics/metrics.ts'

/** Milliseconds between two entries of the log about refusals: a flood must not become one of the log. */
const betweenEntriesMs = 10_000

/** Answered whatever else happens: for machines that ask whether it does, and files of the page. */
const alwaysAnswered = /^\/(healthz|readyz|metrics|assets\/.*)$/

/** Transfers have limits of their own (see `server/intake/room.ts`). */
const transfers = /^\/(dicom-web\/studies(\/[^/]*)?|upload)$/

/**
 * Limits how many requests are worked on at once, until their answer begins, in fair shares by network: whoever asks for
 * more than the server can do waits at his own end. And nobody waits for a pool of connections that is stuck: not who comes,
 * nor who waits already and only reads.
 *
 * A request that goes on beside its answer keeps its place until it is over.
 */
export function limitRequests(pool: PoolWatch, limit: number): MiddlewareHandler<AppEnv> {
  const shares = new Shares(limit)
  return async (c, next) => {
    const { method, path } = c.req
    if (alwaysAnswered.test(path)) return next()
    if (pool.isStuck) throw databaseIsStuck()
    const isTransfer = method === 'POST' && transfers.test(path)
    const isLongPoll = path === '/api/changes' && c.req.query('wait') !== undefined
    const holder = isTransfer || isLongPoll ? undefined : networkOf(c.env?.address)
    const met = holder === undefined ? undefined : shares.take(holder)
    if (met !== undefined) {
      const whom = met === 'server' ? 'this server' : 'your network'
      throw new OverloadedError('requests', met, `too many requests of ${whom} are being answered`)
    }
    const isReading = method === 'GET' || method === 'HEAD'
    return new Promise((resolve, reject) => {
      const unwatch = pool.watch(() => isReading && reject(databaseIsStuck()))
      const giveBack = () => {
        unwatch()
        if (holder !== undefined) shares.giveBack(holder)
      }
      next().then(
        () => {
          giveBack()
          resolve()
        },
        (error) => {
          giveBack()
          reject(error)
        },
      )
    })
  }
}

function databaseIsStuck(): OverloadedError {
  return new OverloadedError('database', 'server', 'all connections to the database are in use')
}

/** Counts what was refused, and tells of it now and then. */
export class Refusals {
  readonly #deps: { log: Log; metrics: Metrics }
  #untold = 0
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(deps: { log: Log; metrics: Metrics }) {
    this.#deps = deps
  }

  note({ scarce, whose }: Pick<OverloadedError, 'scarce' | 'whose'>): void {
    const { log, metrics } = this.#deps
    metrics.overloaded(scarce, whose)
    this.#untold++
    if (performance.now() - this.#toldAt < betweenEntriesMs) return
    log.warn('there is too much to do, and something was refused', {
      limit: scarce,
      of: whose,
      refused: this.#untold,
    })
    this.#toldAt = performance.now()
    this.#untold = 0
  }
}
