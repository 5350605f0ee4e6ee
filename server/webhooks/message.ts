import { Webhook as Signer } from 'standardwebhooks'
import type { Change } from '../../db/changes.ts'

export interface Message {
  headers: Record<string, string>
  body: Uint8Array
}

/**
 * A change as a message of the Standard Webhooks scheme (https://www.standardwebhooks.com, version 1): its id is
 * the same for each attempt, its timestamp and signature are those of this attempt.
 *
 * Each secret signs it: while one takes the place of another, a receiver may know either.
 *
 * @param data The change as the feed shows it.
 */
export function messageOf(
  change: Change,
  data: object,
  webhook: { webhookID: string; secrets: string[] },
  now: Date,
): Message {
  const { type, level, at, seq } = change
  const text = JSON.stringify({ type: `${level}.${type}`, timestamp: at.toISOString(), data })
  const id = `${webhook.webhookID}-${seq}`
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Stowage',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': webhook.secrets
        .map((secret) => new Signer(secret).sign(id, now, text))
        .join(' '),
    },
    body: new TextEncoder().encode(text),
  }
}
