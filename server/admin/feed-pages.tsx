/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import { lastChange, listChanges } from '../../db/changes.ts'
import { dropDelivery, listDeliveries, resendDeliveries } from '../../db/deliveries.ts'
import { type ChangeType, changeTypes } from '../../db/schema.ts'
import {
  countDeliveries,
  deleteWebhook,
  findWebhook,
  listWebhooks,
  updateWebhook,
  type Webhook,
} from '../../db/webhooks.ts'
import { type ChangeList, ChangesPage, changeRegions } from '../../web/pages/changes-page.tsx'
import { WebhookPage, WebhooksPage, webhookRegions } from '../../web/pages/webhooks-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { PageDeps } from './deps.ts'
import { leadToDone, onceSaid, readDone } from './done.ts'
import { readForm } from './study-pages.tsx'

const changesOnPage = 100
const deliveriesOnPage = 200

/** What was told to whom: the feed, and webhooks with what could not be delivered. */
export function feedPages(deps: PageDeps): Hono<AppEnv> {
  const { db } = deps

  async function readChanges(c: Context<AppEnv>): Promise<ChangeList> {
    const type = changeTypes.find((one) => one === c.req.query('type'))
    return readFeed(type, numberOf(c.req.query('upTo')))
  }

  async function readFeed(type: ChangeType | undefined, upTo: number | undefined) {
    const last = await lastChange(db)
    const found = await listChanges(db, {
      since: upTo ?? last,
      limit: changesOnPage + 1,
      backwards: true,
      types: type && [type],
    })
    return {
      changes: found.slice(0, changesOnPage),
      type,
      older: found[changesOnPage]?.seq,
      isNewest: upTo === undefined,
      last,
    }
  }

  async function readWebhook(webhookID: string) {
    const found = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(webhookID)
      ? await findWebhook(db, webhookID)
      : undefined
    if (found === undefined) throw new HttpProblem(404, 'There is no such webhook')
    return found
  }

  async function readWebhooks() {
    const [webhooks, counts, last] = await Promise.all([
      listWebhooks(db),
      countDeliveries(db),
      lastChange(db),
    ])
    return webhooks.map((webhook) => ({
      webhook,
      behindCount: behindOf(webhook, last),
      counts: Object.fromEntries(
        counts
          .filter((one) => one.webhookID === webhook.webhookID)
          .map(({ state, count }) => [state, count]),
      ),
    }))
  }

  return new Hono<AppEnv>()
    .get(paths.changes, async (c) => {
      const [list, shell] = await Promise.all([readChanges(c), deps.shell.read(c)])
      return htmlResponse(<ChangesPage shell={shell} list={list} />)
    })
    .get(paths.live('changes'), async (c) => {
      const { type } = await readChanges(c)
      return deps.stream(c, 'changes', `changes ${type}`, async () =>
        changeRegions(await readFeed(type, undefined), c.get('may')),
      )
    })
    .get(paths.webhooks, async (c) => {
      const [webhooks, shell] = await Promise.all([readWebhooks(), deps.shell.read(c)])
      const done = doneWords[readDone(c, paths.webhooks)?.get('done') as WebhookAction]
      const answer = htmlResponse(
        <WebhooksPage
          shell={shell}
          webhooks={webhooks}
          webhooksURL={`${c.get('baseURL')}/api/webhooks`}
          done={done}
        />,
      )
      return onceSaid(answer, done)
    })
    .get(paths.live('webhooks'), (c) =>
      deps.stream(c, 'webhooks', 'webhooks', async () => webhookRegions(await readWebhooks())),
    )
    .get('/webhooks/:webhook', async (c) => {
      const webhook = await readWebhook(c.req.param('webhook'))
      const states = ['dead', 'waiting', 'sending'] as const
      const page = { states: [...states], since: 0, limit: deliveriesOnPage }
      const [deliveries, last, shell] = await Promise.all([
        listDeliveries(db, webhook.webhookID, page),
        lastChange(db),
        deps.shell.read(c),
      ])
      const done =
        doneWords[readDone(c, paths.webhook(webhook.webhookID))?.get('done') as WebhookAction]
      const answer = htmlResponse(
        <WebhookPage
          shell={shell}
          webhook={webhook}
          deliveries={deliveries}
          behindCount={behindOf(webhook, last)}
          done={done}
        />,
      )
      return onceSaid(answer, done)
    })
    .post('/webhooks/:webhook/actions/:action', async (c) => {
      const { webhookID } = await readWebhook(c.req.param('webhook'))
      const seq = numberOf((await readForm(c)).get('seq') ?? undefined)
      const action = c.req.param('action')
      if (action === 'resend') await resendDeliveries(db, webhookID, seq)
      else if (action === 'drop' && seq !== undefined) await dropDelivery(db, webhookID, seq)
      else if (action === 'pause') await updateWebhook(db, webhookID, { isPaused: true })
      else if (action === 'go-on') await updateWebhook(db, webhookID, { isPaused: false })
      else if (action === 'remove') await deleteWebhook(db, webhookID)
      else throw new HttpProblem(404, 'There is no such action')
      deps.changed()
      const where = action === 'remove' ? paths.webhooks : paths.webhook(webhookID)
      return leadToDone(c, where, { done: action })
    })
}

type WebhookAction = keyof typeof doneWords

const doneWords = {
  resend: 'Sent again, or about to be.',
  drop: 'Given up.',
  pause: 'Paused: nothing is sent to it until it goes on.',
  'go-on': 'It goes on, with what waited first.',
  remove: 'Removed. Nothing more is sent to it.',
}

function behindOf({ positionSeq }: Webhook, last: number): number {
  return Math.max(0, last - positionSeq)
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new HttpProblem(400, 'Cannot find this place in the feed: it is no number')
}
