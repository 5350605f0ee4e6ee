import { Hono, type MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { AppEnv } from '../http/env.ts'
import type { MetricSources, Metrics } from './metrics.ts'

export interface MetricsRoutesDeps extends MetricSources {
  metrics: Metrics
}

/** `/metrics`, as Prometheus reads it. */
export function metricsRoutes({ metrics, ...sources }: MetricsRoutesDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/metrics', async (c) =>
    c.body(await metrics.read(sources), 200, {
      'content-type': metrics.contentType,
      'cache-control': 'no-store',
    }),
  )
}

/** Counts every request, under the pattern of the route that answered it. */
export function countRequests(metrics: Metrics): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const beganAt = performance.now()
    await next()
    const route = matchedRoutes(c).findLast(({ method }) => method !== 'ALL')?.path ?? 'none'
    metrics.answered(c.req.method, route, c.res.status, (performance.now() - beganAt) / 1000)
  }
}
