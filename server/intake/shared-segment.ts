import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/database.ts'
import { announceSharedSegment, releaseSegment } from '../../db/shared-segments.ts'
import { forgetSegments } from '../../db/transfers.ts'
import { describeError, type Log } from '../log.ts'
import type { SegmentWriter, Store } from '../store/store.ts'

/**
 * How long a server appends to the same segment. Far less than `abandonedSegments` waits before it takes
 * one for left behind.
 */
const appendMs = 60_000

/**
 * The segment to which a server appends what small transfers bring, one group after another.
 *
 * It stays open for a minute, so that most groups cost one write and one sync. Its row tells how far it is
 * committed; what a crash leaves behind that point stays there (decision 9).
 */
export class SharedSegment {
  readonly #deps: { db: Database; store: Store; log: Log }
  readonly #serverID: string
  readonly #limitBytes: number
  #writer: SegmentWriter | undefined
  #isCommitted = false
  #openedAt = 0

  /** @param limitBytes Bytes after which another one is begun. */
  constructor(
    deps: { db: Database; store: Store; log: Log },
    serverID: string,
    limitBytes: number,
  ) {
    this.#deps = deps
    this.#serverID = serverID
    this.#limitBytes = limitBytes
  }

  /** Where to append now. @throws {StoreError} → 503 or 507; a database error → 503 */
  async open(): Promise<SegmentWriter> {
    if (this.#isOver) await this.close()
    if (this.#writer === undefined) {
      const segmentID = randomUUID()
      const { db, store } = this.#deps
      await announceSharedSegment(db, segmentID, this.#serverID)
      this.#isCommitted = false
      this.#openedAt = performance.now()
      this.#writer = await store.create(segmentID).catch(async (error) => {
        await this.#release(segmentID)
        throw error
      })
    }
    return this.#writer
  }

  /** A group was committed, so its bytes are never to be swept away. */
  committed(): void {
    if (this.#isCommitted || this.#writer === undefined) return
    this.#isCommitted = true
    // A mark for the sweep, not a promise: the rows say the same until somebody restores old ones.
    this.#deps.store.keep(this.#writer.segmentID).catch(() => {})
  }

  /** To be called now and then, when no group is being written. */
  async closeIfOver(): Promise<void> {
    if (this.#isOver) await this.close()
  }

  /** Ends it in good order. Never throws: what does not succeed is left to the sweep. */
  async close(): Promise<void> {
    const writer = this.#take()
    if (writer === undefined) return
    try {
      await writer.seal()
    } catch (error) {
      this.#warn(writer.segmentID, error)
    }
    await writer.abandon()
    await this.#release(writer.segmentID)
  }

  /** It could not be written: ends it with what was committed before. Never throws. */
  async giveUp(committedBytes: number): Promise<void> {
    const writer = this.#take()
    if (writer === undefined) return
    await writer.abandon(committedBytes)
    await this.#release(writer.segmentID)
  }

  /** Nobody knows how much of it is committed: leaves it to the sweep. Never throws. */
  async forget(): Promise<void> {
    await this.#take()?.abandon()
  }

  #take(): SegmentWriter | undefined {
    const writer = this.#writer
    this.#writer = undefined
    return writer
  }

  async #release(segmentID: string): Promise<void> {
    const { db, store } = this.#deps
    try {
      await releaseSegment(db, segmentID, this.#serverID)
      if (this.#isCommitted) return
      // With nothing in it, it is doomed now.
      await store.delete(segmentID)
      await forgetSegments(db, [segmentID])
    } catch (error) {
      this.#warn(segmentID, error)
    }
  }

  #warn(segmentID: string, error: unknown): void {
    this.#deps.log.warn('a shared segment could not be closed, and is left to the sweep', {
      segment: segmentID,
      error: describeError(error),
    })
  }

  get #isOver(): boolean {
    return (
      this.#writer !== undefined &&
      (this.#writer.byteLength >= this.#limitBytes || performance.now() - this.#openedAt > appendMs)
    )
  }
}
