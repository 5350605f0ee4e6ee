/** What may be said of a piece of work: counts, ids of ours, patterns. Never what a sender sent (P10). */
export type SpanFacts = Record<string, string | number | boolean | undefined>

/**
 * A piece of work, as a trace shows it: it begins when it is made, has parts, and ends once.
 *
 * Handed on by whoever does the work; where nobody asked for traces it is `noSpan`, which costs a call and nothing else.
 */
export interface Span {
  /** Begins a part of it. */
  begin(name: string, facts?: SpanFacts): Span
  note(facts: SpanFacts): void
  /** Only now it is known what this is. */
  rename(name: string): void
  /** @param failure The kind of failure, if it is one: a name of an error or a state, never a message. */
  end(failure?: string): void
  /** How another server continues the trace: the header of W3C Trace Context. */
  readonly traceparent: string | undefined
}

export interface TraceBeginning {
  kind?: 'server' | 'client' | 'internal'
  facts?: SpanFacts
  /** The header of a client whose trace this goes on with; what is none is passed over. */
  traceparent?: string | undefined
  /** It began so long ago. */
  agoMs?: number
}

/** Where work begins that nothing of ours asked for. */
export interface Tracing {
  readonly isOn: boolean
  begin(name: string, beginning?: TraceBeginning): Span
  /** Sends what was not sent yet. Never throws. */
  stop(): Promise<void>
}

export const noSpan: Span = {
  begin: () => noSpan,
  note() {},
  rename() {},
  end() {},
  traceparent: undefined,
}

export const noTracing: Tracing = { isOn: false, begin: () => noSpan, async stop() {} }

/** Does a part of a piece of work, and ends it however it ends. */
export async function traced<T>(
  parent: Span,
  name: string,
  work: (span: Span) => Promise<T>,
  facts?: SpanFacts,
): Promise<T> {
  if (parent === noSpan) return work(noSpan)
  const span = parent.begin(name, facts)
  try {
    const result = await work(span)
    span.end()
    return result
  } catch (error) {
    span.end(error instanceof Error ? error.name : 'Error')
    throw error
  }
}
