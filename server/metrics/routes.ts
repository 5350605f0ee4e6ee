import { Hono } from 'hono'
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
