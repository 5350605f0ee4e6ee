import {
  type Attributes,
  diag,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Span, SpanFacts, TraceBeginning, Tracing } from '../trace.ts'

/** Milliseconds that the last spans have at the end. */
const lastMs = 5000

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const

/**
 * Traces by the SDK of OpenTelemetry, which reads its own environment variables. Nothing global is set but its
 * diagnostics, and nothing of Node is patched.
 *
 * @param failed Called when something could not be sent, as often as that happens.
 */
export function otlpTracing(version: string, serverName: string, failed: () => void): Tracing {
  diag.setLogger({ error: failed, warn: failed, info() {}, debug() {}, verbose() {} })
  const resource = defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': 'stowage',
        'service.version': version,
        'service.instance.id': serverName,
      }),
    )
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come last.
    .merge(detectResources({ detectors: [envDetector] }))
  const provider = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  })
  const tracer = provider.getTracer('stowage', version)
  return {
    isOn: true,
    begin: (name, beginning) => beginTrace(tracer, name, beginning),
    async stop() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, lastMs)
      })
      await Promise.race([provider.shutdown().catch(failed), late])
      clearTimeout(timer)
    },
  }
}

function beginTrace(tracer: Tracer, name: string, beginning: TraceBeginning = {}): Span {
  const { kind = 'internal', facts = {}, traceparent, agoMs } = beginning
  const parent = parseTraceparent(traceparent)
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)
  const startTime = agoMs === undefined ? {} : { startTime: Date.now() - agoMs }
  const options = { kind: kinds[kind], attributes: attributesOf(facts), ...startTime }
  return new TracedSpan(tracer, tracer.startSpan(name, options, context))
}

class TracedSpan implements Span {
  readonly #tracer: Tracer
  readonly #span: OtelSpan

  constructor(tracer: Tracer, span: OtelSpan) {
    this.#tracer = tracer
    this.#span = span
  }

  begin(name: string, facts: SpanFacts = {}): Span {
    const context = trace.setSpan(ROOT_CONTEXT, this.#span)
    const options = { kind: SpanKind.INTERNAL, attributes: attributesOf(facts) }
    return new TracedSpan(this.#tracer, this.#tracer.startSpan(name, options, context))
  }

  note(facts: SpanFacts): void {
    this.#span.setAttributes(attributesOf(facts))
  }

  rename(name: string): void {
    this.#span.updateName(name)
  }

  end(failure?: string): void {
    if (failure !== undefined) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR })
      this.#span.setAttribute('error.type', failure)
    }
    this.#span.end()
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext()
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  }
}

function attributesOf(facts: SpanFacts): Attributes {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}

/** W3C Trace Context 3.2: of later versions, what is known of this one counts. Undefined: it is none. */
function parseTraceparent(text: string | undefined) {
  const pattern =
    /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/
  const [, traceId, spanId, flags] = pattern.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  const traceFlags = Number.parseInt(flags as string, 16) & TraceFlags.SAMPLED
  return { traceId, spanId, traceFlags, isRemote: true }
}
