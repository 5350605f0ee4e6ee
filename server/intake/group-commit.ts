import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/database.ts'
import { commitGroup, type GroupCommit, type GroupResult, rehearseCommit } from '../../db/groups.ts'
import type { CommitResult } from '../../db/transfers.ts'
import type { Log } from '../log.ts'
import { type SegmentWriter, type Store, StoreError } from '../store/store.ts'
import { findOutGroup, isReportedByPostgres } from './commit-or-find-out.ts'
import {
  appendGroup,
  type GroupedResult,
  type Place,
  placeGroup,
  type SmallTransfer,
  sortOut,
  type Waiting,
} from './group-members.ts'
import { SharedSegment } from './shared-segment.ts'

/** Of one group: a statement of some 1 MB, and a write that does not hold up the next group for long. */
const groupBytes = 4 * 1024 * 1024
const groupInstances = 1000
const groupMembers = 256
/** So many instances, or bytes, are worth a commit of their own: the next ones are received meanwhile. */
const worthItInstances = 40
const worthItBytes = 512 * 1024
/** Longest wait for more members. */
const gatherAtMostMs = 5

/**
 * Commits small transfers, many at a time: one write, one sync and one SQL transaction for all that came to
 * their end while the last group was committed. Postgres does its work while the bytes are synced, and commits after.
 *
 * Each transfer stays whole or not at all by itself. One that the database does not take as it is (an
 * instance is stored already, or refused) is told so and leaves the group, before anything of the group is
 * stored; its bytes are written over.
 */
export class GroupCommitter {
  readonly #deps: { db: Database; log: Log }
  readonly #serverID: string
  readonly #segment: SharedSegment
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  /** How many came to the last group, or while it was committed: so many may come again. */
  #expectedCount = 1
  #gatherMs = 0
  /** Called when one more waits. */
  #arrived: (() => void) | undefined

  constructor(
    deps: { db: Database; store: Store; log: Log },
    serverID: string,
    segmentBytes: number,
  ) {
    this.#deps = deps
    this.#serverID = serverID
    this.#segment = new SharedSegment(deps, serverID, segmentBytes)
  }

  /**
   * Positions in the result are those of the parts of this transfer.
   * @throws {StoreError} → 503 or 507; {OutcomeUnknownError} → 503; a database error → 503
   */
  commit(transfer: SmallTransfer): Promise<GroupedResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...transfer, resolve, reject })
      this.#arrived?.()
      this.#start()
    })
  }

  /** To be called now and then: closes the shared segment when its time is over. */
  async upkeep(): Promise<void> {
    await this.#start()
  }

  /** Makes Postgres commit, and take back, what nobody sent, when no group is committed. @throws a database error */
  async rehearse(): Promise<void> {
    while (this.#running !== undefined) await this.#running
    const rehearsed = rehearseCommit(this.#deps.db, this.#serverID)
    // The connection is for one of them at a time, and a rehearsal that fails is nothing to a group.
    this.#hold(rehearsed.catch(() => {}))
    await rehearsed
  }

  /** To be called when no transfer is open any more. */
  async stop(): Promise<void> {
    while (this.#running !== undefined) await this.#running
    await this.#segment.close()
  }

  #start(): Promise<void> {
    return this.#running ?? this.#hold(this.#run())
  }

  /** Nothing else begins before its end. */
  #hold(work: Promise<void>): Promise<void> {
    this.#running = work.finally(() => {
      this.#running = undefined
      if (this.#waiting.length > 0) this.#start()
    })
    return this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather()
      const group = this.#takeGroup()
      const startedAt = performance.now()
      await this.#commit(group)
      this.#gatherMs = Math.min(gatherAtMostMs, (performance.now() - startedAt) / 2)
      this.#expectedCount = group.length + this.#waiting.length
    }
    await this.#segment.closeIfOver()
  }

  /**
   * Senders of one small request after another are back soon after their answer. Half the time of a commit
   * is well spent on waiting for them: else they make two groups, which take turns, at twice the cost.
   */
  async #gather(): Promise<void> {
    // What arrived with the same events of the network goes with it in any case.
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#isWorthIt()) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#gatherMs)
      this.#arrived = () => {
        if (!this.#isWorthIt()) return
        clearTimeout(timer)
        resolve()
      }
    })
    this.#arrived = undefined
  }

  /** All are here that are expected, or so much that a commit of its own costs little more. */
  #isWorthIt(): boolean {
    if (this.#waiting.length >= this.#expectedCount) return true
    let instanceCount = 0
    let byteLength = 0
    for (const { instances, held } of this.#waiting) {
      instanceCount += instances.length
      byteLength += held.byteLength
    }
    return instanceCount >= worthItInstances || byteLength >= worthItBytes
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

  async #commit(group: Waiting[]): Promise<void> {
    try {
      for (let rest = group; rest.length > 0; ) rest = await this.#attempt(rest)
    } catch (error) {
      for (const one of group) one.reject(error)
    }
  }

  /** @returns those that have to be tried again. */
  async #attempt(group: Waiting[]): Promise<Waiting[]> {
    const hasBytes = group.some((one) => one.instances.length > 0)
    const writer = hasBytes ? await this.#segment.open() : undefined
    const base = writer?.byteLength ?? 0
    const { instances, places, byteLength } = placeGroup(group, writer)
    const commit: GroupCommit = {
      groupID: randomUUID(),
      serverID: this.#serverID,
      segment: writer && { segmentID: writer.segmentID, byteLength },
      members: group.map((one) => one.member),
      instances,
    }
    let synced: Promise<void> | undefined
    async function write(): Promise<void> {
      if (writer === undefined) return
      // Nothing in between, so that all of it is written at once.
      appendGroup(group, writer)
      if (writer.byteLength !== byteLength) throw new Error('A group is not where it was placed')
      await writer.sync()
    }
    let result: GroupResult
    try {
      result = await commitGroup(this.#deps.db, commit, () => (synced ??= write()))
    } catch (error) {
      if (error instanceof StoreError) {
        await this.#segment.giveUp(base)
        throw error
      }
      if (!isReportedByPostgres(error)) return this.#findOut(group, writer, base, error)
      await this.#takeBack(writer, base)
      if (group.length === 1) throw error
      return this.#oneByOne(group)
    }
    if (result.outcome === 'contended') {
      await this.#takeBack(writer, base)
      if (group.length > 1) return this.#oneByOne(group)
      group[0]?.resolve(result)
      return []
    }
    if (result.outcome === 'committed') {
      if (writer !== undefined) this.#segment.committed()
      const disagreements = group.map(() => [] as typeof result.disagreements)
      for (const { position, ...said } of result.disagreements) {
        const { member, part } = places[position] as Place
        disagreements[member]?.push({ position: part, ...said })
      }
      group.forEach((one, index) => {
        one.resolve({ outcome: 'committed', disagreements: disagreements[index] ?? [] })
      })
      return []
    }
    if (result.outcome === 'lost') {
      await this.#segment.forget()
      return group
    }
    await this.#takeBack(writer, base)
    return sortOut(group, places, result)
  }

  /** One of them is the reason; the others shall not suffer from it. */
  async #oneByOne(group: Waiting[]): Promise<Waiting[]> {
    for (const one of group) await this.#commit([one])
    return []
  }

  /** What was written is not to be kept. */
  async #takeBack(writer: SegmentWriter | undefined, base: number): Promise<void> {
    if (writer === undefined) return
    try {
      writer.rewind(base)
      await writer.sync()
    } catch (error) {
      await this.#segment.giveUp(base)
      throw error
    }
  }

  /** The connection broke while the group was being committed: all of its members were, or none. */
  async #findOut(
    group: Waiting[],
    writer: SegmentWriter | undefined,
    base: number,
    cause: unknown,
  ): Promise<Waiting[]> {
    try {
      const results = await findOutGroup(
        this.#deps,
        this.#serverID,
        group.map((one) => one.member),
        cause,
      )
      const isCommitted = results.some((result) => result.outcome === 'committed')
      if (!isCommitted) await this.#takeBack(writer, base)
      else if (writer !== undefined) this.#segment.committed()
      group.forEach((one, index) => {
        one.resolve(results[index] as CommitResult)
      })
      return []
    } catch (error) {
      await this.#segment.forget()
      throw error
    }
  }
}
