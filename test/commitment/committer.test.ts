import { describe, expect, test } from 'vitest'
import { listChanges, numberChanges } from '../../db/changes.ts'
import { lostSinceCommitted } from '../../db/commitment-list.ts'
import {
  claimCommitment,
  findCommitment,
  finishCommitment,
  noteChecked,
  releaseOtherClaims,
  requestCommitment,
  uncheckedReferences,
} from '../../db/commitments.ts'
import { deleteResource } from '../../db/deletions.ts'
import { recordVerification } from '../../db/verification.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld } from '../support/intake.ts'
import { type CommitmentTest, commitmentTest, ctImage, flipByte, marksOf } from './support.ts'

const server = '11111111-1111-4111-8111-111111111111'
const other = '22222222-2222-4222-8222-222222222222'

async function feed(t: CommitmentTest, type: string) {
  await numberChanges(t.db)
  return (await listChanges(t.db, { since: 0, limit: 10_000 })).filter((one) => one.type === type)
}

describe('a storage commitment request (P6)', () => {
  test('commits what is here and whole, marks and counts it, and tells the feed once a study', async () => {
    await using t = await commitmentTest()
    const [first, second] = [await t.study(5), await t.study(3)]
    const asked = [...first, ...second.slice(1)]
    t.committer()
    const transactionUID = await t.request(asked)
    const result = await t.result(transactionUID)
    expect(result).toMatchObject({
      state: 'finished',
      instanceCount: 7,
      checkedCount: 7,
      committedCount: 7,
      failedCount: 0,
    })
    expect(await marksOf(t.db, first[0]?.studyInstanceUID as string)).toEqual({
      committed: 5,
      damaged: 0,
    })
    expect(await marksOf(t.db, second[0]?.studyInstanceUID as string)).toMatchObject({
      committed: 2,
    })
    const told = await feed(t, 'committed')
    expect(told.map((one) => [one.level, one.studyInstanceUID, one.details])).toEqual(
      [first, second].map((study, index) => [
        'study',
        study[0]?.studyInstanceUID,
        {
          transactionUID,
          committedCount: [5, 2][index],
          failedCount: 0,
          committedInstanceCount: [5, 2][index],
          instanceCount: [5, 3][index],
        },
      ]),
    )
  })

  test('says why each of the others is not committed: 0112, 0119, 0122, 0110 (SC-R7)', async () => {
    await using t = await commitmentTest()
    const [good, wrongClass, damaged, elsewhere] = (await t.study(4)) as [S, S, S, S]
    await flipByte(t, damaged.sopInstanceUID)
    const unknown = { ...good, sopInstanceUID: uniqueUID() }
    const directory = {
      ...good,
      sopInstanceUID: uniqueUID(),
      sopClassUID: '1.2.840.10008.1.3.10',
      failureReason: 0x0122,
    }
    const asked = [
      good,
      { ...wrongClass, sopClassUID: '1.2.840.10008.5.1.4.1.1.4' },
      damaged,
      { ...elsewhere, seriesInstanceUID: uniqueUID() },
      unknown,
      directory,
    ]
    t.committer()
    const transactionUID = await t.request(asked, 'study')
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 1, failedCount: 5 })
    expect(await t.reasons(transactionUID)).toEqual({
      [good.sopInstanceUID]: null,
      [wrongClass.sopInstanceUID]: 0x0119,
      [damaged.sopInstanceUID]: 0x0110,
      [elsewhere.sopInstanceUID]: 0x0112,
      [unknown.sopInstanceUID]: 0x0112,
      [directory.sopInstanceUID]: 0x0122,
    })
    expect(await marksOf(t.db, good.studyInstanceUID)).toEqual({ committed: 1, damaged: 1 })
    expect(await feed(t, 'damaged')).toMatchObject([
      { level: 'instance', sopInstanceUID: damaged.sopInstanceUID },
    ])
  })

  test('commits an instance for which it failed before, when its bytes are right again', async () => {
    await using t = await commitmentTest()
    const [one] = (await t.study(1)) as [S]
    await flipByte(t, one.sopInstanceUID)
    t.committer()
    const failed = await t.request([one])
    expect(await t.result(failed)).toMatchObject({ failedCount: 1 })
    await flipByte(t, one.sopInstanceUID)
    const transactionUID = await t.request([one])
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 1 })
    expect(await marksOf(t.db, one.studyInstanceUID)).toEqual({ committed: 1, damaged: 0 })
    expect((await feed(t, 'damaged')).map((change) => change.details)).toEqual([
      { isDamaged: true, damagedInstanceCount: 1 },
      { isDamaged: false, damagedInstanceCount: 0 },
    ])
    // What was said once stays so. (SC-R8)
    expect(await t.reasons(failed)).toEqual({ [one.sopInstanceUID]: 0x0110 })
  })

  test('is known to be lost where instances were deleted or damaged since, also when another copy came', async () => {
    await using t = await commitmentTest()
    const [stays, deleted, damaged] = (await t.study(3)) as [S, S, S]
    t.committer()
    const transactionUID = await t.request([stays, deleted, damaged])
    const { commitmentKey } = await t.result(transactionUID)
    expect(await lostSinceCommitted(t.db, commitmentKey)).toEqual({
      deletedCount: 0,
      damagedCount: 0,
    })
    await deleteResource(t.db, deleted, { reason: 'test', force: true, allowResend: true })
    await flipByte(t, damaged.sopInstanceUID)
    expect(await t.result(await t.request([damaged]))).toMatchObject({ failedCount: 1 })
    const lost = { deletedCount: 1, damagedCount: 1 }
    expect(await lostSinceCommitted(t.db, commitmentKey)).toEqual(lost)
    await t.send([dicomFile(deleted)])
    expect(await lostSinceCommitted(t.db, commitmentKey)).toEqual(lost)
  })

  test('with a Transaction UID that was used before is refused, also at the same time, also later (SC-R9, SC-R11)', async () => {
    await using t = await commitmentTest()
    const instances = await t.study(1)
    const request = { transactionUID: uniqueUID(), form: 'flat' as const, instances }
    const made = await Promise.all(
      Array.from({ length: 5 }, () => requestCommitment(t.db, request)),
    )
    expect(made.filter((one) => one !== undefined)).toHaveLength(1)
    t.committer({ limits: { keptSeconds: 0 } })
    await t.db.sql`update commitments set finished_at = now() - interval '1 s'`
    await t.result(request.transactionUID)
    expect(await requestCommitment(t.db, request)).toBeUndefined()
  })

  test('of which the result is kept long enough is discarded, and its Transaction UID stays (SC-R8)', async () => {
    await using t = await commitmentTest()
    const instances = await t.study(2)
    const transactionUID = await t.request(instances)
    t.committer()
    await t.result(transactionUID)
    await t.db.sql`update commitments set finished_at = now() - interval '2 hours'`
    t.committer()
    await expect
      .poll(async () => (await findCommitment(t.db, transactionUID))?.state)
      .toBe('discarded')
    expect(await t.db.sql`select from commitment_references`).toHaveLength(0)
  })
})

describe('a server that works on a request and dies', () => {
  test('leaves it to another one when its lease is over, which goes on where it was', async () => {
    await using t = await commitmentTest(nothingHeld)
    const asked = await t.study(3)
    const transactionUID = await t.request(asked)
    const claimed = await claimCommitment(t.db, server, 60_000)
    const key = claimed?.commitmentKey as number
    const [first, ...left] = await uncheckedReferences(t.db, key)
    expect(left).toHaveLength(2)
    expect(await noteChecked(t.db, server, key, [{ ...first, isWhole: true } as C], 60_000)).toBe(
      true,
    )
    // Nobody else takes it while the lease lasts.
    expect(await claimCommitment(t.db, other, 60_000)).toBeUndefined()
    await t.db.sql`update commitments set lease_until = now() - interval '1 s'`
    const read: number[] = []
    const store = {
      ...t.store,
      readInto(segmentID: string, offset: number, into: Uint8Array) {
        read.push(into.length)
        return t.store.readInto(segmentID, offset, into)
      },
    }
    t.committer({ store })
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 3 })
    const total = left.at(-1) as (typeof left)[0]
    expect(read).toEqual([
      total.segmentOffset + total.byteLength - (left[0]?.segmentOffset as number),
    ])
    // What the dead one says when it comes back counts no more.
    expect(await noteChecked(t.db, server, key, [], 1000)).toBe(false)
    expect(await finishCommitment(t.db, server, key)).toBe('lost')
  })

  test('and had the database for itself, leaves it to the next start', async () => {
    await using t = await commitmentTest()
    const transactionUID = await t.request(await t.study(1))
    await claimCommitment(t.db, server, 3_600_000)
    await releaseOtherClaims(t.db, other)
    t.committer()
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 1 })
  })
})

describe('many servers', () => {
  test('share 100 requests, and each is worked on by one of them', async () => {
    await using t = await commitmentTest()
    const studies = [await t.study(20), await t.study(20), await t.study(20)]
    const asked = await Promise.all(
      Array.from({ length: 100 }, (_, index) => {
        const all = studies.flat()
        return t.request(all.slice(index % 50, (index % 50) + 10))
      }),
    )
    for (let n = 0; n < 4; n++) t.committer()
    for (const one of asked) expect(await t.result(one)).toMatchObject({ committedCount: 10 })
    for (const [one] of studies) {
      expect(await marksOf(t.db, one?.studyInstanceUID as string)).toMatchObject({ damaged: 0 })
    }
    const told = await feed(t, 'committed')
    const kinds = told.map(({ details, studyInstanceUID }) =>
      JSON.stringify([details?.transactionUID, studyInstanceUID]),
    )
    expect(new Set(kinds).size).toBe(kinds.length)
  })

  test('commit the same instances and store new ones at the same time without a deadlock', async () => {
    await using t = await commitmentTest()
    const studies = await Promise.all(Array.from({ length: 4 }, () => t.study(5)))
    const all = studies.flat()
    for (let n = 0; n < 3; n++) t.committer()
    const requests: Promise<string>[] = []
    const sent: Promise<unknown>[] = []
    for (let n = 0; n < 20; n++) {
      const turned = [...all.slice(n), ...all.slice(0, n)]
      requests.push(t.request(n % 2 === 0 ? turned : turned.reverse()))
      const { studyInstanceUID, seriesInstanceUID } = all[n % all.length] as S
      sent.push(t.send([dicomFile({ studyInstanceUID, seriesInstanceUID })]))
    }
    for (const one of await Promise.all(requests)) {
      expect(await t.result(one)).toMatchObject({ committedCount: 20, failedCount: 0 })
    }
    await Promise.all(sent)
    for (const [one] of studies) {
      expect(await marksOf(t.db, one?.studyInstanceUID as string)).toEqual({
        committed: 5,
        damaged: 0,
      })
    }
  })
})

describe('an instance that changes while its request is worked on', () => {
  async function checkedButNotFinished(t: CommitmentTest) {
    const asked = (await t.study(2)) as [S, S]
    const transactionUID = await t.request(asked)
    const key = (await claimCommitment(t.db, server, 60_000))?.commitmentKey as number
    const references = await uncheckedReferences(t.db, key)
    const checked = references.map((one) => ({ ...one, isWhole: true }))
    await noteChecked(t.db, server, key, checked, 60_000)
    return { asked, transactionUID, key, checked }
  }

  test('and is deleted is no such instance (0112)', async () => {
    await using t = await commitmentTest()
    const { asked, transactionUID, key } = await checkedButNotFinished(t)
    const uid = asked[0].sopInstanceUID
    await t.db.sql`delete from instances where sop_instance_uid = ${uid}`
    expect(await finishCommitment(t.db, server, key)).toBe('finished')
    expect((await t.reasons(transactionUID))[uid]).toBe(0x0112)
  })

  test('and is moved to another place is read again before anything is said', async () => {
    await using t = await commitmentTest()
    const { asked, transactionUID, key } = await checkedButNotFinished(t)
    const [moved] = asked
    await t.db.sql`
      update instances set segment_offset = segment_offset + 1
      where sop_instance_uid = ${moved.sopInstanceUID}`
    expect(await finishCommitment(t.db, server, key)).toBe('again')
    const [again, ...more] = await uncheckedReferences(t.db, key)
    expect(again?.sopInstanceUID).toBe(moved.sopInstanceUID)
    expect(more).toEqual([])
    await t.db.sql`update commitments set lease_until = now() - interval '1 s'`
    t.committer()
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 1, failedCount: 1 })
    expect((await t.reasons(transactionUID))[moved.sopInstanceUID]).toBe(0x0110)
  })

  test('and is found damaged by somebody else is not committed (0110)', async () => {
    await using t = await commitmentTest()
    const { asked, transactionUID, key, checked } = await checkedButNotFinished(t)
    const damaged = checked.find((one) => one.sopInstanceUID === asked[0].sopInstanceUID)
    await recordVerification(t.db, [{ ...(damaged as (typeof checked)[0]), isWhole: false }])
    expect(await finishCommitment(t.db, server, key)).toBe('finished')
    expect((await t.reasons(transactionUID))[asked[0].sopInstanceUID]).toBe(0x0110)
  })

  test('and comes only then is read before it is committed', async () => {
    await using t = await commitmentTest()
    const late = { sopClassUID: ctImage, sopInstanceUID: uniqueUID() }
    const transactionUID = await t.request([late])
    const key = (await claimCommitment(t.db, server, 60_000))?.commitmentKey as number
    expect(await uncheckedReferences(t.db, key)).toEqual([])
    await t.send([dicomFile(late)])
    expect(await finishCommitment(t.db, server, key)).toBe('again')
    await t.db.sql`update commitments set lease_until = now() - interval '1 s'`
    t.committer()
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 1 })
  })

  test.each([
    { kind: 'is stored for the first time', isRead: false },
    { kind: 'was read, deleted, and is stored at another place', isRead: true },
  ])('and $kind while it is decided is read before it is committed', async ({ isRead }) => {
    await using t = await commitmentTest()
    const [late] = (await t.study(1)) as [S]
    const transactionUID = await t.request([late])
    const key = (await claimCommitment(t.db, server, 60_000))?.commitmentKey as number
    const [reference] = await uncheckedReferences(t.db, key)
    if (isRead) await noteChecked(t.db, server, key, [{ ...reference, isWhole: true } as C], 60_000)
    await t.db.sql`
      create table elsewhere as select * from instances where sop_instance_uid = ${late.sopInstanceUID}`
    await t.db.sql`update elsewhere set segment_offset = segment_offset + 1`
    await t.db.sql`delete from instances where sop_instance_uid = ${late.sopInstanceUID}`
    // It is not here, so this has nothing to lock: then the decision can be held up after it.
    await t.db.sql`
      create or replace function lock_studies_of(sop_instance_uids text[]) returns void language sql as ''`
    let finishing: Promise<string> | undefined
    await t.db.sql.begin(async (sql) => {
      await sql`lock table series`
      finishing = finishCommitment(t.db, server, key)
      await expect.poll(() => isWaiting(t), { interval: 5 }).toBe(true)
      await sql`insert into instances select * from elsewhere`
    })
    expect(await finishing).toBe('again')
    expect(await t.db.sql`select from instances where committed_at is not null`).toHaveLength(0)
    await t.db.sql`update commitments set lease_until = now() - interval '1 s'`
    t.committer()
    // There are other bytes than its digest says.
    expect(await t.result(transactionUID)).toMatchObject({ committedCount: 0, failedCount: 1 })
  })

  async function isWaiting(t: CommitmentTest): Promise<boolean> {
    const rows = await t.db.sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return rows.length > 0
  }
})

type S = Awaited<ReturnType<CommitmentTest['study']>>[0]
type C = Parameters<typeof noteChecked>[3][0]
