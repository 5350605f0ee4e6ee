import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CaseID, cases } from './cases.ts'
import type { LoadGenerator, LoadJob } from './load-generator.ts'
import type { BenchOptions } from './options.ts'
import { settle, usageOf } from './processes.ts'
import type { Report, Sample } from './report.ts'
import { type RunningServer, type ServerID, servers } from './servers.ts'
import { formatNumber } from './statistics.ts'

/** The UIDs of what is measured, and of what only warms the server. */
const measuredTag = 0
const fewRequestsTag = 1
const manyRequestsTag = 2
const largeRequestsTag = 3

/** Measures all cases with all servers and adds the samples to a report. */
export class Bench {
  readonly #options: BenchOptions
  readonly #report: Report
  readonly #folder: string
  readonly #generator: LoadGenerator
  #running: RunningServer | undefined
  #isStopped = false
  #serverCount = 0

  constructor(options: BenchOptions, report: Report, folder: string, generator: LoadGenerator) {
    this.#options = options
    this.#report = report
    this.#folder = folder
    this.#generator = generator
  }

  async measureAll(): Promise<void> {
    const ids = this.#report.servers.map(({ id }) => id)
    mkdirSync(join(this.#folder, 'shared'))
    for (let round = 1; round <= this.#options.rounds; round++) {
      for (const caseID of this.#options.cases) {
        for (const id of inTurn(ids, round)) {
          if (this.#isStopped) return
          try {
            await this.#measure(round, caseID, id)
          } catch (error) {
            console.error(`${round} ${caseID} ${id}: ${(error as Error).message}`)
          }
        }
      }
    }
  }

  /** Ends the server that runs now; what is measured until now stays in the report. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running?.[Symbol.asyncDispose]()
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  async #measure(round: number, caseID: CaseID, id: ServerID): Promise<void> {
    const folder = join(this.#folder, `${id}-${this.#serverCount++}`)
    mkdirSync(folder)
    chmodSync(folder, 0o755)
    try {
      await using server = await servers[id].start(folder, join(this.#folder, 'shared'))
      if (this.#isStopped) return
      this.#running = server
      const sample = await this.#send(round, caseID, id, server)
      this.#report.samples.push(sample)
    } finally {
      this.#running = undefined
      rmSync(folder, { recursive: true, force: true })
    }
  }

  async #send(round: number, caseID: CaseID, id: ServerID, server: RunningServer): Promise<Sample> {
    const { set, perRequest, concurrency } = cases[caseID]
    const { isQuick, warmCount } = this.#options
    const job: LoadJob = {
      ...{ set, perRequest, concurrency },
      url: server.studiesURL,
      size: isQuick ? 'quick' : 'full',
      tag: measuredTag,
      isChunked: 'isChunked' in cases[caseID],
      isConfirmed: server.isConfirming,
    }
    if (warmCount > 0) await this.#warm(job, warmCount)
    await settle()
    const before = usageOf(server.pids)
    const result = await this.#generator.run(job)
    const after = usageOf(server.pids)
    const { problems, requestCount, ...measured } = result
    for (const problem of problems) console.error(`${round} ${caseID} ${id}: ${problem}`)
    const sample: Sample = {
      ...{ round, case: caseID, server: id, ...measured },
      startMs: server.startMs,
      ...(before && after
        ? {
            cpuMs: after.cpuMs - before.cpuMs,
            postgresCPUMs: after.postgresCPUMs - before.postgresCPUMs,
            peakBytes: after.peakBytes,
          }
        : {}),
    }
    const perSecond = formatNumber((measured.instanceCount * 1000) / measured.wallMs)
    console.error(
      `round ${round}  ${caseID.padEnd(12)}${id.padEnd(10)}${perSecond.padStart(8)} inst/s in ${requestCount} requests`,
    )
    return sample
  }

  /**
   * The same code with other data: the compilers of three runtimes, and connections to a database, need some of it before they
   * are fast. Some of it as many small requests, and some as large ones, each of which may go another way than few small ones.
   */
  async #warm(job: LoadJob, count: number): Promise<void> {
    const [few, many] = [Math.ceil(count / 2), Math.floor(count / 2)]
    for (const [tag, set, limit, perRequest] of [
      [fewRequestsTag, 'small', few, Math.min(10, few)],
      [manyRequestsTag, 'small', many, 1],
      [largeRequestsTag, 'ct', Math.ceil(count / 10), 50],
    ] as const) {
      if (limit === 0) continue
      await this.#generator.run({
        ...job,
        ...{ set, size: 'full', tag, limit, isChunked: false },
        ...{ perRequest, concurrency: 4 },
      })
    }
  }
}

/** Round by round from another one on, and every other round backwards. */
function inTurn<T>(items: T[], round: number): T[] {
  const from = round % Math.max(1, items.length)
  const turned = [...items.slice(from), ...items.slice(0, from)]
  return round % 2 === 0 ? turned.reverse() : turned
}
