import { Webhook as Verifier } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { replaceSecret, updateWebhook } from '../../db/webhooks.ts'
import { retryDelayMs } from '../../server/webhooks/retries.ts'
import { startReceiver } from '../support/receiver.ts'
import { delivererTest, secret } from './support.ts'

const otherSecret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`

describe('the secret of a webhook', () => {
  test('is replaced while the one before it signs too, until its time is over', async () => {
    await using receiver = await startReceiver()
    await using here = await delivererTest()
    const deliverer = here.deliverer()
    const webhookID = await here.add(receiver.url)
    await replaceSecret(here.db, webhookID, otherSecret, 60_000)
    await here.change('1.2.3', 0)
    await receiver.until(() => receiver.accepted.length === 1)
    const both = receiver.accepted[0]
    for (const one of [secret, otherSecret]) {
      expect(new Verifier(one).verify(both?.text ?? '', both?.headers ?? {})).toBeTruthy()
    }
    await here.db.sql`update webhooks set old_secret_until = now()`
    deliverer.wake()
    await here.change('1.2.3', 1)
    await receiver.until(() => receiver.accepted.length === 2)
    const { text, headers } = receiver.accepted[1] ?? { text: '', headers: {} }
    expect(new Verifier(otherSecret).verify(text, headers)).toBeTruthy()
    expect(() => new Verifier(secret).verify(text, headers)).toThrow()
  })
})

describe('a receiver that says Retry-After', () => {
  test('in seconds or as a date is left alone so long, and no longer than a day', async () => {
    await using receiver = await startReceiver(() => 503)
    await using here = await delivererTest()
    here.deliverer()
    const webhookID = await here.add(receiver.url)
    const waits: [asked: string, seconds: number][] = [
      ['300', 300],
      [new Date(Date.now() + 600_000).toUTCString(), 600],
      ['9999999', 86_400],
      ['soon', 0],
    ]
    for (const [n, [asked, seconds]] of waits.entries()) {
      receiver.headers['retry-after'] = asked
      await here.change(`1.2.${n}`, 0)
      await receiver.until(async () => (await here.webhook(webhookID)).failedAttemptCount > n)
      const [row] = await here.db.sql`
        select extract(epoch from due_at - last_attempt_at)::float8 as waits
        from webhook_deliveries
        where subject = ${`1.2.${n}`}`
      expect(row?.waits).toBeGreaterThan(seconds - 10)
      expect(row?.waits).toBeLessThan(seconds + 60)
    }
  })

  test('never makes us come earlier than we would, nor more often', () => {
    expect(retryDelayMs(1, [1000], 0.5, 10)).toBe(1000)
    expect(retryDelayMs(1, [1000], 0.5, 5000)).toBe(5000)
    expect(retryDelayMs(2, [1000], 0.5, 5000)).toBeUndefined()
  })
})

describe('a receiver that answers 410', () => {
  test('is asked nothing more until an administrator says so, and then misses nothing', async () => {
    await using receiver = await startReceiver(() => 410)
    await using here = await delivererTest()
    const deliverer = here.deliverer({ retryDelaysMs: [] })
    const webhookID = await here.add(receiver.url)
    await here.change('1.2.3', 0)
    await receiver.until(async () => (await here.webhook(webhookID)).isPaused)
    await receiver.until(async () => (await here.states()).waiting === 1)
    expect(await here.webhook(webhookID)).toMatchObject({ lastStatus: 410 })
    await here.change('1.2.3', 1)
    await here.change('1.2.4', 2)
    receiver.behaviour = () => 200
    expect(receiver.received).toHaveLength(1)
    await updateWebhook(here.db, webhookID, { isPaused: false })
    deliverer.wake()
    await receiver.until(() => receiver.accepted.length === 3)
    const numbers = receiver.accepted
      .filter(({ message }) => message.data.studyInstanceUID === '1.2.3')
      .map(({ message }) => message.data.n)
    expect(numbers).toEqual([0, 1])
  })
})
