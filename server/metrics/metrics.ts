import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  Registry,
} from 'prom-client'
import type { Database } from '../../db/database.ts'
import { type Figures, readFigures } from '../../db/figures.ts'
import type { Scarce, Whose } from '../http/overload.ts'
import type { EndedTransfer, Intake } from '../intake/intake.ts'
import { describeError, type Log } from '../log.ts'
import { RequestSeconds } from './request-seconds.ts'

export interface MetricsDeps {
  db: Database
  log: Log
}

/** What only this server knows. */
export interface MetricSources {
  intake: Pick<Intake, 'openCount' | 'heldBytes' | 'spooledBytes' | 'uncommittedBytes'>
  audit: { readonly unwrittenCount: number }
}

/** As long as /readyz waits. */
const answerWithinMs = 5000

/** Seconds; a small request takes some milliseconds, a study minutes. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/**
 * What Prometheus reads: what this server did and holds, and how the archive is doing, asked of the database when
 * somebody reads. Names and units as Prometheus wants them; labels are few and never hold what a sender sent (P10).
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #deps: MetricsDeps
  readonly #requests = new RequestSeconds(
    'stowage_http_request_seconds',
    'Seconds from the head of a request until its answer begins',
    buckets,
  )
  readonly #transfers = this.#counter('stowage_transfers_total', 'Transfers that ended here', [
    'service',
    'state',
  ])
  readonly #transferSeconds = this.#histogram(
    'stowage_transfer_seconds',
    'Seconds from the beginning of a transfer to its end',
    ['service', 'state'],
  )
  readonly #receivedBytes = this.#counter(
    'stowage_received_bytes_total',
    'Bytes of request bodies that ended transfers brought',
    ['service'],
  )
  readonly #instances = this.#counter(
    'stowage_instances_total',
    'Instances of ended transfers, by what became of them',
    ['outcome'],
  )
  readonly #refusedForOverload = this.#counter(
    'stowage_overload_refusals_total',
    'Requests and connections that were refused because there was too much to do, by what was scarce and whose limit it was',
    ['limit', 'of'],
  )
  readonly #uncommitted = this.#gauge(
    'stowage_server_uncommitted_bytes',
    'Bytes that transfers open here announced or brought',
  )
  readonly #here = this.#gauge('stowage_server_open_transfers', 'Transfers open on this server')
  readonly #held = this.#gauge(
    'stowage_server_held_bytes',
    'Bytes of small transfers that this server holds in memory until they are committed',
  )
  readonly #spooled = this.#gauge(
    'stowage_server_spooled_bytes',
    'Bytes of requests of metadata and bulk data that wait here for the end of their request',
  )
  readonly #poolLimit = this.#gauge(
    'stowage_server_pool_connections',
    'Most connections of this server to the database, those of searches and of transfers left out',
  )
  readonly #unwritten = this.#gauge(
    'stowage_server_audit_unwritten',
    'Audit events of this server that wait to be written',
  )
  readonly #settleSeconds = this.#histogram(
    'stowage_settle_seconds',
    'Seconds that a call of the scheduler took which settled something',
    [],
  )
  readonly #answerSeconds = this.#gauge(
    'stowage_database_answer_seconds',
    'Seconds that the database took for this reading, the wait for a connection included',
  )
  readonly #connections = this.#gauge(
    'stowage_database_connections',
    'Connections to the database, of all servers',
    ['state'],
  )
  readonly #webhookLag = this.#gauge(
    'stowage_webhook_lag_seconds',
    'Seconds for which the oldest delivery that is due waits to be sent',
  )
  readonly #webhookBehind = this.#gauge(
    'stowage_webhook_behind_changes',
    'Changes that the webhook which is furthest behind has not looked at',
  )
  readonly #up = this.#gauge('stowage_database_up', '1 if the database answered this reading')
  readonly #openTransfers = this.#gauge(
    'stowage_open_transfers',
    'Transfers open on all servers, of those that last more than a second',
  )
  readonly #lag = this.#gauge(
    'stowage_scheduler_lag_seconds',
    'Seconds for which the oldest due patient, study or series has waited; those held back by a transfer count',
  )
  readonly #toCome = this.#gauge(
    'stowage_changes_unnumbered',
    'Changes that are committed and not in the feed yet',
  )
  readonly #lastSeq = this.#gauge('stowage_changes_last_seq', 'The last number of the feed')
  readonly #deliveries = this.#gauge(
    'stowage_webhook_deliveries',
    'Deliveries to webhooks that are not done',
    ['state'],
  )
  readonly #doomed = this.#gauge(
    'stowage_doomed_segments',
    'Segments whose objects wait to be deleted',
  )
  readonly #databaseBytes = this.#gauge('stowage_database_bytes', 'Size of the database')
  readonly #rows = this.#gauge(
    'stowage_rows_estimate',
    'Rows of a table, as Postgres last estimated them',
    ['table'],
  )

  constructor(deps: MetricsDeps) {
    this.#deps = deps
    this.#registry.registerMetric(this.#requests as unknown as Metric)
    collectDefaultMetrics({ register: this.#registry })
  }

  /** @param route The pattern of the route, never the path. */
  answered(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe(method, route, status, seconds)
  }

  ended({ service, state, ageMs, receivedBytes, ...counts }: EndedTransfer): void {
    this.#transfers.inc({ service, state })
    this.#transferSeconds.observe({ service, state }, ageMs / 1000)
    this.#receivedBytes.inc({ service }, receivedBytes)
    this.#instances.inc({ outcome: 'stored' }, counts.storedCount)
    this.#instances.inc({ outcome: 'duplicate' }, counts.duplicateCount)
    this.#instances.inc({ outcome: 'refused' }, counts.refusedCount)
  }

  /** @param of The whole server, or the share of one sender. */
  overloaded(limit: Scarce, of: Whose): void {
    this.#refusedForOverload.inc({ limit, of })
  }

  /** The scheduler settled something. */
  settled(seconds: number): void {
    this.#settleSeconds.observe(seconds)
  }

  /**
   * The text that Prometheus reads. Where the database does not answer, `stowage_database_up` is 0 and what only it
   * knows is left out.
   */
  async read({ intake, audit }: MetricSources): Promise<string> {
    this.#here.set(intake.openCount)
    this.#held.set(intake.heldBytes)
    this.#uncommitted.set(intake.uncommittedBytes)
    this.#spooled.set(intake.spooledBytes)
    this.#unwritten.set(audit.unwrittenCount)
    this.#poolLimit.set(this.#deps.db.sql.options.max)
    const askedAt = performance.now()
    const figures = await inTime(readFigures(this.#deps.db)).catch((error) => {
      this.#deps.log.warn('the database did not answer what the metrics ask', {
        error: describeError(error),
      })
      return undefined
    })
    this.#up.set(figures === undefined ? 0 : 1)
    this.#answerSeconds.set((performance.now() - askedAt) / 1000)
    this.#setFigures(figures)
    return this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  #setFigures(figures: Figures | undefined): void {
    const plain: [Gauge, number | undefined][] = [
      [this.#openTransfers, figures?.openTransfers],
      [this.#lag, figures?.schedulerLagSeconds],
      [this.#toCome, figures?.changesToCome],
      [this.#lastSeq, figures?.lastSeq],
      [this.#webhookLag, figures?.webhookLagSeconds],
      [this.#webhookBehind, figures?.webhookBehind],
      [this.#doomed, figures?.doomedSegments],
      [this.#databaseBytes, figures?.databaseBytes],
    ]
    for (const [gauge, value] of plain) {
      if (value === undefined) gauge.remove()
      else gauge.set(value)
    }
    this.#deliveries.reset()
    for (const [state, count] of Object.entries(figures?.deliveries ?? {})) {
      this.#deliveries.set({ state }, count)
    }
    this.#connections.reset()
    for (const [state, count] of Object.entries(figures?.connections ?? {})) {
      this.#connections.set({ state }, count)
    }
    this.#rows.reset()
    for (const [table, count] of Object.entries(figures?.rows ?? {})) {
      this.#rows.set({ table }, count)
    }
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] })
  }

  #histogram(name: string, help: string, labelNames: string[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] })
  }
}

/** @throws {Error} The database did not answer for long, or what it threw. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), answerWithinMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
