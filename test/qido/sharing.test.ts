import { describe, expect, test } from 'vitest'
import { Sharing } from '../../server/qido/sharing.ts'

/** Work that ends when it is told to, and what was seen of it. */
function work() {
  const sharing = new Sharing<string>()
  const begun: { signal: AbortSignal; end(value: string): void; fail(error: Error): void }[] = []
  return {
    begun,
    ask: (key: string, signal = new AbortController().signal) =>
      sharing.run(
        key,
        signal,
        (signal) =>
          new Promise<string>((resolve, reject) => {
            begun.push({ signal, end: resolve, fail: reject })
          }),
      ),
  }
}

describe('What many ask for at once', () => {
  test('is done again for all who came while it was being done, and is given to nobody who came later', async () => {
    const { begun, ask } = work()
    const first = ask('studies')
    const others = [ask('studies'), ask('studies')]
    expect(begun).toHaveLength(1)
    begun[0]?.end('before they came')
    expect(await first).toBe('before they came')
    await expect.poll(() => begun.length).toBe(2)
    const last = ask('studies')
    begun[1]?.end('after they came')
    expect(await Promise.all(others)).toEqual(['after they came', 'after they came'])
    await expect.poll(() => begun.length).toBe(3)
    begun[2]?.end('after the last came')
    expect(await last).toBe('after the last came')
  })

  test('waits for nobody who asks for something else, nor for what ended', async () => {
    const { begun, ask } = work()
    const [one, other] = [ask('studies'), ask('series')]
    expect(begun).toHaveLength(2)
    begun[1]?.end('b')
    expect(await other).toBe('b')
    begun[0]?.end('a')
    expect(await one).toBe('a')
    const again = ask('studies')
    expect(begun).toHaveLength(3)
    begun[2]?.end('c')
    expect(await again).toBe('c')
  })

  test('does not wait for what takes long', async () => {
    const { begun, ask } = work()
    const long = ask('studies')
    const quick = ask('studies')
    await expect.poll(() => begun.length).toBe(2)
    begun[1]?.end('quick')
    expect(await quick).toBe('quick')
    begun[0]?.end('long')
    expect(await long).toBe('long')
  })

  test('fails for all who share it, and is tried again for the next', async () => {
    const { begun, ask } = work()
    const first = ask('studies')
    const others = [ask('studies'), ask('studies')].map((one) => one.catch(String))
    begun[0]?.end('')
    await first
    await expect.poll(() => begun.length).toBe(2)
    begun[1]?.fail(new Error('the database is away'))
    const failure = 'Error: the database is away'
    expect(await Promise.all(others)).toEqual([failure, failure])
    const next = ask('studies')
    expect(begun).toHaveLength(3)
    begun[2]?.end('there')
    expect(await next).toBe('there')
  })

  test('is given up when all have left who share it, and not before', async () => {
    const { begun, ask } = work()
    const first = ask('studies')
    const clients = [new AbortController(), new AbortController()] as const
    const shared = clients.map(({ signal }) => ask('studies', signal))
    begun[0]?.end('')
    await first
    await expect.poll(() => begun.length).toBe(2)
    clients[0].abort()
    expect(begun[1]?.signal.aborted).toBe(false)
    clients[1].abort()
    expect(begun[1]?.signal.aborted).toBe(true)
    begun[1]?.end('')
    await Promise.all(shared)
    const gone = ask('studies', AbortSignal.abort())
    expect(begun[2]?.signal.aborted).toBe(true)
    begun[2]?.end('')
    await gone
  })
  test('is not given up for who comes when all others who wait have left', async () => {
    const { begun, ask } = work()
    const first = ask('studies')
    const leaver = new AbortController()
    const left = ask('studies', leaver.signal)
    leaver.abort()
    const stayed = ask('studies')
    begun[0]?.end('')
    await first
    await expect.poll(() => begun.length).toBe(2)
    expect(begun[1]?.signal.aborted).toBe(false)
    begun[1]?.end('found')
    expect(await Promise.all([left, stayed])).toEqual(['found', 'found'])
  })
})
