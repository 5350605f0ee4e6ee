import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/database.ts'
import { type AnnouncedStudy, announceStudies } from '../../db/stability.ts'
import {
  type Disagreement,
  type Handling,
  openSegment,
  openTransfer,
  type Refusal,
  type Service,
  type StagedInstance,
  stageInstances,
  type Warning,
} from '../../db/transfers.ts'
import type { DicomError } from '../dicom/errors.ts'
import type { Identity, InstanceLimits } from '../dicom/instance-reader.ts'
import { describeError, type Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { noSpan, type Span, traced } from '../trace.ts'
import { BroughtStudies } from './brought-studies.ts'
import { commitAccepted } from './commit-accepted.ts'
import { type CommitFacts, type CommitWay, groupMember, groupWay, ownWay } from './commit-ways.ts'
import type { Ending } from './ending.ts'
import { InstanceTooLargeError, TransferLostError } from './errors.ts'
import type { GroupCommitter } from './group-commit.ts'
import type { GroupedResult } from './group-members.ts'
import { type HeldMemory, HeldSegment } from './held-segment.ts'
import { allRefused, inOrder, storedOf, type TransferOutcome } from './outcome.ts'
import { type AcceptedInstance, PartLedger, PartReceiver } from './parts.ts'
import { holderOf } from './room.ts'
import { SegmentChain } from './segments.ts'
import { Spool } from './spool.ts'
import { Staging } from './staging.ts'
import { deleteDoomedSegments } from './sweep.ts'

export interface TransferLimits {
  /** Bytes of one part. */
  partBytes: number
  /** Bytes after which a further segment is begun. */
  segmentBytes: number
  /** Rows staged in one statement. */
  batchRows: number
  instance: Partial<InstanceLimits>
}

/** What is known of a transfer before its first byte. */
export interface TransferRequest {
  service: Service
  handling: Handling
  /** From the path of the request. */
  studyInstanceUID?: string | undefined
  sender?: string | undefined
  senderProduct?: string | undefined
  /** By which credentials it came. */
  sentBy?: string | undefined
  announcedBytes?: number | undefined
  /** Of the study of the path: recorded with the commit. */
  declaredInstanceCount?: number | undefined
}

export interface TransferDeps {
  db: Database
  store: Store
  log: Log
  serverID: string
  limits: TransferLimits
  leaseMs: number
  memory: HeldMemory
  groups: Pick<GroupCommitter, 'commit'>
  /** Called once, when the transfer was committed. */
  committed(transfer: Transfer, outcome: TransferOutcome): void
  /** Called once, when nothing of it is kept. Sees to it, now or later. Never throws. */
  end(transfer: Transfer, ending: Ending): Promise<void>
}

/**
 * One attempt to hand over a set of instances, from its first byte to its end.
 *
 * receiving
 *   `beginPart`, `push` and `endPart` are synchronous: they read the head of each part, digest its
 *   bytes and queue them for the segment. Between them the caller awaits `drain`, which holds it back
 *   while the disk or the database is slower than the sender; so memory is bounded. The next part is
 *   written over one that is refused. In strict handling the first refusal dooms the transfer: nothing
 *   more is written, the rest of the body is read only for the answer, which names every instance, and
 *   all bytes are given back when it ends.
 *
 *   A transfer begins small: its bytes and rows are held in memory, and neither database nor store know
 *   of it. When it has brought more than a little, or lasts, it is opened: it gets its row and a segment
 *   of its own, and from then on accepted parts are staged in batches.
 *
 * committing
 *   One that is still small is committed together with others (see `GroupCommitter`). One that was
 *   opened syncs its segments; then one SQL transaction makes all instances visible. If the database
 *   finds some that are stored already, the bytes are written again without them first.
 *
 * committed, refused, aborted
 *   `commit` ends in `committed` or `refused`; `abort` and `refuse` end a transfer early. Whatever is
 *   not committed is deleted (see `settle`): rows first, so that a crash in between leaves doomed
 *   segments, which any server's sweep deletes, and never a row without bytes.
 *
 * lost
 *   The lease was not renewed in time and another server ended the transfer. All that is left is to
 *   say so (`TransferLostError`).
 */
export class Transfer {
  readonly transferID = randomUUID()
  /** By the monotonic clock: a step of the wall clock must not hide it from the other servers. */
  readonly openedAt = performance.now()
  receivedBytes = 0
  /** Decoded. */
  #pushedBytes = 0
  partCount = 0
  readonly request: TransferRequest
  /** Whose share it is from. */
  readonly holder: string
  readonly #deps: TransferDeps
  readonly #span: Span
  readonly #segments: SegmentChain
  /** All that were announced, so that each can be given back. */
  readonly #segmentIDs: string[] = []
  readonly #ledger: PartLedger
  readonly #studies: BroughtStudies
  /** The part that is being read has named its study. */
  #isStudyNamed = false
  #part: PartReceiver | undefined
  #spool: Spool | undefined
  readonly #staging: Staging
  #opening: Promise<void> | undefined
  #isOpen = false
  #grouped: Promise<GroupedResult> | undefined
  #hasDoomedSegments = false
  #lost: string | undefined
  #state: 'receiving' | 'committing' | 'ended' = 'receiving'

  /** @param span What its batches, its seal and its commit are parts of. */
  constructor(request: TransferRequest, deps: TransferDeps, span: Span = noSpan) {
    this.request = request
    this.holder = holderOf(request)
    this.#span = span
    this.#deps = deps
    this.#segments = new SegmentChain(
      deps.store,
      randomUUID(),
      new HeldSegment(deps.memory),
      deps.limits.segmentBytes,
      (segmentID) => this.#announce(segmentID),
    )
    this.#staging = new Staging(deps.limits.batchRows, (batch) => this.#stage(batch))
    this.#ledger = new PartLedger(request.studyInstanceUID)
    this.#studies = new BroughtStudies(request.studyInstanceUID)
  }

  get handling(): Handling {
    return this.request.handling
  }

  /** What the store may have to hold for it. */
  get uncommittedBytes(): number {
    return Math.max(this.request.announcedBytes ?? 0, this.receivedBytes, this.#pushedBytes)
  }

  get spooledBytes(): number {
    return this.#state === 'ended' ? 0 : (this.#spool?.byteLength ?? 0)
  }

  /** It has a row, and so a lease that has to be renewed. */
  get isOpen(): boolean {
    return this.#isOpen && this.#state !== 'ended'
  }

  /** Studies that it brings and that the database does not know of: they must not settle meanwhile. */
  get untoldStudies(): AnnouncedStudy[] {
    return this.#studies.untold
  }

  /**
   * Gives it a row and a segment of its own, if it has none. May be called at any time; one that is being
   * committed already is left as it is.
   * @throws {StoreError} → 503 or 507; {TransferLostError} it has ended → 503; a database error → 503
   */
  async open(): Promise<void> {
    this.#mustNotHaveEnded()
    if (this.#opening === undefined && this.#state === 'receiving') this.#beginOpening()
    await this.#opening
  }

  #beginOpening(): void {
    this.#opening = this.#segments.open().then(() => {
      this.#isOpen = true
      this.#tellStudies()
    })
    // Awaited by open, drain and commit; until then a failure must not count as unhandled.
    this.#opening.catch(() => {})
  }

  #tellStudies(): void {
    if (!this.#isOpen || !this.#studies.hasUntold) return
    this.#staging.beside(
      this.#studies.tell(async (studies) => {
        if (!(await announceStudies(this.#deps.db, this.transferID, studies))) this.lose()
      }),
    )
  }

  #mustNotHaveEnded(): void {
    if (this.#lost !== undefined) throw new TransferLostError(this.#lost)
    if (this.#state === 'ended') throw new TransferLostError('it was ended meanwhile')
  }

  /** Nothing of it will be kept, whatever else arrives. */
  get #isDoomed(): boolean {
    return this.handling === 'strict' && this.#ledger.refused.length > 0
  }

  beginPart(): void {
    this.#isStudyNamed = false
    const target = this.#segments.turn()
    this.#part = new PartReceiver(
      this.partCount++,
      this.#segments.segmentID,
      target.byteLength,
      this.#deps.limits.instance,
    )
  }

  /** @throws {InstanceTooLargeError} → 413; {StoreError} → 503 or 507 */
  push(bytes: Uint8Array): void {
    this.#mustNotHaveEnded()
    const part = this.#part as PartReceiver
    this.#pushedBytes += bytes.length
    part.push(bytes)
    if (!this.#isStudyNamed) this.#noteStudy(part)
    if (part.byteLength > this.#deps.limits.partBytes) {
      throw new InstanceTooLargeError(part.position, this.#deps.limits.partBytes)
    }
    if (!this.#isDoomed && !part.isRefused) this.#segments.current.append(bytes)
  }

  #noteStudy(part: PartReceiver): void {
    const { studyInstanceUID } = part
    if (studyInstanceUID === undefined) return
    this.#isStudyNamed = true
    this.#studies.note(studyInstanceUID, part.attributes)
    this.#tellStudies()
  }

  endPart(): void {
    const part = this.#part as PartReceiver
    this.#part = undefined
    const end = part.end()
    const row =
      'error' in end
        ? this.#ledger.refuse(part, end.error.failureReason, end.error.message)
        : this.#ledger.take(part, end.instance, end.digest)
    if (row === undefined || this.#isDoomed) {
      this.#segments.current.rewind(this.#isDoomed ? 0 : part.segmentOffset)
      return
    }
    if ('instance' in end) this.#segments.current.append(end.instance.metadata)
    this.#staging.add(row)
  }

  /** Ends a part that no file can be made of, whatever was pushed of it. */
  refusePart(identity: Identity, { failureReason, message }: DicomError): void {
    const { position, segmentOffset } = this.#part as PartReceiver
    this.#part = undefined
    this.#ledger.refuse({ position, identity }, failureReason, message)
    this.#segments.current.rewind(this.#isDoomed ? 0 : segmentOffset)
  }

  /** A place for bytes that have to wait before they can be pushed. There is one. */
  openSpool(): Spool {
    const { store, memory } = this.#deps
    this.#spool = new Spool(store, memory, async () => {
      await this.open()
      const segmentID = randomUUID()
      await this.#announce(segmentID)
      return store.create(segmentID)
    })
    return this.#spool
  }

  /** Whether `drain` has something to wait for, or to throw. */
  get isBehind(): boolean {
    return (
      this.#lost !== undefined ||
      this.#state === 'ended' ||
      (this.#opening !== undefined && !this.#isOpen) ||
      this.#staging.isBehind ||
      this.#segments.isBehind
    )
  }

  /**
   * Resolves when more may be pushed.
   * @throws {StoreError} → 503 or 507; {TransferLostError} → 503; a database error → 503
   */
  async drain(): Promise<void> {
    this.#mustNotHaveEnded()
    if (this.#opening !== undefined || this.#segments.held?.isTooMuch) await this.open()
    await this.#staging.drain()
    await this.#segments.drain()
  }

  /**
   * Stores what arrived: all of it, or in lenient handling all that was not refused, in one commit.
   * When it resolves with `committed`, bytes and rows are durable.
   *
   * @throws {StoreError} → 503 or 507; {TransferLostError}, {OutcomeUnknownError} → 503. Except after
   *   the last, nothing is stored; the caller then calls `abort`.
   */
  async commit(): Promise<TransferOutcome> {
    this.#mustNotHaveEnded()
    this.#state = 'committing'
    const ledger = this.#ledger
    if (this.#isDoomed || (ledger.accepted.length === 0 && ledger.refused.length > 0)) {
      return this.#endRefused(ledger.refused)
    }
    const first = this.#opening === undefined ? this.#inGroup() : await this.#onItsOwn()
    const result = await commitAccepted(
      ledger,
      (way, fresh, refused) =>
        traced(this.#span, 'commit', () => way.commit(fresh, this.#facts(fresh, refused)), {
          'stowage.instances': fresh.length,
        }),
      first,
      () => this.#onItsOwn(),
    )
    if (result.outcome === 'refused') return this.#endRefused(result.refused)
    return this.#endCommitted(result.disagreements, result.refused)
  }

  /** The connection went away, or the server cannot go on: nothing is kept. Never throws. */
  async abort(reason: string): Promise<void> {
    await this.#end('aborted', reason, [])
  }

  /** The request as a whole is refused (400, 413, 415): nothing is kept. Never throws. */
  async refuse(reason: string): Promise<void> {
    await this.#end('refused', reason, this.#ledger.refused)
  }

  /** Another server ended it. */
  lose(): void {
    this.#lost = 'the server did not renew its lease in time'
  }

  /** Together with other small ones. */
  #inGroup(): CommitWay {
    const held = this.#segments.held as HeldSegment
    return groupWay(this.#staging.held, (instances, facts) => {
      // One spread: a second one into the same object takes V8 ten times as long, 5 µs.
      const member = groupMember(this, facts, instances.length)
      this.#grouped = this.#deps.groups.commit({ member, instances, held })
      return this.#grouped
    })
  }

  /** With a segment and staged rows of its own. */
  async #onItsOwn(): Promise<CommitWay> {
    if (this.#opening === undefined) this.#beginOpening()
    await this.#opening
    const { transferID, handling } = this
    const [sealed] = await Promise.all([
      traced(this.#span, 'seal', () => this.#segments.seal()),
      this.#staging.finish(),
    ])
    return ownWay(this.#deps, {
      transferID,
      handling,
      sealed,
      announce: (segmentID) => this.#announce(segmentID),
      kept: (segments) => {
        // A mark for the sweep, not a promise: the rows say the same until somebody restores old ones.
        for (const { segmentID } of segments) this.#deps.store.keep(segmentID).catch(() => {})
        this.#hasDoomedSegments = segments.length < this.#segmentIDs.length
      },
    })
  }

  #facts(fresh: AcceptedInstance[], refused: Refusal[]): CommitFacts {
    const { receivedBytes, partCount, duplicateCount } = this.#received()
    return { receivedBytes, partCount, duplicateCount, refused, warned: this.#warned(fresh) }
  }

  /** What the parts themselves made us warn of, for those that are stored. */
  #warned(fresh: AcceptedInstance[]): Warning[] {
    const { warned } = this.#ledger
    if (warned.length === 0) return warned
    const positions = new Set(fresh.map((one) => one.position))
    return warned.filter((one) => positions.has(one.position))
  }

  /** Makes the row of a segment, before its object is made; with the first also that of the transfer. */
  async #announce(segmentID: string): Promise<void> {
    const { transferID } = this
    const { db, serverID, leaseMs } = this.#deps
    const isFirst = this.#segmentIDs.length === 0
    this.#segmentIDs.push(segmentID)
    if (isFirst) {
      const row = { ...this.request, transferID, segmentID, serverID }
      await openTransfer(db, row, leaseMs / 1000)
    } else if (!(await openSegment(db, transferID, segmentID))) {
      throw new TransferLostError('another server ended the transfer')
    }
  }

  async #stage(batch: StagedInstance[]): Promise<void> {
    if (this.#opening === undefined) this.#beginOpening()
    await this.#opening
    const isStaged = await traced(
      this.#span,
      'part batch',
      () => stageInstances(this.#deps.db, this.transferID, batch),
      { 'stowage.instances': batch.length },
    )
    if (!isStaged) this.lose()
  }

  async #endCommitted(disagreements: Disagreement[], refused: Refusal[]): Promise<TransferOutcome> {
    this.#state = 'ended'
    this.#segments.held?.clear()
    await this.#spool?.abandon()
    const outcome: TransferOutcome = {
      transferID: this.transferID,
      state: 'committed',
      stored: storedOf(this.#ledger, disagreements, refused),
      refused: inOrder(refused),
    }
    this.#deps.committed(this, outcome)
    if (this.#hasDoomedSegments) await this.#deleteDoomed()
    return outcome
  }

  async #endRefused(guilty: Refusal[]): Promise<TransferOutcome> {
    const count = guilty.length
    await this.#end(
      'refused',
      `${count} ${count === 1 ? 'instance was' : 'instances were'} refused`,
      guilty,
    )
    const refused = allRefused(this.#ledger, guilty)
    return { transferID: this.transferID, state: 'refused', stored: [], refused }
  }

  async #end(state: 'refused' | 'aborted', reason: string, refused: Refusal[]): Promise<void> {
    // A group that is being written takes its bytes from here.
    for (let last: unknown; last !== this.#grouped; ) {
      last = this.#grouped
      await this.#grouped?.catch(() => {})
    }
    if (this.#state === 'ended') return
    this.#state = 'ended'
    await this.#opening?.catch(() => {})
    await this.#segments.abandon()
    await this.#spool?.abandon()
    await this.#staging.settled()
    const { transferID } = this
    const segmentIDs = this.#segmentIDs
    const ageMs = performance.now() - this.openedAt
    const { serverID } = this.#deps
    const unrecorded =
      this.#opening === undefined ? { ...this.request, transferID, serverID, ageMs } : undefined
    const ending = { transferID, unrecorded, segmentIDs, state, reason, refused: inOrder(refused) }
    await this.#deps.end(this, { ...ending, ...this.#received() })
  }

  /** Those that were written again, and one that was made ready and then not needed. */
  async #deleteDoomed(): Promise<void> {
    const { db, store, log } = this.#deps
    try {
      await this.#segments.abandon()
      await deleteDoomedSegments(db, store, this.transferID)
    } catch (error) {
      log.warn('segments could not be deleted, and are left to the sweep', {
        transfer: this.transferID,
        error: describeError(error),
      })
    }
  }

  #received() {
    let duplicateCount = 0
    for (const { duplicate } of this.#ledger.accepted) if (duplicate) duplicateCount++
    return { receivedBytes: this.receivedBytes, partCount: this.partCount, duplicateCount }
  }
}
