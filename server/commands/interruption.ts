import { constants } from 'node:os'

/** Milliseconds within which two signals are one: Ctrl-C under npm comes from the terminal and from npm. */
const SAME_SIGNAL_MS = 1000

/**
 * Ctrl-C, or SIGTERM, for a command that has something to say at its end: the first one aborts `signal`, one
 * that comes later ends the process at once.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController()
  readonly #receive: (name: NodeJS.Signals) => void
  #receivedAt: number | undefined
  #exitCode = 0

  constructor() {
    this.#receive = (name) => {
      // By convention 128 and the number of the signal: 130 for SIGINT.
      this.#exitCode = 128 + constants.signals[name]
      if (this.#receivedAt === undefined) {
        this.#receivedAt = Date.now()
        this.#controller.abort()
      } else if (Date.now() - this.#receivedAt > SAME_SIGNAL_MS) process.exit(this.#exitCode)
    }
    process.on('SIGINT', this.#receive).on('SIGTERM', this.#receive)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What the process answers when `signal` was aborted. */
  get exitCode(): number {
    return this.#exitCode
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#receive).off('SIGTERM', this.#receive)
  }
}
