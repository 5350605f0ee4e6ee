import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTLSServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './server.ts'

export interface Received {
  id: string
  headers: Record<string, string>
  text: string
  message: { type: string; timestamp: string; data: Record<string, unknown> }
  path: string
}

/** What becomes of a request: a status, or nothing is ever answered. */
export type Behaviour = (received: Received) => number | 'hang' | Promise<number | 'hang'>

/** A receiver of webhooks that behaves as a test wants, and can go away and come back at the same port. */
export class Receiver implements AsyncDisposable {
  /** All that came, in order. */
  readonly received: Received[] = []
  /** Those that were answered 2xx. */
  readonly accepted: Received[] = []
  readonly port: number
  behaviour: Behaviour
  /** Headers of every answer. */
  readonly headers: Record<string, string> = {}
  /** Speaks TLS, as `localhost`. */
  readonly tls: { key: Buffer; cert: Buffer } | undefined
  #server: Server | undefined

  constructor(port: number, behaviour: Behaviour, tls?: { key: Buffer; cert: Buffer }) {
    this.port = port
    this.tls = tls
    this.behaviour = behaviour
  }

  get url(): string {
    const origin = this.tls === undefined ? 'http://127.0.0.1' : 'https://localhost'
    return `${origin}:${this.port}/hook`
  }

  async start(): Promise<void> {
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      await this.#answer(response, {
        id: request.headers['webhook-id'] as string,
        headers: request.headers as Record<string, string>,
        path: request.url as string,
        ...parsed(Buffer.concat(chunks).toString()),
      })
    }
    const server = this.tls === undefined ? createServer(answer) : createTLSServer(this.tls, answer)
    this.#server = server
    await new Promise<void>((ready) => server.listen(this.port, '127.0.0.1', ready))
  }

  /** Breaks off what is on its way, and refuses what comes. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise((done) => server.close(done))
    server.closeAllConnections()
    await closed
  }

  async until(condition: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
    for (const giveUpAt = Date.now() + seconds * 1000; !(await condition()); ) {
      if (Date.now() > giveUpAt) {
        throw new Error(`Waited for ${seconds} s in vain; ${this.accepted.length} were accepted`)
      }
      await sleep(10)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #answer(response: ServerResponse, received: Received): Promise<void> {
    this.received.push(received)
    const status = await this.behaviour(received)
    if (status === 'hang') return
    if (status >= 200 && status < 300) this.accepted.push(received)
    response.writeHead(status, this.headers).end()
  }
}

function parsed(text: string): Pick<Received, 'text' | 'message'> {
  return { text, message: JSON.parse(text) }
}

export async function startReceiver(
  behaviour: Behaviour = () => 204,
  tls?: { key: Buffer; cert: Buffer },
): Promise<Receiver> {
  const receiver = new Receiver(await freePort(), behaviour, tls)
  await receiver.start()
  return receiver
}
