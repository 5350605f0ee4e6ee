import type { Log } from '../log.ts'
import { noTracing, type Tracing } from '../trace.ts'

type Environment = Record<string, string | undefined>

/** Milliseconds between two lines about traces that could not be sent. */
const betweenLinesMs = 60_000

/**
 * Opens tracing as the environment variables of OpenTelemetry say (OTEL_EXPORTER_OTLP_ENDPOINT and its kin); without an
 * endpoint there is none, and nothing of OpenTelemetry is loaded. Spans go out over OTLP/HTTP, as JSON.
 */
export async function openTracing(
  env: Environment,
  { version, serverName, log }: { version: string; serverName: string; log: Log },
): Promise<Tracing> {
  if (!isWanted(env)) return noTracing
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL
  if (protocol !== undefined && protocol !== 'http/json') {
    log.warn(
      'Traces are sent as OTLP over HTTP in JSON; OTEL_EXPORTER_OTLP_PROTOCOL says otherwise',
    )
  }
  const { otlpTracing } = await import('./otlp.ts')
  let toldAt = Number.NEGATIVE_INFINITY
  return otlpTracing(version, serverName, () => {
    if (performance.now() - toldAt < betweenLinesMs) return
    toldAt = performance.now()
    log.warn('Traces cannot be sent: is what OTEL_EXPORTER_OTLP_ENDPOINT names there?')
  })
}

function isWanted(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none') {
    return false
  }
  return Boolean(
    env.OTEL_EXPORTER_OTLP_ENDPOINT ||
      env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ||
      env.OTEL_TRACES_EXPORTER === 'otlp',
  )
}
