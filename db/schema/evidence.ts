import {
  bigint,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  unique,
} from 'drizzle-orm/pg-core'
import { bytea, count, instant, key } from './columns.ts'

export const evidenceSources = [
  'declared',
  'tags',
  'references',
  'commitment-request',
  'peer',
] as const
export type EvidenceSource = (typeof evidenceSources)[number]

/** `all`: it says how many there are, no more and no less. `some`: it names some that there are. */
export const evidenceExtents = ['all', 'some'] as const
export type EvidenceExtent = (typeof evidenceExtents)[number]

/**
 * Statements about what a study or series should hold. They have UIDs and no keys of rows, for they may come before
 * the first instance does.
 */
export const evidence = pgTable(
  'evidence',
  {
    evidenceKey: key('evidence_key').primaryKey().generatedAlwaysAsIdentity(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    /** Null: it is about the study as a whole. */
    seriesInstanceUID: text('series_instance_uid'),
    source: text('source').$type<EvidenceSource>().notNull(),
    /** Which one of the source: a rule, the instance that refers to others, a transaction. */
    origin: text('origin').notNull().default(''),
    extent: text('extent').$type<EvidenceExtent>().notNull(),
    /** Null: it contradicts itself, or could not be had, as the detail says. */
    instanceCount: integer('instance_count'),
    /** It names them, see evidence_instances. */
    isList: boolean('is_list').notNull().default(false),
    /** Of those that it names, how many are not here. */
    missingCount: count('missing_count'),
    /** SHA-256 of the list: its UIDs in order, with commas between. */
    listDigest: bytea('list_digest'),
    /** Network address or URL of who said it. */
    claimedBy: text('claimed_by'),
    detail: text('detail'),
    claimedAt: instant('claimed_at').notNull().defaultNow(),
    /** Of a source that is asked: when it was asked last, also where it gave no answer. */
    askedAt: instant('asked_at'),
  },
  (t) => [
    unique('evidence_claim')
      .on(t.studyInstanceUID, t.seriesInstanceUID, t.source, t.origin)
      .nullsNotDistinct(),
  ],
)

/** Instances that evidence names; which of them are missing tells missing_instances. */
export const evidenceInstances = pgTable(
  'evidence_instances',
  {
    evidenceKey: bigint('evidence_key', { mode: 'number' })
      .notNull()
      .references(() => evidence.evidenceKey, { onDelete: 'cascade' }),
    sopInstanceUID: text('sop_instance_uid').notNull(),
  },
  (t) => [
    primaryKey({ name: 'evidence_instances_pk', columns: [t.evidenceKey, t.sopInstanceUID] }),
    // For what arrives and what is deleted.
    index('evidence_instances_sop_instance_uid').on(t.sopInstanceUID),
  ],
)
