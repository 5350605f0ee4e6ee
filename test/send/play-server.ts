import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A request as it came. */
export interface Recorded {
  method: string
  path: string
  headers: NodeJS.Dict<string | string[]>
  body: Buffer
}

/** Plays one answer; `record` reads the body to its end. */
export type Play = (
  request: IncomingMessage,
  answer: ServerResponse,
  record: () => Promise<Recorded>,
) => Promise<unknown> | unknown

/** A DICOMweb server that records what it is sent, and answers what a test wants. */
export class PlayServer implements AsyncDisposable {
  readonly requests: Recorded[] = []
  /** Bytes of bodies that arrived, also of requests that were broken off. */
  receivedBytes = 0
  connectionCount = 0
  continueCount = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #plays: Play[]

  private constructor(plays: Play[], expects: 'continue' | 'refuse' | 'ignore') {
    this.#plays = plays
    this.#server = createServer((request, answer) => void this.#play(request, answer))
    this.#server.on('checkContinue', (request: IncomingMessage, answer: ServerResponse) => {
      this.continueCount++
      if (expects === 'continue') answer.writeContinue()
      // "refuse" plays its answer before it asks for the body; "ignore" is an old server.
      void this.#play(request, answer)
    })
    this.#server.on('connection', (socket) => {
      this.connectionCount++
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /**
   * @param plays One for each request; the last one for all that follow.
   * @param expects What becomes of `Expect: 100-continue`.
   */
  static async start(
    plays: Play[],
    expects: 'continue' | 'refuse' | 'ignore' = 'continue',
  ): Promise<PlayServer> {
    const server = new PlayServer(plays, expects)
    // Port 0 takes one of the ephemeral range, where a client's own port may be in the way.
    for (let port = 21_000 + (process.pid % 5000); ; port++) {
      const isListening = await new Promise<boolean>((resolve) => {
        server.#server.once('error', () => resolve(false))
        server.#server.listen(port, '127.0.0.1', () => resolve(true))
      })
      if (isListening) return server
    }
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/dicom-web`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #play(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const play = (this.#plays.length > 1 ? this.#plays.shift() : this.#plays[0]) as Play
    request.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length
    })
    request.pause()
    request.on('error', () => {})
    const record = async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const { method = '', url = '', headers } = request
      const recorded = { method, path: url, headers, body: Buffer.concat(chunks) }
      this.requests.push(recorded)
      return recorded
    }
    await Promise.resolve(play(request, answer, record)).catch(() => {})
  }
}

/** The files in a recorded body, by its boundary. */
export function partsOf({ headers, body }: Recorded): Buffer[] {
  const boundary = /boundary=([^;]+)/.exec(String(headers['content-type']))?.[1] as string
  const parts: Buffer[] = []
  let at = body.indexOf(`--${boundary}\r\n`)
  while (at >= 0) {
    const start = body.indexOf('\r\n\r\n', at) + 4
    const end = body.indexOf(`\r\n--${boundary}`, start)
    parts.push(body.subarray(start, end))
    at = body.indexOf(`--${boundary}\r\n`, end)
  }
  return parts
}

export interface Answered {
  stored?: string[]
  warned?: string[]
  failed?: [uid: string, failureReason: number][]
  /** Failure Reasons of parts that nobody can name. */
  others?: number[]
}

/** Reads the request, then answers with a Store Instances Response. */
export function answers(status: number, said: Answered | ((request: Recorded) => Answered)): Play {
  return async (_request, answer, record) => {
    const request = await record()
    const {
      stored = [],
      warned = [],
      failed = [],
      others = [],
    } = typeof said === 'function' ? said(request) : said
    const sequence = (items: object[]) => ({
      vr: 'SQ',
      ...(items.length > 0 ? { Value: items } : {}),
    })
    const uid = (value: string) => ({ vr: 'UI', Value: [value] })
    const reason = (value: number) => ({ vr: 'US', Value: [value] })
    answer.writeHead(status, { 'content-type': 'application/dicom+json' })
    answer.end(
      JSON.stringify({
        '00081199': sequence([
          ...stored.map((one) => ({ '00081155': uid(one) })),
          ...warned.map((one) => ({ '00081155': uid(one), '00081196': reason(0xb007) })),
        ]),
        '00081198': sequence(
          failed.map(([one, code]) => ({ '00081155': uid(one), '00081197': reason(code) })),
        ),
        '0008119A': sequence(others.map((code) => ({ '00081197': reason(code) }))),
      }),
    )
  }
}

/** Reads the request, then answers with a bare status. */
export function says(status: number, headers: Record<string, string> = {}, body = ''): Play {
  return async (_request, answer, record) => {
    await record()
    answer.writeHead(status, headers).end(body)
  }
}

/** Answers without reading a byte of the body. */
export function saysEarly(status: number, headers: Record<string, string> = {}, body = ''): Play {
  return (_request, answer) => {
    answer.writeHead(status, headers).end(body)
  }
}

/** Cuts the connection after so many bytes. */
export function cutsAfter(bytes: number): Play {
  return (request) => {
    let received = 0
    request.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received >= bytes) request.socket.resetAndDestroy()
    })
    request.resume()
  }
}
