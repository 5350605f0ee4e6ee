import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type IdleWait, IdleWatch } from '../../server/http/idle-watch.ts'

test('who waits for too long is told once; who does not wait, or is done, is not', async () => {
  const watch = new IdleWatch()
  const told: string[] = []
  const add = (name: string, since: number | undefined) => {
    const wait: IdleWait = { since, idleMs: 40, tooLong: () => told.push(name) }
    watch.add(wait)
    return wait
  }
  const now = performance.now()
  add('waiting', now)
  add('not waiting', undefined)
  watch.remove(add('done', now))
  const busy = add('busy', now)
  for (let n = 0; n < 10; n++) {
    await sleep(10)
    busy.since = performance.now()
  }
  expect(told).toEqual(['waiting'])
  await sleep(100)
  expect(told).toEqual(['waiting', 'busy'])
  // After all were gone, too.
  const late = new IdleWatch()
  late.remove({ since: now, idleMs: 4, tooLong() {} })
  await sleep(20)
  late.add({ since: now, idleMs: 4, tooLong: () => told.push('late') })
  await sleep(50)
  expect(told).toEqual(['waiting', 'busy', 'late'])
})

test('one who throws when it was too long is not the last who is watched', async () => {
  const watch = new IdleWatch()
  const since = performance.now()
  const thrown = new Promise((resolve) => {
    process.once('uncaughtException', resolve)
  })
  const others = process.listeners('uncaughtException')
  const mine = others.at(-1) as NodeJS.UncaughtExceptionListener
  for (const one of others) if (one !== mine) process.off('uncaughtException', one)
  try {
    watch.add({
      since,
      idleMs: 4,
      tooLong() {
        throw new Error('It cannot be cancelled')
      },
    })
    const told = new Promise((resolve) => {
      watch.add({ since: since + 40, idleMs: 4, tooLong: () => resolve('told') })
    })
    expect(await thrown).toMatchObject({ message: 'It cannot be cancelled' })
    expect(await told).toBe('told')
  } finally {
    for (const one of others) if (one !== mine) process.on('uncaughtException', one)
  }
})
