import { sql } from 'drizzle-orm'
import {
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { ChangeLevel, ChangeType } from './changes.ts'
import { count, instant, key } from './columns.ts'

/** Who is told of changes as they come, by a request to a URL. */
export const webhooks = pgTable('webhooks', {
  webhookID: uuid('webhook_id').primaryKey(),
  url: text('url').notNull(),
  /** Of which types and levels; null: all. */
  types: text('types').array().$type<ChangeType[]>(),
  levels: text('levels').array().$type<ChangeLevel[]>(),
  /** What its deliveries are signed with: `whsec_` and base64. */
  secret: text('secret').notNull(),
  /** The one before it signs too until then, so that a receiver can change over. */
  oldSecret: text('old_secret'),
  oldSecretUntil: instant('old_secret_until'),
  isPaused: boolean('is_paused').notNull().default(false),
  /** Of all changes up to this one, those that fit have become deliveries. */
  positionSeq: key('position_seq').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  deliveredCount: key('delivered_count').notNull().default(0),
  failedAttemptCount: key('failed_attempt_count').notNull().default(0),
  lastAttemptAt: instant('last_attempt_at'),
  lastDeliveredAt: instant('last_delivered_at'),
  /** What the last attempt was answered; null: nothing. */
  lastStatus: integer('last_status'),
  /** What went wrong with the last attempt; null: nothing. Without patient data. */
  lastError: text('last_error'),
})

export const deliveryStates = ['held', 'waiting', 'sending', 'dead'] as const
export type DeliveryState = (typeof deliveryStates)[number]

/**
 * What is not delivered yet. Of each webhook and subject only the oldest one is ever sent; the others are
 * `held` until it is gone. (Decision 15)
 */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    webhookID: uuid('webhook_id')
      .notNull()
      .references(() => webhooks.webhookID, { onDelete: 'cascade' }),
    /** The change. */
    seq: key('seq').notNull(),
    /** Within which the order is kept: the study, or else the patient (hashed) or the transfer. */
    subject: text('subject').notNull(),
    state: text('state').$type<DeliveryState>().notNull(),
    /** When it may be sent; while it is `sending`, when that counts as failed; null: `held` or `dead`. */
    dueAt: instant('due_at'),
    /** Attempts begun since it was new, or sent again by an administrator. */
    attempts: count('attempts'),
    isRetry: boolean('is_retry').generatedAlwaysAs(sql`attempts > 0`),
    lastAttemptAt: instant('last_attempt_at'),
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
  },
  (t) => [
    primaryKey({ name: 'webhook_deliveries_pk', columns: [t.webhookID, t.seq] }),
    // For the next one of a subject.
    uniqueIndex('webhook_deliveries_subject').on(t.webhookID, t.subject, t.seq),
    // For what is due: those that never failed come first.
    index('webhook_deliveries_due')
      .on(t.webhookID, t.isRetry, t.dueAt)
      .where(sql`due_at is not null`),
    // For an administrator, who asks for those of one state.
    index('webhook_deliveries_state').on(t.webhookID, t.state, t.seq),
  ],
)
