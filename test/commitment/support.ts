import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import {
  type AskedInstance,
  type Commitment,
  findCommitment,
  referencesOfCommitment,
  requestCommitment,
} from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { Committer, type CommitterLimits } from '../../server/commitment/committer.ts'
import { silentLog } from '../../server/log.ts'
import type { Store } from '../../server/store/store.ts'
import { placeOf } from '../check/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

export const ctImage = '1.2.840.10008.5.1.4.1.1.2'

export interface CommitmentTest extends TestIntake {
  /** One more server that works on requests, from now on. */
  committer(more?: { limits?: Partial<CommitterLimits>; store?: Store }): Committer
  /** Stores instances of one new study, and says what a request would ask for. */
  study(count: number, pixelBytes?: number): Promise<Required<StoredReference>[]>
  request(instances: AskedInstance[], form?: 'flat' | 'study'): Promise<string>
  /** Waits until a request is finished. */
  result(transactionUID: string): Promise<Commitment>
  /** Failure Reasons by SOP Instance UID; null: committed. */
  reasons(transactionUID: string): Promise<Record<string, number | null>>
}

export interface StoredReference {
  studyInstanceUID: string
  seriesInstanceUID: string
  sopClassUID: string
  sopInstanceUID: string
}

export async function commitmentTest(limits = {}): Promise<CommitmentTest> {
  const archive = await testIntake(limits)
  const { db } = archive
  const committers: Committer[] = []
  return {
    ...archive,
    committer({ limits: own = {}, store = archive.store } = {}) {
      const one = new Committer({
        db,
        store,
        log: silentLog,
        serverID: randomUUID(),
        changed() {},
        limits: { atOnce: 2, leaseMs: 30_000, keptSeconds: 3600, ...own },
      })
      committers.push(one)
      one.start()
      return one
    },
    async study(count, pixelBytes = 512) {
      const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
      const references = Array.from({ length: count }, () => ({
        studyInstanceUID,
        seriesInstanceUID,
        sopClassUID: ctImage,
        sopInstanceUID: uniqueUID(),
      }))
      await archive.send(references.map((one) => dicomFile({ ...one, pixelBytes })))
      return references
    },
    async request(instances, form = 'flat') {
      const transactionUID = uniqueUID()
      await requestCommitment(db, { transactionUID, form, instances: flatOrNot(instances, form) })
      for (const one of committers) one.wake()
      return transactionUID
    },
    async result(transactionUID) {
      for (;;) {
        const found = (await findCommitment(db, transactionUID)) as Commitment
        if (found.state !== 'waiting') return found
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
    async reasons(transactionUID) {
      const { commitmentKey } = (await findCommitment(db, transactionUID)) as Commitment
      const reasons: Record<string, number | null> = {}
      for (const which of ['committed', 'failed'] as const) {
        for await (const one of referencesOfCommitment(db, commitmentKey, which)) {
          reasons[one.sopInstanceUID] = one.failureReason
        }
      }
      return reasons
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(committers.map((one) => one.stop()))
      await archive[Symbol.asyncDispose]()
    },
  }
}

function flatOrNot(instances: AskedInstance[], form: 'flat' | 'study'): AskedInstance[] {
  if (form === 'study') return instances
  return instances.map(({ sopClassUID, sopInstanceUID, failureReason }) => ({
    sopClassUID,
    sopInstanceUID,
    failureReason,
  }))
}

/** Changes one byte of an instance's file; again, and it is what it was. */
export async function flipByte(archive: TestIntake, sopInstanceUID: string): Promise<void> {
  const { path, offset, byteLength } = await placeOf(archive, sopInstanceUID)
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, offset + byteLength - 1)
    byte[0] = (byte[0] as number) ^ 1
    await file.write(byte, 0, 1, offset + byteLength - 1)
  } finally {
    await file.close()
  }
}

export interface Marks {
  committed: number
  damaged: number
}

/** What a study says of itself, after comparing with its instances and series. */
export async function marksOf(db: Database, studyInstanceUID: string): Promise<Marks> {
  const [row] = await db.sql`
    select
      t.committed_instance_count as committed, t.damaged_instance_count as damaged,
      (select sum(committed_instance_count)::int from series e where e.study_key = t.study_key) as committed_of_series,
      (select sum(damaged_instance_count)::int from series e where e.study_key = t.study_key) as damaged_of_series,
      (
        select count(committed_at)::int from instances i where i.study_key = t.study_key
      ) as committed_instances,
      (select count(damaged_at)::int from instances i where i.study_key = t.study_key) as damaged_instances
    from studies t
    where t.study_instance_uid = ${studyInstanceUID}`
  const counts = row as Record<string, number>
  const { committed = 0, damaged = 0 } = counts
  if (counts.committed_of_series !== committed || counts.committed_instances !== committed) {
    throw new Error(`What is committed is counted differently: ${JSON.stringify(counts)}`)
  }
  if (counts.damaged_of_series !== damaged || counts.damaged_instances !== damaged) {
    throw new Error(`What is damaged is counted differently: ${JSON.stringify(counts)}`)
  }
  return { committed, damaged }
}
