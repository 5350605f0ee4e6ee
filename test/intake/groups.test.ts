import { createHash, randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { instancesOf } from '../../db/instances.ts'
import { findTransfer } from '../../db/transfers.ts'
import { sweepStrays, sweepTransfers } from '../../server/intake/sweep.ts'
import { StoreError } from '../../server/store/store.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

/** Everything that is stored, read from the segments and compared with what was sent. */
async function expectStored(t: TestIntake, files: Uint8Array[]): Promise<void> {
  const digests = new Set(files.map(digestOf))
  const studies = await t.db.sql<{ uid: string }[]>`select study_instance_uid as uid from studies`
  for (const { uid: studyInstanceUID } of studies) {
    for await (const instance of instancesOf(t.db, { studyInstanceUID })) {
      const { segmentID, segmentOffset, byteLength } = instance
      const chunks: Uint8Array[] = []
      const range = t.store.read(segmentID, segmentOffset, byteLength)
      for await (const chunk of range) chunks.push(chunk)
      const digest = digestOf(Buffer.concat(chunks))
      expect(Buffer.from(instance.digest).toString('hex')).toBe(digest)
      expect(digests.delete(digest)).toBe(true)
    }
  }
  expect(digests.size).toBe(0)
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function segmentCount(t: TestIntake): Promise<number> {
  let count = 0
  for await (const _ of t.store.list()) count++
  return count
}

/** Counts the calls of a method, which goes on doing what it did. */
function counting<Key extends string>(
  object: { [key in Key]: (...args: never[]) => unknown },
  name: Key,
): () => number {
  const method = object[name]
  let count = 0
  object[name] = (...args) => {
    count++
    return method.apply(object, args)
  }
  return () => count
}

/** The next statements that commit a group meet this instead. */
function interceptCommits(
  t: TestIntake,
  meet: (query: () => Promise<unknown>) => Promise<unknown>,
): () => void {
  const { sql } = t.groupsDB
  const proxy = new Proxy(sql, {
    apply(target, self, [strings, ...values]) {
      const query = () => Reflect.apply(target, self, [strings, ...values])
      return /commit_(plain_)?group/.test(String(strings)) ? meet(query) : query()
    },
  })
  Object.assign(t.groupsDB, { sql: proxy })
  return () => {
    Object.assign(t.groupsDB, { sql })
  }
}

describe('small transfers that end at about the same time', () => {
  test('share a segment and few commits, and come back byte for byte', async () => {
    await using t = await testIntake()
    let commits = 0
    interceptCommits(t, (query) => {
      commits++
      return query()
    })
    const files = Array.from({ length: 60 }, () => dicomFile())
    const outcomes = await Promise.all(files.map((file) => t.send([file])))
    expect(
      outcomes.every(({ state, stored }) => state === 'committed' && stored.length === 1),
    ).toBe(true)
    expect(commits).toBeLessThan(10)
    expect(await segmentCount(t)).toBe(1)
    await expectStored(t, files)
  })

  test('each have a row of their own, with what they brought', async () => {
    await using t = await testIntake()
    const outcomes = await Promise.all(
      [1, 2, 3].map((count) => t.send(Array.from({ length: count }, () => dicomFile()))),
    )
    for (const [index, { transferID }] of outcomes.entries()) {
      const row = await findTransfer(t.db, transferID)
      expect(row).toMatchObject({
        state: 'committed',
        service: 'stow',
        partCount: index + 1,
        storedCount: index + 1,
      })
      expect(row?.receivedBytes).toBeGreaterThan(500)
    }
  })

  test('do not suffer from one that is refused, and that one leaves no byte', async () => {
    await using t = await testIntake()
    const known = uniqueUID()
    const first = dicomFile({ sopInstanceUID: known })
    await t.send([first])
    const good = Array.from({ length: 10 }, () => dicomFile())
    const bad = dicomFile({ sopInstanceUID: known, instanceNumber: 77 })
    const innocent = dicomFile()
    const [refused, ...stored] = await Promise.all([
      t.send([bad, innocent]),
      ...good.map((file) => t.send([file])),
    ])
    expect(refused).toMatchObject({ state: 'refused', stored: [] })
    expect(refused?.refused.map((r) => [r.position, r.failureReason])).toEqual([
      [0, 0x0111],
      [1, 0xc0ff],
    ])
    expect(stored.every(({ state }) => state === 'committed')).toBe(true)
    await expectStored(t, [first, ...good])
    const [sum] = await t.db.sql`
      select sum(byte_length + metadata_length)::int as bytes from instances`
    expect(await t.storedBytes()).toBe(sum?.bytes)
  })

  test('that bring the same instance store it once', async () => {
    await using t = await testIntake()
    const file = dicomFile()
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => t.send([file, dicomFile()])))
    expect(outcomes.every(({ state }) => state === 'committed')).toBe(true)
    const again = outcomes.filter(({ stored }) => stored[0]?.duplicate).length
    expect(again).toBe(7)
    expect(await t.counts()).toMatchObject({ instances: 9 })
    const [sum] = await t.db.sql`
      select sum(byte_length + metadata_length)::int as bytes from instances`
    expect(await t.storedBytes()).toBe(sum?.bytes)
  })

  test('that put one series into two studies: the first decides (AT-12)', async () => {
    await using t = await testIntake()
    const seriesInstanceUID = uniqueUID()
    const outcomes = await Promise.all(
      [1, 2, 3, 4].map(() =>
        t.send([dicomFile({ seriesInstanceUID, studyInstanceUID: uniqueUID() })]),
      ),
    )
    expect(outcomes.map(({ state }) => state).sort()).toEqual(
      ['committed', 'refused', 'refused', 'refused'], // biome-ignore format: sorted
    )
    expect(await t.counts()).toMatchObject({ studies: 1, series: 1, instances: 1 })
  })

  test('are warned each of its own contradictions (DV-18)', async () => {
    await using t = await testIntake()
    const study = { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
    await t.send([dicomFile({ ...study, studyDescription: 'Thorax' })])
    const [plain, other] = await Promise.all([
      t.send([dicomFile({ ...study, studyDescription: 'Thorax' })]),
      t.send([
        dicomFile({ ...study, studyDescription: 'Thorax' }),
        dicomFile({ ...study, studyDescription: 'Abdomen' }),
      ]),
    ])
    expect(plain?.stored.map(({ warning }) => warning)).toEqual([undefined])
    expect(other?.stored.map(({ warning }) => warning)).toEqual([
      undefined,
      'Differs from what its study or series says: StudyDescription',
    ])
    const row = await findTransfer(t.db, other?.transferID ?? '')
    expect(row?.warnings).toMatchObject([{ position: 1, warningReason: 0xb007 }])
  })

  test('do not suffer from one that the database cannot take', async () => {
    await using t = await testIntake()
    const poison = uniqueUID()
    await t.db.sql.unsafe(`
      create function refuse_poison() returns trigger language plpgsql as $$
      begin
        if new.sop_instance_uid = '${poison}' then raise exception 'poison'; end if;
        return new;
      end $$;
      create trigger poison before insert on instances for each row execute function refuse_poison()`)
    const files = Array.from({ length: 6 }, () => dicomFile())
    const results = await Promise.allSettled([
      t.send([dicomFile({ sopInstanceUID: poison })]),
      ...files.map((file) => t.send([file])),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', ...Array(6).fill('fulfilled')])
    await expectStored(t, files)
  })
})

describe('a transfer that does not stay small', () => {
  test('gets a segment of its own when it brings more than is held of one, also in the middle of a part', async () => {
    await using t = await testIntake({ held: { bytesOfOne: 100_000, bytesOfAll: 1e9 } })
    const files = [
      dicomFile({ pixelBytes: 40_000 }),
      dicomFile({ pixelBytes: 300_000 }),
      dicomFile(),
    ]
    const { transferID } = await t.send(files)
    const rows = await t.db.sql`select transfer_id from segments`
    expect([...rows]).toEqual([{ transfer_id: transferID }])
    await expectStored(t, files)
  })

  test('gets one when all together hold too much', async () => {
    await using t = await testIntake({ held: { bytesOfOne: 1e9, bytesOfAll: 100_000 } })
    const files = Array.from({ length: 8 }, () => dicomFile({ pixelBytes: 80_000 }))
    await Promise.all(files.map((file) => t.send([file])))
    const rows = await t.db.sql`select from segments where transfer_id is not null`
    expect(rows.length).toBeGreaterThan(0)
    await expectStored(t, files)
    // Nothing is held any more, so one that comes alone is small again.
    const last = await t.send([dicomFile({ pixelBytes: 80_000 })])
    expect(
      await t.db.sql`select from segments where transfer_id = ${last.transferID}`,
    ).toHaveLength(0)
  })

  test('gets a row when it lasts, so that people and other servers see it', async () => {
    await using t = await testIntake()
    await t.intake.start(false)
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    const file = dicomFile()
    transfer.beginPart()
    transfer.push(file.subarray(0, 300))
    await expect
      .poll(async () => (await findTransfer(t.db, transfer.transferID))?.state, { timeout: 10_000 })
      .toBe('receiving')
    transfer.push(file.subarray(300))
    transfer.endPart()
    if (transfer.isBehind) await transfer.drain()
    expect(await transfer.commit()).toMatchObject({ state: 'committed' })
    await expectStored(t, [file])
  })

  test('holds no memory after it was aborted', async () => {
    await using t = await testIntake({ held: { bytesOfOne: 1e9, bytesOfAll: 100_000 } })
    for (let i = 0; i < 5; i++) {
      const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
      transfer.beginPart()
      transfer.push(dicomFile({ pixelBytes: 60_000 }))
      await transfer.abort('The connection ended')
      expect(await findTransfer(t.db, transfer.transferID)).toMatchObject({ state: 'aborted' })
    }
    expect(await t.db.sql`select from segments`).toHaveLength(0)
    expect(await t.storedBytes()).toBe(0)
  })
})

describe('the shared segment', () => {
  test('is written on by group after group, and read while it is', async () => {
    await using t = await testIntake()
    const creations = counting(t.store, 'create')
    const files: Uint8Array[] = []
    for (let i = 0; i < 5; i++) {
      const file = dicomFile()
      await t.send([file])
      files.push(file)
      await expectStored(t, files)
    }
    expect(creations()).toBe(1)
  })

  test('is followed by another one when it is full', async () => {
    await using t = await testIntake({ segmentBytes: 3000 })
    const files = Array.from({ length: 6 }, () => dicomFile())
    for (const file of files) await t.send([file])
    expect(await segmentCount(t)).toBeGreaterThan(1)
    await expectStored(t, files)
  })

  test('is given up when its sync fails: the group is told, the next one goes elsewhere, what was stored stays', async () => {
    await using t = await testIntake()
    const before = dicomFile()
    await t.send([before])
    const create = t.store.create
    await t.intake.stop(0)
    await using again = await testIntake()
    const first = dicomFile()
    let isBroken = false
    again.store.create = async (segmentID) => {
      const writer = await create.call(again.store, segmentID)
      const sync = writer.sync.bind(writer)
      writer.sync = async () => {
        if (isBroken) throw new StoreError('sync a segment', { code: 'EIO' })
        await sync()
      }
      return writer
    }
    await again.send([first])
    isBroken = true
    await expect(again.send([dicomFile()])).rejects.toThrow(StoreError)
    isBroken = false
    expect(await again.counts()).toMatchObject({ instances: 1 })
  })

  test('is taken from a server that is thought dead: that one finds out, and goes elsewhere', async () => {
    await using t = await testIntake()
    const file = dicomFile()
    await t.send([file])
    await sweepTransfers(t.db, t.store, randomUUID(), true)
    const late = dicomFile()
    expect(await t.send([late])).toMatchObject({ state: 'committed' })
    expect(await segmentCount(t)).toBe(2)
    await expectStored(t, [file, late])
  })

  test('that was swept away before its first commit is not committed to', async () => {
    await using t = await testIntake()
    const create = t.store.create
    let isFirst = true
    t.store.create = async (segmentID) => {
      const writer = await create.call(t.store, segmentID)
      if (!isFirst) return writer
      isFirst = false
      // As if it had taken so long to make it.
      await t.db.sql`update segments set created_at = now() - interval '11 minutes'`
      await sweepTransfers(t.db, t.store, randomUUID())
      return writer
    }
    const file = dicomFile()
    expect(await t.send([file])).toMatchObject({ state: 'committed' })
    await expectStored(t, [file])
    expect(await segmentCount(t)).toBe(1)
  })

  test('in which nothing is left but what was stored already is deleted at the end', async () => {
    await using t = await testIntake({ segmentBytes: 1 })
    const file = dicomFile()
    await t.send([file])
    await t.send([file])
    await t.intake.stop(0)
    expect(await segmentCount(t)).toBe(1)
    expect(await t.db.sql`select from segments`).toHaveLength(1)
    await expectStored(t, [file])
  })

  test('is left alone by every sweep while its server appends to it', async () => {
    await using t = await testIntake()
    let isSending = true
    const sweeping = (async () => {
      while (isSending) {
        await sweepTransfers(t.db, t.store, t.intake.serverID)
        await sweepStrays(t.db, t.store, new Date(Date.now() + 60_000))
      }
    })()
    const files = Array.from({ length: 40 }, () => dicomFile())
    for (const file of files) await t.send([file])
    isSending = false
    await sweeping
    await expectStored(t, files)
  })

  test('takes nothing of a group that was not committed', async () => {
    await using t = await testIntake()
    const file = dicomFile()
    await t.send([file])
    const bytes = await t.storedBytes()
    const restore = interceptCommits(t, async () => {
      throw Object.assign(new Error('disk full'), { name: 'PostgresError', code: '53100' })
    })
    await expect(t.send([dicomFile()])).rejects.toThrow('disk full')
    restore()
    await t.intake.stop(0)
    expect(await t.storedBytes()).toBe(bytes)
    await expectStored(t, [file])
  })

  test('is as long as its row says when the server has stopped', async () => {
    await using t = await testIntake()
    await Promise.all(Array.from({ length: 20 }, () => t.send([dicomFile()])))
    await t.intake.stop(0)
    const [row] = await t.db.sql`select byte_length, appended_by from segments`
    expect(row).toEqual({ byte_length: await t.storedBytes(), appended_by: null })
  })
})

describe('a transfer that was ended', () => {
  test('takes no more bytes and is not committed any more, whatever its request still does', async () => {
    await using t = await testIntake()
    const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile())
    transfer.endPart()
    await transfer.abort('The server was stopped')
    transfer.beginPart()
    expect(() => transfer.push(dicomFile())).toThrow('Nothing of it is stored')
    expect(transfer.isBehind).toBe(true)
    await expect(transfer.drain()).rejects.toThrow('Nothing of it is stored')
    await expect(transfer.commit()).rejects.toThrow('Nothing of it is stored')
    expect(await t.counts()).toMatchObject({ instances: 0 })
    expect(await t.storedBytes()).toBe(0)
    expect(await findTransfer(t.db, transfer.transferID)).toMatchObject({ state: 'aborted' })
  })
})

describe('a patient on whom another server works for long', () => {
  test('holds up the transfers for this patient, and no others', async () => {
    await using t = await testIntake()
    const of = (patientID: string) => ({
      patientID,
      studyInstanceUID: uniqueUID(),
      seriesInstanceUID: uniqueUID(),
    })
    const [one, two] = [of('P1'), of('P2')]
    const old = dicomFile(one)
    await t.send([old])
    const events = new EventEmitter()
    const working = t.db.sql.begin(async (sql) => {
      await sql`select from patients where patient_id = 'P1' for update`
      events.emit('locked')
      await once(events, 'release')
    })
    await once(events, 'locked')
    let isHeldUp = true
    const fresh = dicomFile(one)
    const waiting = t.send([old, fresh]).then((outcome) => {
      isHeldUp = false
      return outcome
    })
    const others = Array.from({ length: 5 }, () => dicomFile(two))
    await Promise.all(others.map((file) => t.send([file])))
    expect(isHeldUp).toBe(true)
    events.emit('release')
    await working
    const outcome = await waiting
    expect(outcome).toMatchObject({ state: 'committed' })
    expect(outcome.stored.map(({ duplicate }) => duplicate)).toEqual([true, false])
    await expectStored(t, [old, fresh, ...others])
    const [sum] = await t.db.sql`
      select sum(byte_length + metadata_length)::int as bytes from instances`
    expect(await t.storedBytes()).toBe(sum?.bytes)
  })
})

describe('a transfer that is committed in a group', () => {
  test('is finished, not broken off, when the server stops meanwhile', async () => {
    await using t = await testIntake()
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const create = t.store.create
    t.store.create = async (segmentID) => {
      const writer = await create.call(t.store, segmentID)
      const sync = writer.sync.bind(writer)
      return Object.assign(writer, { sync: () => held.then(sync) })
    }
    const file = dicomFile()
    const sending = t.send([file])
    await expect.poll(() => segmentCount(t)).toBe(1)
    const stopping = t.intake.stop(0)
    release()
    await stopping
    expect(await sending).toMatchObject({ state: 'committed' })
    await expectStored(t, [file])
  })

  test('says the same of itself as one with a segment of its own', async () => {
    const facts = []
    const study = { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
    const files = [dicomFile(study), Buffer.from('not DICOM'), dicomFile(study)]
    for (const limits of [{}, nothingHeld]) {
      await using t = await testIntake(limits)
      const { transferID } = await t.send(files, { handling: 'lenient' })
      const { startedAt, endedAt, leaseUntil, serverID, refusals, ...row } =
        (await findTransfer(t.db, transferID)) ?? ({} as never)
      expect(startedAt.getTime()).toBeLessThanOrEqual(endedAt?.getTime() ?? 0)
      const refused = refusals.map(({ position, failureReason, detail }) => [
        position,
        failureReason,
        detail,
      ])
      facts.push({ ...row, transferID: '', refused })
    }
    expect(facts[0]).toEqual(facts[1])
  })
})
