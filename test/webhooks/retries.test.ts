import { expect, test } from 'vitest'
import { retryDelayMs, retryDelaysMs } from '../../server/webhooks/retries.ts'

test('attempts go on for most of a day and more, each wait at least as long as the one before, whatever the jitter', () => {
  const at = (random: number) =>
    retryDelaysMs.map((_, index) => retryDelayMs(index + 1, retryDelaysMs, random) as number)
  expect(at(0).reduce((sum, ms) => sum + ms)).toBeGreaterThan(22 * 3_600_000)
  for (const [index, ms] of at(1).slice(0, -1).entries()) {
    expect(at(0)[index + 1]).toBeGreaterThanOrEqual(ms)
  }
  expect(retryDelayMs(retryDelaysMs.length + 1, retryDelaysMs, 0.5)).toBeUndefined()
})
