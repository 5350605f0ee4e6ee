import { afterEach, describe, expect, test, vi } from 'vitest'
import { createLog, silentLog } from '../../server/log.ts'
import { noSpan, noTracing, traced } from '../../server/trace.ts'
import { openTracing } from '../../server/tracing/open.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'

afterEach(() => vi.unstubAllEnvs())

/** The SDK reads the environment of the process itself. */
function open(env: Record<string, string>, log = silentLog) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  return openTracing(env, { version: '1.2.3', serverName: 'here:1', log })
}

describe('without an endpoint', () => {
  test.each([
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_EXPORTER: 'none' },
  ])('there are no traces: %j', async (env) => {
    expect(await open(env)).toBe(noTracing)
  })

  test('a part of nothing is nothing, and its work is done', async () => {
    expect(noTracing.begin('x').begin('y')).toBe(noSpan)
    expect(await traced(noSpan, 'x', async (span) => span === noSpan)).toBe(true)
    expect(noSpan.traceparent).toBeUndefined()
  })
})

describe('with a receiver', () => {
  test('a trace goes on with that of the client, and has its parts', async () => {
    await using receiver = await startOtlpReceiver()
    const tracing = await open({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_SERVICE_NAME: 'archive-7',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`
    const root = tracing.begin('GET', { kind: 'server', traceparent })
    expect(root.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    await traced(root, 'seal', async () => {})
    const failing = traced(root, 'commit', async () => {
      throw new RangeError('with Doe^Jane in it')
    })
    await expect(failing).rejects.toThrow(RangeError)
    root.rename('GET /x')
    root.end()
    await tracing.stop()

    const [get] = receiver.named('GET /x')
    expect(get).toMatchObject({ traceId, parentSpanId: '00f067aa0ba902b7', kind: 2 })
    expect(get?.resource).toMatchObject({
      'service.name': 'archive-7',
      'service.version': '1.2.3',
      'service.instance.id': 'here:1',
      'deployment.environment.name': 'test',
    })
    const part = { traceId, parentSpanId: get?.spanId }
    expect(receiver.named('seal')).toMatchObject([part])
    expect(receiver.named('commit')).toMatchObject([
      { ...part, status: { code: 2 }, attributes: { 'error.type': 'RangeError' } },
    ])
    expect(receiver.text()).not.toContain('Jane')
  })

  test.each([
    ['nonsense', 'Doe^Jane'],
    ['no id', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a version that is none', `ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`],
  ])('a traceparent that is %s begins a trace of our own', async (_, traceparent) => {
    await using receiver = await startOtlpReceiver()
    const tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
    tracing.begin('GET', { kind: 'server', traceparent }).end()
    await tracing.stop()
    expect(receiver.spans).toMatchObject([{ name: 'GET' }])
    expect(receiver.spans[0]?.parentSpanId).toBeFalsy()
    expect(receiver.spans[0]?.traceId).not.toBe('4bf92f3577b34da6a3ce929d0e0e4736')
  })

  test('what the client does not want sampled is not, nor what OTEL_TRACES_SAMPLER leaves out', async () => {
    await using receiver = await startOtlpReceiver()
    const tracing = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'
    tracing.begin('GET', { traceparent }).end()
    await tracing.stop()
    const off = { OTEL_TRACES_SAMPLER: 'always_off' }
    const none = await open({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...off })
    none.begin('GET').end()
    await none.stop()
    expect(receiver.spans).toEqual([])
  })

  test('a receiver that is away is told of once, and holds up nobody', async () => {
    const lines: string[] = []
    const log = createLog('info', (line) => lines.push(line))
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    }
    const tracing = await open(env, log)
    for (let n = 0; n < 3; n++) tracing.begin('GET').end()
    await tracing.stop()
    expect(lines.join('\n')).toMatch(/^\S+ warn {2}Traces cannot be sent[^\n]*$/)
  })
})
