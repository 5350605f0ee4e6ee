import { randomUUID } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from './http/env.ts'
import { routesOf } from './http/routes-of.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics/metrics.ts'
import { noSpan, type Tracing } from './trace.ts'

/** Ids that a proxy gives; anything else might be a name. */
const takenID = /^([\da-f]{8}-?([\da-f]{4}-?){3}[\da-f]{12})$/i

/**
 * Gives every request an id, under which the log, the answer (`X-Request-Id`) and its trace know it; a proxy may have
 * given it one. Logs what came to nothing, and at level debug everything else; counts them all. Each under the pattern of the
 * route that answered it.
 */
export function observeRequests(deps: {
  log: Log
  metrics: Metrics
  tracing: Tracing
}): MiddlewareHandler<AppEnv> {
  const { log, metrics, tracing } = deps
  return async (c, next) => {
    const beganAt = performance.now()
    const given = c.req.header('x-request-id')
    const requestID = given !== undefined && takenID.test(given) ? given : randomUUID()
    c.set('requestID', requestID)
    const { method } = c.req
    const span = tracing.isOn
      ? tracing.begin(method, { kind: 'server', traceparent: c.req.header('traceparent') })
      : noSpan
    c.set('span', span)
    await next()
    const route = routesOf(c).at(-1)?.path ?? 'none'
    const { status } = c.res
    const transfer = c.get('transferID')
    c.res.headers.set('x-request-id', requestID)
    const isLost = transfer !== undefined && status >= 400
    const tookMs = performance.now() - beganAt
    metrics.answered(method, route, status, tookMs / 1000)
    const ms = Math.round(tookMs)
    const facts = { request: requestID, transfer, method, route, status, ms }
    if (isLost) log.info('nothing of a transfer was stored', facts)
    else log.debug('a request was answered', facts)
    if (span === noSpan) return
    span.note({
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status,
      'stowage.request': requestID,
      'stowage.transfer': transfer,
    })
    span.rename(`${method} ${route}`)
    span.end(status >= 500 ? String(status) : undefined)
  }
}
