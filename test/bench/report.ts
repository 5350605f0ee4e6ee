import { type CaseID, cases, type Target } from './cases.ts'
import type { ServerID } from './servers.ts'
import { type Spread, spreadOf } from './statistics.ts'

/** What one server did with one case in one round. */
export interface Sample {
  round: number
  case: CaseID
  server: ServerID
  wallMs: number
  instanceCount: number
  byteLength: number
  latencyP50Ms: number
  latencyP99Ms: number
  /** From the start of the server's process until it took studies. */
  startMs: number
  /** Linux only, as the two that follow. */
  cpuMs?: number | undefined
  /** Of that, what its Postgres used. */
  postgresCPUMs?: number | undefined
  peakBytes?: number | undefined
  /** Requests that were not answered as they must be. */
  problemCount: number
}

/** All of a run, as it is written to a file. */
export interface Report {
  /** Of this format. */
  version: 1
  at: string
  isQuick: boolean
  rounds: number
  warmCount: number
  machine: { processors: number; model: string; memoryBytes: number; platform: string }
  /** What was measured, with its version. */
  servers: { id: ServerID; version: string | undefined }[]
  skipped: { id: ServerID; reason: string }[]
  samples: Sample[]
}

/** Questions to the samples of a run. Nothing measured is undefined; a sample with problems does not count. */
export class Figures {
  readonly #samples: Sample[]

  constructor({ samples }: Pick<Report, 'samples'>) {
    this.#samples = samples.filter((sample) => sample.problemCount === 0)
  }

  of(caseID: CaseID, server: ServerID): Sample[] {
    return this.#samples.filter((sample) => sample.case === caseID && sample.server === server)
  }

  /** Instances or megabytes a second. */
  rate(caseID: CaseID, server: ServerID): Spread | undefined {
    return spreadOf(this.of(caseID, server).map(rateOf))
  }

  /** Of each round the rate of one over the rate of the other: what else the machine did falls out. */
  ratio(
    [caseID, server]: [CaseID, ServerID],
    [overCase, over]: [CaseID, ServerID],
  ): Spread | undefined {
    return spreadOf(this.#inPairs([caseID, server], [overCase, over], rateOf))
  }

  cpuMsPerInstance(caseID: CaseID, server: ServerID): Spread | undefined {
    return spreadOf(
      this.of(caseID, server).flatMap(({ cpuMs, instanceCount }) =>
        cpuMs === undefined ? [] : cpuMs / instanceCount,
      ),
    )
  }

  postgresCPUMsPerInstance(caseID: CaseID, server: ServerID): Spread | undefined {
    return spreadOf(
      this.of(caseID, server).flatMap(({ postgresCPUMs, instanceCount }) =>
        postgresCPUMs === undefined ? [] : postgresCPUMs / instanceCount,
      ),
    )
  }

  peakMB(caseID: CaseID, server: ServerID): Spread | undefined {
    return spreadOf(this.of(caseID, server).flatMap((sample) => peakOf(sample) ?? []))
  }

  latencyMs(caseID: CaseID, server: ServerID, of: 'p50' | 'p99'): Spread | undefined {
    return spreadOf(
      this.of(caseID, server).map((sample) =>
        of === 'p50' ? sample.latencyP50Ms : sample.latencyP99Ms,
      ),
    )
  }

  startMs(server: ServerID): Spread | undefined {
    return spreadOf(
      this.#samples.filter((sample) => sample.server === server).map((sample) => sample.startMs),
    )
  }

  /** What a target asks for, and whether it is reached; undefined where it was not measured. */
  judge(
    target: Target,
    server: ServerID,
  ): { value: Spread | undefined; isReached: boolean | undefined } {
    const value = this.#measure(target, server)
    if (value === undefined) return { value, isReached: undefined }
    if ('atLeast' in target) return { value, isReached: value.median >= target.atLeast }
    if ('atMost' in target) return { value, isReached: value.median <= target.atMost }
    // Memory is a promise, so every round must keep it.
    if ('peakMBAtMost' in target) return { value, isReached: value.max <= target.peakMBAtMost }
    return { value, isReached: value.median <= target.startMsAtMost }
  }

  #measure(target: Target, server: ServerID): Spread | undefined {
    if ('startMsAtMost' in target) return this.startMs(server)
    const { of } = target
    if ('peakMBAtMost' in target) return this.peakMB(of, server)
    if ('peakOverCase' in target) {
      return spreadOf(this.#inPairs([of, server], [target.peakOverCase, server], peakOf))
    }
    const over = target.over === 'itself' ? server : target.over
    return this.ratio([of, server], [target.overCase ?? of, over])
  }

  #inPairs(
    one: [CaseID, ServerID],
    other: [CaseID, ServerID],
    value: (sample: Sample) => number | undefined,
  ): number[] {
    const others = new Map(this.of(...other).map((sample) => [sample.round, value(sample)]))
    return this.of(...one).flatMap((sample) => {
      const [above, below] = [value(sample), others.get(sample.round)]
      return above === undefined || below === undefined ? [] : above / below
    })
  }
}

function rateOf(sample: Sample): number {
  const amount = cases[sample.case].unit === 'MB/s' ? sample.byteLength / 1e6 : sample.instanceCount
  return amount / (sample.wallMs / 1000)
}

function peakOf({ peakBytes }: Sample): number | undefined {
  return peakBytes === undefined ? undefined : peakBytes / 1e6
}
