import {
  and,
  asc,
  desc,
  eq,
  getTableColumns,
  gt,
  inArray,
  isNotNull,
  isNull,
  lt,
  sql as raw,
} from 'drizzle-orm'
import type { Database } from './database.ts'
import {
  type CommitmentState,
  commitmentReferences,
  commitmentStudies,
  commitments,
} from './schema.ts'
import type { UnverifiedInstance } from './verification.ts'

/** One instance of a request. */
export interface AskedInstance {
  /** Of a request by study, both. */
  studyInstanceUID?: string | undefined
  seriesInstanceUID?: string | undefined
  sopClassUID: string
  sopInstanceUID: string
  /** Known before anything is looked at: this class is never stored. */
  failureReason?: number | undefined
}

export type CommitmentForm = 'flat' | 'study'

export interface CommitmentRequest {
  transactionUID: string
  form: CommitmentForm
  instances: AskedInstance[]
  requester?: string | undefined
  requesterProduct?: string | undefined
}

/** A request that waits, and how many bytes its instances have. */
export interface OpenCommitment {
  commitmentKey: number
  byteLength: number
}

/** Writes a request down, for good. @returns undefined when its Transaction UID was used before. */
export async function requestCommitment(
  { sql }: Database,
  request: CommitmentRequest,
): Promise<OpenCommitment | undefined> {
  const { transactionUID, form, instances, requester, requesterProduct } = request
  const [row] = await sql`
    select commitment_key as "commitmentKey", byte_length as "byteLength"
    from request_commitment(
      ${transactionUID}, ${form}, ${requester ?? null}, ${requesterProduct ?? null},
      ${JSON.stringify(instances)}::text::jsonb
    )`
  return row?.commitmentKey === null ? undefined : (row as unknown as OpenCommitment)
}

/** Takes the oldest request that nobody works on. */
export async function claimCommitment(
  { sql }: Database,
  serverID: string,
  leaseMs: number,
): Promise<OpenCommitment | undefined> {
  const [row] = await sql<OpenCommitment[]>`
    select commitment_key as "commitmentKey", byte_length as "byteLength"
    from claim_commitment(${serverID}, ${leaseMs / 1000})`
  return row
}

/** Lets go of a request. @param afterMs When somebody may take it. */
export async function releaseCommitment(
  { sql }: Database,
  serverID: string,
  commitmentKey: number,
  afterMs = 0,
): Promise<void> {
  await sql`
    update commitments
    set claimed_by = null, lease_until = clock_timestamp() + ${afterMs} * interval '1 ms'
    where commitment_key = ${commitmentKey}
    and claimed_by = ${serverID}`
}

/** Lets go of all that servers which cannot live any more had taken. */
export async function releaseOtherClaims({ sql }: Database, serverID: string): Promise<void> {
  await sql`
    update commitments
    set claimed_by = null, lease_until = null
    where state = 'waiting'
    and claimed_by <> ${serverID}`
  await sql`
    update segments
    set verified_by = null, verify_until = null
    where verify_until is not null
    and verified_by <> ${serverID}`
}

/** An instance of a request that is here, and whose bytes were not read for it yet. */
export interface UncheckedReference extends UnverifiedInstance {
  position: number
}

/** Some 2 MB of rows. */
const rowsAtOnce = 5000

/** What is to be read next, in the order in which it lies. Empty: nothing is left. */
export async function uncheckedReferences(
  { sql }: Database,
  commitmentKey: number,
): Promise<UncheckedReference[]> {
  return sql<UncheckedReference[]>`
    select * from unchecked_references(${commitmentKey}, ${rowsAtOnce})`
}

export interface CheckedReference {
  position: number
  segmentKey: number
  segmentOffset: number
  isWhole: boolean
}

/** Notes what was read, maybe nothing, and renews the lease. @returns false when the request is not this server's. */
export async function noteChecked(
  { sql }: Database,
  serverID: string,
  commitmentKey: number,
  checked: CheckedReference[],
  leaseMs: number,
): Promise<boolean> {
  const [row] = await sql`
    select note_checked(
      ${commitmentKey}, ${serverID}, ${JSON.stringify(checked)}::text::jsonb, ${leaseMs / 1000}
    ) as noted`
  return row?.noted === true
}

/** Decides, marks, counts and tells, at once; see the SQL function. */
export async function finishCommitment(
  { sql }: Database,
  serverID: string,
  commitmentKey: number,
): Promise<'finished' | 'again' | 'lost'> {
  const [row] = await sql`select finish_commitment(${commitmentKey}, ${serverID}) as outcome`
  return row?.outcome as 'finished' | 'again' | 'lost'
}

/** Discards results that are older. @returns how many. */
export async function discardCommitments(
  { sql }: Database,
  keptSeconds: number,
  atMost: number,
): Promise<number> {
  for (let count = 0; ; count++) {
    if (count === atMost) return count
    const [row] = await sql`select discard_commitment(${keptSeconds}) as discarded`
    if (row?.discarded !== true) return count
  }
}

/** Those of these requests that are not waiting any more. */
export async function finishedAmong({ sql }: Database, keys: number[]): Promise<number[]> {
  const rows = await sql`
    select commitment_key as key
    from commitments
    where commitment_key = any(${keys}::bigint[])
    and state <> 'waiting'`
  return rows.map(({ key }) => key as number)
}

export type Commitment = Omit<typeof commitments.$inferSelect, 'claimedBy' | 'leaseUntil'>

export interface CommitmentOfStudy {
  studyInstanceUID: string
  committedCount: number
  failedCount: number
}

export interface Reference {
  /** In the request, from 0. */
  position: number
  studyInstanceUID: string | null
  seriesInstanceUID: string | null
  sopClassUID: string
  sopInstanceUID: string
  /** Null: it is committed. */
  failureReason: number | null
}

/** The newest first. @param before Older than the one of this key. */
export async function listCommitments(
  { orm }: Database,
  query: {
    limit: number
    states?: CommitmentState[] | undefined
    /** Only those of which something failed. */
    hasFailures?: boolean
    before?: number | undefined
    studyInstanceUID?: string | undefined
  },
): Promise<Commitment[]> {
  const { limit, states, hasFailures, before, studyInstanceUID } = query
  return orm
    .select(said)
    .from(commitments)
    .where(
      and(
        states && inArray(commitments.state, states),
        hasFailures ? gt(commitments.failedCount, 0) : undefined,
        before === undefined ? undefined : lt(commitments.commitmentKey, before),
        studyInstanceUID === undefined
          ? undefined
          : raw`${commitments.commitmentKey} in (${keysOfStudy(studyInstanceUID)})`,
      ),
    )
    .orderBy(desc(commitments.commitmentKey))
    .limit(limit)
}

/** Those that concern a study: finished ones are known by their result, waiting ones by what they say that it has. */
function keysOfStudy(studyInstanceUID: string) {
  return raw`
    select commitment_key from commitment_studies where study_instance_uid = ${studyInstanceUID}
    union
    select c.commitment_key
    from evidence e
    join commitments c on c.transaction_uid = e.origin
    where e.study_instance_uid = ${studyInstanceUID}
    and e.source = 'commitment-request'`
}

export async function findCommitment(
  { orm }: Database,
  transactionUID: string,
): Promise<Commitment | undefined> {
  const [found] = await orm
    .select(said)
    .from(commitments)
    .where(eq(commitments.transactionUID, transactionUID))
  return found
}

/** The studies of a finished request, as far as they are known. */
export async function studiesOfCommitment(
  { orm }: Database,
  commitmentKey: number,
  limit: number,
): Promise<CommitmentOfStudy[]> {
  return orm
    .select({
      studyInstanceUID: commitmentStudies.studyInstanceUID,
      committedCount: commitmentStudies.committedCount,
      failedCount: commitmentStudies.failedCount,
    })
    .from(commitmentStudies)
    .where(eq(commitmentStudies.commitmentKey, commitmentKey))
    .orderBy(asc(commitmentStudies.studyInstanceUID))
    .limit(limit)
}

const referencesAtOnce = 2000

/** The references of a finished request, as they were asked for; a page at a time, so that memory stays bounded. */
export async function* referencesOfCommitment(
  { orm }: Database,
  commitmentKey: number,
  which: 'committed' | 'failed',
): AsyncGenerator<Reference, void, void> {
  const { failureReason } = commitmentReferences
  for (let after = -1; ; ) {
    const page: Reference[] = await orm
      .select({
        position: commitmentReferences.position,
        studyInstanceUID: commitmentReferences.studyInstanceUID,
        seriesInstanceUID: commitmentReferences.seriesInstanceUID,
        sopClassUID: commitmentReferences.sopClassUID,
        sopInstanceUID: commitmentReferences.sopInstanceUID,
        failureReason,
      })
      .from(commitmentReferences)
      .where(
        and(
          eq(commitmentReferences.commitmentKey, commitmentKey),
          which === 'committed' ? isNull(failureReason) : isNotNull(failureReason),
          gt(commitmentReferences.position, after),
        ),
      )
      .orderBy(asc(commitmentReferences.position))
      .limit(referencesAtOnce)
    yield* page
    if (page.length < referencesAtOnce) return
    after = (page.at(-1) as Reference).position
  }
}

const { claimedBy: _, leaseUntil: __, ...said } = getTableColumns(commitments)
