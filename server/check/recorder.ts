import type { Database } from '../../db/database.ts'
import {
  noteVerifiedSegment,
  recordVerification,
  type Verification,
} from '../../db/verification.ts'
import type { Fault } from './bytes.ts'
import type { InstanceRow } from './instance-rows.ts'

/** Faults that say of the file of an instance that it is not what it was. Of others nothing is known, or it is whole. */
const damaging = ['digest-differs', 'segment-missing', 'segment-too-short']
const unknown = ['bytes-unreadable', 'row-invalid']
const rowsAtOnce = 1000

/**
 * Writes down what a deep check finds, as the servers do when they verify: which instances are damaged, or whole again,
 * and which segments were read.
 */
export class Recorder {
  readonly #db: Database
  #news: Verification[] = []
  #segmentKey: number | undefined
  #isReadable = true

  constructor(db: Database) {
    this.#db = db
  }

  /** @param row In the order in which they lie. @param fault What was found. */
  async note(row: InstanceRow, fault: Fault | undefined): Promise<void> {
    const { sopInstanceUID, segmentKey, segmentOffset, isDamaged } = row
    if (segmentKey !== this.#segmentKey) await this.end()
    this.#segmentKey = segmentKey
    if (fault !== undefined && unknown.includes(fault.problem)) {
      this.#isReadable = false
      return
    }
    const isWhole = fault === undefined || !damaging.includes(fault.problem)
    if (isWhole === isDamaged) {
      this.#news.push({ sopInstanceUID, segmentKey, segmentOffset, isWhole })
    }
    if (this.#news.length === rowsAtOnce) await recordVerification(this.#db, this.#news.splice(0))
  }

  /** All of the segment was noted. */
  async end(): Promise<void> {
    await recordVerification(this.#db, this.#news.splice(0))
    if (this.#segmentKey !== undefined && this.#isReadable) {
      await noteVerifiedSegment(this.#db, this.#segmentKey)
    }
    this.#segmentKey = undefined
    this.#isReadable = true
  }
}
