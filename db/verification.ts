import type { Database } from './database.ts'

/** An instance whose bytes are to be read again, and where they are. */
export interface UnverifiedInstance {
  sopInstanceUID: string
  segmentKey: number
  /** Null: there is no row of its segment. */
  segmentID: string | null
  segmentOffset: number
  byteLength: number
  digest: Uint8Array
  /** What its row says now. */
  isDamaged: boolean
}

/** What reading an instance found. */
export interface Verification
  extends Pick<UnverifiedInstance, 'sopInstanceUID' | 'segmentKey' | 'segmentOffset'> {
  isWhole: boolean
}

export interface ClaimedSegment {
  segmentKey: number
  segmentID: string
  byteLength: number
}

/**
 * Takes the segment that was read again longest ago, if no server has one. It is this server's while it renews the lease.
 * @param againSeconds None that was read since.
 */
export async function claimSegment(
  { sql }: Database,
  serverID: string,
  { againSeconds, leaseMs }: { againSeconds: number; leaseMs: number },
): Promise<ClaimedSegment | undefined> {
  const [row] = await sql<ClaimedSegment[]>`
    select
      segment_key as "segmentKey", segment_id as "segmentID", byte_length as "byteLength"
    from claim_segment(${serverID}, ${againSeconds}, ${leaseMs / 1000})`
  return row
}

/** @returns false when the segment is not this server's any more. */
export async function renewSegment(
  { sql }: Database,
  serverID: string,
  segmentKey: number,
  leaseMs: number,
): Promise<boolean> {
  const { count } = await sql`
    update segments
    set verify_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
    where segment_key = ${segmentKey}
    and verified_by = ${serverID}`
  return count > 0
}

/** Lets go of a segment. @param isDone All of it was read. */
export async function releaseSegmentClaim(
  { sql }: Database,
  serverID: string,
  segmentKey: number,
  isDone: boolean,
): Promise<void> {
  await sql`
    update segments
    set
      verify_until = null, verified_by = null,
      verified_at = case when ${isDone} then clock_timestamp() else verified_at end
    where segment_key = ${segmentKey}
    and verified_by = ${serverID}`
}

/** Notes that all of a segment was read, by nobody who had claimed it. */
export async function noteVerifiedSegment({ sql }: Database, segmentKey: number): Promise<void> {
  await sql`
    update segments
    set verified_at = clock_timestamp()
    where segment_key = ${segmentKey}`
}

/** What somebody read of a segment. */
export interface ReadSegment {
  segmentKey: number
  instanceCount: number
  /** Offset of the last instance. */
  lastOffset: number
}

/** By the clock of the database, as it writes it. */
export async function databaseNow({ sql }: Database): Promise<string> {
  const [row] = await sql`select clock_timestamp()::text as now`
  return row?.now as string
}

/**
 * Notes of segments that they were read again since then, where what was read is all that they hold; not where they
 * hold instances of others, too, or got more meanwhile.
 */
export async function noteReadSegments(
  { sql }: Database,
  read: ReadSegment[],
  since: string,
): Promise<void> {
  await sql`
    update segments g
    set verified_at = ${since}::text::timestamptz
    from jsonb_to_recordset(${JSON.stringify(read)}::text::jsonb) as r (
      "segmentKey" bigint, "instanceCount" bigint, "lastOffset" bigint
    )
    where g.segment_key = r."segmentKey"
    and g.state = 'kept'
    and (g.verified_at is null or g.verified_at < ${since}::text::timestamptz)
    and (
      select count(*) = r."instanceCount" and max(i.segment_offset) = r."lastOffset"
      from instances i
      where i.segment_key = g.segment_key
    )`
}

const rowsAtOnce = 1000

/** The instances of a segment in the order in which they lie there, a page at a time. */
export async function* instancesOfSegment(
  { sql }: Database,
  segmentKey: number,
): AsyncGenerator<UnverifiedInstance[], void, void> {
  let last: UnverifiedInstance | undefined
  for (;;) {
    const page = await sql<UnverifiedInstance[]>`
      select
        i.sop_instance_uid as "sopInstanceUID", i.segment_key as "segmentKey", g.segment_id as "segmentID",
        i.segment_offset as "segmentOffset", i.byte_length as "byteLength", i.digest,
        i.damaged_at is not null as "isDamaged"
      from instances i
      join segments g on g.segment_key = i.segment_key
      where i.segment_key = ${segmentKey}
      and (i.segment_offset, i.sop_instance_uid)
        > (${last?.segmentOffset ?? -1}, ${last?.sopInstanceUID ?? ''})
      order by i.segment_offset, i.sop_instance_uid
      limit ${rowsAtOnce}`
    if (page.length > 0) yield page
    last = page.at(-1)
    if (page.length < rowsAtOnce) return
  }
}

/** The instances of a study in the order in which they lie, a page at a time. */
export async function* instancesOfStudyByPlace(
  { sql }: Database,
  studyKey: number,
): AsyncGenerator<UnverifiedInstance[], void, void> {
  let last: UnverifiedInstance | undefined
  for (;;) {
    const page = await sql<UnverifiedInstance[]>`
      select
        i.sop_instance_uid as "sopInstanceUID", i.segment_key as "segmentKey", g.segment_id as "segmentID",
        i.segment_offset as "segmentOffset", i.byte_length as "byteLength", i.digest,
        i.damaged_at is not null as "isDamaged"
      from series e
      join instances i on i.series_key = e.series_key
      left join segments g on g.segment_key = i.segment_key
      where e.study_key = ${studyKey}
      and (i.segment_key, i.segment_offset, i.sop_instance_uid)
        > (${last?.segmentKey ?? -1}, ${last?.segmentOffset ?? -1}, ${last?.sopInstanceUID ?? ''})
      order by i.segment_key, i.segment_offset, i.sop_instance_uid
      limit ${rowsAtOnce}`
    if (page.length > 0) yield page
    last = page.at(-1)
    if (page.length < rowsAtOnce) return
  }
}

/**
 * Marks instances as damaged, or as whole again, counts them, and tells the feed. What was moved or deleted since it was
 * read is left alone. @returns how many changed.
 */
export async function recordVerification(
  { sql }: Database,
  found: Verification[],
): Promise<number> {
  if (found.length === 0) return 0
  const [row] =
    await sql`select record_verification(${JSON.stringify(found)}::text::jsonb) as changed`
  return row?.changed as number
}
