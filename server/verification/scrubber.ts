import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ClaimedSegment,
  claimSegment,
  instancesOfSegment,
  releaseSegmentClaim,
  renewSegment,
} from '../../db/verification.ts'
import { describeError, type Log } from '../log.ts'
import { type VerifyDeps, verify } from './verify.ts'

export interface ScrubberLimits {
  /** What all servers together read; 0: nothing. */
  bytesPerSecond: number
  /** A segment that was read since is left alone. */
  againSeconds: number
  /** Milliseconds after which another server may go on for one that died. */
  leaseMs: number
}

export interface ScrubberDeps extends VerifyDeps {
  log: Log
  serverID: string
  limits: ScrubberLimits
}

/** Between two looks for a segment when none was to be had. */
const idleMs = 30_000
const afterFailureMs = 10_000

/** The claim of this server is over: another one goes on with the segment. */
class ClaimLostError extends Error {
  override name = 'ClaimLostError'
}

/**
 * Reads segments again, the one that was read longest ago first, at a set rate. (Decision 19)
 *
 * Which segment is next is in the database, and one is read at a time over all servers: the rate is that of all of them
 * together. A server that dies leaves a claim which runs out; then the segment is begun again.
 */
export class Scrubber {
  readonly #deps: ScrubberDeps
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #hasFailed = false
  /** By `performance.now()`: when what was read until now is within the rate. */
  #evenAt = 0
  #renewedAt = 0

  constructor(deps: ScrubberDeps) {
    this.#deps = deps
  }

  start(): void {
    if (this.#deps.limits.bytesPerSecond > 0) this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const waitMs = await this.#verifyNext().catch((error) => this.#failed(error))
      if (waitMs > 0) await pause(waitMs, signal)
    }
  }

  #failed(error: unknown): number {
    if (this.#stopping.signal.aborted || error instanceof ClaimLostError) return 0
    if (!this.#hasFailed) {
      const reason = describeError(error)
      this.#deps.log.warn('a segment could not be verified, and is tried again', { error: reason })
    }
    this.#hasFailed = true
    return afterFailureMs
  }

  /** @returns when to look again, in milliseconds. */
  async #verifyNext(): Promise<number> {
    const { db, serverID, limits } = this.#deps
    const segment = await claimSegment(db, serverID, limits)
    if (segment === undefined) return Math.min(idleMs, limits.leaseMs)
    this.#renewedAt = performance.now()
    let isDone = false
    try {
      isDone = await this.#verify(segment)
    } finally {
      await releaseSegmentClaim(db, serverID, segment.segmentKey, isDone)
    }
    this.#hasFailed = false
    return isDone ? 0 : afterFailureMs
  }

  /** @returns whether the store told of all instances. */
  async #verify({ segmentKey, segmentID }: ClaimedSegment): Promise<boolean> {
    const { db, log, limits } = this.#deps
    const { damagedCount, unreadableCount } = await verify(
      this.#deps,
      instancesOfSegment(db, segmentKey),
      {
        // Four small reads a second are kinder to who shares the disk than one large one.
        extentBytes: Math.min(1024 * 1024, Math.max(64 * 1024, limits.bytesPerSecond / 4)),
        atOnce: 1,
        signal: this.#stopping.signal,
        paced: (bytes) => this.#pace(bytes, segmentKey),
      },
    )
    if (damagedCount > 0) log.error('instances are damaged', { segmentID, damagedCount })
    if (unreadableCount > 0) log.warn('a segment cannot be read', { segmentID, unreadableCount })
    return unreadableCount === 0
  }

  /** Waits until so many bytes are within the rate, and renews the lease meanwhile. */
  async #pace(bytes: number, segmentKey: number): Promise<void> {
    const { db, serverID, limits } = this.#deps
    const { signal } = this.#stopping
    const renewMs = limits.leaseMs / 3
    this.#evenAt =
      Math.max(performance.now(), this.#evenAt) + (bytes / limits.bytesPerSecond) * 1000
    do {
      const waitMs = Math.min(renewMs, this.#evenAt - performance.now())
      if (waitMs > 0) await pause(waitMs, signal)
      signal.throwIfAborted()
      if (performance.now() - this.#renewedAt < renewMs) continue
      if (!(await renewSegment(db, serverID, segmentKey, limits.leaseMs))) {
        throw new ClaimLostError('Cannot go on with this segment: another server has it')
      }
      this.#renewedAt = performance.now()
    } while (performance.now() < this.#evenAt)
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
