import { expireCompactions, freeSegments } from '../../db/compaction.ts'
import type { Database } from '../../db/database.ts'
import { pruneTransfers } from '../../db/deletions.ts'
import { deleteDoomedSegments } from '../intake/sweep.ts'
import { describeError, type Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { CompactionError, compactOne } from './compaction.ts'

export interface CompactorDeps {
  db: Database
  store: Store
  log: Log
  leaseMs: number
  /** Days for which the records of transfers are kept; 0: for good. */
  keepTransfersDays: number
}

const beatMs = 5000
const pruneBeatsMs = 10 * 60_000
/** How long a segment that could not be written again is left alone. */
const patienceMs = 60 * 60_000

/**
 * Gives back the bytes of what was deleted, and forgets old transfers, behind everybody's back. Any number of servers
 * do it: each segment is claimed by one of them.
 */
export class Compactor {
  readonly #deps: CompactorDeps
  readonly #stop = new AbortController()
  /** Segments that could not be written again, and until when they are left alone. */
  readonly #failed = new Map<number, number>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isWanted = false
  #prunedAt = 0

  constructor(deps: CompactorDeps) {
    this.#deps = deps
  }

  /** @param alone No other server can be using the database: whatever is claimed is left over. */
  async start(alone: boolean): Promise<void> {
    await expireCompactions(this.#deps.db, alone)
    this.#timer = setInterval(() => this.wake(), beatMs)
    this.wake()
  }

  /** Something was deleted. */
  wake(): void {
    this.#isWanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#stop.signal.aborted) {
      this.#isWanted = false
      try {
        await this.round()
      } catch (error) {
        this.#deps.log.warn('giving back bytes failed, and is tried again', {
          error: describeError(error),
        })
      }
    }
  }

  /** Gives back all that can be given back now. */
  async round(): Promise<void> {
    const { db, store } = this.#deps
    // What is left over of these the sweep of the transfers finds, if we do not come that far.
    const givenUp = (await expireCompactions(db, false)) + (await freeSegments(db))
    if (givenUp > 0) await deleteDoomedSegments(db, store)
    while (!this.#stop.signal.aborted && (await this.#compact())) {
      await deleteDoomedSegments(db, store)
    }
    await this.#prune()
  }

  /** @returns whether there was one. */
  async #compact(): Promise<boolean> {
    const { log } = this.#deps
    for (const [key, until] of this.#failed) if (until < Date.now()) this.#failed.delete(key)
    try {
      const deps = { ...this.#deps, signal: this.#stop.signal }
      const compacted = await compactOne(deps, [...this.#failed.keys()])
      if (compacted === undefined) return false
      if (compacted.damagedCount > 0) {
        log.error('instances are damaged: see "stowage check"', { ...compacted })
      }
      return true
    } catch (error) {
      if (!(error instanceof CompactionError)) throw error
      if (this.#stop.signal.aborted) return false
      this.#failed.set(error.segmentKey, Date.now() + patienceMs)
      log.warn('a segment could not be written again, and stays as it is for now', {
        segmentKey: error.segmentKey,
        error: describeError(error.cause),
      })
      return true
    }
  }

  async #prune(): Promise<void> {
    const { db, log, keepTransfersDays } = this.#deps
    if (keepTransfersDays === 0 || Date.now() - this.#prunedAt < pruneBeatsMs) return
    this.#prunedAt = Date.now()
    let pruned = 0
    for (let more = 1; more > 0 && !this.#stop.signal.aborted; pruned += more) {
      more = await pruneTransfers(db, keepTransfersDays)
    }
    if (pruned > 0) log.info('forgot old transfers', { pruned })
  }
}
