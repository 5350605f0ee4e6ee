import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { LiveView } from '../../server/live/live-view.ts'
import { silentLog } from '../../server/log.ts'

const timing = { betweenLooksMs: 40, heartbeatMs: 400 }
const never = 1_000_000

/** A hub and a look that a test holds in its hands. */
function play(look?: () => Promise<Map<string, string>>, heartbeatMs = timing.heartbeatMs) {
  const subscribers = new Set<() => void>()
  const hub = {
    isStopped: false,
    lookCount: 0,
    state: { a: '1', b: '1' } as Record<string, string>,
    notify: () => {
      for (const heard of subscribers) heard()
    },
    subscriberCount: () => subscribers.size,
    subscribe: (heard: () => void) => {
      subscribers.add(heard)
      return () => subscribers.delete(heard)
    },
  }
  const view = new LiveView<string>({
    live: hub,
    log: silentLog,
    timing: { ...timing, heartbeatMs },
    look: async () => {
      hub.lookCount++
      return look ? look() : new Map(Object.entries(hub.state))
    },
  })
  return { hub, view }
}

describe('a live view', () => {
  test('shows all of it first, then only what differs', async () => {
    const { hub, view } = play()
    const left = new AbortController()
    const news = view.watch(left.signal)
    expect((await news.next()).value).toEqual(
      new Map([
        ['a', '1'],
        ['b', '1'],
      ]),
    )
    hub.state.b = '2'
    hub.notify()
    expect((await news.next()).value).toEqual(new Map([['b', '2']]))
    await news.return()
  })

  test('looks at most once in its interval, and once for all who watch', async () => {
    const { hub, view } = play()
    const left = new AbortController()
    const watchers = [1, 2, 3].map(() => view.watch(left.signal))
    await Promise.all(watchers.map((one) => one.next()))
    hub.lookCount = 0
    const begunAt = Date.now()
    const last = watchers.map(async (one) => {
      for await (const news of one) if (news.get('a') === 'end') return
    })
    for (let count = 0; count < 200; count++) {
      hub.state.a = `${count}`
      hub.notify()
      await sleep(1)
    }
    hub.state.a = 'end'
    hub.notify()
    await Promise.all(last)
    expect(hub.lookCount).toBeLessThanOrEqual((Date.now() - begunAt) / timing.betweenLooksMs + 2)
    expect(hub.lookCount).toBeGreaterThan(2)
  })

  test('gives a slow watcher the newest state, not what it missed', async () => {
    const { hub, view } = play()
    const news = view.watch(new AbortController().signal)
    await news.next()
    for (const a of ['2', '3', '4']) {
      hub.state.a = a
      hub.notify()
      await sleep(2 * timing.betweenLooksMs)
    }
    expect((await news.next()).value).toEqual(new Map([['a', '4']]))
    await news.return()
  })

  test('does not lose a change that comes while it looks', async () => {
    let release = () => {}
    let state = 'old'
    const { hub, view } = play(async () => {
      const seen = state
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return new Map([['a', seen]])
    }, never)
    const news = view.watch(new AbortController().signal)
    const first = news.next()
    await expect.poll(() => hub.lookCount).toBe(1)
    state = 'new'
    hub.notify()
    release()
    expect((await first).value).toEqual(new Map([['a', 'old']]))
    const second = news.next()
    await expect.poll(() => hub.lookCount).toBe(2)
    release()
    expect((await second).value).toEqual(new Map([['a', 'new']]))
    await news.return()
  })

  test('gives a sign of life, and finds by itself what no notice told', async () => {
    const { hub, view } = play()
    const news = view.watch(new AbortController().signal)
    await news.next()
    expect((await news.next()).value).toEqual(new Map())
    hub.state.a = '2'
    expect((await news.next()).value).toEqual(new Map([['a', '2']]))
    await news.return()
  })

  test('ends for whoever leaves, and rests when nobody watches', async () => {
    const { hub, view } = play()
    const left = new AbortController()
    const news = view.watch(left.signal)
    await news.next()
    const next = news.next()
    left.abort()
    expect((await next).done).toBe(true)
    expect([view.watcherCount, hub.subscriberCount()]).toEqual([0, 0])
    const { lookCount } = hub
    await sleep(2 * timing.heartbeatMs)
    expect(hub.lookCount).toBe(lookCount)
  })

  test('goes on for the others when one leaves', async () => {
    const { hub, view } = play(undefined, never)
    const watchers = [1, 2].map(() => view.watch(new AbortController().signal))
    await Promise.all(watchers.map((one) => one.next()))
    await watchers[0]?.return()
    const next = watchers[1]?.next()
    hub.state.a = '2'
    hub.notify()
    expect((await next)?.value).toEqual(new Map([['a', '2']]))
    await watchers[1]?.return()
  })

  test('ends when the hub stops', async () => {
    const { hub, view } = play()
    const news = view.watch(new AbortController().signal)
    await news.next()
    const next = news.next()
    hub.isStopped = true
    hub.notify()
    expect((await next).done).toBe(true)
  })

  test('ends all watches when it cannot look, and begins anew when it can again', async () => {
    let isBroken = false
    const { hub, view } = play(async () => {
      if (isBroken) throw new Error('the database is away')
      return new Map([['a', '1']])
    })
    const news = view.watch(new AbortController().signal)
    await news.next()
    isBroken = true
    const next = news.next()
    hub.notify()
    await expect(next).rejects.toThrow('away')
    await expect(view.watch(new AbortController().signal).next()).rejects.toThrow('away')
    isBroken = false
    const again = view.watch(new AbortController().signal)
    expect((await again.next()).value).toEqual(new Map([['a', '1']]))
    await again.return()
    expect(view.watcherCount).toBe(0)
  })
})
