import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CheckedReference,
  claimCommitment,
  discardCommitments,
  finishCommitment,
  finishedAmong,
  noteChecked,
  type OpenCommitment,
  releaseCommitment,
  type UncheckedReference,
  uncheckedReferences,
} from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { recordVerification, type Verification } from '../../db/verification.ts'
import { describeError, type Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { fullSpeed, readAgain } from '../verification/read-again.ts'
import { newsOf } from '../verification/verify.ts'

export interface CommitterLimits {
  /** Requests that this server works on at the same time. */
  atOnce: number
  /** Milliseconds after which another server may go on for one that died. */
  leaseMs: number
  /** How long a result is kept. */
  keptSeconds: number
}

export interface CommitterDeps {
  db: Database
  store: Store
  log: Log
  serverID: string
  limits: CommitterLimits
  /** Something was committed: there are changes to tell. */
  changed(): void
}

/** Between two looks at most: a notice that was lost costs no more, nor a server that died after its lease. */
const idleMs = 10_000
const afterFailureMs = 5000
/** What was read is written down at least so often, so that little is read twice after a crash. */
const noteEveryMs = 2000
const discardEveryMs = 60_000
const discardedAtOnce = 100

/** Another server has this request now. */
class ClaimLostError extends Error {
  override name = 'ClaimLostError'
}

/**
 * Works on storage commitment requests: reads the bytes of their instances again, and has the database decide.
 *
 * Which requests wait, who works on which, and what was read already, is rows: any number of servers take the oldest
 * that nobody has, each under a lease, and what a dead one leaves another goes on with, where it was. A notice from
 * any server wakes all; without one they look every few seconds.
 */
export class Committer {
  readonly #deps: CommitterDeps
  readonly #stopping = new AbortController()
  readonly #working = new Set<Promise<void>>()
  /** Who waits for a request here, by its key. */
  readonly #waiting = new Map<number, Set<() => void>>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #isWoken = false
  #discardAt = 0
  #hasFailed = false

  constructor(deps: CommitterDeps) {
    this.#deps = deps
  }

  start(): void {
    this.wake()
  }

  /** What is being worked on is let go of, for another server or the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#timer)
    await this.#looking
    await Promise.all(this.#working)
    for (const resolvers of this.#waiting.values()) for (const resolve of resolvers) resolve()
  }

  /** Something waits, or was finished by another server. Costs little, may be called at any rate. */
  wake(): void {
    if (this.#stopping.signal.aborted) return
    this.#isWoken = true
    if (this.#looking !== undefined) return
    clearTimeout(this.#timer)
    this.#looking = this.#look().then((waitMs) => {
      this.#looking = undefined
      if (this.#stopping.signal.aborted) return
      this.#timer = setTimeout(() => this.wake(), this.#isWoken ? 0 : waitMs)
      this.#timer.unref?.()
    })
  }

  /** Resolves when a request is finished, by whichever server, or after so long, or when the client goes away. */
  async finished(commitmentKey: number, patienceMs: number, client: AbortSignal): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, client, this.#stopping.signal])
    const finish = () => over.abort()
    const resolvers = this.#waiting.get(commitmentKey) ?? new Set()
    this.#waiting.set(commitmentKey, resolvers.add(finish))
    await sleep(patienceMs, undefined, { signal }).catch(() => {})
    resolvers.delete(finish)
    if (resolvers.size === 0) this.#waiting.delete(commitmentKey)
  }

  /** @returns when to look again, in milliseconds. */
  async #look(): Promise<number> {
    const { db, serverID, limits } = this.#deps
    this.#isWoken = false
    try {
      while (this.#working.size < limits.atOnce && !this.#stopping.signal.aborted) {
        const claimed = await claimCommitment(db, serverID, limits.leaseMs)
        if (claimed === undefined) break
        this.#begin(claimed)
      }
      if (this.#waiting.size > 0) {
        for (const key of await finishedAmong(db, [...this.#waiting.keys()])) this.#tell(key)
      }
      if (performance.now() > this.#discardAt) {
        this.#discardAt = performance.now() + discardEveryMs
        await discardCommitments(db, limits.keptSeconds, discardedAtOnce)
      }
      this.#hasFailed = false
      return Math.min(idleMs, limits.leaseMs)
    } catch (error) {
      // What waits goes on waiting.
      if (!this.#hasFailed) {
        const reason = describeError(error)
        this.#deps.log.warn('commitment requests could not be read, and are tried again', {
          error: reason,
        })
      }
      this.#hasFailed = true
      return afterFailureMs
    }
  }

  #tell(commitmentKey: number): void {
    for (const resolve of this.#waiting.get(commitmentKey) ?? []) resolve()
  }

  #begin(claimed: OpenCommitment): void {
    const { commitmentKey } = claimed
    const work = this.#work(commitmentKey)
      .catch((error) => this.#letGo(commitmentKey, error))
      .then(() => {
        this.#working.delete(work)
        // There is room again.
        this.wake()
      })
    this.#working.add(work)
  }

  async #letGo(commitmentKey: number, error: unknown): Promise<void> {
    const { db, log, serverID } = this.#deps
    if (error instanceof ClaimLostError) return
    const isStopping = this.#stopping.signal.aborted
    if (!isStopping) {
      const reason = describeError(error)
      log.warn('a commitment request could not be worked on, and is tried again', { error: reason })
    }
    // If the database is away, the lease ends.
    await releaseCommitment(db, serverID, commitmentKey, isStopping ? 0 : afterFailureMs).catch(
      () => {},
    )
  }

  async #work(commitmentKey: number): Promise<void> {
    const { db, serverID } = this.#deps
    for (;;) {
      const references = await uncheckedReferences(db, commitmentKey)
      if (references.length > 0) {
        await this.#check(commitmentKey, references)
        continue
      }
      const outcome = await finishCommitment(db, serverID, commitmentKey)
      if (outcome === 'lost') throw new ClaimLostError('Cannot finish: another server has it')
      if (outcome === 'again') continue
      this.#tell(commitmentKey)
      this.#deps.changed()
      return
    }
  }

  /** Reads the bytes of some instances, and writes down what was found as it goes. */
  async #check(commitmentKey: number, references: UncheckedReference[]): Promise<void> {
    const { db, store, serverID, limits } = this.#deps
    const checked: CheckedReference[] = []
    const news: Verification[] = []
    let notedAt = performance.now()
    const note = async () => {
      // First what the decision depends on.
      await recordVerification(db, news.splice(0))
      const read = checked.splice(0)
      const isOurs = await noteChecked(db, serverID, commitmentKey, read, limits.leaseMs)
      if (!isOurs) throw new ClaimLostError('Cannot go on: another server has it')
      notedAt = performance.now()
    }
    const isTime = () => performance.now() - notedAt > Math.min(noteEveryMs, limits.leaseMs / 3)
    let noting: Promise<void> | undefined
    const options = {
      ...fullSpeed,
      signal: this.#stopping.signal,
      // A large instance takes longer than a lease.
      paced: async () => {
        if (!isTime()) return
        noting ??= note().finally(() => {
          noting = undefined
        })
        await noting
      },
    }
    for await (const { instance, finding } of readAgain(store, references, options)) {
      const { position, segmentKey, segmentOffset } = instance
      checked.push({ position, segmentKey, segmentOffset, isWhole: finding === 'whole' })
      const one = newsOf(instance, finding)
      if (one !== undefined) news.push(one)
    }
    await noting
    await note()
  }
}
