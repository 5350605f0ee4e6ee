import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface PostRequest {
  url: URL
  headers: Record<string, string | string[]>
  /** Bytes that `body` will give. */
  byteLength: number
  body: AsyncIterable<Uint8Array>
  /** Bytes of an answer that are read; a longer one is an error. */
  answerBytes: number
  /** Asks for `100 Continue` before the body, so that a server that refuses spares us the sending. */
  expectsContinue: boolean
  /** Told of the bytes of the body that went on their way. */
  onSent: (bytes: number) => void
}

export interface PostTimes {
  /** How long the connection may stand still. */
  idleMs: number
  /** How long the server may take for its answer once it has everything: it syncs and commits. */
  answerMs: number
  /** How long to wait for `100 Continue`: not every server sends it. (RFC 9110 10.1.1) */
  continueMs: number
}

export const defaultTimes: PostTimes = { idleMs: 60_000, answerMs: 600_000, continueMs: 1000 }

export interface Answer {
  status: number
  /** Lower-case names. */
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** It came before all of the body was sent. */
  isEarly: boolean
}

/** The connection stood still for too long. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
}

/** An answer that is longer than any answer to this request could be. */
export class AnswerTooLargeError extends RangeError {
  override name = 'AnswerTooLargeError'
}

/**
 * Posts one body and reads the answer.
 *
 * The body is read as fast as the connection takes it, so memory does not grow with it. An answer that
 * comes before its end stops the sending. Each call has a connection of its own, which ends with it.
 *
 * @throws {TimeoutError} {@link AnswerTooLargeError} errors of the connection, those of `body`, and the
 *   reason of `signal`
 */
export async function post(
  request: PostRequest,
  signal: AbortSignal,
  times: PostTimes = defaultTimes,
): Promise<Answer> {
  signal.throwIfAborted()
  const exchange = new Exchange(request, times)
  const abort = () => exchange.fail(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await exchange.run()
  } finally {
    signal.removeEventListener('abort', abort)
    exchange.close()
  }
}

/**
 * One request and its answer.
 *
 * Whatever happens to it (room for more, 100 Continue, the answer, an error) wakes the one who waits;
 * races of promises would pile up on those that live as long as the request.
 */
class Exchange {
  readonly #plan: PostRequest
  readonly #times: PostTimes
  readonly #request: ClientRequest
  #answer: IncomingMessage | undefined
  #error: unknown
  #mayContinue = false
  #hasRoom = true
  #wake: () => void = () => {}

  constructor(plan: PostRequest, times: PostTimes) {
    this.#plan = plan
    this.#times = times
    const { url, headers, byteLength, expectsContinue } = plan
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest
    this.#request = open(url, {
      method: 'POST',
      agent: false,
      timeout: times.idleMs,
      headers: {
        ...headers,
        // Else a server that answers early closes at once, and what is on its way to it comes back as a reset,
        // which overtakes the answer. We close the connection ourselves.
        connection: 'keep-alive',
        'content-length': String(byteLength),
        ...(expectsContinue ? { expect: '100-continue' } : {}),
      },
    })
    this.#request
      .on('continue', () => this.#tell(() => (this.#mayContinue = true)))
      .on('drain', () => this.#tell(() => (this.#hasRoom = true)))
      .on('response', (answer) => this.#tell(() => (this.#answer = answer)))
      .on('timeout', () => this.fail(new TimeoutError('the connection stood still for too long')))
      .on('error', (error) => this.fail(error))
  }

  async run(): Promise<Answer> {
    if (this.#plan.expectsContinue) await this.#waitForContinue()
    const isComplete = await this.#sendBody()
    while (this.#answer === undefined) await this.#wait()
    const body = await this.#readAnswer(this.#answer)
    const { statusCode = 0, headers } = this.#answer
    return { status: statusCode, headers, body, isEarly: !isComplete }
  }

  /** The first error is the reason; those that follow from it are not. */
  fail(error: unknown): void {
    this.#tell(() => (this.#error ??= error))
    this.#request.destroy()
  }

  close(): void {
    this.#request.destroy()
  }

  async #waitForContinue(): Promise<void> {
    const timer = setTimeout(
      () => this.#tell(() => (this.#mayContinue = true)),
      this.#times.continueMs,
    )
    try {
      while (!this.#mayContinue && this.#answer === undefined) await this.#wait()
    } finally {
      clearTimeout(timer)
    }
  }

  /** @returns false when the answer came first. */
  async #sendBody(): Promise<boolean> {
    if (this.#answer !== undefined) return false
    for await (const chunk of this.#plan.body) {
      if (this.#answer !== undefined) return false
      this.#hasRoom = this.#request.write(chunk)
      this.#plan.onSent(chunk.length)
      while (!this.#hasRoom && this.#answer === undefined) await this.#wait()
      if (this.#error !== undefined) throw this.#error
    }
    this.#request.setTimeout(this.#times.answerMs)
    this.#request.end()
    return true
  }

  async #readAnswer(answer: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    let byteLength = 0
    try {
      for await (const chunk of answer) {
        byteLength += chunk.length
        if (byteLength > this.#plan.answerBytes) {
          throw new AnswerTooLargeError(`the answer is longer than ${this.#plan.answerBytes} bytes`)
        }
        chunks.push(chunk)
      }
    } catch (error) {
      throw this.#error ?? error
    }
    return Buffer.concat(chunks)
  }

  #tell(change: () => void): void {
    change()
    this.#wake()
  }

  async #wait(): Promise<void> {
    if (this.#error === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#error !== undefined) throw this.#error
  }
}
