import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/database.ts'
import type { AnnouncedStudy } from '../../db/stability.ts'
import { type Received, renewTransfers, type Service } from '../../db/transfers.ts'
import { describeError, type Log } from '../log.ts'
import { type Store, StoreError } from '../store/store.ts'
import { noSpan, type Span } from '../trace.ts'
import { type Ending, settle } from './ending.ts'
import { TransferLostError } from './errors.ts'
import { GroupCommitter } from './group-commit.ts'
import { type HeldLimits, HeldMemory } from './held-segment.ts'
import type { StoredInstance } from './outcome.ts'
import { mustHaveRoom, type RoomLimits } from './room.ts'
import { sweepStrays, sweepTransfers } from './sweep.ts'
import {
  Transfer,
  type TransferDeps,
  type TransferLimits,
  type TransferRequest,
} from './transfer.ts'

export interface IntakeLimits extends TransferLimits, RoomLimits {
  /** How long other servers leave a transfer alone after this one last answered for it. */
  leaseMs: number
  /** What small transfers hold in memory until they are committed. */
  held: HeldLimits
}

export interface IntakeDeps {
  db: Database
  /**
   * The same over one connection, on which groups are committed, one after another. A pool hands out its connections in
   * turn, and in each of them Postgres reads its catalog and plans the statements of a commit anew, which takes 100 ms.
   */
  groupsDB: Database
  store: Store
  log: Log
  limits: IntakeLimits
  /** Something that people look at has changed: a transfer began, moved on or ended. */
  changed(): void
  /** Called once for each transfer that ended here. */
  ended?(transfer: EndedTransfer): void
}

/** What became of a transfer, in numbers. */
export interface EndedTransfer extends Received {
  transferID: string
  service: Service
  /** Network address, and by which credentials it came. */
  sender?: string | undefined
  sentBy?: string | undefined
  /** From the path of the request. */
  studyInstanceUID?: string | undefined
  /** New instances of each study that came; of one that is not committed, nothing. */
  storedByStudy: ReadonlyMap<string, number>
  state: 'committed' | 'refused' | 'aborted'
  ageMs: number
  storedCount: number
  refusedCount: number
}

type EndOf = Pick<
  EndedTransfer,
  'state' | 'storedCount' | 'duplicateCount' | 'refusedCount' | 'storedByStudy'
>

const beatMs = 1000
const strayBeatsMs = 10 * 60 * 1000

/**
 * Opens transfers and answers for those that are open.
 *
 * Once a second one statement renews the leases of all of them and notes how far they are. What could
 * not be ended, because the database or the store was away, is tried again then. Every half lease it
 * sweeps up what dead servers left behind.
 */
export class Intake {
  readonly serverID = randomUUID()
  readonly #deps: IntakeDeps
  readonly #open = new Map<string, Transfer>()
  readonly #unsettled = new Set<Ending>()
  readonly #memory: HeldMemory
  readonly #groups: GroupCommitter
  /** What each transfer is given. */
  readonly #transferDeps: TransferDeps
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  /** What the first sweep of strays may take; later ones leave the young alone. */
  #straysOlderThan: Date | undefined
  #sweptAt = 0
  #straysSweptAt = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(deps: IntakeDeps) {
    this.#deps = deps
    this.#memory = new HeldMemory(deps.limits.held)
    this.#groups = new GroupCommitter(
      { ...deps, db: deps.groupsDB },
      this.serverID,
      deps.limits.segmentBytes,
    )
    this.#transferDeps = this.#depsOf(this.#memory)
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Bytes that open transfers announced or brought. */
  get uncommittedBytes(): number {
    let bytes = 0
    for (const transfer of this.#open.values()) bytes += transfer.uncommittedBytes
    return bytes
  }

  /** Bytes of small transfers that are in memory. */
  get heldBytes(): number {
    return this.#memory.byteLength
  }

  /** Bytes in the spools of open transfers, in memory and in the store. */
  get spooledBytes(): number {
    let bytes = 0
    for (const transfer of this.#open.values()) bytes += transfer.spooledBytes
    return bytes
  }

  /** Studies that arrive here and that the database does not know of yet: they must not settle. */
  get untoldStudies(): AnnouncedStudy[] {
    return [...this.#open.values()].flatMap((transfer) => transfer.untoldStudies)
  }

  /**
   * Sweeps once, then begins to renew and to sweep.
   * @param alone No other server can be using the database (it is embedded).
   */
  async start(alone: boolean): Promise<void> {
    const { db, store, log } = this.#deps
    try {
      const swept = await sweepTransfers(db, store, this.serverID, alone)
      if (swept.expired > 0 || swept.deleted > 0) {
        log.info('swept up after a server that died', swept)
      }
    } catch (error) {
      // It may come back; a later sweep deletes what is to be deleted.
      if (!(error instanceof StoreError)) throw error
      log.warn('the store could not be swept at the start', { error: describeError(error) })
    }
    this.#sweptAt = performance.now()
    // Where nobody else writes, whatever has no row now will never get one. Else it may be on its way.
    if (alone) this.#straysOlderThan = new Date()
    else this.#straysSweptAt = this.#sweptAt - strayBeatsMs + 2 * this.#deps.limits.leaseMs
    this.#timer = setInterval(() => this.#beat(), beatMs)
  }

  /** Opens no more transfers; waits up to `graceMs` for those that are open, then aborts them. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    for (
      const giveUpAt = performance.now() + graceMs;
      this.openCount > 0 && performance.now() < giveUpAt;
    ) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    for (const transfer of [...this.#open.values()]) {
      await transfer.abort('The server was stopped')
    }
    clearInterval(this.#timer)
    await this.#groups.stop()
    await this.#renewing
    await this.#sweeping
  }

  /**
   * To be called before anything of the body is read. What is announced to be large is opened at once, so
   * that nobody sends it to a server that cannot take it.
   *
   * @throws {OverloadedError} → 503; {TransferLostError} the server is stopping → 503;
   *   {StoreError} → 503 or 507; a database error → 503
   */
  async open(request: TransferRequest, span: Span = noSpan): Promise<Transfer> {
    const { limits } = this.#deps
    if (this.#stopped) throw new TransferLostError('the server is stopping')
    mustHaveRoom(request, this.#open.values(), limits)
    const transfer = new Transfer(request, this.#transferDeps, span)
    this.#open.set(transfer.transferID, transfer)
    this.#deps.changed()
    if ((request.announcedBytes ?? 0) > limits.held.bytesOfOne) {
      await transfer.open().catch(async (error) => {
        await transfer.abort(`The server could not begin: ${(error as Error).name}`)
        throw error
      })
    }
    return transfer
  }

  /**
   * To practise with: its transfers are received and answered as others, and committed to nothing. They know neither the
   * database nor the store, and nobody is told of them: they are not open, do not count, and do not end.
   */
  rehearsal(): Pick<Intake, 'open'> {
    const memory = new HeldMemory({ bytesOfOne: Infinity, bytesOfAll: Infinity })
    const deps: TransferDeps = {
      ...this.#depsOf(memory),
      groups: { commit: async () => ({ outcome: 'committed', disagreements: [] }) },
      committed() {},
      async end() {},
    }
    return { open: async (request, span) => new Transfer(request, deps, span) }
  }

  /** Makes Postgres commit, and take back, what nobody sent. @throws a database error */
  async rehearseCommit(): Promise<void> {
    await this.#groups.rehearse()
  }

  #depsOf(memory: HeldMemory): TransferDeps {
    const { db, store, log, limits } = this.#deps
    return {
      db,
      store,
      log,
      serverID: this.serverID,
      limits,
      leaseMs: limits.leaseMs,
      memory,
      groups: this.#groups,
      committed: (transfer, { stored, refused }) => {
        this.#close(transfer.transferID)
        const duplicateCount = stored.filter((one) => one.duplicate).length
        this.#tellEnded(transfer, {
          state: 'committed',
          storedCount: stored.length - duplicateCount,
          duplicateCount,
          refusedCount: refused.length,
          storedByStudy: countByStudy(stored),
        })
      },
      end: (transfer, ending) => {
        this.#tellEnded(transfer, {
          state: ending.state,
          storedCount: 0,
          duplicateCount: 0,
          refusedCount: ending.refused.length,
          storedByStudy: new Map(),
        })
        return this.#end(ending)
      },
    }
  }

  #tellEnded(
    { transferID, request, openedAt, receivedBytes, partCount }: Transfer,
    end: EndOf,
  ): void {
    this.#deps.ended?.({
      transferID,
      service: request.service,
      sender: request.sender,
      sentBy: request.sentBy,
      studyInstanceUID: request.studyInstanceUID,
      ageMs: performance.now() - openedAt,
      receivedBytes,
      partCount,
      ...end,
    })
  }

  #close(transferID: string): void {
    this.#open.delete(transferID)
    this.#deps.changed()
  }

  async #end(ending: Ending): Promise<void> {
    const { db, store, log } = this.#deps
    try {
      await settle(ending, db, store)
      this.#unsettled.delete(ending)
    } catch (error) {
      if (!this.#unsettled.has(ending)) {
        log.warn('a transfer could not be ended yet', {
          transfer: ending.transferID,
          error: describeError(error),
        })
      }
      this.#unsettled.add(ending)
    }
    this.#close(ending.transferID)
  }

  /** Leases are renewed beside the sweep, which may take minutes in a large store. */
  #beat(): void {
    void this.#groups.upkeep()
    this.#renewing ??= this.#quietly(async () => this.#renew()).finally(() => {
      this.#renewing = undefined
    })
    this.#sweeping ??= this.#quietly(async () => {
      for (const ending of [...this.#unsettled]) await this.#end(ending)
      await this.#sweep()
    }).finally(() => {
      this.#sweeping = undefined
    })
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    await work().catch((error) => {
      this.#deps.log.warn('the upkeep of transfers failed, and is tried again', {
        error: describeError(error),
      })
    })
  }

  async #renew(): Promise<void> {
    const { db, limits } = this.#deps
    // Most transfers are over within a second; those that last get a row, for people and other servers to see.
    const old = [...this.#open.values()].filter((t) => t.openedAt < performance.now() - beatMs)
    // Not waited for, so that no lease depends on it; the transfer itself meets its error.
    for (const transfer of old) transfer.open().catch(() => {})
    const opened = old.filter((transfer) => transfer.isOpen)
    if (opened.length === 0) return
    const alive = await renewTransfers(db, opened, limits.leaseMs / 1000)
    for (const transfer of opened) {
      if (!alive.has(transfer.transferID) && this.#open.has(transfer.transferID)) transfer.lose()
    }
    this.#deps.changed()
  }

  async #sweep(): Promise<void> {
    const { db, store, log, limits } = this.#deps
    const now = performance.now()
    if (this.#straysOlderThan !== undefined) {
      await this.#sweepStrays(this.#straysOlderThan)
      this.#straysOlderThan = undefined
    }
    if (now - this.#sweptAt < limits.leaseMs / 2) return
    this.#sweptAt = now
    const swept = await sweepTransfers(db, store, this.serverID)
    if (swept.expired > 0) log.info('swept up after a server that died', swept)
    if (now - this.#straysSweptAt < strayBeatsMs) return
    await this.#sweepStrays(new Date(Date.now() - 2 * limits.leaseMs))
  }

  async #sweepStrays(olderThan: Date): Promise<void> {
    const { db, store, log } = this.#deps
    this.#straysSweptAt = performance.now()
    const { deleted, kept } = await sweepStrays(db, store, olderThan)
    if (deleted > 0) log.info('deleted segments without a row', { deleted })
    if (kept > 0) {
      const hint = 'is this the database that the store was written with? See "stowage check"'
      log.warn(`segments that were committed once have no row: ${hint}`, { segments: kept })
    }
  }
}

function countByStudy(stored: StoredInstance[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { studyInstanceUID, duplicate } of stored) {
    counts.set(studyInstanceUID, (counts.get(studyInstanceUID) ?? 0) + (duplicate ? 0 : 1))
  }
  return counts
}
