import { index, integer, jsonb, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { instant, key } from './columns.ts'

export const changeTypes = [
  'new',
  'instances-added',
  'reopened',
  'stable',
  'deleted',
  'complete',
  'incomplete',
  'committed',
  'damaged',
  'transfer-ended',
] as const
export type ChangeType = (typeof changeTypes)[number]

export const changeLevels = ['patient', 'study', 'series', 'instance', 'transfer'] as const
export type ChangeLevel = (typeof changeLevels)[number]

const change = () => ({
  type: text('type').$type<ChangeType>().notNull(),
  level: text('level').$type<ChangeLevel>().notNull(),
  studyInstanceUID: text('study_instance_uid'),
  seriesInstanceUID: text('series_instance_uid'),
  sopInstanceUID: text('sop_instance_uid'),
  patientID: text('patient_id'),
  issuerOfPatientID: text('issuer_of_patient_id'),
  transferID: uuid('transfer_id'),
  /** Counts, generation, digest: what the type has. */
  details: jsonb('details').$type<Record<string, unknown>>(),
  at: instant('at').notNull().defaultNow(),
})

/** The feed: numbered without gaps, in an order in which whoever sees a number has seen all before it. */
export const changes = pgTable('changes', { seq: key('seq').primaryKey(), ...change() }, (t) => [
  index('changes_type').on(t.type, t.seq),
  index('changes_study_instance_uid').on(t.studyInstanceUID, t.seq),
])

/** Changes that are committed and not numbered yet. (Decision 13) */
export const changesToCome = pgTable('changes_to_come', {
  changeKey: key('change_key').primaryKey().generatedAlwaysAsIdentity(),
  ...change(),
})

/** One row: the last number of the feed. Whoever gives numbers holds its lock. */
export const feed = pgTable('feed', {
  onlyRow: integer('only_row').primaryKey(),
  lastSeq: key('last_seq').notNull(),
  /** Changes up to this one are removed, but for deletions. */
  removedSeq: key('removed_seq').notNull().default(0),
})

/** Readers of the feed whose position the database keeps. */
export const consumers = pgTable('consumers', {
  name: text('name').primaryKey(),
  /** All changes up to this one are done. */
  acknowledgedSeq: key('acknowledged_seq').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  acknowledgedAt: instant('acknowledged_at').notNull().defaultNow(),
})
