import { randomUUID } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { listChanges, numberChanges } from '../../db/changes.ts'
import { claimSegment, recordVerification, releaseSegmentClaim } from '../../db/verification.ts'
import { silentLog } from '../../server/log.ts'
import { Scrubber, type ScrubberLimits } from '../../server/verification/scrubber.ts'
import { filledArchive, placeOf } from '../check/support.ts'
import { flipByte, marksOf } from '../commitment/support.ts'
import type { TestIntake } from '../support/intake.ts'

type Archive = Awaited<ReturnType<typeof filledArchive>>

const claim = { againSeconds: 3600, leaseMs: 30_000 }

function scrubber(archive: TestIntake, limits: Partial<ScrubberLimits> = {}) {
  const one = new Scrubber({
    ...archive,
    log: silentLog,
    serverID: randomUUID(),
    changed() {},
    limits: { bytesPerSecond: 1e9, ...claim, ...limits },
  })
  one.start()
  return Object.assign(one, { [Symbol.asyncDispose]: () => one.stop() })
}

/** As if all had been stored that many hours ago, the first one first. */
async function age(archive: TestIntake, hours: number): Promise<void> {
  await archive.db.sql`
    update segments
    set
      created_at = created_at - make_interval(hours => ${hours}),
      verified_at = verified_at - make_interval(hours => ${hours})`
}

async function unverified(archive: TestIntake): Promise<number> {
  return (await archive.db.sql`select from segments where verified_at is null`).length
}

async function allVerified(archive: TestIntake): Promise<void> {
  await expect.poll(() => unverified(archive), { timeout: 30_000 }).toBe(0)
}

describe('the scrubber', () => {
  test('reads every segment again, and finds nothing where nothing is wrong', async () => {
    await using archive = await filledArchive()
    await age(archive, 2)
    await using _ = scrubber(archive)
    await allVerified(archive)
    expect(await archive.db.sql`select from instances where damaged_at is not null`).toEqual([])
  })

  test('finds a flipped byte: marks the instance, counts it, tells the feed; and when it is right again', async () => {
    await using archive = await filledArchive()
    const { studyInstanceUID, instances } = archive.first
    const [, damaged] = instances as [I, I]
    await flipByte(archive, damaged.sopInstanceUID)
    await age(archive, 2)
    {
      await using _ = scrubber(archive)
      await allVerified(archive)
    }
    expect(await marksOf(archive.db, studyInstanceUID)).toEqual({ committed: 0, damaged: 1 })
    await flipByte(archive, damaged.sopInstanceUID)
    await archive.db.sql`update segments set verified_at = null`
    {
      await using _ = scrubber(archive)
      await allVerified(archive)
    }
    expect(await marksOf(archive.db, studyInstanceUID)).toEqual({ committed: 0, damaged: 0 })
    await numberChanges(archive.db)
    const told = (await listChanges(archive.db, { since: 0, limit: 1000 })).filter(
      ({ type }) => type === 'damaged',
    )
    const { sopInstanceUID, seriesInstanceUID } = damaged
    const named = { level: 'instance', sopInstanceUID, seriesInstanceUID, studyInstanceUID }
    expect(told).toMatchObject([
      { ...named, details: { isDamaged: true } },
      { ...named, details: { isDamaged: false } },
    ])
  })

  test('finds a segment that is gone, and one that is too short', async () => {
    await using archive = await filledArchive()
    const { path } = await placeOf(archive, archive.second.instances[0]?.sopInstanceUID)
    await rename(path, `${path}.away`)
    await age(archive, 2)
    await using _ = scrubber(archive)
    await allVerified(archive)
    const { studyInstanceUID } = archive.second
    expect(await marksOf(archive.db, studyInstanceUID)).toEqual({ committed: 0, damaged: 3 })
  })

  test('with a rate of 0 reads nothing', async () => {
    await using archive = await filledArchive()
    await age(archive, 2)
    const one = scrubber(archive, { bytesPerSecond: 0 })
    await one.stop()
    expect(await unverified(archive)).toBe(3)
    expect(await archive.db.sql`select from segments where verified_by is not null`).toEqual([])
  })

  test('that is stopped in the middle lets go of its segment', async () => {
    await using archive = await filledArchive()
    await age(archive, 2)
    const one = scrubber(archive, { bytesPerSecond: 100 })
    const claims = () => archive.db.sql`select from segments where verify_until is not null`
    await expect.poll(async () => (await claims()).length).toBe(1)
    await one.stop()
    expect(await claims()).toEqual([])
    expect(await unverified(archive)).toBe(3)
  })
})

describe('the segment that is verified next', () => {
  const [one, other] = [randomUUID(), randomUUID()]

  test('is the one that was read longest ago, and none that was read lately', async () => {
    await using archive = await filledArchive()
    expect(await claimSegment(archive.db, one, claim)).toBeUndefined()
    await age(archive, 2)
    const keys: number[] = []
    for (let n = 0; n < 3; n++) keys.push(await verified(archive))
    expect(keys).toEqual([...keys].sort((a, b) => a - b))
    expect(new Set(keys).size).toBe(3)
    expect(await claimSegment(archive.db, one, claim)).toBeUndefined()
    await age(archive, 2)
    expect(await verified(archive)).toBe(keys[0])
  })

  test('is given to one server at a time, whichever asks, until its lease is over', async () => {
    await using archive = await filledArchive()
    await age(archive, 2)
    const claims = await Promise.all(
      [one, other, one, other].map((server) => claimSegment(archive.db, server, claim)),
    )
    expect(claims.filter((segment) => segment !== undefined)).toHaveLength(1)
    await archive.db
      .sql`update segments set verify_until = now() - interval '1 s' where verify_until is not null`
    const next = await claimSegment(archive.db, other, claim)
    expect(next).toEqual(claims.find((segment) => segment !== undefined))
  })

  async function verified(archive: Archive): Promise<number> {
    const segment = await claimSegment(archive.db, one, claim)
    await releaseSegmentClaim(archive.db, one, segment?.segmentKey as number, true)
    return segment?.segmentKey as number
  }
})

describe('what reading an instance found', () => {
  test('says nothing of one that was moved or deleted meanwhile', async () => {
    await using archive = await filledArchive()
    const uid = archive.first.instances[0]?.sopInstanceUID as string
    const [row] = await archive.db.sql`
      select segment_key, segment_offset from instances where sop_instance_uid = ${uid}`
    const found = {
      sopInstanceUID: uid,
      segmentKey: row?.segment_key as number,
      segmentOffset: row?.segment_offset as number,
      isWhole: false,
    }
    const moved = { ...found, segmentOffset: found.segmentOffset + 1 }
    expect(await recordVerification(archive.db, [moved])).toBe(0)
    expect(await recordVerification(archive.db, [{ ...found, sopInstanceUID: '1.2.3' }])).toBe(0)
    expect(await recordVerification(archive.db, [found])).toBe(1)
    expect(await recordVerification(archive.db, [found])).toBe(0)
    const { studyInstanceUID } = archive.first
    expect(await marksOf(archive.db, studyInstanceUID)).toEqual({ committed: 0, damaged: 1 })
  })
})

type I = { sopInstanceUID: string; seriesInstanceUID: string }
