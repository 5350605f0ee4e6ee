import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { SetName, SetSize } from './sets.ts'

/** What the load generator shall send. */
export interface LoadJob {
  /** Where to post to: `http://…/studies`. */
  url: string
  set: SetName
  size: SetSize
  /** Makes the UIDs: see `makeInstances`. */
  tag: number
  /** Only so many instances of the set. */
  limit?: number
  perRequest: number | 'whole'
  /** Requests at a time. */
  concurrency: number
  isChunked: boolean
  /** Whether the answer lists what was stored. */
  isConfirmed: boolean
}

export interface LoadResult {
  /** From the first request to the last answer. */
  wallMs: number
  requestCount: number
  instanceCount: number
  byteLength: number
  latencyP50Ms: number
  latencyP99Ms: number
  /** Requests that were not answered with 200 and each of their instances; three of them told. */
  problemCount: number
  problems: string[]
}

export type LoadAnswer = { result: LoadResult } | { error: string }

/** The process that sends. One for a whole run, so that its code is warm for every server alike. */
export class LoadGenerator implements Disposable {
  readonly #child: ChildProcess

  constructor() {
    const environment = { ...process.env, NODE_OPTIONS: undefined }
    this.#child = fork(fileURLToPath(new URL('load.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      env: environment,
    })
  }

  /** Sends one set. One job at a time. @throws {Error} The process ended, or its code is wrong. */
  run(job: LoadJob): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) =>
        reject(new Error(`The load generator ended with ${code}`))
      this.#child.once('exit', ended)
      this.#child.once('message', (answer: LoadAnswer) => {
        this.#child.off('exit', ended)
        if ('error' in answer) reject(new Error(answer.error))
        else resolve(answer.result)
      })
      this.#child.send(job)
    })
  }

  [Symbol.dispose](): void {
    this.#child.kill()
  }
}
