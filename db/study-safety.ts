import type { Database } from './database.ts'
import type { EvidenceSource } from './schema.ts'

/** An instant as milliseconds, or null: the client leaves instants of plain SQL as text. */
type Milliseconds<Row, Names extends keyof Row> = Omit<Row, Names> & {
  [Name in Names]: null extends Row[Name] ? number | null : number
}

const dateOf = (milliseconds: number | null) =>
  milliseconds === null ? null : new Date(milliseconds)

/** An instance that is named somewhere and is not here, with all that is known of it. */
export interface MissingInstance {
  sopInstanceUID: string
  /** Where a statement says in which series it should be. */
  seriesInstanceUID: string | null
  /** Whose statements name it. */
  sources: EvidenceSource[]
  /** It came, and was refused: the last time. */
  failureReason: number | null
  refusedAt: Date | null
  transferID: string | null
  /** It was here, and was deleted. */
  deletedAt: Date | null
}

/** What is missing by name, by UID, after one of them. */
export async function listMissingInstances(
  { sql }: Database,
  studyInstanceUID: string,
  { after, limit }: { after: string; limit: number },
): Promise<MissingInstance[]> {
  const rows = await sql<Milliseconds<MissingInstance, 'refusedAt' | 'deletedAt'>[]>`
    with named as materialized (
      select
        m.sop_instance_uid collate "C" as uid, max(m.series_instance_uid) as series,
        array_agg(distinct m.source) as sources
      from missing_instances(${studyInstanceUID}) m
      where m.sop_instance_uid collate "C" > ${after}
      group by 1
      order by 1
      limit ${limit}
    ),
    refused as (
      select distinct on (r.sop_instance_uid) r.sop_instance_uid, r.failure_reason, r.refused_at, r.transfer_id
      from refusals r
      where r.study_instance_uid = ${studyInstanceUID}
      and r.sop_instance_uid = any (array(select uid from named))
      order by r.sop_instance_uid, r.refusal_key desc
    )
    select
      n.uid as "sopInstanceUID", n.series as "seriesInstanceUID", n.sources,
      r.failure_reason as "failureReason", extract(epoch from r.refused_at)::float8 * 1000 as "refusedAt",
      r.transfer_id as "transferID", extract(epoch from d.deleted_at)::float8 * 1000 as "deletedAt"
    from named n
    left join refused r on r.sop_instance_uid = n.uid
    left join tombstones t on t.sop_instance_uid = n.uid
    left join deletions d on d.deletion_key = t.deletion_key
    order by n.uid`
  return rows.map(({ refusedAt, deletedAt, ...one }) => ({
    ...one,
    refusedAt: dateOf(refusedAt),
    deletedAt: dateOf(deletedAt),
  }))
}

/** How many are missing by name, up to `atMost`. */
export async function countMissingInstances(
  { sql }: Database,
  studyInstanceUID: string,
  atMost: number,
): Promise<number> {
  const [row] = await sql`
    select count(*)::int as count
    from (
      select distinct m.sop_instance_uid
      from missing_instances(${studyInstanceUID}) m
      limit ${atMost}
    ) named`
  return row?.count as number
}

/** What is known of the bytes of a study. */
export interface Integrity {
  /** Instances whose segment was read again since they came. */
  verifiedCount: number
  /** When the first and the last of those segments were. Null: none was. */
  firstVerifiedAt: Date | null
  lastVerifiedAt: Date | null
  segmentCount: number
}

export async function integrityOf({ sql }: Database, studyKey: number): Promise<Integrity> {
  const [row] = await sql<Milliseconds<Integrity, 'firstVerifiedAt' | 'lastVerifiedAt'>[]>`
    select
      (count(*) filter (where g.verified_at > i.received_at))::int as "verifiedCount",
      extract(epoch from min(g.verified_at) filter (where g.verified_at > i.received_at))::float8 * 1000
        as "firstVerifiedAt",
      extract(epoch from max(g.verified_at) filter (where g.verified_at > i.received_at))::float8 * 1000
        as "lastVerifiedAt",
      count(distinct i.segment_key)::int as "segmentCount"
    from series e
    join instances i on i.series_key = e.series_key
    join segments g on g.segment_key = i.segment_key
    where e.study_key = ${studyKey}`
  const {
    verifiedCount = 0,
    segmentCount = 0,
    firstVerifiedAt = null,
    lastVerifiedAt = null,
  } = row ?? {}
  return {
    verifiedCount,
    segmentCount,
    firstVerifiedAt: dateOf(firstVerifiedAt),
    lastVerifiedAt: dateOf(lastVerifiedAt),
  }
}

export interface DamagedInstance {
  sopInstanceUID: string
  seriesInstanceUID: string
  instanceNumber: string | null
  damagedAt: Date
  /** When its storage had been committed before. */
  committedAt: Date | null
}

/** The instances of a study whose bytes are not what came. */
export async function listDamagedInstances(
  { sql }: Database,
  studyKey: number,
  limit: number,
): Promise<DamagedInstance[]> {
  const rows = await sql<Milliseconds<DamagedInstance, 'damagedAt' | 'committedAt'>[]>`
    select
      i.sop_instance_uid as "sopInstanceUID", e.series_instance_uid as "seriesInstanceUID",
      i.instance_number as "instanceNumber", extract(epoch from i.damaged_at)::float8 * 1000 as "damagedAt",
      extract(epoch from i.committed_at)::float8 * 1000 as "committedAt"
    from series e
    join instances i on i.series_key = e.series_key
    where e.study_key = ${studyKey}
    and e.damaged_instance_count > 0
    and i.damaged_at is not null
    order by i.sop_instance_uid
    limit ${limit}`
  return rows.map(({ damagedAt, committedAt, ...one }) => ({
    ...one,
    damagedAt: new Date(damagedAt),
    committedAt: dateOf(committedAt),
  }))
}
