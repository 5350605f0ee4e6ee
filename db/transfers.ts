import { and, eq, gt, inArray, sql as raw } from 'drizzle-orm'
import type { Database } from './database.ts'
import { withReasons } from './deleted-before.ts'
import { retryCommit } from './retry-commit.ts'
import { refusals, segments, type TransferState, transfers, warnings } from './schema.ts'

export type Handling = 'strict' | 'lenient'
export type Service = 'stow' | 'upload'
export type Transfer = typeof transfers.$inferSelect

export interface NewTransfer {
  transferID: string
  segmentID: string
  serverID: string
  service: Service
  handling: Handling
  sender?: string | undefined
  senderProduct?: string | undefined
  /** By which credentials it came. */
  sentBy?: string | undefined
  studyInstanceUID?: string | undefined
  announcedBytes?: number | undefined
  /** How many instances the study of the path holds in all, as its sender says. */
  declaredInstanceCount?: number | undefined
}

/** One instance on its way into `staged_instances`; names as the columns, digest in hex. */
export interface StagedInstance {
  position: number
  study_instance_uid: string
  series_instance_uid: string
  sop_instance_uid: string
  sop_class_uid: string
  transfer_syntax_uid: string
  segment_id: string
  segment_offset: number
  byte_length: number
  metadata_length: number
  digest: string
  study?: Record<string, unknown> | undefined
  series?: Record<string, unknown> | undefined
  instance: Record<string, unknown>
  evidence?: InstanceEvidence | undefined
}

/** What an instance says of how many others there are, and of which. */
export interface InstanceEvidence {
  /** Numbers of instances of the study and of the series, by the rule that found them. */
  study?: Record<string, number>
  series?: Record<string, number>
  /** SOP Instance UIDs of the same study that it refers to, each once. */
  references?: string[]
}

export interface Refusal {
  position: number
  failureReason: number
  detail: string
  studyInstanceUID?: string | undefined
  sopClassUID?: string | undefined
  sopInstanceUID?: string | undefined
}

export interface Warning {
  position: number
  warningReason: number
  /** What is not right, in a sentence that names attributes, never their values. */
  detail: string
  studyInstanceUID: string
  sopInstanceUID: string
}

/** A warning that the commit found: the instance contradicts its study or series. */
export type Disagreement = Pick<Warning, 'position' | 'warningReason' | 'detail'>

/** How much of a transfer arrived, for its row. */
export interface Received {
  receivedBytes: number
  partCount: number
  duplicateCount: number
}

/** What a commit is told: how much is staged, and what is to be recorded with it. */
export interface Commit extends Received {
  stagedCount: number
  handling: Handling
  segments: { segmentID: string; byteLength: number }[]
  refused: Refusal[]
  warned: Warning[]
}

export type CommitResult =
  | { outcome: 'committed'; disagreements: Disagreement[] }
  /** Strict, and the database knows instances that must be refused. */
  | { outcome: 'refused'; refused: Refusal[] }
  /** Some are stored already (or refused, lenient): take them out of segments and staging first. */
  | { outcome: 'superfluous'; duplicates: number[]; refused: Refusal[] }
  /** The transfer was ended by another server, or its staged rows are gone. Nothing is stored. */
  | { outcome: 'lost'; reason: string }

export async function openTransfer(
  { sql }: Database,
  transfer: NewTransfer,
  leaseSeconds: number,
): Promise<void> {
  await sql`
    select open_transfer(
      ${transfer.transferID}, ${transfer.segmentID}, ${transfer.serverID}, ${transfer.service},
      ${transfer.sender ?? null}, ${transfer.senderProduct ?? null}, ${transfer.handling},
      ${transfer.studyInstanceUID ?? null}, ${transfer.announcedBytes ?? null},
      ${transfer.declaredInstanceCount ?? null}, ${leaseSeconds}, ${transfer.sentBy ?? null}
    )`
}

/** @returns false when the transfer was ended meanwhile. */
export async function openSegment(
  { sql }: Database,
  transferID: string,
  segmentID: string,
): Promise<boolean> {
  const [row] = await sql`select open_segment(${transferID}, ${segmentID}) as opened`
  return row?.opened === true
}

/** @returns false when the transfer was ended meanwhile. */
export async function stageInstances(
  { sql }: Database,
  transferID: string,
  batch: StagedInstance[],
): Promise<boolean> {
  const [row] = await sql`
    select stage_instances(${transferID}, ${JSON.stringify(batch)}::text::jsonb) as staged`
  return row?.staged === true
}

/**
 * Makes all staged instances of a transfer visible in one transaction, or none.
 *
 * Any other error than those of `CommitResult` means that the outcome is unknown (the connection
 * broke, Postgres went away): ask `transferOutcome`.
 */
export async function commitTransfer(
  db: Database,
  transferID: string,
  commit: Commit,
): Promise<CommitResult> {
  const { sql } = db
  const kept = commit.segments.map((s) => ({ segment_id: s.segmentID, byte_length: s.byteLength }))
  const result = await retryCommit<CommitResult>(
    async () => {
      const [row] = await sql`
        select commit_transfer(
          ${transferID}, ${commit.stagedCount}, ${commit.handling === 'strict'},
          ${commit.receivedBytes}, ${commit.partCount}, ${commit.duplicateCount},
          ${JSON.stringify(kept)}::text::jsonb, ${JSON.stringify(commit.refused)}::text::jsonb,
          ${JSON.stringify(commit.warned)}::text::jsonb
        ) as disagreements`
      return { outcome: 'committed', disagreements: row?.disagreements as Disagreement[] }
    },
    ({ code, detail, message }) => {
      if (code === 'ST001' || code === 'ST002') return { outcome: 'lost', reason: message }
      if (code === 'ST003') {
        return { outcome: 'refused', refused: JSON.parse(detail ?? '[]') as Refusal[] }
      }
      if (code !== 'ST004') return undefined
      const found = JSON.parse(detail ?? '{}') as { duplicates: number[]; refused: Refusal[] }
      return { outcome: 'superfluous', ...found }
    },
  )
  if (!('refused' in result)) return result
  return { ...result, refused: await withReasons(db, result.refused) }
}

/** Study or series attributes that a staged instance takes over from one that is dropped. */
export interface Heir {
  level: 'study' | 'series'
  from_position: number
  to_position: number
}

export async function restageInstances(
  { sql }: Database,
  transferID: string,
  dropped: number[],
  moved: Pick<StagedInstance, 'position' | 'segment_id' | 'segment_offset'>[],
  heirs: Heir[],
): Promise<void> {
  await sql`
    select restage_instances(
      ${transferID}, ${dropped}::integer[], ${JSON.stringify(moved)}::text::jsonb,
      ${JSON.stringify(heirs)}::text::jsonb
    )`
}

/** @returns what state the transfer is in now; undefined when it is not known at all. */
export async function endTransfer(
  { sql }: Database,
  transferID: string,
  end: Received & {
    state: Exclude<TransferState, 'receiving' | 'committed'>
    reason: string
    refused: Refusal[]
  },
): Promise<TransferState | undefined> {
  const [row] = await sql`
    select end_transfer(
      ${transferID}, ${end.state}, ${end.reason}, ${end.receivedBytes}, ${end.partCount},
      ${end.duplicateCount}, ${JSON.stringify(end.refused)}::text::jsonb
    ) as state`
  return (row?.state as TransferState | null) ?? undefined
}

/** @returns those that are still receiving; any other was ended by another server. */
export async function renewTransfers(
  { sql }: Database,
  progress: { transferID: string; receivedBytes: number; partCount: number }[],
  leaseSeconds: number,
): Promise<Set<string>> {
  const rows = await sql`
    select transfer_id
    from renew_transfers(
      ${JSON.stringify(
        progress.map((p) => ({
          transfer_id: p.transferID,
          received_bytes: p.receivedBytes,
          part_count: p.partCount,
        })),
      )}::text::jsonb,
      ${leaseSeconds}
    ) as transfer_id`
  return new Set(rows.map((row) => row.transfer_id as string))
}

/**
 * Ends the transfers whose lease has run out; with `alone`, those of all other servers: they cannot
 * live, for the caller has the database for itself.
 * @returns how many were ended.
 */
export async function expireTransfers(
  { sql }: Database,
  alone: string | undefined,
): Promise<number> {
  const [row] = await sql`select expire_transfers(${alone ?? null}::uuid) as count`
  return row?.count as number
}

/**
 * What became of a transfer, with what its answer needs; undefined when it is not known at all.
 */
export async function transferOutcome(
  { orm }: Database,
  transferID: string,
): Promise<{ state: TransferState; disagreements: Disagreement[] } | undefined> {
  const [transfer] = await orm
    .select({ state: transfers.state })
    .from(transfers)
    .where(eq(transfers.transferID, transferID))
  if (transfer === undefined) return undefined
  const disagreements = await orm
    .select({
      position: warnings.position,
      warningReason: warnings.warningReason,
      detail: warnings.detail,
    })
    .from(warnings)
    .where(eq(warnings.transferID, transferID))
    .orderBy(warnings.position)
  return { state: transfer.state, disagreements }
}

/** The newest first. */
export async function listTransfers(
  { orm }: Database,
  page: {
    states?: TransferState[] | undefined
    /** Only what came by these credentials. */
    sentBy?: string | undefined
    limit: number
    offset?: number
  },
): Promise<Transfer[]> {
  return orm
    .select()
    .from(transfers)
    .where(
      and(
        page.states && inArray(transfers.state, page.states),
        page.sentBy === undefined ? undefined : eq(transfers.sentBy, page.sentBy),
      ),
    )
    .orderBy(raw`${transfers.startedAt} desc nulls last, ${transfers.transferID}`)
    .limit(page.limit)
    .offset(page.offset ?? 0)
}

export async function findTransfer(
  { orm }: Database,
  transferID: string,
): Promise<
  | (Transfer & {
      refusals: (typeof refusals.$inferSelect)[]
      warnings: (typeof warnings.$inferSelect)[]
    })
  | undefined
> {
  const [transfer] = await orm.select().from(transfers).where(eq(transfers.transferID, transferID))
  if (transfer === undefined) return undefined
  const [refused, warned] = await Promise.all([
    orm
      .select()
      .from(refusals)
      .where(eq(refusals.transferID, transferID))
      .orderBy(refusals.position),
    orm
      .select()
      .from(warnings)
      .where(eq(warnings.transferID, transferID))
      .orderBy(warnings.position),
  ])
  return { ...transfer, refusals: refused, warnings: warned }
}

/**
 * Segments whose objects nobody needs any more, never kept ones and emptied ones, of one transfer or of all, in the order
 * of their keys. While a backup copies what was kept when it began, emptied ones are none of these.
 */
export async function doomedSegments(
  { orm }: Database,
  page: { transferID?: string | undefined; afterKey: number; limit: number },
): Promise<{ segmentKey: number; segmentID: string; isEmptied: boolean }[]> {
  const { transferID, afterKey, limit } = page
  return orm
    .select({
      segmentKey: segments.segmentKey,
      segmentID: segments.segmentID,
      isEmptied: raw<boolean>`${segments.state} = 'emptied'`,
    })
    .from(segments)
    .where(
      and(
        raw`(
          ${segments.state} = 'doomed'
          or (
            ${segments.state} = 'emptied'
            and not exists (select from backup_lease where lease_until > clock_timestamp())
          )
        )`,
        gt(segments.segmentKey, afterKey),
        transferID ? eq(segments.transferID, transferID) : undefined,
      ),
    )
    .orderBy(segments.segmentKey)
    .limit(limit)
}

/** To be called after the objects are deleted. */
export async function forgetSegments({ orm }: Database, segmentIDs: string[]): Promise<void> {
  if (segmentIDs.length === 0) return
  await orm
    .delete(segments)
    .where(
      and(inArray(segments.segmentID, segmentIDs), inArray(segments.state, ['doomed', 'emptied'])),
    )
}

/** Of these segments, those that have a row. */
export async function knownSegments({ orm }: Database, segmentIDs: string[]): Promise<Set<string>> {
  if (segmentIDs.length === 0) return new Set()
  const rows = await orm
    .select({ segmentID: segments.segmentID })
    .from(segments)
    .where(inArray(segments.segmentID, segmentIDs))
  return new Set(rows.map((row) => row.segmentID))
}
