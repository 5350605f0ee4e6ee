import { bigint, boolean, index, pgTable, text } from 'drizzle-orm/pg-core'
import { bytea, bytes, count, instant, key } from './columns.ts'

export const deletionLevels = ['study', 'series', 'instance'] as const
export type DeletionLevel = (typeof deletionLevels)[number]

/** One deletion: what somebody asked to be deleted, and what that was. Kept for good. */
export const deletions = pgTable(
  'deletions',
  {
    deletionKey: key('deletion_key').primaryKey().generatedAlwaysAsIdentity(),
    level: text('level').$type<DeletionLevel>().notNull(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    seriesInstanceUID: text('series_instance_uid'),
    sopInstanceUID: text('sop_instance_uid'),
    /** Null: not given. */
    reason: text('reason'),
    /** Network address of whoever asked. */
    sender: text('sender'),
    /** Although some of it was committed. */
    isForced: boolean('is_forced').notNull(),
    /** Asked for together with leave to send it again. */
    allowsResend: boolean('allows_resend').notNull(),
    seriesCount: count('series_count'),
    instanceCount: count('instance_count'),
    committedInstanceCount: count('committed_instance_count'),
    byteLength: bytes('byte_length'),
    deletedAt: instant('deleted_at').notNull(),
  },
  (t) => [index('deletions_study_instance_uid').on(t.studyInstanceUID, t.deletionKey)],
)

/** What stays of a deleted instance: that of its last deletion, if there were several. */
export const tombstones = pgTable(
  'tombstones',
  {
    sopInstanceUID: text('sop_instance_uid').primaryKey(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    seriesInstanceUID: text('series_instance_uid').notNull(),
    sopClassUID: text('sop_class_uid').notNull(),
    /** SHA-256 of the PS3.10 file. */
    digest: bytea('digest').notNull(),
    deletionKey: key('deletion_key').notNull(),
    /** When it was allowed to come again. Null: it is refused. */
    liftedAt: instant('lifted_at'),
  },
  (t) => [
    index('tombstones_study_instance_uid').on(t.studyInstanceUID, t.seriesInstanceUID),
    index('tombstones_deletion_key').on(t.deletionKey),
  ],
)

/**
 * Bytes of segments that deletions left behind, until they are added to `deadBytes` of the segment: a
 * deletion must not wait for a segment that somebody appends to.
 */
export const freedBytes = pgTable('freed_bytes', {
  freedKey: key('freed_key').primaryKey().generatedAlwaysAsIdentity(),
  segmentKey: key('segment_key').notNull(),
  byteLength: bigint('byte_length', { mode: 'number' }).notNull(),
})
