import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { bytes, count, instant, key } from './columns.ts'

export const commitmentStates = ['waiting', 'finished', 'discarded'] as const
export type CommitmentState = (typeof commitmentStates)[number]

/**
 * One storage commitment request, for good: its Transaction UID is never free again. (SC-R9)
 *
 * It waits until a server has read the bytes of all its instances again, and is finished with a result; that is kept for
 * a while, and then discarded.
 */
export const commitments = pgTable(
  'commitments',
  {
    commitmentKey: key('commitment_key').primaryKey().generatedAlwaysAsIdentity(),
    transactionUID: text('transaction_uid').notNull(),
    state: text('state').$type<CommitmentState>().notNull().default('waiting'),
    /** Referenced SOP Sequence, or Referenced Study Sequence; the answer has the same. */
    form: text('form').$type<'flat' | 'study'>().notNull(),
    /** The requester's network address, and what it calls itself (User-Agent). */
    requester: text('requester'),
    requesterProduct: text('requester_product'),
    requestedAt: instant('requested_at').notNull().defaultNow(),
    finishedAt: instant('finished_at'),
    instanceCount: integer('instance_count').notNull(),
    /** Of the instances that were here when it was requested: what there is to read. */
    byteLength: bytes('byte_length'),
    checkedCount: count('checked_count'),
    committedCount: count('committed_count'),
    failedCount: count('failed_count'),
    /** The server that works on it, and until when it answers for that. */
    claimedBy: uuid('claimed_by'),
    leaseUntil: instant('lease_until'),
  },
  (t) => [
    uniqueIndex('commitments_transaction_uid').on(t.transactionUID),
    // For claim_commitment.
    index('commitments_waiting').on(t.commitmentKey).where(sql`state = 'waiting'`),
    // For discard_commitments.
    index('commitments_finished').on(t.finishedAt).where(sql`state = 'finished'`),
  ],
)

/** What a request asks for, an instance a row, as long as its result is kept. */
export const commitmentReferences = pgTable(
  'commitment_references',
  {
    commitmentKey: key('commitment_key').notNull(),
    /** In the request, from 0. */
    position: integer('position').notNull(),
    /** Of a request by study. */
    studyInstanceUID: text('study_instance_uid'),
    seriesInstanceUID: text('series_instance_uid'),
    sopClassUID: text('sop_class_uid').notNull(),
    sopInstanceUID: text('sop_instance_uid').notNull(),
    /** What reading its bytes found, and where they were read. Null: they were not read yet. */
    isWhole: boolean('is_whole'),
    segmentKey: key('segment_key'),
    segmentOffset: bigint('segment_offset', { mode: 'number' }),
    /** Why it is not committed (PS3.3 C.14.1.1). Null when the commitment is finished: it is. */
    failureReason: integer('failure_reason'),
  },
  (t) => [primaryKey({ name: 'commitment_references_pk', columns: [t.commitmentKey, t.position] })],
)

/** The studies that a finished request concerned, as far as they are known. */
export const commitmentStudies = pgTable(
  'commitment_studies',
  {
    commitmentKey: key('commitment_key').notNull(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    committedCount: count('committed_count'),
    failedCount: count('failed_count'),
  },
  (t) => [
    primaryKey({
      name: 'commitment_studies_pk',
      columns: [t.commitmentKey, t.studyInstanceUID],
    }),
    index('commitment_studies_study_instance_uid').on(t.studyInstanceUID, t.commitmentKey),
  ],
)
