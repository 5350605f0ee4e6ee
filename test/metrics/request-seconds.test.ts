import { Histogram, type Metric, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { RequestSeconds } from '../../server/metrics/request-seconds.ts'

const buckets = [0.005, 0.1, 1]
const observed = [
  ['GET', '/a', 200, 0.001],
  ['GET', '/a', 200, 0.005],
  ['GET', '/a', 200, 0.0051],
  ['GET', '/a', 200, 60],
  ['GET', '/a', 404, 0.1],
  ['HEAD', '/a', 200, 1],
  ['GET', '/b "quoted"', 200, 1.5],
] as const

test('the histogram of requests reads as that of prom-client would', async () => {
  const [own, theirs] = [new Registry(), new Registry()]
  const seconds = new RequestSeconds('seconds', 'of requests', buckets)
  own.registerMetric(seconds as unknown as Metric)
  const labelNames = ['method', 'route', 'status']
  const options = { name: 'seconds', help: 'of requests', labelNames, buckets }
  const histogram = new Histogram({ ...options, registers: [theirs] })
  expect(await linesOf(own)).toEqual(await linesOf(theirs))
  for (const [method, route, status, value] of observed) {
    seconds.observe(method, route, status, value)
    histogram.observe({ method, route, status }, value)
  }
  expect(await linesOf(own)).toEqual(await linesOf(theirs))
  expect(await own.getMetricsAsJSON()).toHaveLength(1)
})

async function linesOf(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n')
}
