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

/** A server that sends the demonstration to itself, over HTTP as any other sender. */
export class Demonstration {
  readonly #log: Log
  readonly #ending = new AbortController()
  #url: string | undefined
  #running: Promise<void> | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /** To be called when the server listens. */
  listensAt(url: string): void {
    this.#url = url
  }

  /** @returns the studies that will come; undefined: they are on their way already, or the server is not ready. */
  start(): string[] | undefined {
    if (this.#running !== undefined || this.#url === undefined || this.#ending.signal.aborted) {
      return undefined
    }
    const target = { url: this.#url, headers: {}, product: 'stowage-demo' }
    this.#running = sendDemo(firstSet, target, {
      signal: this.#ending.signal,
      say: (line) => this.#log.info('demonstration', { line }),
    })
      .then(() => {})
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
}
