import { open } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { claimCompaction, freeSegments } from '../../db/compaction.ts'
import { deleteResource } from '../../db/deletions.ts'
import { DeletedMeanwhileError, type Instance, instancesOf } from '../../db/instances.ts'
import { studyZip } from '../../server/admin/study-zip.ts'
import { compactOne } from '../../server/deletion/compaction.ts'
import { deleteDoomedSegments } from '../../server/intake/sweep.ts'
import { readMoving } from '../../server/store/read-moving.ts'
import type { Store } from '../../server/store/store.ts'
import { checked, placeOf } from '../check/support.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'
import { compact, deleted, filesOfStudy, type MadeStudy, madeStudy, wrongRows } from './support.ts'

describe('the bytes of what was deleted', () => {
  test('come back at once where nothing else lies in the segment', async () => {
    await using t = await testIntake(nothingHeld)
    const [study, other] = [madeStudy(), madeStudy()]
    await t.send(filesOfStudy(study))
    await t.send(filesOfStudy(other))
    const before = await t.storedBytes()
    await deleted(t.db, study)
    await compact(t)
    expect(await t.storedBytes()).toBeLessThan(before * 0.6)
    expect(await t.db.sql`select from segments`).toHaveLength(1)
    await expectAsSent(t, other)
    await expectClean(t)
  })

  test('come back by writing the segment again, and everything else stays as it was sent', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(2, 5)
    await t.send(filesOfStudy(study))
    const before = await t.storedBytes()
    for (const one of study.instances.slice(0, 5)) await deleted(t.db, { ...study, ...one })
    await expectClean(t)
    await compact(t)
    expect(await t.storedBytes()).toBeLessThan(before * 0.6)
    await expectAsSent(t, { ...study, instances: study.instances.slice(5) })
    await expectClean(t)
    const [row] = await t.db.sql`select state, dead_bytes, origin_key from segments`
    expect(row).toEqual({ state: 'kept', dead_bytes: 0, origin_key: expect.any(Number) })
  })

  test('of a shared segment come back when nobody appends to it any more', async () => {
    await using t = await testIntake()
    const [study, other] = [madeStudy(), madeStudy()]
    await t.send(filesOfStudy(study))
    await t.send(filesOfStudy(other))
    const before = await t.storedBytes()
    await deleted(t.db, study)
    await compact(t)
    expect(await t.storedBytes()).toBe(before)
    await expectClean(t)
    await t.intake.stop(0)
    await compact(t)
    expect(await t.storedBytes()).toBeLessThan(before * 0.6)
    await expectAsSent(t, other)
    await expectClean(t)
  })

  test('stay for a while where they are few, and not for good', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(1, 10)
    await t.send(filesOfStudy(study))
    const before = await t.storedBytes()
    await deleted(t.db, { ...study, ...study.instances[3] })
    await compact(t)
    expect(await t.storedBytes()).toBe(before)
    await t.db.sql`update segments set dead_since = now() - interval '25 hours'`
    await compact(t)
    expect(await t.storedBytes()).toBeLessThan(before)
    await expectClean(t)
  })
})

describe('a compaction', () => {
  test('leaves a damaged instance where it lies, marks it, and moves the others', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(1, 6)
    await t.send(filesOfStudy(study))
    const damaged = study.instances[4]
    const { path, offset, byteLength } = await placeOf(t, damaged?.sopInstanceUID)
    await flip(path, offset + byteLength - 1)
    for (const one of study.instances.slice(0, 3)) await deleted(t.db, { ...study, ...one })
    await compact(t)
    const rows = await t.db.sql`
      select sop_instance_uid, damaged_at is not null as is_damaged, g.origin_key is not null as is_moved
      from instances join segments g using (segment_key) order by instance_number`
    expect(rows.map((row) => [row.is_damaged, row.is_moved])).toEqual([
      [false, true],
      [true, false],
      [false, true],
    ])
    const [counts] = await t.db.sql`select damaged_instance_count from studies`
    expect(counts?.damaged_instance_count).toBe(1)
    const [change] = await t.db
      .sql`select sop_instance_uid from changes_to_come where type = 'damaged'`
    expect(change?.sop_instance_uid).toBe(damaged?.sopInstanceUID)
    expect(await wrongRows(t.db)).toEqual([])
    // And it is not tried for ever.
    expect(await claimCompaction(t.db, crypto.randomUUID(), 30, [])).toBeUndefined()
    expect((await checked(t)).problems).toEqual(['digest-differs'])
  })

  test('is done by one server at a time', async () => {
    await using t = await halfDeleted()
    const claims = await Promise.all(
      [1, 2, 3, 4].map(() => claimCompaction(t.db, crypto.randomUUID(), 30, [])),
    )
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1)
    expect((await checked(t)).findings).toEqual([])
  })

  test('whose server died is given up, and done by another one', async () => {
    await using t = await halfDeleted()
    const before = await t.storedBytes()
    const segmentID = crypto.randomUUID()
    await claimCompaction(t.db, segmentID, 0, [])
    const writer = await t.store.create(segmentID)
    writer.append(new Uint8Array(1000))
    await writer.sync()
    await writer.abandon(1000)
    expect((await checked(t)).findings).toEqual([])
    await compact(t)
    expect(await t.storedBytes()).toBeLessThan(before * 0.6)
    expect(await t.db.sql`select from segments`).toHaveLength(1)
    await expectAsSent(t, t.rest)
    await expectClean(t)
  })

  test('that was taken for dead moves nothing', async () => {
    await using t = await halfDeleted()
    const store: Store = {
      ...t.store,
      async create(segmentID) {
        await t.db.sql`update segments set state = 'doomed' where segment_id = ${segmentID}`
        return t.store.create(segmentID)
      },
    }
    const deps = { ...t, store, leaseMs: 30_000, signal: new AbortController().signal }
    await expect(compactOne(deps, [])).rejects.toThrow('Cannot compact a segment')
    expect(
      await t.db.sql`select from segments where origin_key is not null and state = 'kept'`,
    ).toHaveLength(0)
    await expectAsSent(t, t.rest)
  })

  test('and a deletion at once: what was deleted while it was copied is dead in the new segment', async () => {
    await using t = await halfDeleted()
    const victim = t.rest.instances[0]
    const store: Store = {
      ...t.store,
      async create(segmentID) {
        const writer = await t.store.create(segmentID)
        const seal = writer.seal.bind(writer)
        writer.seal = async () => {
          await seal()
          await deleteResource(t.db, { ...t.rest, ...victim }, {})
        }
        return writer
      },
    }
    const deps = { ...t, store, leaseMs: 30_000, signal: new AbortController().signal }
    expect(await compactOne(deps, [])).toMatchObject({ movedCount: 2, damagedCount: 0 })
    await freeSegments(t.db)
    expect(await wrongRows(t.db)).toEqual([])
    await compact(t)
    await expectAsSent(t, { ...t.rest, instances: t.rest.instances.slice(1) })
    await expectClean(t)
  })
})

describe('a reader', () => {
  test('finds the bytes of what was moved since he was told where they are', async () => {
    await using t = await halfDeleted()
    const found = []
    for await (const instance of instancesOf(t.db, t.rest)) found.push(instance)
    await compact(t)
    for (const instance of found) {
      const file = await gathered(readMoving(t.store, instance, 0, instance.byteLength))
      expect(file).toEqual(fileOf(t.rest, instance.sopInstanceUID))
    }
  })

  test('finds them also when another reader of the same was told first', async () => {
    await using t = await halfDeleted()
    const [instance] = (await all(instancesOf(t.db, t.rest))) as [Instance]
    await compact(t)
    await deleteDoomedSegments(t.db, t.store)
    const read = () => gathered(readMoving(t.store, instance, 0, instance.byteLength))
    const file = fileOf(t.rest, instance.sopInstanceUID)
    expect(await Promise.all([read(), read(), read()])).toEqual([file, file, file])
  })

  test('who takes a study as a ZIP gets all of it while it is moved', async () => {
    await using t = await halfDeleted()
    const zip = studyZip(t.rest.studyInstanceUID, t)
    const pieces = [(await zip.next()).value as Uint8Array]
    await compact(t)
    await deleteDoomedSegments(t.db, t.store)
    for await (const piece of zip) pieces.push(piece)
    const bytes = Buffer.concat(pieces)
    for (const { file } of t.rest.instances) expect(bytes.includes(file)).toBe(true)
  })

  test('is told when it was deleted, and never gets other bytes', async () => {
    await using t = await halfDeleted()
    const [instance] = await all(instancesOf(t.db, t.rest))
    await deleted(t.db, t.rest, { allowResend: true })
    await compact(t)
    if (instance === undefined) throw new Error('none')
    const read = gathered(readMoving(t.store, instance, 0, 10))
    await expect(read).rejects.toThrow(DeletedMeanwhileError)
  })

  test('who is in the middle of a study gets all of it while it is moved, and no transfer that came later', async () => {
    await using t = await testIntake({ ...nothingHeld, batchRows: 5000 })
    const study = madeStudy(1, 1500)
    await t.send(filesOfStudy(study))
    await Promise.all(
      study.instances
        .slice(0, 400)
        .map((one) => deleted(t.db, { ...study, ...one }, { allowResend: true })),
    )
    const reader = instancesOf(t.db, study)
    const got = [(await reader.next()).value]
    await compact(t)
    expect(await t.db.sql`select from segments where origin_key is not null`).toHaveLength(1)
    await t.send(filesOfStudy(study).slice(0, 400))
    for await (const instance of reader) got.push(instance)
    expect(got).toHaveLength(1100)
  })

  test('who begins to read a large study that is deleted at that moment is told that it is not there', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(1, 1100)
    await t.send(filesOfStudy(study))
    const { orm, sql } = t.db
    let pages = 0
    // After it was seen that it is large, before it is looked at what there is of it.
    const deletesMeanwhile = new Proxy(sql, {
      apply(target, self, given: [TemplateStringsArray, ...unknown[]]) {
        const made = Reflect.apply(target as (...all: unknown[]) => unknown, self, given)
        if (!given[0].join().includes('limit') || pages++ > 0) return made
        return Promise.resolve(made).then(async (page) => {
          await deleted(t.db, study)
          return page
        })
      },
    })
    expect(await all(instancesOf({ orm, sql: deletesMeanwhile }, study))).toEqual([])
    expect(pages).toBe(1)
  })

  test('who is in the middle of a study that is deleted is not told that it is all', async () => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(1, 1100)
    await t.send(filesOfStudy(study))
    const reader = instancesOf(t.db, study)
    await reader.next()
    await deleted(t.db, study)
    await expect(all(reader)).rejects.toThrow(DeletedMeanwhileError)
  })
})

/** A study in one segment, of which the first half was deleted; `rest` is what is left. */
async function halfDeleted() {
  const t = await testIntake(nothingHeld)
  const study = madeStudy(1, 6)
  await t.send(filesOfStudy(study))
  for (const one of study.instances.slice(0, 3)) await deleted(t.db, { ...study, ...one })
  await freeSegments(t.db)
  return Object.assign(t, { rest: { ...study, instances: study.instances.slice(3) } })
}

async function expectClean(t: TestIntake): Promise<void> {
  expect(await wrongRows(t.db)).toEqual([])
  expect((await checked(t)).findings).toEqual([])
}

async function expectAsSent(t: TestIntake, study: MadeStudy): Promise<void> {
  const found = await all(instancesOf(t.db, study))
  expect(found).toHaveLength(study.instances.length)
  for (const one of found) {
    const file = await gathered(t.store.read(one.segmentID, one.segmentOffset, one.byteLength))
    expect(file).toEqual(fileOf(study, one.sopInstanceUID))
  }
}

function fileOf({ instances }: MadeStudy, sopInstanceUID: string): Buffer | undefined {
  return instances.find((one) => one.sopInstanceUID === sopInstanceUID)?.file
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const one of items) list.push(one)
  return list
}

async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(chunks))
}

async function flip(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, position)
  byte[0] = (byte[0] as number) ^ 1
  await file.write(byte, 0, 1, position)
  await file.close()
}
