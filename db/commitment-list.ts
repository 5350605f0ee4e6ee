import { and, asc, eq, gt, isNotNull } from 'drizzle-orm'
import type { AskedInstance, Reference } from './commitments.ts'
import type { Database } from './database.ts'
import { commitmentReferences } from './schema.ts'

/** How many instances of a request failed for one reason. */
export interface FailureCount {
  commitmentKey: number
  failureReason: number
  count: number
}

/** Failures of finished requests by reason, the most frequent first. */
export async function countFailures(
  { sql }: Database,
  commitmentKeys: number[],
): Promise<FailureCount[]> {
  if (commitmentKeys.length === 0) return []
  return sql<FailureCount[]>`
    select commitment_key::float8 as "commitmentKey", failure_reason as "failureReason", count(*)::int as count
    from commitment_references
    where commitment_key = any (${commitmentKeys}::bigint[])
    and failure_reason is not null
    group by 1, 2
    order by 3 desc, 2`
}

/** What became of instances after their storage was committed. */
export interface LostSince {
  /** Also where it came again: that is another copy, which nobody read for this request. */
  deletedCount: number
  damagedCount: number
}

/** Of the committed instances of a finished request: one look into an index for each. */
export async function lostSinceCommitted(
  { sql }: Database,
  commitmentKey: number,
): Promise<LostSince> {
  const [row] = await sql<LostSince[]>`
    select
      (count(*) filter (where i.received_at is null or i.received_at > c.finished_at))::int as "deletedCount",
      (count(*) filter (where i.received_at <= c.finished_at and i.damaged_at is not null))::int as "damagedCount"
    from commitments c
    join commitment_references r on r.commitment_key = c.commitment_key
    left join lateral (
      select i.received_at, i.damaged_at from instances i where i.sop_instance_uid = r.sop_instance_uid offset 0
    ) i on true
    where c.commitment_key = ${commitmentKey}
    and r.failure_reason is null`
  return row as LostSince
}

/** The failed instances of a finished request in its order, after a place in it. */
export async function listFailures(
  { orm }: Database,
  commitmentKey: number,
  { after, limit }: { after: number; limit: number },
): Promise<Reference[]> {
  const { position, studyInstanceUID, seriesInstanceUID } = commitmentReferences
  const { sopClassUID, sopInstanceUID, failureReason } = commitmentReferences
  return orm
    .select({
      position,
      studyInstanceUID,
      seriesInstanceUID,
      sopClassUID,
      sopInstanceUID,
      failureReason,
    })
    .from(commitmentReferences)
    .where(
      and(
        eq(commitmentReferences.commitmentKey, commitmentKey),
        isNotNull(failureReason),
        gt(position, after),
      ),
    )
    .orderBy(asc(position))
    .limit(limit)
}

/** The instances of a study, up to `limit`, as a request asks for them. */
export async function instancesToCommit(
  { sql }: Database,
  { studyKey, studyInstanceUID }: { studyKey: number; studyInstanceUID: string },
  limit: number,
): Promise<AskedInstance[]> {
  const rows = await sql<Omit<AskedInstance, 'studyInstanceUID'>[]>`
    select
      e.series_instance_uid as "seriesInstanceUID", i.sop_class_uid as "sopClassUID",
      i.sop_instance_uid as "sopInstanceUID"
    from series e
    join instances i on i.series_key = e.series_key
    where e.study_key = ${studyKey}
    order by e.series_key, i.sop_instance_uid
    limit ${limit}`
  return rows.map((one) => ({ studyInstanceUID, ...one }))
}
