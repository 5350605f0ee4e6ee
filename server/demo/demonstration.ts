import { describeError, type Log } from '../log.ts'
import { sendDemo } from './send-demo.ts'
import { demoStudies } from './studies.ts'

/** The same studies as those of `stowage demo`, which finds them there when it comes later. */
export const firstSet = 'first'

/** Where a server that listens on this host is to be reached from its own machine. */
export function ownURL(host: string, port: number | string): string {
  const reached = ['', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}

/** Lends a token that is good until it is given back. */
export type Lend = () => Disposable & { token: string }

/** A server that sends the demonstration to itself, over HTTP as any other sender. */
export class Demonstration {
  readonly #log: Log
  readonly #lend: Lend
  readonly #ending = new AbortController()
  #url: string | undefined
  #running: Promise<void> | undefined

  constructor(log: Log, lend: Lend) {
    this.#log = log
    this.#lend = lend
  }

  /** To be called when the server listens; not where it speaks TLS, as its certificate has not this name. */
  listensAt(url: string): void {
    this.#url = url
  }

  /** @returns the studies that will come; undefined: they are on their way already, or the server cannot reach itself. */
  start(): string[] | undefined {
    if (this.#running !== undefined || this.#url === undefined || this.#ending.signal.aborted) {
      return undefined
    }
    this.#running = this.#send(this.#url)
      .catch((error) => {
        this.#log.warn('the demonstration failed', { error: describeError(error) })
      })
      .finally(() => {
        this.#running = undefined
      })
    return demoStudies(firstSet).map((study) => study.studyInstanceUID)
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #send(url: string): Promise<void> {
    using loan = this.#lend()
    const headers = { authorization: `Bearer ${loan.token}` }
    await sendDemo(
      firstSet,
      { url, headers, product: 'stowage-demo' },
      {
        signal: this.#ending.signal,
        say: (line) => this.#log.info('demonstration', { line }),
      },
    )
  }
}
