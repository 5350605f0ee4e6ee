import { and, asc, desc, eq, gt, sql as raw } from 'drizzle-orm'
import type { Change } from './changes.ts'
import type { Database } from './database.ts'
import { changes, instances, refusals, series, warnings } from './schema.ts'

export type Refusal = typeof refusals.$inferSelect
export type Warning = typeof warnings.$inferSelect

/** What became of a study, the newest first. */
export async function listStudyChanges(
  { orm }: Database,
  studyInstanceUID: string,
  limit: number,
): Promise<Change[]> {
  return orm
    .select()
    .from(changes)
    .where(and(eq(changes.studyInstanceUID, studyInstanceUID), eq(changes.level, 'study')))
    .orderBy(desc(changes.seq))
    .limit(limit)
}

/** A transfer that brought instances of a study. Those that shared a segment are known by their time alone. */
export interface Arrival {
  at: Date
  until: Date
  instanceCount: number
  transferID: string | null
}

/** When instances of a study came, one a segment and second, the newest first. */
export async function listArrivals(
  { sql }: Database,
  studyKey: number,
  limit: number,
): Promise<Arrival[]> {
  const rows = await sql<{ from: number; until: number; count: number; transfer: string | null }[]>`
    select
      extract(epoch from min(i.received_at))::float8 * 1000 as from,
      extract(epoch from max(i.received_at))::float8 * 1000 as until,
      count(*)::int as count, s.transfer_id as transfer
    from series e
    join instances i on i.series_key = e.series_key
    join segments s on s.segment_key = i.segment_key
    where e.study_key = ${studyKey}
    group by s.transfer_id, date_trunc('second', i.received_at)
    order by min(i.received_at) desc
    limit ${limit}`
  return rows.map(({ from, until, count, transfer }) => ({
    at: new Date(from),
    until: new Date(until),
    instanceCount: count,
    transferID: transfer,
  }))
}

/** Instances of a study by Transfer Syntax. */
export async function countTransferSyntaxes(
  { sql }: Database,
  studyKey: number,
): Promise<{ transferSyntaxUID: string; count: number }[]> {
  return sql`
    select i.transfer_syntax_uid as "transferSyntaxUID", count(*)::int as count
    from series e
    join instances i on i.series_key = e.series_key
    where e.study_key = ${studyKey}
    group by i.transfer_syntax_uid
    order by count(*) desc`
}

export async function listStudyFindings(
  { orm }: Database,
  studyInstanceUID: string,
  limit: number,
): Promise<{ refusals: Refusal[]; warnings: Warning[] }> {
  const [refused, warned] = await Promise.all([
    orm
      .select()
      .from(refusals)
      .where(eq(refusals.studyInstanceUID, studyInstanceUID))
      .orderBy(desc(refusals.refusalKey))
      .limit(limit),
    orm
      .select()
      .from(warnings)
      .where(eq(warnings.studyInstanceUID, studyInstanceUID))
      .orderBy(desc(warnings.warningKey))
      .limit(limit),
  ])
  return { refusals: refused, warnings: warned }
}

/** Whether there is anything to be seen of a study: instances, what was refused, deleted, or said of it. */
export async function isStudyKnown({ sql }: Database, studyInstanceUID: string): Promise<boolean> {
  const [row] = await sql`
    select
      exists (select from studies where study_instance_uid = ${studyInstanceUID})
      or exists (select from refusals where study_instance_uid = ${studyInstanceUID})
      or exists (select from deletions where study_instance_uid = ${studyInstanceUID})
      or exists (select from evidence where study_instance_uid = ${studyInstanceUID}) as known`
  return row?.known === true
}

/** The studies of what lies in a transfer's own segments; of one that shared its segment nobody knows. */
export async function studiesStoredBy(
  { sql }: Database,
  transferID: string,
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ uid: string }[]>`
    select t.study_instance_uid as uid
    from (
      select distinct i.study_key
      from segments s
      join instances i on i.segment_key = s.segment_key
      where s.transfer_id = ${transferID}
      limit ${limit}
    ) i
    join studies t on t.study_key = i.study_key
    order by 1`
  return rows.map(({ uid }) => uid)
}

export type ListedInstance = Omit<typeof instances.$inferSelect, 'digest'> & { digest: string }

export async function findSeries({ orm }: Database, studyKey: number, seriesInstanceUID: string) {
  const [found] = await orm
    .select()
    .from(series)
    .where(and(eq(series.studyKey, studyKey), eq(series.seriesInstanceUID, seriesInstanceUID)))
  return found
}

/** Instances of a series by UID, after one of them. */
export async function listInstances(
  { orm }: Database,
  seriesKey: number,
  page: { after?: string | undefined; limit: number },
): Promise<ListedInstance[]> {
  const found = await orm
    .select()
    .from(instances)
    .where(
      and(
        eq(instances.seriesKey, seriesKey),
        page.after === undefined ? undefined : gt(instances.sopInstanceUID, page.after),
      ),
    )
    .orderBy(asc(instances.sopInstanceUID))
    .limit(page.limit)
  return found.map((one) => ({ ...one, digest: Buffer.from(one.digest).toString('hex') }))
}

/** One line of the problems: all refusals, or all warnings, with one reason. */
export interface ProblemGroup {
  kind: 'refusal' | 'warning'
  reason: number
  count: number
  studyCount: number
  firstAt: Date
  lastAt: Date
  /** Of the last 14 days, the oldest first. */
  perDay: number[]
}

/** What went wrong within 30 days, by reason, the last one first. At most the newest 100,000 of each kind are counted. */
export async function groupProblems({ sql }: Database): Promise<ProblemGroup[]> {
  interface Row extends Omit<ProblemGroup, 'firstAt' | 'lastAt'> {
    first: number
    last: number
  }
  const rows = await sql<Row[]>`
    with found as (
      (
        select 'refusal' as kind, failure_reason as reason, study_instance_uid as uid, refused_at as at
        from refusals where refused_at > now() - interval '30 days'
        order by refused_at desc nulls last limit 100000
      )
      union all
      (
        select 'warning', warning_reason, study_instance_uid, warned_at
        from warnings where warned_at > now() - interval '30 days'
        order by warned_at desc nulls last limit 100000
      )
    ),
    days as (
      select kind, reason, ((extract(epoch from now()) - extract(epoch from at)) / 86400)::int as ago,
        count(*)::int as count
      from found group by 1, 2, 3
    )
    select
      f.kind, f.reason, count(*)::int as count, count(distinct f.uid)::int as "studyCount",
      extract(epoch from min(f.at))::float8 * 1000 as first,
      extract(epoch from max(f.at))::float8 * 1000 as last,
      array(
        select coalesce((
          select d.count from days d
          where d.kind = f.kind and d.reason = f.reason and d.ago = g.ago
        ), 0)
        from generate_series(13, 0, -1) g (ago)
      ) as "perDay"
    from found f
    group by f.kind, f.reason
    order by max(f.at) desc`
  return rows.map(({ first, last, ...group }) => ({
    ...group,
    firstAt: new Date(first),
    lastAt: new Date(last),
  }))
}

/** The newest refusals, or warnings, with a reason. */
export async function listProblems(
  { orm }: Database,
  kind: ProblemGroup['kind'],
  reason: number,
  limit: number,
): Promise<(Refusal | Warning)[]> {
  return kind === 'refusal'
    ? orm
        .select()
        .from(refusals)
        .where(
          and(eq(refusals.failureReason, reason), raw`refused_at > now() - interval '30 days'`),
        )
        .orderBy(raw`refused_at desc nulls last`)
        .limit(limit)
    : orm
        .select()
        .from(warnings)
        .where(and(eq(warnings.warningReason, reason), raw`warned_at > now() - interval '30 days'`))
        .orderBy(raw`warned_at desc nulls last`)
        .limit(limit)
}
