import { sql as raw } from 'drizzle-orm'
import { index, integer, pgTable, primaryKey, smallint, text, uuid } from 'drizzle-orm/pg-core'
import { instant, key } from './columns.ts'

/** What somebody did, in our words; server/audit/events.ts has those of DICOM PS3.15 for each. */
export const auditActions = [
  'start',
  'stop',
  'sign-in',
  'sign-out',
  'denied',
  'store',
  'search',
  'view',
  'retrieve',
  'export',
  'follow',
  'commit',
  'act',
  'delete',
  'configure',
  'audit',
] as const
export type AuditAction = (typeof auditActions)[number]

/**
 * Who did what to which study, from where, when, and how it ended. Rows are added and never changed; the database refuses
 * it (migrations/functions/audit.sql). No names of patients, nor anything else that an instance says but its UIDs.
 */
export const auditEvents = pgTable(
  'audit_events',
  {
    /** When it happened first, by the clock of the database. */
    at: instant('at').notNull(),
    auditKey: key('audit_key').notNull().generatedAlwaysAsIdentity(),
    action: text('action').$type<AuditAction>().notNull(),
    /** `token:ct-2`, `user:ann`, `oidc:8f14…`, `command`; null: nobody said who he is. */
    actor: text('actor'),
    /** Network address where it came from; null: from this server itself. */
    source: text('source'),
    studyInstanceUID: text('study_instance_uid'),
    seriesInstanceUID: text('series_instance_uid'),
    sopInstanceUID: text('sop_instance_uid'),
    transferID: uuid('transfer_id'),
    /** Of PS3.15 A.5.2, EventOutcomeIndicator: 0 success, 4 refused, 8 failed. */
    outcome: smallint('outcome').notNull(),
    /** Method and pattern of the route, or what else says which of the things that an action may be. */
    what: text('what'),
    /** How often it happened in the minute from `at`: reads of single instances, searches and refusals are folded. */
    eventCount: integer('event_count').notNull(),
    /** Of a transfer: instances that were stored. */
    instanceCount: integer('instance_count'),
  },
  (t) => [
    primaryKey({ name: 'audit_events_pkey', columns: [t.at, t.auditKey] }),
    // Both for the filters of listAuditEvents, in its order.
    index('audit_events_study')
      .on(t.studyInstanceUID, t.at, t.auditKey)
      .where(raw`study_instance_uid is not null`),
    index('audit_events_actor').on(t.actor, t.at, t.auditKey).where(raw`actor is not null`),
  ],
)

/** One row: how long audit events are kept. */
export const auditRetention = pgTable('audit_retention', {
  onlyRow: integer('only_row').primaryKey(),
  /** Null: for ever. */
  keepDays: integer('keep_days'),
})
