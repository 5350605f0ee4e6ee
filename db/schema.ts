/**
 * What Stowage remembers.
 *
 * Words that are not DICOM's own, each with one meaning here, in the tables, on the page and in the
 * documentation:
 *
 * - transfer: one attempt to hand over a set of instances (one STOW-RS request, one browser upload)
 * - staged: received and safe, but not committed; nothing but its own transfer reads it
 * - segment: one append-only object in the store, holding the parts of one transfer one after another
 * - shared segment: one that holds the parts of many small transfers; its server appends to it for a while
 * - spool: a segment of a transfer that is never committed: what waits until it is known what it belongs to
 * - group: small transfers that are committed together, to one shared segment
 * - refusal: an instance that was not accepted, with its Failure Reason
 * - quiet time: how long nothing may arrive before something is stable
 * - generation: the number of a resource's stable event; a late instance opens the next one
 * - change: one row of the feed
 * - webhook: a URL that is told of changes as they come
 * - delivery: one change on its way to one webhook
 * - warning: an instance that was stored although something about it is not right, with its Warning Reason
 *
 * DICOM attributes keep their keyword: StudyInstanceUID is `studyInstanceUID` here and
 * `study_instance_uid` in SQL. Attributes of a study and of a series are those of the first instance
 * that had a value; an instance that says otherwise is stored with a warning.
 *
 * A column that ends in Key besides the keys of tables is what a search compares: a name or a time in one form,
 * which Postgres makes of the attribute.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  real,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })
const instant = (name: string) => timestamp(name, { withTimezone: true })
const key = (name: string) => bigint(name, { mode: 'number' })
const count = (name: string) => integer(name).notNull().default(0)
const bytes = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0)

export const transferStates = ['receiving', 'committed', 'refused', 'aborted', 'expired'] as const
export type TransferState = (typeof transferStates)[number]

export const segmentStates = ['open', 'kept', 'doomed'] as const
export type SegmentState = (typeof segmentStates)[number]

/**
 * Of a patient, a study, a series: whether it is stable, and since when. (Decision 12)
 *
 * It settles `quietSeconds` after `lastReceivedAt` (or `reopenedAt`), by the clock of the database. A
 * commit moves only these; `dueAt` is when the scheduler looks at it next, which then moves it on.
 */
const stability = () => ({
  /** Number of the stable event that comes next, or that came, from 1. */
  generation: integer('generation').notNull().default(1),
  /** Never later than it settles. Null: it is stable. */
  dueAt: instant('due_at'),
  quietSeconds: real('quiet_seconds').notNull().default(60),
  reopenedAt: instant('reopened_at'),
  /** What its last stable event said of it. */
  settledAt: instant('settled_at'),
  settledInstanceCount: count('settled_instance_count'),
  settledByteLength: bytes('settled_byte_length'),
  /** SHA-256 over its instances, see docs/changes.md. */
  contentDigest: bytea('content_digest'),
})

/** A person, as Patient ID and its issuer tell. Instances without a Patient ID have none. */
export const patients = pgTable(
  'patients',
  {
    patientKey: key('patient_key').primaryKey().generatedAlwaysAsIdentity(),
    patientID: text('patient_id').notNull(),
    issuerOfPatientID: text('issuer_of_patient_id').notNull(),
    patientName: text('patient_name'),
    patientBirthDate: text('patient_birth_date'),
    patientSex: text('patient_sex'),
    studyCount: count('study_count'),
    seriesCount: count('series_count'),
    instanceCount: count('instance_count'),
    byteLength: bytes('byte_length'),
    firstReceivedAt: instant('first_received_at').notNull(),
    lastReceivedAt: instant('last_received_at').notNull(),
    ...stability(),
    settledSeriesCount: count('settled_series_count'),
  },
  (t) => [uniqueIndex('patients_patient_id').on(t.patientID, t.issuerOfPatientID)],
)

export const studies = pgTable(
  'studies',
  {
    studyKey: key('study_key').primaryKey().generatedAlwaysAsIdentity(),
    studyInstanceUID: text('study_instance_uid').notNull(),
    patientKey: key('patient_key').references(() => patients.patientKey),
    patientID: text('patient_id'),
    issuerOfPatientID: text('issuer_of_patient_id'),
    patientName: text('patient_name'),
    patientBirthDate: text('patient_birth_date'),
    patientSex: text('patient_sex'),
    studyDate: text('study_date'),
    studyTime: text('study_time'),
    accessionNumber: text('accession_number'),
    studyID: text('study_id'),
    studyDescription: text('study_description'),
    referringPhysicianName: text('referring_physician_name'),
    timezoneOffsetFromUTC: text('timezone_offset_from_utc'),
    modalitiesInStudy: text('modalities_in_study').array().notNull().default([]),
    patientNameKey: text('patient_name_key').generatedAlwaysAs(sql`person_name_key(patient_name)`),
    referringPhysicianNameKey: text('referring_physician_name_key').generatedAlwaysAs(
      sql`person_name_key(referring_physician_name)`,
    ),
    studyTimeKey: text('study_time_key').generatedAlwaysAs(sql`time_key(study_time)`),
    seriesCount: count('series_count'),
    instanceCount: count('instance_count'),
    byteLength: bytes('byte_length'),
    firstReceivedAt: instant('first_received_at').notNull(),
    lastReceivedAt: instant('last_received_at').notNull(),
    ...stability(),
    settledSeriesCount: count('settled_series_count'),
  },
  (t) => [
    uniqueIndex('studies_study_instance_uid').on(t.studyInstanceUID),
    // The order of every search, and the keys Study Date, alone and with Study Time (QI-A10).
    index('studies_study_date_time').on(
      t.studyDate.desc().nullsLast(),
      t.studyTimeKey.desc().nullsLast(),
      t.studyKey.desc().nullsLast(),
    ),
    // The other required keys of a search; text_pattern_ops serves "=" and the beginning of a value.
    index('studies_patient_id_pattern').on(t.patientID.op('text_pattern_ops')),
    index('studies_study_time').on(t.studyTimeKey),
    index('studies_accession_number').on(t.accessionNumber.op('text_pattern_ops')),
    index('studies_study_id').on(t.studyID.op('text_pattern_ops')),
    index('studies_patient_name').on(t.patientNameKey.op('text_pattern_ops')),
    index('studies_referring_physician_name').on(
      t.referringPhysicianNameKey.op('text_pattern_ops'),
    ),
    // The page lists the newest first, with the key as the last word.
    index('studies_last_received_at').on(t.lastReceivedAt.desc(), t.studyKey.desc()),
    index('studies_patient_key').on(t.patientKey),
  ],
)

export const series = pgTable(
  'series',
  {
    seriesKey: key('series_key').primaryKey().generatedAlwaysAsIdentity(),
    seriesInstanceUID: text('series_instance_uid').notNull(),
    studyKey: key('study_key')
      .notNull()
      .references(() => studies.studyKey),
    modality: text('modality'),
    seriesNumber: text('series_number'),
    seriesDescription: text('series_description'),
    bodyPartExamined: text('body_part_examined'),
    performedProcedureStepStartDate: text('performed_procedure_step_start_date'),
    performedProcedureStepStartTime: text('performed_procedure_step_start_time'),
    /** Items of Request Attributes Sequence, with what a search matches of them, by keyword. */
    requestAttributesSequence: jsonb('request_attributes_sequence').$type<
      Record<string, string>[]
    >(),
    performedProcedureStepStartTimeKey: text(
      'performed_procedure_step_start_time_key',
    ).generatedAlwaysAs(sql`time_key(performed_procedure_step_start_time)`),
    instanceCount: count('instance_count'),
    byteLength: bytes('byte_length'),
    firstReceivedAt: instant('first_received_at').notNull(),
    lastReceivedAt: instant('last_received_at').notNull(),
    ...stability(),
    /** Network address of whoever brought its last instance: quiet rules may ask for it. */
    lastSender: text('last_sender'),
  },
  (t) => [
    uniqueIndex('series_series_instance_uid').on(t.seriesInstanceUID),
    // The series of a study, in the order of a search.
    index('series_study_key_series_key').on(t.studyKey, t.seriesKey),
    // Required keys of a search; Modality also for Modalities in Study.
    index('series_modality').on(t.modality.op('text_pattern_ops'), t.studyKey),
    index('series_series_number').on(t.seriesNumber.op('text_pattern_ops')),
    index('series_start_date_time').on(
      t.performedProcedureStepStartDate,
      t.performedProcedureStepStartTimeKey,
    ),
    index('series_start_time').on(t.performedProcedureStepStartTimeKey),
    index('series_request_attributes')
      .using('gin', sql`${t.requestAttributesSequence} jsonb_path_ops`)
      .where(sql`request_attributes_sequence is not null`),
  ],
)

/**
 * One stored instance: where its bytes are, and what a search needs.
 *
 * Its PS3.10 file is `byteLength` bytes of the segment from `segmentOffset` on; its metadata, in the
 * DICOM JSON model, are the `metadataLength` bytes that follow. (Decision 2)
 *
 * Its keys are not foreign keys: checking them took 24 of 40 ms of inserting 2,000 rows. `store_staged`
 * is the only writer, and has the keys from rows it holds; `stowage check` compares them.
 */
export const instances = pgTable(
  'instances',
  {
    sopInstanceUID: text('sop_instance_uid').primaryKey(),
    studyKey: key('study_key').notNull(),
    seriesKey: key('series_key').notNull(),
    segmentKey: key('segment_key').notNull(),
    segmentOffset: bigint('segment_offset', { mode: 'number' }).notNull(),
    byteLength: bigint('byte_length', { mode: 'number' }).notNull(),
    metadataLength: integer('metadata_length').notNull(),
    /** SHA-256 of the PS3.10 file. */
    digest: bytea('digest').notNull(),
    sopClassUID: text('sop_class_uid').notNull(),
    transferSyntaxUID: text('transfer_syntax_uid').notNull(),
    instanceNumber: text('instance_number'),
    numberOfFrames: integer('number_of_frames'),
    rows: integer('rows'),
    columns: integer('columns'),
    bitsAllocated: integer('bits_allocated'),
    receivedAt: instant('received_at').notNull(),
  },
  (t) => [
    index('instances_series_key').on(t.seriesKey, t.sopInstanceUID),
    // For the sweep and for `stowage check`: which instances a segment holds.
    index('instances_segment_key').on(t.segmentKey),
    // Required keys of a search. The series second, so that a page of many matches needs no sorting of all.
    index('instances_sop_class_uid').on(t.sopClassUID, t.seriesKey),
    index('instances_instance_number').on(t.instanceNumber, t.seriesKey),
  ],
)

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
  },
  (t) => [
    uniqueIndex('segments_segment_id').on(t.segmentID),
    index('segments_transfer_id').on(t.transferID),
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
    handling: text('handling').$type<'strict' | 'lenient'>().notNull(),
    /** From the path of the request, if it names a study. */
    studyInstanceUID: text('study_instance_uid'),
    /** What the sender said it would send, where it said so. */
    announcedBytes: bigint('announced_bytes', { mode: 'number' }),
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
  (t) => [index('transfers_started_at').on(t.startedAt.desc(), t.transferID)],
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
  (t) => [index('refusals_transfer_id').on(t.transferID, t.position)],
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
  (t) => [index('warnings_transfer_id').on(t.transferID, t.position)],
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

/**
 * How long nothing may arrive before something is stable: the first rule that fits, by position. The last
 * one fits everything.
 */
export const quietRules = pgTable('quiet_rules', {
  position: integer('position').primaryKey(),
  /** Each of these fits if it is null: the sender's address, the modality, an attribute of the study. */
  sender: text('sender'),
  modality: text('modality'),
  keyword: text('keyword'),
  value: text('value'),
  quietSeconds: real('quiet_seconds').notNull(),
})

export const changeTypes = [
  'new',
  'instances-added',
  'reopened',
  'stable',
  'deleted',
  'complete',
  'incomplete',
  'committed',
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
})

/** Readers of the feed whose position the database keeps. */
export const consumers = pgTable('consumers', {
  name: text('name').primaryKey(),
  /** All changes up to this one are done. */
  acknowledgedSeq: key('acknowledged_seq').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  acknowledgedAt: instant('acknowledged_at').notNull().defaultNow(),
})

/** Who is told of changes as they come, by a request to a URL. */
export const webhooks = pgTable('webhooks', {
  webhookID: uuid('webhook_id').primaryKey(),
  url: text('url').notNull(),
  /** Of which types and levels; null: all. */
  types: text('types').array().$type<ChangeType[]>(),
  levels: text('levels').array().$type<ChangeLevel[]>(),
  /** What its deliveries are signed with: `whsec_` and base64. */
  secret: text('secret').notNull(),
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
