/**
 * Where the chunks of a body come from. Our listener hands one over with each request, beside the web stream that Fetch
 * promises: on Node making that stream takes 20 µs, and each chunk of it several promises.
 */
export interface BodySource {
  /**
   * The next chunk; undefined behind the last one, and once it is cancelled. To be called again only when it is settled.
   * @throws what the reader of the web stream would: the body was cut.
   */
  read(): Promise<Uint8Array | undefined>
  /** Lets go of the rest. A read that waits ends; the connection stays, for the answer. */
  cancel(): void
}

/** A request that comes from a listener of ours. */
export interface SourcedRequest {
  readonly bodySource: BodySource | null
}

/** The body of any request, ours or one of Fetch's. Null: it can have none. */
export function bodySourceOf(request: Request & Partial<SourcedRequest>): BodySource | null {
  if (request.bodySource !== undefined) return request.bodySource
  const reader = request.body?.getReader()
  if (reader === undefined) return null
  return {
    read: async () => (await reader.read()).value,
    cancel: () => void reader.cancel().catch(() => {}),
  }
}
