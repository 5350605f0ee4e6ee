import { describe, expect, test } from 'vitest'
import { type Instance, instancesOf } from '../../db/instances.ts'
import type { Store } from '../../server/store/store.ts'
import { findFrames, KeptFrames } from '../../server/wado/kept-frames.ts'
import { filesOfStudy, madeStudy } from '../deletion/support.ts'
import { type TestIntake, testIntake } from '../support/intake.ts'

/** The store, which counts what is read of it and fails when told to. */
function watched(store: Store) {
  const seen = { reads: 0, isBroken: false }
  const read: Store['read'] = (...range) => {
    seen.reads++
    if (seen.isBroken) throw new Error('EIO')
    return store.read(...range)
  }
  return { seen, store: { ...store, read } }
}

async function oneInstance(t: TestIntake): Promise<Instance> {
  const study = madeStudy(1, 1)
  await t.send(filesOfStudy(study))
  const { value } = await instancesOf(t.db, study).next()
  return value as Instance
}

describe('The frames of an instance', () => {
  test('are looked for once, also by many at a time', async () => {
    await using t = await testIntake()
    const instance = await oneInstance(t)
    const { seen, store } = watched(t.store)
    const kept = new KeptFrames()
    const [first] = await Promise.all([kept.of(instance, store), kept.of(instance, store)])
    expect(await kept.of(instance, store)).toBe(first)
    expect(first.count).toBe(1)
    expect(seen.reads).toBe(1)
  })

  test('are looked for again after it failed', async () => {
    await using t = await testIntake()
    const instance = await oneInstance(t)
    const { seen, store } = watched(t.store)
    const kept = new KeptFrames()
    seen.isBroken = true
    await expect(kept.of(instance, store)).rejects.toThrow('EIO')
    seen.isBroken = false
    expect((await kept.of(instance, store)).count).toBe(1)
  })

  test('of one that has too many to be kept take the place of no others', async () => {
    await using t = await testIntake()
    const instance = await oneInstance(t)
    const { seen, store } = watched(t.store)
    const kept = new KeptFrames(async (one) => {
      const count = one === instance ? 1_000_000 : 1
      const frames = await findFrames(one, store)
      return { ...frames, isEncapsulated: true, count }
    })
    const others = Array.from({ length: 100 }, () => ({ ...instance }))
    for (const one of [...others, instance, ...others]) await kept.of(one, store)
    expect(seen.reads).toBe(101)
    await kept.of(instance, store)
    expect(seen.reads).toBe(102)
  })

  test('of so many as there is room for are kept, those that were asked for last', async () => {
    await using t = await testIntake()
    const instance = await oneInstance(t)
    const { seen, store } = watched(t.store)
    const kept = new KeptFrames()
    const all = Array.from({ length: 17_000 }, () => ({ ...instance }))
    const [first, second] = all as [Instance, Instance]
    for (const one of all) {
      await kept.of(one, store)
      await kept.of(first, store)
    }
    expect(seen.reads).toBe(all.length)
    for (const one of [first, ...all.slice(-100)]) await kept.of(one, store)
    expect(seen.reads).toBe(all.length)
    await kept.of(second, store)
    expect(seen.reads).toBe(all.length + 1)
  })
})
