import { numberChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import {
  type Claim,
  claimDeliveries,
  completeDelivery,
  enqueueDeliveries,
  failDelivery,
  type OpenWebhook,
  openWebhooks,
} from '../../db/deliveries.ts'
import { updateWebhook } from '../../db/webhooks.ts'
import { toJSON } from '../changes/routes.ts'
import { describeError, type Log } from '../log.ts'
import type { Tracing } from '../trace.ts'
import { messageOf } from './message.ts'
import { post } from './post.ts'
import { retryDelayMs } from './retries.ts'

export interface DelivererLimits {
  /** Milliseconds that a receiver has to answer. */
  timeoutMs: number
  /** Milliseconds after which another server may take what this one claimed; well beyond `timeoutMs`. */
  leaseMs: number
  retryDelaysMs: readonly number[]
  /** Deliveries of one webhook that this server sends at once. */
  atOnce: number
  /** So many of them may be such that failed before: the others are never stuck behind those. */
  retriesAtOnce: number
  isPrivateAllowed: boolean
}

export interface DelivererDeps {
  db: Database
  log: Log
  tracing: Tracing
  limits: DelivererLimits
}

/** 410: the receiver wants nothing any more (Standard Webhooks). */
const gone = 410

/** Between two looks at most: a notice that was lost costs no more. */
const idleMs = 15_000
/** Between two looks at least, when only notices ask for them. */
const betweenLooksMs = 100
const afterFailureMs = 1000
/** When there is room again: deliveries that end together make one look. */
const afterDeliveryMs = 10
/** Changes that become deliveries in one transaction. */
const enqueuedAtOnce = 1000

/**
 * Sends what is due to the webhooks.
 *
 * What is to be sent, and when, is rows (db/deliveries.ts). One look makes deliveries of new changes, claims
 * what is due, as much as there is room for, and says when to look again. It never waits for a receiver: what
 * is claimed is sent beside it, and the database hears of it when it is over. Each webhook has room of its own
 * in each server, so a receiver that hangs fills only its own.
 *
 * A server that dies leaves claims, which are due again when their lease is over; then the receiver may get the
 * same message twice, and knows it by its id.
 */
export class Deliverer {
  readonly #deps: DelivererDeps
  readonly #sending = new Map<string, Set<Claim>>()
  readonly #attempts = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #nextAt = Number.POSITIVE_INFINITY
  #lookedAt = 0
  #looking: Promise<void> | undefined
  #hasFailed = false

  constructor(deps: DelivererDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#lookIn(0)
  }

  /** What is on its way is broken off, and due again at once. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    clearTimeout(this.#timer)
    await this.#looking
    await Promise.all(this.#attempts)
  }

  /** Something may have changed. Costs nothing, may be called at any rate. */
  wake(): void {
    this.#lookIn(Math.max(0, this.#lookedAt + betweenLooksMs - performance.now()))
  }

  #lookIn(ms: number): void {
    const at = performance.now() + ms
    if (at >= this.#nextAt) return
    this.#nextAt = at
    // While one look is under way the next one waits for its end.
    if (this.#looking === undefined) this.#setTimer()
  }

  #setTimer(): void {
    clearTimeout(this.#timer)
    if (this.#stopping.signal.aborted) return
    this.#timer = setTimeout(() => this.#run(), Math.max(0, this.#nextAt - performance.now()))
    this.#timer.unref?.()
  }

  #run(): void {
    this.#nextAt = Number.POSITIVE_INFINITY
    this.#lookedAt = performance.now()
    this.#looking = this.#look()
      .catch((error) => {
        // What is due stays due.
        if (!this.#hasFailed) {
          this.#deps.log.warn('what is due for webhooks could not be read, and is tried again', {
            error: describeError(error),
          })
        }
        this.#hasFailed = true
        return afterFailureMs
      })
      .then((waitMs) => {
        this.#looking = undefined
        this.#nextAt = Math.min(this.#nextAt, performance.now() + waitMs)
        this.#setTimer()
      })
  }

  /** @returns when to look again, in milliseconds. */
  async #look(): Promise<number> {
    const { db } = this.#deps
    await numberChanges(db)
    const waits = [idleMs]
    for (const webhook of await openWebhooks(db)) {
      if (this.#stopping.signal.aborted) break
      waits.push(await this.#serve(webhook))
    }
    this.#hasFailed = false
    return Math.min(...waits)
  }

  /** @returns when to look at it again, in milliseconds. */
  async #serve(webhook: OpenWebhook): Promise<number> {
    const { db, limits } = this.#deps
    const { webhookID, isBehind, freshWaitMs, retryWaitMs } = webhook
    const hasMore = isBehind && (await enqueueDeliveries(db, webhookID, enqueuedAtOnce))
    const sending = this.#sending.get(webhookID) ?? new Set()
    const room = limits.atOnce - sending.size
    const retrying = [...sending].filter(({ attempt }) => attempt > 1).length
    const retryRoom = Math.min(room, limits.retriesAtOnce - retrying)
    const waitMs = Math.min(
      hasMore ? 0 : idleMs,
      room > 0 ? (freshWaitMs ?? idleMs) : idleMs,
      retryRoom > 0 ? (retryWaitMs ?? idleMs) : idleMs,
    )
    if (room <= 0 || (waitMs > 0 && !isBehind)) return Math.max(0, waitMs)
    const claims = await claimDeliveries(db, webhookID, {
      atMost: room,
      retriesAtMost: Math.max(0, retryRoom),
      leaseMs: limits.leaseMs,
    })
    for (const claim of claims) this.#send(webhook, claim)
    // There may be more; or those that are due are being claimed by another server right now.
    if (claims.length > 0 || hasMore) return 0
    return waitMs <= 0 ? betweenLooksMs : waitMs
  }

  #send(webhook: OpenWebhook, claim: Claim): void {
    const sending = this.#sending.get(webhook.webhookID) ?? new Set()
    this.#sending.set(webhook.webhookID, sending.add(claim))
    const attempt = this.#attempt(webhook, claim)
      .catch((error) => {
        // The lease ends, and it is sent again.
        this.#deps.log.warn('what became of a delivery could not be written', {
          webhookID: webhook.webhookID,
          seq: claim.change.seq,
          error: describeError(error),
        })
      })
      .then(() => {
        sending.delete(claim)
        if (sending.size === 0) this.#sending.delete(webhook.webhookID)
        this.#attempts.delete(attempt)
        this.#lookIn(afterDeliveryMs)
      })
    this.#attempts.add(attempt)
  }

  async #attempt({ url, secret, oldSecret }: OpenWebhook, claim: Claim): Promise<void> {
    const { db, log, limits } = this.#deps
    const { change, webhookID } = claim
    const secrets = oldSecret === null ? [secret] : [secret, oldSecret]
    const { headers, body } = messageOf(change, toJSON(change), { webhookID, secrets }, new Date())
    const { signal } = this.#stopping
    const span = this.#deps.tracing.begin('webhook', {
      kind: 'client',
      facts: {
        'stowage.webhook': webhookID,
        'stowage.seq': change.seq,
        'stowage.attempt': claim.attempt,
      },
    })
    // So that the receiver's trace goes on with ours.
    const traceparent = span.traceparent === undefined ? {} : { traceparent: span.traceparent }
    const sent = { ...headers, ...traceparent }
    const answer = await post(new URL(url), body, sent, { ...limits, signal })
    const { status } = answer
    const hasAnswer = status !== undefined
    span.note({ 'http.response.status_code': status })
    span.end(hasAnswer ? (status >= 400 ? String(status) : undefined) : 'no answer')
    if (status !== undefined && status >= 200 && status < 300) {
      await completeDelivery(db, claim, status)
      return
    }
    const isGone = status === gone
    const error = status === undefined ? answer.error : `answered ${status}`
    const askedMs = status === undefined ? undefined : answer.retryAfterMs
    const retryMs =
      signal.aborted || isGone
        ? 0
        : retryDelayMs(claim.attempt, limits.retryDelaysMs, Math.random(), askedMs)
    // First, so that nothing else is sent there.
    if (isGone) {
      await updateWebhook(db, webhookID, { isPaused: true })
      log.warn('a webhook is paused: its receiver says that it is gone', { webhookID })
    }
    const isOurs = await failDelivery(db, claim, { status, error, retryMs })
    if (isOurs && retryMs === undefined) {
      log.warn('a delivery is dead: an administrator may send it again', {
        webhookID,
        seq: change.seq,
        error,
      })
    }
  }
}
