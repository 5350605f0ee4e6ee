import type { Database } from './database.ts'
import { type CommitError, retryCommit } from './retry-commit.ts'

/** A segment that is to be written again. */
export interface ClaimedSegment {
  segmentKey: number
  segmentID: string
}

/** An instance where it lies. Its metadata lie behind it. */
export interface PlacedInstance {
  sopInstanceUID: string
  segmentOffset: number
  byteLength: number
  metadataLength: number
  digest: Uint8Array
}

/** Where an instance was copied to in the new segment, and from where in the old one. */
export interface NewPlace {
  sop_instance_uid: string
  segment_offset: number
  from_offset: number
}

const segmentsAtOnce = 500

/**
 * Adds up what deletions left behind in segments, and gives up those in which nothing lives any more.
 * @returns how many were emptied.
 */
export async function freeSegments({ sql }: Database): Promise<number> {
  for (let total = 0; ; ) {
    const [row] = await sql`select free_segments(${segmentsAtOnce}) as count`
    total += row?.count as number
    if ((row?.count as number) < segmentsAtOnce) return total
  }
}

/**
 * Takes on a segment that is worth being written again, if there is one.
 *
 * @param segmentID That of the new one; its row is made by this, before its object.
 * @param except Keys of segments that are to be left alone.
 */
export async function claimCompaction(
  { sql }: Database,
  segmentID: string,
  leaseSeconds: number,
  except: number[],
): Promise<ClaimedSegment | undefined> {
  const [row] = await sql`
    select segment_key as "segmentKey", segment_id as "segmentID"
    from claim_compaction(${segmentID}, ${leaseSeconds}, ${except}::bigint[])`
  return row as unknown as ClaimedSegment | undefined
}

/** @returns false when it was taken away. */
export async function renewCompaction(
  { sql }: Database,
  segmentID: string,
  leaseSeconds: number,
): Promise<boolean> {
  const { count } = await sql`
    update segments
    set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    where segment_id = ${segmentID}
    and state = 'open'`
  return count === 1
}

/** What lives in a segment and is not damaged, in the order in which it lies there. */
export async function instancesInSegment(
  { sql }: Database,
  segmentKey: number,
  limit: number,
): Promise<PlacedInstance[]> {
  return sql<PlacedInstance[]>`
    select
      sop_instance_uid as "sopInstanceUID", segment_offset as "segmentOffset",
      byte_length as "byteLength", metadata_length as "metadataLength", digest
    from instances
    where segment_key = ${segmentKey}
    and damaged_at is null
    order by segment_offset
    limit ${limit}`
}

/**
 * Lets instances be where they were copied to, in one transaction.
 * @returns how many; undefined: the compaction was taken away, and nothing was moved.
 */
export async function moveInstances(
  { sql }: Database,
  segmentID: string,
  byteLength: number,
  places: NewPlace[],
): Promise<number | undefined> {
  const lost = Symbol()
  const moved = await retryCommit<number | typeof lost>(
    async () => {
      const [row] = await sql`
        select move_instances(${segmentID}, ${byteLength}, ${JSON.stringify(places)}::text::jsonb) as count`
      return row?.count as number
    },
    ({ code }: CommitError) => (code === 'ST001' ? lost : undefined),
  )
  return moved === lost ? undefined : moved
}

/** Gives a compaction up: its new segment is deleted by the next sweep. */
export async function endCompaction({ sql }: Database, segmentID: string): Promise<void> {
  await sql`
    update segments
    set state = 'doomed'
    where segment_id = ${segmentID}
    and state = 'open'`
}

/**
 * Gives up compactions that nobody answers for any more; with `alone` all there are.
 * @returns how many.
 */
export async function expireCompactions({ sql }: Database, alone: boolean): Promise<number> {
  const [row] = await sql`select expire_compactions(${alone}) as count`
  return row?.count as number
}
