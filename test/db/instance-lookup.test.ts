import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Database } from '../../db/database.ts'
import { deleteResource } from '../../db/deletions.ts'
import { disbelief, InstanceLookup } from '../../db/instance-lookup.ts'
import type { WadoDeps } from '../../server/wado/deps.ts'
import { notFound } from '../../server/wado/open.ts'
import { deleted, filesOfStudy, type MadeStudy, madeStudy } from '../deletion/support.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { testIntake } from '../support/intake.ts'

/** A lookup of a server's own, and how many statements it has made. */
function lookupOn({ orm, sql }: Database) {
  const asked: string[] = []
  const counting = new Proxy(sql, {
    apply(target, self, given: [TemplateStringsArray, ...unknown[]]) {
      const text = given[0].join('?')
      if (text.includes('select')) asked.push(text)
      return Reflect.apply(target as (...all: unknown[]) => unknown, self, given)
    },
  })
  return { lookup: new InstanceLookup({ orm, sql: counting }), asked }
}

const keysOf = ({ studyInstanceUID, instances }: MadeStudy) =>
  instances.map(({ seriesInstanceUID, sopInstanceUID }) => ({
    studyInstanceUID,
    seriesInstanceUID,
    sopInstanceUID,
  }))

type Keys = ReturnType<typeof keysOf>[0]

describe('The lookup of instances', () => {
  test('reads the rest of a series ahead for who asks for one after the other', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 40)
    await t.send(filesOfStudy(study))
    const { lookup, asked } = lookupOn(t.db)
    const found: string[] = []
    for (const keys of keysOf(study)) {
      const instance = await lookup.find(keys)
      found.push(instance?.sopInstanceUID as string)
      if (found.length === 3)
        await expect.poll(() => lookup.keptCount, { timeout: 10_000 }).toBe(40)
    }
    expect(found).toEqual(study.instances.map(({ sopInstanceUID }) => sopInstanceUID))
    const ofInstances = asked.filter((text) => text.includes('from instances'))
    expect(ofInstances).toHaveLength(4)
  })

  test('finds nothing under another series or another study, known or not', async () => {
    await using t = await testIntake()
    const [study, other] = [madeStudy(2, 4), madeStudy(1, 1)]
    await t.send(filesOfStudy(study))
    await t.send(filesOfStudy(other))
    const { lookup } = lookupOn(t.db)
    const [keys] = keysOf(study) as [Keys]
    const otherSeries = keysOf(study).at(-1) as Keys
    const wrong = [
      { ...keys, seriesInstanceUID: otherSeries.seriesInstanceUID },
      { ...keys, ...pick(keysOf(other)[0] as Keys, 'studyInstanceUID') },
      { ...keys, ...pick(keysOf(other)[0] as Keys, 'studyInstanceUID', 'seriesInstanceUID') },
    ]
    for (let round = 0; round < 2; round++) {
      for (const path of wrong) expect(await lookup.find(path)).toBeUndefined()
      for (const path of [...keysOf(study), ...keysOf(other)]) {
        expect(await lookup.find(path)).toMatchObject(path)
      }
    }
  })

  test('never finds what was said to be deleted, whichever server said so, and to whomever', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 30)
    await t.send(filesOfStudy(study))
    const lookups = [lookupOn(t.db), lookupOn(t.db)].map(({ lookup }) => lookup)
    const [last, ...all] = keysOf(study).reverse() as [Keys, ...Keys[]]
    const found: unknown[] = []
    for (const [index, keys] of all.entries()) {
      await using _readers = keepReading(lookups, last)
      for (const one of lookups) expect(await one.find(keys)).toBeDefined()
      // Two at once: one of them hears that it is gone already.
      const deleting = [1, 2].map(() => deleteResource(t.db, keys, { allowResend: true }))
      const heard = index % 2 === 0 ? Promise.race(deleting) : Promise.all(deleting)
      await heard
      found.push(...(await Promise.all(lookups.map((one) => one.find(keys)))))
      await Promise.all(deleting)
    }
    expect(found).toEqual(found.map(() => undefined))
  })

  test('never finds what a read was told is gone, before its deletion was answered', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 30)
    await t.send(filesOfStudy(study))
    const { lookup } = lookupOn(t.db)
    const [last, ...all] = keysOf(study).reverse() as [Keys, ...Keys[]]
    const found: unknown[] = []
    for (const keys of all) {
      await using _readers = keepReading([lookup], last)
      expect(await lookup.find(keys)).toBeDefined()
      const deleting = deleteResource(t.db, keys, {})
      // As another server does that had not looked it up before.
      while ((await notFound({ db: t.db } as WadoDeps, keys)).status !== 410);
      found.push(await lookup.find(keys))
      await deleting
    }
    expect(found).toEqual(found.map(() => undefined))
  })

  test('finds the place to which an instance was healed', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    const [keys] = keysOf(study) as [Keys]
    const { lookup } = lookupOn(t.db)
    for (let round = 0; round < 10; round++) {
      await using _readers = keepReading([lookup], keys)
      const before = await lookup.find(keys)
      const [row] = await t.db.sql<{ place: object }[]>`
        select jsonb_build_object(
          'sopInstanceUID', sop_instance_uid, 'segmentKey', segment_key, 'segmentOffset', segment_offset, 'isWhole', false
        ) as place
        from instances where sop_instance_uid = ${keys.sopInstanceUID}`
      await t.db.sql`select record_verification(${JSON.stringify([row?.place])}::text::jsonb)`
      // Nobody finds damage, and sends it again, within the moment for which the place before is believed.
      await disbelief()
      await lookup.find(keys)
      await t.send(filesOfStudy(study))
      const after = await lookup.find(keys)
      const placeOf = (one: typeof after) => [one?.segmentID, one?.segmentOffset]
      expect(placeOf(after)).not.toEqual(placeOf(before))
    }
  })

  test('finds what came instead of a deleted one', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    const { lookup } = lookupOn(t.db)
    const [keys] = keysOf(study) as [Keys]
    const before = await lookup.find(keys)
    await deleted(t.db, keys, { allowResend: true })
    await t.send(filesOfStudy(study))
    const after = await lookup.find(keys)
    expect(after?.digest).toEqual(before?.digest)
    expect([after?.segmentID, after?.segmentOffset]).not.toEqual([
      before?.segmentID,
      before?.segmentOffset,
    ])
    expect(after?.receivedAt.getTime()).toBeGreaterThan(before?.receivedAt.getTime() as number)
  })

  test('keeps ten thousand instances at most, and finds the others all the same', async () => {
    await using t = await testIntake()
    const { lookup } = lookupOn(t.db)
    const last: Keys[] = []
    for (let number = 1; number <= 13; number++) {
      const study = madeStudy(1, 1)
      await t.send(filesOfStudy(study))
      const all = await filledUp(t.db, study)
      for (const keys of all.slice(0, 3)) expect(await lookup.find(keys)).toMatchObject(keys)
      await expect
        .poll(() => lookup.keptCount, { timeout: 10_000 })
        .toBe(Math.min(number, 10) * 1000)
      last.push(all.at(-1) as Keys)
    }
    for (const keys of last) expect(await lookup.find(keys)).toMatchObject(keys)
    expect(lookup.keptCount).toBeLessThanOrEqual(10_000)

    const large = madeStudy(1, 1)
    await t.send(filesOfStudy(large))
    const all = await filledUp(t.db, large, 11_000)
    const found = await Promise.all(all.map((keys) => lookup.find(keys)))
    expect(found.map((one) => one?.sopInstanceUID)).toEqual(
      all.map(({ sopInstanceUID }) => sopInstanceUID),
    )
    await expect.poll(() => lookup.keptCount, { timeout: 10_000 }).toBe(10_000)
  })
})

/** Reads something all the time, so that its study is believed to be what it was at every moment. */
function keepReading(lookups: InstanceLookup[], keys: Keys): AsyncDisposable {
  let goesOn = true
  const reading = lookups.map(async (one) => {
    while (goesOn) {
      await one.find(keys)
      await nextTurn()
    }
  })
  return {
    async [Symbol.asyncDispose]() {
      goesOn = false
      await Promise.all(reading)
    },
  }
}

function pick<T, K extends keyof T>(from: T, ...keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>
}

/** Adds to a study of one instance so many more that it has so many; all of them lie where that one lies. */
async function filledUp({ sql }: Database, study: MadeStudy, count = 1000): Promise<Keys[]> {
  const [first] = keysOf(study) as [Keys]
  const uids = Array.from({ length: count - 1 }, () => uniqueUID())
  await sql`
    insert into instances
    select (jsonb_populate_record(null::instances, to_jsonb(i) || jsonb_build_object('sop_instance_uid', uid))).*
    from instances i, unnest(${uids}::text[]) uid
    where i.sop_instance_uid = ${first.sopInstanceUID}`
  return [first, ...uids.map((sopInstanceUID) => ({ ...first, sopInstanceUID }))]
}
