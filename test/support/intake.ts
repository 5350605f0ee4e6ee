import { rm } from 'node:fs/promises'
import { type Database, openDatabase } from '../../db/database.ts'
import { oneConnectionBeside } from '../../db/own-connections.ts'
import type { Handling } from '../../db/transfers.ts'
import { type EndedTransfer, Intake, type IntakeLimits } from '../../server/intake/intake.ts'
import type { TransferOutcome } from '../../server/intake/outcome.ts'
import { silentLog } from '../../server/log.ts'
import { fileStore } from '../../server/store/file-store.ts'
import type { Store } from '../../server/store/store.ts'
import { freshDatabase } from './database.ts'
import { temporaryFolder } from './server.ts'

/** An intake on a database and a store of its own, and what a test asks of them. */
export interface TestIntake extends AsyncDisposable {
  db: Database
  /** On which groups are committed. */
  groupsDB: Database
  store: Store
  intake: Intake
  folder: string
  /** Hands files over as one transfer, in chunks of 64 KiB. */
  send(
    files: Uint8Array[],
    options?: { handling?: Handling; studyInstanceUID?: string },
  ): Promise<TransferOutcome>
  /** Bytes of all segments in the store. */
  storedBytes(): Promise<number>
  counts(): Promise<{ studies: number; series: number; instances: number; patients: number }>
}

/** Limits under which each transfer gets a row and a segment of its own, however small it is. */
export const nothingHeld = { held: { bytesOfOne: 0, bytesOfAll: 0 } }

export async function testIntake(
  limits: Partial<IntakeLimits> = {},
  ended: (transfer: EndedTransfer) => void = () => {},
): Promise<TestIntake> {
  const database = await freshDatabase()
  const db = openDatabase(database.sql)
  const groupsDB = openDatabase(oneConnectionBeside(database.sql, 60))
  const folder = await temporaryFolder()
  const store = fileStore(folder)
  const intake = intakeOn({ db, groupsDB, store }, limits, ended)
  return {
    db,
    groupsDB,
    store,
    intake,
    folder,
    send: sendTo(intake),
    async storedBytes() {
      let bytes = 0
      for await (const segment of store.list()) bytes += segment.byteLength
      return bytes
    },
    async counts() {
      const [row] = await db.sql`
        select
          (select count(*)::int from studies) as studies,
          (select count(*)::int from series) as series,
          (select count(*)::int from instances) as instances,
          (select count(*)::int from patients) as patients`
      return row as unknown as Awaited<ReturnType<TestIntake['counts']>>
    },
    async [Symbol.asyncDispose]() {
      await intake.stop(0)
      await database[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** One more server's intake on the same database and store. */
export function intakeBeside(
  { db, store }: Pick<TestIntake, 'db' | 'store'>,
  limits: Partial<IntakeLimits> = {},
): AsyncDisposable & Pick<TestIntake, 'send'> {
  const groupsDB = openDatabase(oneConnectionBeside(db.sql, 60))
  const intake = intakeOn({ db, groupsDB, store }, limits, () => {})
  return {
    send: sendTo(intake),
    async [Symbol.asyncDispose]() {
      await intake.stop(0)
    },
  }
}

function intakeOn(
  on: Pick<TestIntake, 'db' | 'groupsDB' | 'store'>,
  limits: Partial<IntakeLimits>,
  ended: (transfer: EndedTransfer) => void,
): Intake {
  return new Intake({
    ...on,
    log: silentLog,
    changed() {},
    ended,
    limits: {
      transfers: 1000,
      uncommittedBytes: 1e15,
      leaseMs: 30_000,
      partBytes: 1e12,
      segmentBytes: 1e9,
      batchRows: 500,
      instance: {},
      held: { bytesOfOne: 1024 * 1024, bytesOfAll: 16 * 1024 * 1024 },
      ...limits,
    },
  })
}

function sendTo(intake: Intake): TestIntake['send'] {
  return async (files, options = {}) => {
    const transfer = await intake.open({ service: 'stow', handling: 'strict', ...options })
    for (const file of files) {
      transfer.beginPart()
      for (let at = 0; at < file.length; at += 65_536) {
        transfer.push(file.subarray(at, at + 65_536))
        transfer.receivedBytes += Math.min(65_536, file.length - at)
        if (transfer.isBehind) await transfer.drain()
      }
      transfer.endPart()
      if (transfer.isBehind) await transfer.drain()
    }
    return transfer.commit()
  }
}
