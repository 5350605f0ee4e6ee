import { Webhook as Verifier } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { numberChanges } from '../../db/changes.ts'
import {
  type Claim,
  claimDeliveries,
  completeDelivery,
  dropDelivery,
  enqueueDeliveries,
  failDelivery,
  listDeliveries,
  resendDeliveries,
} from '../../db/deliveries.ts'
import { updateWebhook } from '../../db/webhooks.ts'
import { SeededRandom } from '../support/random.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { delivererTest, secret } from './support.ts'

/** What a receiver accepted of a study, without repeats. */
function numbersOf(receiver: Receiver, studyInstanceUID: string): number[] {
  const seen = new Set<string>()
  return receiver.accepted
    .filter(({ message }) => message.data.studyInstanceUID === studyInstanceUID)
    .filter(({ id }) => !seen.has(id) && seen.add(id))
    .map(({ message }) => message.data.n as number)
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('webhooks (issue 5, point 6)', () => {
  test('a message is the change, signed after the Standard Webhooks scheme', async () => {
    await using receiver = await startReceiver()
    await using here = await delivererTest()
    here.deliverer()
    const webhookID = await here.add(receiver.url)
    await here.change('1.2.3', 5, { type: 'stable' })
    await receiver.until(() => receiver.accepted.length === 1)
    const [{ headers, text, id } = { headers: {}, text: '', id: '' }] = receiver.accepted
    expect(id).toBe(`${webhookID}-1`)
    expect(new Verifier(secret).verify(text, headers)).toMatchObject({
      type: 'study.stable',
      timestamp: expect.any(String),
      data: { seq: 1, type: 'stable', level: 'study', studyInstanceUID: '1.2.3', n: 5 },
    })
    expect(() => new Verifier(secret).verify(text.replace('1.2.3', '1.2.4'), headers)).toThrow()
    await receiver.until(async () => (await here.webhook(webhookID)).deliveredCount === 1)
    expect(await here.states()).toEqual({})
    expect(await here.webhook(webhookID)).toMatchObject({ lastStatus: 204, lastError: null })
  })

  test('a receiver that fails, hangs and is slow by chance gets everything, in order for each study, from three servers', async () => {
    const random = new SeededRandom(5)
    const open = new Map<unknown, number>()
    let mostOpen = 0
    await using receiver = await startReceiver(async ({ message }) => {
      const chance = random.next()
      if (chance < 0.25) return 500
      if (chance < 0.28) return 'hang'
      const { studyInstanceUID } = message.data
      const now = (open.get(studyInstanceUID) ?? 0) + 1
      open.set(studyInstanceUID, now)
      mostOpen = Math.max(mostOpen, now)
      if (chance < 0.5) await new Promise((done) => setTimeout(done, 30))
      open.set(studyInstanceUID, now - 1)
      return 200
    })
    await using here = await delivererTest()
    for (let server = 0; server < 3; server++) here.deliverer({ timeoutMs: 2000 })
    await here.add(receiver.url)
    const studies = upTo(12).map((n) => `1.2.${n}`)
    for (const n of upTo(10)) {
      await Promise.all(studies.map((study) => here.change(study, n)))
    }
    const ids = () => new Set(receiver.accepted.map(({ id }) => id)).size
    await receiver.until(() => ids() === 120, 60)
    for (const study of studies) expect(numbersOf(receiver, study)).toEqual(upTo(10))
    await receiver.until(async () => Object.keys(await here.states()).length === 0)
    expect(mostOpen).toBe(1)
  })

  test('a receiver that hangs delays no other, and a study that fails no other study', async () => {
    await using dead = await startReceiver(() => 'hang')
    await using picky = await startReceiver(({ message }) =>
      message.data.studyInstanceUID === '1.2.0' ? 500 : 200,
    )
    await using here = await delivererTest()
    here.deliverer({ timeoutMs: 600_000, leaseMs: 700_000, retryDelaysMs: [600_000] })
    const deadID = await here.add(dead.url)
    const pickyID = await here.add(picky.url)
    for (const n of upTo(30)) for (const study of upTo(3)) await here.change(`1.2.${study}`, n)
    await picky.until(() => picky.accepted.length === 60)
    expect(numbersOf(picky, '1.2.1')).toEqual(upTo(30))
    expect(numbersOf(picky, '1.2.2')).toEqual(upTo(30))
    expect(
      picky.received.filter(({ message }) => message.data.studyInstanceUID === '1.2.0').length,
    ).toBe(1)
    await picky.until(async () => (await here.webhook(pickyID)).failedAttemptCount === 1)
    await picky.until(async () => (await here.webhook(pickyID)).deliveredCount === 60)
    expect(await here.states(pickyID)).toEqual({ waiting: 1, held: 29 })
    await dead.until(() => dead.received.length === 3)
    expect(await here.states(deadID)).toEqual({ sending: 3, held: 87 })
  })

  test('those that failed before take only a part of the room: a new study does not wait for them', async () => {
    await using receiver = await startReceiver(({ message }) =>
      message.data.n === 0 ? 'hang' : 200,
    )
    await using here = await delivererTest()
    // Of 4 at once: 4 hang once, then at most 2 of them are tried at the same time.
    here.deliverer({ atOnce: 4, retriesAtOnce: 2, timeoutMs: 600 })
    await here.add(receiver.url)
    for (const study of upTo(20)) await here.change(`1.2.${study}`, 0)
    await receiver.until(() => new Set(receiver.received.map(({ id }) => id)).size === 20)
    const before = receiver.received.length
    await here.change('1.3', 1)
    await receiver.until(() => receiver.accepted.length === 1)
    // Not behind the others' next attempts: those would be twenty.
    expect(receiver.received.length - before).toBeLessThan(20)
  })

  test('a receiver that goes away comes back to all that it missed', async () => {
    await using receiver = await startReceiver()
    await using here = await delivererTest()
    here.deliverer()
    const webhookID = await here.add(receiver.url)
    await here.change('1.2.3', 0)
    await receiver.until(() => receiver.accepted.length === 1)
    await receiver.stop()
    for (const n of [1, 2, 3]) await here.change('1.2.3', n)
    await receiver.until(async () => (await here.webhook(webhookID)).failedAttemptCount > 0)
    expect((await here.webhook(webhookID)).lastError).toBe('no answer (ECONNREFUSED)')
    await receiver.start()
    await receiver.until(() => receiver.accepted.length === 4)
    expect(numbersOf(receiver, '1.2.3')).toEqual([0, 1, 2, 3])
  })

  test('what never succeeds is dead, holds back its study alone, and is sent again or dropped by an administrator', async () => {
    await using receiver = await startReceiver(({ message }) =>
      message.data.studyInstanceUID === '1.2.3' ? 400 : 200,
    )
    await using here = await delivererTest()
    const deliverer = here.deliverer({ retryDelaysMs: [1, 1] })
    const webhookID = await here.add(receiver.url)
    for (const n of [0, 1, 2]) await here.change('1.2.3', n)
    await here.change('1.2.4', 0)
    await receiver.until(async () => (await here.states()).dead === 1)
    await receiver.until(() => numbersOf(receiver, '1.2.4').length === 1)
    expect(await here.states()).toEqual({ dead: 1, held: 2 })
    expect(receiver.received.length - receiver.accepted.length).toBe(3)
    const [dead] = await listDeliveries(here.db, webhookID, {
      states: ['dead'],
      since: 0,
      limit: 10,
    })
    expect(dead).toMatchObject({
      studyInstanceUID: '1.2.3',
      attempts: 3,
      lastStatus: 400,
      lastError: 'answered 400',
    })
    expect(JSON.stringify(dead)).not.toContain('SECRET')

    // Sent again in vain, it has all its attempts.
    expect(await resendDeliveries(here.db, webhookID, dead?.seq)).toBe(1)
    deliverer.wake()
    await receiver.until(async () => (await here.states()).dead === 1)
    expect(receiver.received.length - receiver.accepted.length).toBe(6)
    receiver.behaviour = () => 200
    expect(await dropDelivery(here.db, webhookID, dead?.seq as number)).toBe(true)
    deliverer.wake()
    await receiver.until(() => numbersOf(receiver, '1.2.3').length === 2)
    expect(numbersOf(receiver, '1.2.3')).toEqual([1, 2])
    expect(await dropDelivery(here.db, webhookID, dead?.seq as number)).toBe(false)
  })

  test('servers that claim at the same time share what is due, and claim only the oldest of each study', async () => {
    await using here = await delivererTest()
    const webhookID = await here.add('http://127.0.0.1:1/')
    for (const n of [0, 1]) {
      for (const study of upTo(40)) await here.change(`1.2.${study}`, n)
    }
    await numberChanges(here.db)
    while (await enqueueDeliveries(here.db, webhookID, 30)) {}
    const limits = { atMost: 5, retriesAtMost: 5, leaseMs: 60_000 }
    const claims = []
    for (;;) {
      const claimed = await Promise.all(
        upTo(8).map(() => claimDeliveries(here.db, webhookID, limits)),
      )
      if (claimed.flat().length === 0) break
      claims.push(...claimed.flat())
    }
    expect(claims.map(({ change }) => change.seq).sort((a, b) => a - b)).toEqual(
      upTo(40).map((n) => n + 1),
    )
    await Promise.all(claims.map((claim) => completeDelivery(here.db, claim, 200)))
    expect(await here.states()).toEqual({ waiting: 40 })
  })

  test('the claims of a server that died come back when their lease is over, by the clock of the database', async () => {
    await using receiver = await startReceiver()
    await using here = await delivererTest()
    const webhookID = await here.add(receiver.url)
    for (const n of [0, 1]) await here.change('1.2.3', n)
    await numberChanges(here.db)
    await enqueueDeliveries(here.db, webhookID, 100)
    const limits = { atMost: 5, retriesAtMost: 5, leaseMs: 700 }
    // A server that claims, and is never heard of again.
    const [lost] = await claimDeliveries(here.db, webhookID, limits)
    expect(lost?.change.details).toEqual({ n: 0 })
    expect(await claimDeliveries(here.db, webhookID, limits)).toEqual([])
    here.deliverer()
    await receiver.until(() => receiver.accepted.length === 2)
    expect(numbersOf(receiver, '1.2.3')).toEqual([0, 1])
  })

  test('what a server says after its claim is over is not believed, for another one is sending', async () => {
    await using here = await delivererTest()
    const webhookID = await here.add('http://127.0.0.1:1/')
    await here.change('1.2.3', 0)
    await numberChanges(here.db)
    await enqueueDeliveries(here.db, webhookID, 100)
    const limits = { atMost: 1, retriesAtMost: 1, leaseMs: 0 }
    const [late] = await claimDeliveries(here.db, webhookID, limits)
    const [current] = await claimDeliveries(here.db, webhookID, { ...limits, leaseMs: 60_000 })
    expect([late?.attempt, current?.attempt]).toEqual([1, 2])
    const failure = { status: 500, error: 'answered 500', retryMs: undefined }
    expect(await failDelivery(here.db, late as Claim, failure)).toBe(false)
    expect(await completeDelivery(here.db, late as Claim, 200)).toBe(false)
    expect(await here.states()).toEqual({ sending: 1 })
    expect(await completeDelivery(here.db, current as Claim, 200)).toBe(true)
    expect(await here.states()).toEqual({})
  })

  test('a change that comes at the moment when the one before it is delivered is not left behind', async () => {
    await using here = await delivererTest()
    const webhookID = await here.add('http://127.0.0.1:1/')
    const limits = { atMost: 100, retriesAtMost: 100, leaseMs: 60_000 }
    for (const n of upTo(40)) {
      for (const study of upTo(5)) await here.change(`1.2.${study}`, n)
      await numberChanges(here.db)
      const claims = await claimDeliveries(here.db, webhookID, limits)
      expect(claims.length).toBe(n === 0 ? 0 : 5)
      await Promise.all([
        ...claims.map((claim) => completeDelivery(here.db, claim, 200)),
        enqueueDeliveries(here.db, webhookID, 100),
      ])
      expect(await here.states()).toEqual({ waiting: 5 })
    }
  })

  test('a server that stops gives back what it was sending', async () => {
    await using receiver = await startReceiver(() => 'hang')
    await using here = await delivererTest()
    const first = here.deliverer({ timeoutMs: 60_000, leaseMs: 90_000 })
    await here.add(receiver.url)
    await here.change('1.2.3', 0)
    await receiver.until(() => receiver.received.length === 1)
    await first.stop()
    expect(await here.states()).toEqual({ waiting: 1 })
    receiver.behaviour = () => 200
    here.deliverer()
    await receiver.until(() => receiver.accepted.length === 1)
    expect(receiver.received[1]?.id).toBe(receiver.received[0]?.id)
  })

  test('paused, a webhook takes nothing from the feed; afterwards it misses nothing', async () => {
    await using receiver = await startReceiver()
    await using here = await delivererTest()
    const deliverer = here.deliverer()
    const webhookID = await here.add(receiver.url, { isPaused: true, types: ['stable'] })
    const other = await here.add(receiver.url.replace('hook', 'other'))
    await here.change('1.2.3', 0, { type: 'new' })
    await here.change('1.2.3', 1, { type: 'stable' })
    await receiver.until(async () => (await here.webhook(other)).deliveredCount === 2)
    expect(await here.webhook(webhookID)).toMatchObject({ positionSeq: 0, deliveredCount: 0 })
    await updateWebhook(here.db, webhookID, { isPaused: false })
    deliverer.wake()
    await receiver.until(async () => (await here.webhook(webhookID)).deliveredCount === 1)
    const own = receiver.accepted.filter(({ path }) => path === '/hook')
    expect(own.map(({ message }) => message.type)).toEqual(['study.stable'])
  })

  test('no redirect is followed, and no private address connected to', async () => {
    await using target = await startReceiver()
    await using receiver = await startReceiver(() => 307)
    receiver.headers.location = target.url
    await using here = await delivererTest()
    const open = here.deliverer({ retryDelaysMs: [] })
    const redirecting = await here.add(receiver.url)
    await here.change('1.2.3', 0)
    await receiver.until(async () => (await here.states(redirecting)).dead === 1)
    expect((await here.webhook(redirecting)).lastError).toBe('answered 307')
    await open.stop()

    here.deliverer({ isPrivateAllowed: false, retryDelaysMs: [] })
    // A name, which says where it leads only when it is looked up.
    const named = await here.add(target.url.replace('127.0.0.1', 'localhost'))
    await here.change('1.2.4', 0)
    await receiver.until(async () => (await here.states(named)).dead === 2)
    expect((await here.webhook(named)).lastError).toMatch(/^the address is a private one/)
    expect(target.received).toEqual([])
  })

  test('no connection to the database is held while a receiver does not answer', async () => {
    await using receiver = await startReceiver(() => 'hang')
    await using here = await delivererTest()
    here.deliverer({ timeoutMs: 60_000, leaseMs: 90_000 })
    await here.add(receiver.url)
    for (const study of upTo(8)) await here.change(`1.2.${study}`, 0)
    await receiver.until(() => receiver.received.length === 8)
    await receiver.until(async () => {
      const [row] = await here.db.sql`
        select count(*)::integer as count
        from pg_stat_activity
        where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`
      return row?.count === 0
    })
  })
})
