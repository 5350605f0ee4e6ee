import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BodySource, SourcedRequest } from '../http/body-source.ts'
import { PlainHeaders } from '../http/plain-headers.ts'
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
  readonly headers: PlainHeaders
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
    this.headers = PlainHeaders.ofRaw(incoming.rawHeaders)
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

/** Hosts as a URL has them, by how clients wrote them: they write the same with each request. */
const origins = new Map<string, string>()
const originsAtMost = 100
const originLength = 300

/** What a URL leaves as it is: nothing to encode, and no segment of dots. */
const plainTarget = /^(?:\/(?!\.)[\w\-.~!$&()*+,;=:@]*)+(?:\?[\w\-.~!$&()*+,;=:@/?%]*)?$/

// Only the path and the query come from the request line, so that nobody sends a host in it.
function urlOf(incoming: IncomingMessage, scheme: Scheme): string {
  const origin = originOf(`${scheme}://${incoming.headers.host ?? 'localhost'}`)
  const { url = '/' } = incoming
  // A URL takes 2 µs to be parsed.
  if (plainTarget.test(url)) return origin + url
  // `OPTIONS *` is about the server as a whole (RFC 9112 3.2.4); no resource of ours has this path.
  const target = url === '*' ? '/*' : url
  const path = target.startsWith('/')
    ? target
    : new URL(target).href.replace(/^[^:]+:\/\/[^/]*/, '')
  // Behind a host it would be read as more of the host.
  if (!path.startsWith('/')) throw new TypeError('Cannot take a target that is no path')
  return new URL(origin + path).href
}

function originOf(written: string): string {
  const before = origins.get(written)
  if (before !== undefined) return before
  const { protocol, host } = new URL(written)
  const origin = `${protocol}//${host}`
  if (origins.size >= originsAtMost) origins.clear()
  if (written.length <= originLength) origins.set(written, origin)
  return origin
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
