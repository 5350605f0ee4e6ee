/** @jsxImportSource hono/jsx */
import type { listDeliveries } from '../../db/deliveries.ts'
import type { DeliveryState } from '../../db/schema.ts'
import type { Webhook } from '../../db/webhooks.ts'
import { Layout, type Shell } from '../layout.tsx'
import { Done } from '../parts/done.tsx'
import { Ago, Until } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { countOf, countText } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'
import { Subject } from './changes-page.tsx'

export interface ListedWebhook {
  webhook: Webhook
  /** Changes that have not been looked at for it. */
  behindCount: number
  counts: Partial<Record<DeliveryState, number>>
}

interface WebhooksPageProps {
  shell?: Shell | undefined
  webhooks: ListedWebhook[]
  webhooksURL: string
  done?: string | undefined
}

export function WebhooksPage({ shell, webhooks, webhooksURL, done }: WebhooksPageProps) {
  return (
    <Layout title="Webhooks" current="webhooks" shell={shell} live={paths.live('webhooks')}>
      <h1>Webhooks</h1>
      <Done said={done} />
      <section id="webhooks">
        <WebhookTable webhooks={webhooks} />
      </section>
      {webhooks.length === 0 && (
        <pre>
          <code>
            {`curl -H 'Content-Type: application/json' -d '{"url":"https://…","types":["stable"]}' ${webhooksURL}`}
          </code>
        </pre>
      )}
    </Layout>
  )
}

export function webhookRegions(webhooks: ListedWebhook[]): LiveRegion[] {
  return [{ id: 'webhooks', content: <WebhookTable webhooks={webhooks} /> }]
}

function WebhookTable({ webhooks }: { webhooks: ListedWebhook[] }) {
  if (webhooks.length === 0) {
    return <p class="empty">Nobody is told of changes yet. A webhook is added over the API.</p>
  }
  return (
    <table>
      <caption>{countOf(webhooks.length, 'webhook')}</caption>
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Receiver</th>
          <th scope="col" class="number">
            Delivered
          </th>
          <th scope="col" class="number">
            Waiting
          </th>
          <th scope="col" class="number">
            Stuck
          </th>
          <th scope="col">Last delivered</th>
        </tr>
      </thead>
      <tbody>
        {webhooks.map(({ webhook, behindCount, counts }) => {
          const { waiting = 0, sending = 0, held = 0, dead = 0 } = counts
          return (
            <tr class="linked" id={`webhook-${webhook.webhookID}`}>
              <td>
                <WebhookBadge webhook={webhook} deadCount={dead} />
              </td>
              <td>
                <a href={paths.webhook(webhook.webhookID)} data-row>
                  {hostOf(webhook.url)}
                </a>
                <small>{webhook.types === null ? 'all changes' : webhook.types.join(', ')}</small>
              </td>
              <td class="number" data-label="Delivered">
                {countText(webhook.deliveredCount)}
              </td>
              <td class="number" data-label="Waiting">
                {countText(behindCount + waiting + sending + held)}
              </td>
              <td class="number" data-label="Stuck">
                {countText(dead)}
              </td>
              <td class="instant" data-label="Last delivered">
                {webhook.lastDeliveredAt ? <Ago at={webhook.lastDeliveredAt} /> : 'never'}
              </td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

/** Path and query of an address may be a secret. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url
}

function WebhookBadge({ webhook, deadCount }: { webhook: Webhook; deadCount: number }) {
  if (webhook.isPaused) return <Badge icon="clock" word="Paused" tone="neutral" />
  if (deadCount > 0) return <Badge icon="cross" word="Stuck" tone="danger" />
  if (webhook.lastError !== null) return <Badge icon="again" word="Retrying" tone="waiting" />
  return <Badge icon="tick" word="Well" tone="success" />
}

type Delivery = Awaited<ReturnType<typeof listDeliveries>>[number]

interface WebhookPageProps {
  shell?: Shell | undefined
  webhook: Webhook
  /** Those that are not delivered, but wait for no other. */
  deliveries: Delivery[]
  /** Changes that have not been looked at for it. */
  behindCount: number
  done?: string | undefined
}

export function WebhookPage({ shell, webhook, deliveries, behindCount, done }: WebhookPageProps) {
  const deadCount = deliveries.filter(({ state }) => state === 'dead').length
  return (
    <Layout title="Webhook" current="webhooks" shell={shell}>
      <p class="back">
        <a href={paths.webhooks} data-back>
          Webhooks
        </a>
      </p>
      <h1>{hostOf(webhook.url)}</h1>
      <Done said={done} />
      <p class="verdict">
        <WebhookBadge webhook={webhook} deadCount={deadCount} />
        {webhook.lastError ?? `${countText(webhook.deliveredCount)} delivered`}
      </p>
      <div class="actions">
        {deadCount > 0 && (
          <form method="post" action={paths.webhookAction(webhook.webhookID, 'resend')}>
            <button class="second" type="submit">
              Send all again that are stuck or waiting
            </button>
          </form>
        )}
        <form
          method="post"
          action={paths.webhookAction(webhook.webhookID, webhook.isPaused ? 'go-on' : 'pause')}
        >
          <button class="second" type="submit">
            {webhook.isPaused ? 'Go on' : 'Pause'}
          </button>
        </form>
      </div>
      {behindCount > 0 && (
        <p>
          {webhook.isPaused
            ? `It is paused: ${countOf(behindCount, 'change')} ${behindCount === 1 ? 'waits' : 'wait'} until it goes on.`
            : `${countOf(behindCount, 'change')} still to be looked at.`}
        </p>
      )}
      {deliveries.length > 0 ? (
        <DeliveryTable webhookID={webhook.webhookID} deliveries={deliveries} />
      ) : (
        behindCount === 0 && <p class="empty">Everything is delivered.</p>
      )}
      <details class="more">
        <summary>Remove this webhook</summary>
        <p>
          Nothing more is sent to it, and what waits for it is given up. This cannot be undone: a
          webhook that is added again has another secret, and begins with the next change.
        </p>
        <form method="post" action={paths.webhookAction(webhook.webhookID, 'remove')}>
          <button data-tone="danger" type="submit">
            Remove
          </button>
        </form>
      </details>
    </Layout>
  )
}

const deliverySigns = {
  dead: { icon: 'cross', word: 'Stuck', tone: 'danger' },
  waiting: { icon: 'hourglass', word: 'Waiting', tone: 'waiting' },
  sending: { icon: 'arriving', word: 'Sending', tone: 'working' },
  held: { icon: 'clock', word: 'Held', tone: 'neutral' },
} as const

function DeliveryTable({ webhookID, deliveries }: { webhookID: string; deliveries: Delivery[] }) {
  return (
    <table>
      <caption>{countOf(deliveries.length, 'message')} not delivered</caption>
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Change</th>
          <th scope="col" class="number">
            Attempts
          </th>
          <th scope="col">What went wrong</th>
          <th scope="col">Next</th>
        </tr>
      </thead>
      <tbody>
        {deliveries.map((one) => (
          <tr>
            <td>
              <Badge {...deliverySigns[one.state]} />
            </td>
            <td>
              {countText(one.seq)}: {one.type}
              <small>
                <Subject of={one} />
              </small>
            </td>
            <td class="number" data-label="Attempts">
              {countText(one.attempts)}
            </td>
            <td>
              {one.lastError ?? (one.lastStatus === null ? '' : `answered ${one.lastStatus}`)}
            </td>
            <td class="actions">
              {one.state === 'waiting' && one.dueAt !== null && <Until at={one.dueAt} />}
              {one.state === 'dead' && (
                <>
                  <DeliveryAction
                    webhookID={webhookID}
                    seq={one.seq}
                    action="resend"
                    word="Send again"
                  />
                  <DeliveryAction
                    webhookID={webhookID}
                    seq={one.seq}
                    action="drop"
                    word="Give up"
                  />
                </>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

interface DeliveryActionProps {
  webhookID: string
  seq: number
  action: string
  word: string
}

function DeliveryAction({ webhookID, seq, action, word }: DeliveryActionProps) {
  return (
    <form method="post" action={paths.webhookAction(webhookID, action)}>
      <input type="hidden" name="seq" value={seq} />
      <button class="second" type="submit" aria-label={`${word}: change ${seq}`}>
        {word}
      </button>
    </form>
  )
}
