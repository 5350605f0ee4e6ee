import type { Database } from '../../db/database.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { type GroupedResult, GroupLane, type SmallTransfer, type Waiting } from './group-lane.ts'

/** Of one group: a statement of some 1 MB, and a write that does not hold up the next group for long. */
const groupBytes = 4 * 1024 * 1024
const groupInstances = 1000
const groupMembers = 256
/**
 * Groups that are committed at the same time: while one is written and synced, the other is in the database
 * and the next one arrives.
 */
const laneCount = 2

/**
 * Commits small transfers, many at a time: all that came to their end while the last groups were committed
 * go together. Each transfer stays whole or not at all by itself.
 */
export class GroupCommitter {
  readonly #idle: GroupLane[]
  readonly #busy = new Set<Promise<void>>()
  #waiting: Waiting[] = []
  #isStarting = false

  constructor(
    deps: { db: Database; store: Store; log: Log },
    serverID: string,
    segmentBytes: number,
  ) {
    this.#idle = Array.from(
      { length: laneCount },
      () => new GroupLane(deps, serverID, segmentBytes),
    )
  }

  /**
   * Positions in the result are those of the parts of this transfer.
   * @throws {StoreError} → 503 or 507; {OutcomeUnknownError} → 503; a database error → 503
   */
  commit(transfer: SmallTransfer): Promise<GroupedResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...transfer, resolve, reject })
      this.#start()
    })
  }

  /** To be called now and then: closes shared segments whose time is over. */
  upkeep(): void {
    for (const lane of this.#idle.splice(0)) this.#occupy(lane, lane.close('if over'))
  }

  /** To be called when no transfer is open any more. */
  async stop(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy)
    await Promise.all(this.#idle.map((lane) => lane.close('now')))
  }

  /** What arrived with the same events of the network goes together. */
  #start(): void {
    if (this.#isStarting || this.#waiting.length === 0 || this.#idle.length === 0) return
    this.#isStarting = true
    setImmediate(() => {
      this.#isStarting = false
      if (this.#waiting.length === 0) return
      const lane = this.#idle.pop()
      if (lane !== undefined) this.#occupy(lane, lane.commit(this.#takeGroup()))
      this.#start()
    })
  }

  #occupy(lane: GroupLane, work: Promise<void>): void {
    const done = work.finally(() => {
      this.#busy.delete(done)
      this.#idle.push(lane)
      this.#start()
    })
    this.#busy.add(done)
  }

  /** The first that wait, as far as they do not touch each other's instances. */
  #takeGroup(): Waiting[] {
    const group: Waiting[] = []
    const later: Waiting[] = []
    const sopInstanceUIDs = new Set<string>()
    const studyOfSeries = new Map<string, string>()
    let byteLength = 0
    for (const one of this.#waiting) {
      const fits =
        group.length === 0 ||
        (group.length < groupMembers &&
          byteLength + one.held.byteLength <= groupBytes &&
          sopInstanceUIDs.size + one.instances.length <= groupInstances &&
          one.instances.every(
            (row) =>
              !sopInstanceUIDs.has(row.sop_instance_uid) &&
              (studyOfSeries.get(row.series_instance_uid) ?? row.study_instance_uid) ===
                row.study_instance_uid,
          ))
      if (!fits) {
        later.push(one)
        continue
      }
      group.push(one)
      byteLength += one.held.byteLength
      for (const row of one.instances) {
        sopInstanceUIDs.add(row.sop_instance_uid)
        studyOfSeries.set(row.series_instance_uid, row.study_instance_uid)
      }
    }
    this.#waiting = later
    return group
  }
}
