import type { DatabaseSize } from './database-probe.ts'
import type { LoadGenerator, LoadJob } from './load-generator.ts'
import { settle, usageOf } from './processes.ts'
import type { RunningServer } from './servers.ts'
import { type Spread, spreadOf } from './statistics.ts'

/** What is sent at each size. */
export const rowCases = {
  'into one study': { set: 'small', limit: 1000, perRequest: 50, concurrency: 4 },
  'new studies': { set: 'many', limit: 400, perRequest: 10, concurrency: 4 },
} as const satisfies Record<string, Partial<LoadJob>>

export type RowCaseName = keyof typeof rowCases

/** What an instance cost. */
export interface IntakeCost {
  msPerInstance: Spread
  /** Of the server with its Postgres; Linux only. */
  cpuMsPerInstance: Spread | undefined
  /** The time over that of `onefile` for the same requests, round by round. */
  overOneFile: Spread
}

/** All that was measured at one size. */
export interface IntakePoint {
  database: DatabaseSize
  /** The start of the server with this database. */
  startMs: number
  intake: Record<RowCaseName, IntakeCost>
}

/** Sends studies that the server has not seen, and takes the time. */
export class IntakeMeter {
  readonly #generator: LoadGenerator
  readonly #referenceURL: string
  #lastTag = 1

  constructor(generator: LoadGenerator, referenceURL: string) {
    this.#generator = generator
    this.#referenceURL = referenceURL
  }

  /** 200 instances in two series: about what a study has in an archive of many modalities. */
  async sendStudyToCopy(server: RunningServer): Promise<void> {
    const size = { set: 'ct', limit: 200, perRequest: 'whole', concurrency: 1 } as const
    await this.#send(server.studiesURL, true, size)
  }

  async measure(server: RunningServer, rounds: number): Promise<IntakePoint['intake']> {
    const costs: Partial<IntakePoint['intake']> = {}
    for (const [name, rowCase] of Object.entries(rowCases) as [RowCaseName, Partial<LoadJob>][]) {
      for (let warm = 0; warm < 2; warm++) await this.#send(server.studiesURL, true, rowCase)
      costs[name] = await this.#measureCase(server, rowCase, rounds)
    }
    return costs as IntakePoint['intake']
  }

  async #measureCase(
    server: RunningServer,
    rowCase: Partial<LoadJob>,
    rounds: number,
  ): Promise<IntakeCost> {
    const ms: number[] = []
    const cpuMs: number[] = []
    const ratios: number[] = []
    for (let round = 0; round < rounds; round++) {
      const reference = await this.#send(this.#referenceURL, false, rowCase)
      const before = usageOf(server.pids)
      const cost = await this.#send(server.studiesURL, true, rowCase)
      const after = usageOf(server.pids)
      ms.push(cost.msPerInstance)
      ratios.push(cost.msPerInstance / reference.msPerInstance)
      if (before && after) cpuMs.push((after.cpuMs - before.cpuMs) / cost.instanceCount)
    }
    return {
      msPerInstance: spreadOf(ms) as Spread,
      cpuMsPerInstance: spreadOf(cpuMs),
      overOneFile: spreadOf(ratios) as Spread,
    }
  }

  /** @throws {Error} An answer was not as it must be. */
  async #send(
    url: string,
    isConfirmed: boolean,
    rowCase: Partial<LoadJob>,
  ): Promise<{ msPerInstance: number; instanceCount: number }> {
    await settle()
    const job = { set: 'small', perRequest: 50, concurrency: 4, ...rowCase } as const
    const result = await this.#generator.run({
      ...job,
      ...{ url, isConfirmed, isChunked: false, tag: ++this.#lastTag },
      size: job.set === 'small' ? 'full' : 'quick',
    })
    if (result.problemCount > 0) throw new Error(`Wrong answers: ${result.problems.join('; ')}`)
    const { instanceCount } = result
    return { instanceCount, msPerInstance: result.wallMs / instanceCount }
  }
}
