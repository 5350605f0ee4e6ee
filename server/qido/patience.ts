import type { Running } from '../../db/running.ts'
import { HttpProblem } from '../http/problem.ts'

/** How long one statement of a search may run: what takes longer asks for too much. */
const statementMs = 30_000

/** How long a statement goes on for a client who has left: most are done by then. */
const courtesyMs = 250

/** Gives up statements that nobody waits for any more, or that take too long. */
export class Patience {
  readonly #signal: AbortSignal

  /** @param signal Aborted when the client leaves. */
  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** @throws {HttpProblem} 413 it takes too long (QI-S7); 400, which nobody reads, when the client has left */
  async with<T>(running: Running<T>): Promise<T> {
    let isTooLong = false
    const timer = setTimeout(() => {
      isTooLong = true
      running.cancel()
    }, statementMs)
    let courtesy: ReturnType<typeof setTimeout> | undefined
    const leave = () => {
      courtesy = setTimeout(() => running.cancel(), courtesyMs)
    }
    if (this.#signal.aborted) leave()
    else this.#signal.addEventListener('abort', leave)
    try {
      return await running
    } catch (error) {
      if (isTooLong) {
        throw new HttpProblem(
          413,
          `Cannot search this: it takes more than ${statementMs / 1000} s. Give more keys, or a smaller offset`,
        )
      }
      if (this.#signal.aborted) throw new HttpProblem(400, 'The client has left', { cause: error })
      throw error
    } finally {
      clearTimeout(timer)
      clearTimeout(courtesy)
      this.#signal.removeEventListener('abort', leave)
    }
  }
}
