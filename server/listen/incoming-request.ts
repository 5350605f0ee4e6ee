import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BodySource, SourcedRequest } from '../http/body-source.ts'
import { RequestBody } from './request-body.ts'

export type Scheme = 'http' | 'https'

/** What handlers ask of Fetch's Request. */
type Asked = 'method' | 'url' | 'headers' | 'body' | 'signal' | 'text' | 'json' | 'formData'

// Fetch §2.2.1 forbids them.
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK'])

/**
 * A request as handlers want it, each of its costly members made when somebody asks for it.
 *
 * Fetch's own Request takes 40 µs on Node, with its stream and its signal; most requests are read through
 * `bodySource` and never ask for the signal.
 */
export class IncomingRequest implements Pick<Request, Asked>, SourcedRequest {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly bodySource: BodySource | null
  readonly #outgoing: ServerResponse
  #body: ReadableStream<Uint8Array<ArrayBuffer>> | undefined
  #left: AbortController | undefined

  /**
   * @param scheme By which it came.
   * @throws {TypeError} A method, host, target or header that the web's own types do not take.
   */
  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    scheme: Scheme,
    onFirstRead: () => void,
  ) {
    this.method = incoming.method ?? 'GET'
    if (REFUSED_METHODS.has(this.method)) throw new TypeError(`Cannot take ${this.method}`)
    this.headers = headersOf(incoming)
    this.url = urlOf(incoming, scheme)
    const hasBody = this.method !== 'GET' && this.method !== 'HEAD'
    this.bodySource = hasBody ? new RequestBody(incoming, onFirstRead) : null
    this.#outgoing = outgoing
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (this.bodySource === null) return null
    this.#body ??= streamOf(this.bodySource)
    return this.#body
  }

  /** Aborted when the client leaves before the answer is out: whoever works on it can stop. */
  get signal(): AbortSignal {
    if (this.#left === undefined) {
      const left = new AbortController()
      const leave = () => {
        if (!this.#outgoing.writableFinished) left.abort(new Error('The client has left'))
      }
      if (this.#outgoing.destroyed) leave()
      else this.#outgoing.on('close', leave)
      this.#left = left
    }
    return this.#left.signal
  }

  text(): Promise<string> {
    return this.#read().text()
  }

  json(): Promise<unknown> {
    return this.#read().json()
  }

  formData(): Promise<FormData> {
    return this.#read().formData()
  }

  // A Response can be read like a Request, and asks for less.
  #read(): Response {
    const type = this.headers.get('content-type')
    return new Response(this.body, type === null ? {} : { headers: { 'content-type': type } })
  }
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] as string, rawHeaders[i + 1] as string)
  }
  return headers
}

// Only the path and the query come from the request line, so that nobody sends a host in it.
function urlOf(incoming: IncomingMessage, scheme: Scheme): string {
  const host = new URL(`${scheme}://${incoming.headers.host ?? 'localhost'}`).host
  // `OPTIONS *` is about the server as a whole (RFC 9112 3.2.4); no resource of ours has this path.
  const target = incoming.url === '*' ? '/*' : (incoming.url ?? '/')
  const path = target.startsWith('/')
    ? target
    : new URL(target).href.replace(/^[^:]+:\/\/[^/]*/, '')
  return new URL(`${scheme}://${host}${path}`).href
}

function streamOf(source: BodySource): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        const chunk = await source.read()
        if (chunk === undefined) controller.close()
        else controller.enqueue(chunk as Uint8Array<ArrayBuffer>)
      },
      cancel: () => source.cancel(),
    },
    { highWaterMark: 0 },
  )
}
