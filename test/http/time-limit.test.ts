import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { timeLimit } from '../../server/http/time-limit.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('a time limit holds, whatever garbage is collected meanwhile', async () => {
  const { signal: other } = new AbortController()
  using limit = timeLimit(200, other)
  const over = once(limit.signal, 'abort')
  for (let times = 0; times < 5; times++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    collectGarbage()
  }
  await over
  expect(limit.signal.reason).toMatchObject({ name: 'TimeoutError' })
})

test('a time limit ends with the other signal, and is let go of', () => {
  const other = new AbortController()
  using limit = timeLimit(60_000, other.signal)
  using ended = timeLimit(60_000, AbortSignal.abort('before'))
  expect([limit.signal.aborted, ended.signal.reason]).toEqual([false, 'before'])
  other.abort('left')
  expect(limit.signal.reason).toBe('left')
})
