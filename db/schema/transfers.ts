import { sql } from 'drizzle-orm'
import {
  bigint,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { bytea, bytes, count, instant, key } from './columns.ts'

export const transferStates = ['receiving', 'committed', 'refused', 'aborted', 'expired'] as const
export type TransferState = (typeof transferStates)[number]

/** `emptied`: it was kept once, and all its instances were deleted or moved on purpose; doomed: never kept. */
export const segmentStates = ['open', 'kept', 'doomed', 'emptied'] as const
export type SegmentState = (typeof segmentStates)[number]

export const segments = pgTable(
  'segments',
  {
    segmentKey: key('segment_key').primaryKey().generatedAlwaysAsIdentity(),
    segmentID: uuid('segment_id').notNull(),
    /** Null: it is shared by small transfers. */
    transferID: uuid('transfer_id'),
    /** The server that may still append to it, if it is shared; its object may be longer meanwhile. */
    appendedBy: uuid('appended_by'),
    state: text('state').$type<SegmentState>().notNull(),
    /** Bytes of the object in the store, known when it is sealed; if it is shared, those committed. */
    byteLength: bytes('byte_length'),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** Bytes of it that belong to no instance any more. */
    deadBytes: bytes('dead_bytes'),
    /** Since when there are some. */
    deadSince: instant('dead_since'),
    /** The segment that is being written again into this one, while it is open. */
    compactsKey: key('compacts_key'),
    /** Until when somebody answers for that. */
    leaseUntil: instant('lease_until'),
    /** The first of the segments from which its instances were moved. Null: they came into this one. */
    originKey: key('origin_key'),
    /** When all of it was read again last; null: never. */
    verifiedAt: instant('verified_at'),
    /** The server that verifies it, and until when it answers for that. */
    verifiedBy: uuid('verified_by'),
    verifyUntil: instant('verify_until'),
  },
  (t) => [
    uniqueIndex('segments_segment_id').on(t.segmentID),
    index('segments_transfer_id').on(t.transferID),
    index('segments_dead_bytes').on(t.segmentKey).where(sql`dead_bytes > 0`),
    uniqueIndex('segments_compacts_key').on(t.compactsKey).where(sql`state = 'open'`),
    // For claim_segment: the one that was read longest ago.
    index('segments_verification')
      .on(sql`coalesce(verified_at, created_at)`, t.segmentKey)
      .where(sql`state = 'kept'`),
    index('segments_being_verified').on(t.verifyUntil).where(sql`verify_until is not null`),
  ],
)

export const transfers = pgTable(
  'transfers',
  {
    transferID: uuid('transfer_id').primaryKey(),
    state: text('state').$type<TransferState>().notNull(),
    /** How it came: `stow` or `upload`. */
    service: text('service').notNull(),
    /** The server process that receives it. */
    serverID: uuid('server_id').notNull(),
    /** The sender's network address, and what it calls itself (User-Agent). */
    sender: text('sender'),
    senderProduct: text('sender_product'),
    /** By which credentials it came (`token:ct-2`); null where none are asked for. */
    sentBy: text('sent_by'),
    handling: text('handling').$type<'strict' | 'lenient'>().notNull(),
    /** From the path of the request, if it names a study. */
    studyInstanceUID: text('study_instance_uid'),
    /** What the sender said it would send, where it said so. */
    announcedBytes: bigint('announced_bytes', { mode: 'number' }),
    /** How many instances the study holds in all, where the sender said so. */
    declaredInstanceCount: integer('declared_instance_count'),
    receivedBytes: bytes('received_bytes'),
    partCount: count('part_count'),
    storedCount: count('stored_count'),
    duplicateCount: count('duplicate_count'),
    refusedCount: count('refused_count'),
    warningCount: count('warning_count'),
    startedAt: instant('started_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
    /** Until when its server answers for it; after that any server ends it as `expired`. */
    leaseUntil: instant('lease_until').notNull(),
    /** Why it ended, in a sentence for people, without patient data. */
    reason: text('reason'),
  },
  (t) => [
    index('transfers_started_at').on(t.startedAt.desc(), t.transferID),
    // Serves listTransfers of a sender, who sees nobody else's.
    index('transfers_sent_by')
      .on(t.sentBy, t.startedAt.desc(), t.transferID)
      .where(sql`sent_by is not null`),
  ],
)

/**
 * Instances of open transfers. Unlogged (see the migration): a crash of Postgres empties it, and a
 * transfer whose rows are gone cannot commit, which is what "all or none" wants.
 */
export const stagedInstances = pgTable(
  'staged_instances',
  {
    transferID: uuid('transfer_id').notNull(),
    /** Number of the part in its request, from 0. */
    position: integer('position').notNull(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    seriesInstanceUID: text('series_instance_uid').notNull(),
    sopInstanceUID: text('sop_instance_uid').notNull(),
    sopClassUID: text('sop_class_uid').notNull(),
    transferSyntaxUID: text('transfer_syntax_uid').notNull(),
    segmentID: uuid('segment_id').notNull(),
    segmentOffset: bigint('segment_offset', { mode: 'number' }).notNull(),
    byteLength: bigint('byte_length', { mode: 'number' }).notNull(),
    metadataLength: integer('metadata_length').notNull(),
    digest: bytea('digest').notNull(),
    /** Attributes of the study, the series, the instance, by keyword. The first two only where they
     * differ from those of the transfer's first instance of that study or series. */
    study: jsonb('study'),
    series: jsonb('series'),
    instance: jsonb('instance').notNull(),
    /** What the instance says of others; null: nothing. */
    evidence: jsonb('evidence'),
    /** In a group: the index of its transfer. */
    member: integer('member'),
  },
  (t) => [primaryKey({ name: 'staged_instances_pk', columns: [t.transferID, t.position] })],
)

export const refusals = pgTable(
  'refusals',
  {
    refusalKey: key('refusal_key').primaryKey().generatedAlwaysAsIdentity(),
    transferID: uuid('transfer_id').notNull(),
    position: integer('position').notNull(),
    failureReason: integer('failure_reason').notNull(),
    /** What is wrong, in a sentence that names attributes, never their values. */
    detail: text('detail').notNull(),
    studyInstanceUID: text('study_instance_uid'),
    sopClassUID: text('sop_class_uid'),
    sopInstanceUID: text('sop_instance_uid'),
    refusedAt: instant('refused_at').notNull().defaultNow(),
  },
  (t) => [
    index('refusals_transfer_id').on(t.transferID, t.position),
    // For the page: those of a study, and those of the last days.
    index('refusals_study_instance_uid').on(t.studyInstanceUID),
    index('refusals_refused_at').on(t.refusedAt.desc()),
  ],
)

export const warnings = pgTable(
  'warnings',
  {
    warningKey: key('warning_key').primaryKey().generatedAlwaysAsIdentity(),
    transferID: uuid('transfer_id').notNull(),
    position: integer('position').notNull(),
    warningReason: integer('warning_reason').notNull(),
    detail: text('detail').notNull(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    sopInstanceUID: text('sop_instance_uid').notNull(),
    warnedAt: instant('warned_at').notNull().defaultNow(),
  },
  (t) => [
    index('warnings_transfer_id').on(t.transferID, t.position),
    // For the page: those of a study, and those of the last days.
    index('warnings_study_instance_uid').on(t.studyInstanceUID),
    index('warnings_warned_at').on(t.warnedAt.desc()),
  ],
)

/** Studies that open transfers are bringing: they and their patients do not settle meanwhile. */
export const transferStudies = pgTable(
  'transfer_studies',
  {
    transferID: uuid('transfer_id').notNull(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    patientID: text('patient_id'),
    issuerOfPatientID: text('issuer_of_patient_id'),
  },
  (t) => [
    primaryKey({ name: 'transfer_studies_pk', columns: [t.transferID, t.studyInstanceUID] }),
    index('transfer_studies_study_instance_uid').on(t.studyInstanceUID),
    index('transfer_studies_patient_id').on(t.patientID),
  ],
)
