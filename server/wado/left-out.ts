import type { Context } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { UndecodableError } from '../pixels/worker-pool.ts'

/** Requests whose answers were broken off. */
const brokenOff = new Set<string>()
const brokenOffAtMost = 1000

/**
 * What an answer of several parts leaves out, since it cannot be had as asked: its status says that it is not all
 * (206; WA-N13, WA-S2).
 *
 * What cannot be decoded is known when its turn comes. If the status was 200 and is out by then, the answer is broken off,
 * for it must not seem whole; asked again, it begins with 206 and comes to its end.
 */
export class LeftOut {
  readonly #request: string
  #isSome: boolean
  #isSaid = false
  /** Why the first one could not be had. */
  why: unknown

  /** @param isSome It is known already that something will be left out. */
  constructor({ req }: Context<AppEnv>, isSome = false) {
    this.#request = `${req.url}\n${req.header('accept')}`
    this.#isSome = brokenOff.delete(this.#request) || isSome
  }

  /**
   * Waits for something, and leaves it out where it cannot be converted as asked.
   * @throws what `made` throws besides; and that, too, when it is too late to say that it is left out
   */
  async unless<T>(made: Promise<T>): Promise<T | undefined> {
    try {
      return await made
    } catch (error) {
      if (!isUnable(error)) throw error
      this.why ??= error
      if (this.#isSaid) {
        if (brokenOff.size >= brokenOffAtMost) brokenOff.clear()
        brokenOff.add(this.#request)
        if (!this.#isSome) throw error
      }
      this.#isSome = true
      return undefined
    }
  }

  /** The status, which is out from now on. */
  status(): 200 | 206 {
    this.#isSaid = true
    return this.#isSome ? 206 : 200
  }
}

/** Whether an error says of something that is there that it cannot be had as asked. */
export function isUnable(error: unknown): boolean {
  return (
    error instanceof UndecodableError ||
    (error instanceof HttpProblem && (error.status === 406 || error.status === 413))
  )
}
