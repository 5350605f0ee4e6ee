import { type Profiler, Session } from 'node:inspector'

/**
 * Which blocks of the server's code have run in this thread, as V8 counts them.
 *
 * Reading the counts costs some milliseconds, however much has run: so it is done for a batch of inputs, and only a batch
 * with something new is gone through again.
 */
export class Coverage {
  readonly #session = new Session()
  readonly #seen = new Set<string>()

  constructor() {
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Blocks that ran so far, ever. */
  get blockCount(): number {
    return this.#seen.size
  }

  /** Whether blocks ran since the last time that had not run before. Without `keep` they count as new the next time, too. */
  hasNew(keep = true): boolean {
    let isNew = false
    for (const { scriptId, url, functions } of this.#take()) {
      if (!url.includes('/server/')) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count === 0) continue
          const block = `${scriptId}:${startOffset}-${endOffset}`
          if (this.#seen.has(block)) continue
          isNew = true
          if (keep) this.#seen.add(block)
        }
      }
    }
    return isNew
  }

  #take(): Profiler.ScriptCoverage[] {
    return (this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType)
      .result
  }

  /** Answers come within the call: the session and what it asks about are of one thread. */
  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`Cannot measure coverage: ${method}`, { cause: error })
      answer = result
    })
    return answer
  }
}
