import { randomBytes, randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { lastChange, numberChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import { dropDelivery, listDeliveries, resendDeliveries } from '../../db/deliveries.ts'
import { type DeliveryState, deliveryStates } from '../../db/schema.ts'
import {
  addWebhook,
  countDeliveries,
  deleteWebhook,
  findWebhook,
  listWebhooks,
  replaceSecret,
  updateWebhook,
  type Webhook,
} from '../../db/webhooks.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { readJSON } from '../http/read-json.ts'
import { smallBody } from '../http/read-text.ts'
import { readRequest } from './request.ts'

export interface WebhookPolicy {
  isPrivateAllowed: boolean
}

export interface WebhooksDeps {
  db: Database
  /** Makes every server look. */
  live: { changed(): void }
  webhooks: WebhookPolicy
}

const webhooksAtMost = 100
const deliveriesByDefault = 100
const deliveriesAtMost = 1000
/** Of a secret. The scheme asks for 24 to 64. */
const secretBytes = 32

const oldSecondsByDefault = 24 * 3600
const oldSecondsAtMost = 30 * 24 * 3600

/** `/api/webhooks`: who is told of changes, and what could not be delivered. See docs/changes.md. */
export function webhookRoutes({ db, live, webhooks: policy }: WebhooksDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use('/webhooks/*', async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .get('/webhooks', async (c) => {
      const [found, counts] = await Promise.all([listWebhooks(db), countDeliveries(db)])
      return c.json({ webhooks: found.map((one) => toJSON(one, countsOf(one, counts))) })
    })
    .post('/webhooks', async (c) => {
      const body = await readJSON(c.req.raw, smallBody)
      const { since, url, ...rest } = readRequest(body, policy, 'Cannot add a webhook')
      if (url === undefined) throw new HttpProblem(400, 'Cannot add a webhook: there is no "url"')
      await numberChanges(db)
      const last = await lastChange(db)
      if (since !== undefined && since > last) {
        throw new HttpProblem(400, `Cannot add a webhook: the last change has the seq ${last}`)
      }
      const webhook = {
        webhookID: randomUUID(),
        url,
        ...rest,
        secret: newSecret(),
        positionSeq: since ?? last,
      }
      const added = await addWebhook(db, webhook, webhooksAtMost)
      if (added === undefined) {
        throw new HttpProblem(400, `Cannot add a webhook: there are ${webhooksAtMost} already`)
      }
      live.changed()
      // The only time that anybody sees the secret.
      return c.json({ ...toJSON(added, {}), secret: added.secret }, 201, {
        location: `${c.get('baseURL')}/api/webhooks/${added.webhookID}`,
      })
    })
    .get('/webhooks/:webhook', async (c) => {
      const found = mustExist(await findWebhook(db, webhookIDOf(c.req.param('webhook'))))
      return c.json(toJSON(found, countsOf(found, await countDeliveries(db))))
    })
    .patch('/webhooks/:webhook', async (c) => {
      const body = await readJSON(c.req.raw, smallBody)
      const { since, ...update } = readRequest(body, policy, 'Cannot change the webhook')
      if (since !== undefined) {
        throw new HttpProblem(400, 'Cannot change the webhook: "since" is for a new one')
      }
      const webhookID = webhookIDOf(c.req.param('webhook'))
      const found = mustExist(await updateWebhook(db, webhookID, update))
      live.changed()
      return c.json(toJSON(found, countsOf(found, await countDeliveries(db))))
    })
    .post('/webhooks/:webhook/secret', async (c) => {
      const oldSeconds = oldSecondsOf(await readJSON(c.req.raw, smallBody))
      const webhookID = webhookIDOf(c.req.param('webhook'))
      const found = await replaceSecret(db, webhookID, newSecret(), oldSeconds * 1000)
      const { secret, oldSecretUntil } = mustExist(found)
      return c.json({ secret, oldSecretUntil })
    })
    .delete('/webhooks/:webhook', async (c) => {
      if (!(await deleteWebhook(db, webhookIDOf(c.req.param('webhook'))))) throw noWebhook()
      return c.body(null, 204)
    })
    .get('/webhooks/:webhook/deliveries', async (c) => {
      const { webhookID } = mustExist(await findWebhook(db, webhookIDOf(c.req.param('webhook'))))
      const limit = Math.min(
        numberOf(c.req.query('limit'), 'limit', 1) ?? deliveriesByDefault,
        deliveriesAtMost,
      )
      const since = numberOf(c.req.query('since'), 'since', 0) ?? 0
      const states = statesOf(c.req.query('state'))
      const found = await listDeliveries(db, webhookID, { states, since, limit: limit + 1 })
      const deliveries = found.slice(0, limit).map(present)
      return c.json({ deliveries, done: found.length <= limit })
    })
    .post('/webhooks/:webhook/resend', async (c) => {
      const { webhookID } = mustExist(await findWebhook(db, webhookIDOf(c.req.param('webhook'))))
      const resent = await resendDeliveries(db, webhookID, undefined)
      live.changed()
      return c.json({ resent }, 202)
    })
    .post('/webhooks/:webhook/deliveries/:seq/resend', async (c) => {
      const webhookID = webhookIDOf(c.req.param('webhook'))
      const seq = seqOf(c.req.param('seq'))
      const resent = await resendDeliveries(db, webhookID, seq)
      if (resent === 0) {
        throw new HttpProblem(404, 'There is no such delivery that is dead or waiting')
      }
      live.changed()
      return c.json({ resent }, 202)
    })
    .delete('/webhooks/:webhook/deliveries/:seq', async (c) => {
      const webhookID = webhookIDOf(c.req.param('webhook'))
      const isDropped = await dropDelivery(db, webhookID, seqOf(c.req.param('seq')))
      if (!isDropped) throw new HttpProblem(404, 'There is no such delivery that is dead')
      live.changed()
      return c.body(null, 204)
    })
}

type Counts = Partial<Record<DeliveryState, number>>

function countsOf(
  { webhookID }: Webhook,
  counts: { webhookID: string; state: DeliveryState; count: number }[],
): Counts {
  const own = counts.filter((one) => one.webhookID === webhookID)
  return Object.fromEntries(own.map(({ state, count }) => [state, count]))
}

/** All but the secrets. */
function toJSON(webhook: Webhook, counts: Counts): object {
  const { secret: _, oldSecret: __, isPaused, positionSeq, ...shown } = webhook
  const deliveries = Object.fromEntries(deliveryStates.map((state) => [state, counts[state] ?? 0]))
  return present({ ...shown, paused: isPaused, position: positionSeq, deliveries })
}

/** Members that have no value are left out. */
function present(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}

function newSecret(): string {
  return `whsec_${randomBytes(secretBytes).toString('base64')}`
}

/** How long the secret that is replaced signs too: `{"oldSeconds":N}`, a day when left out. */
function oldSecondsOf(body: unknown): number {
  const { oldSeconds = oldSecondsByDefault } = (body ?? {}) as { oldSeconds?: unknown }
  if (typeof oldSeconds === 'number' && oldSeconds >= 0 && oldSeconds <= oldSecondsAtMost) {
    return oldSeconds
  }
  throw new HttpProblem(
    400,
    `Cannot replace the secret: "oldSeconds" is no number from 0 to ${oldSecondsAtMost}`,
  )
}

function noWebhook(): HttpProblem {
  return new HttpProblem(404, 'There is no such webhook')
}

function mustExist(found: Webhook | undefined): Webhook {
  if (found === undefined) throw noWebhook()
  return found
}

function webhookIDOf(text: string): string {
  if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text)) return text
  throw noWebhook()
}

function seqOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new HttpProblem(404, 'There is no such delivery')
}

function numberOf(text: string | undefined, name: string, atLeast: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text) && Number(text) >= atLeast) return Number(text)
  throw new HttpProblem(
    400,
    `Cannot list deliveries: "${name}" is no whole number of ${atLeast} or more`,
  )
}

function statesOf(text: string | undefined): DeliveryState[] {
  if (text === undefined) return [...deliveryStates]
  const asked = text.split(',')
  const found = deliveryStates.filter((state) => asked.includes(state))
  if (found.length === new Set(asked).size) return found
  throw new HttpProblem(
    400,
    `Cannot list deliveries: "state" is none of ${deliveryStates.join(', ')}, or several with commas`,
  )
}
