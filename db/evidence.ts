import { asc, eq, getTableColumns, sql as raw } from 'drizzle-orm'
import type { Database } from './database.ts'
import { type EvidenceExtent, type EvidenceSource, evidence, type Verdict } from './schema.ts'

/** What a source says of a study or of one of its series. */
export interface Claim {
  /** Of this series; else of the study as a whole. */
  seriesInstanceUID?: string | undefined
  /** Null: nothing could be had, as the detail says. */
  instanceCount: number | null
  /** Which ones, each once. */
  sopInstanceUIDs?: string[] | undefined
  detail?: string | undefined
}

export interface Statement {
  source: EvidenceSource
  /** Which one of the source: a rule, the instance that refers to others, a transaction. */
  origin: string
  extent: EvidenceExtent
  claims: Claim[]
  claimedBy?: string | undefined
}

/** Records what a source says of a study, in place of what it said before with the same origin. */
export async function putEvidence(
  { sql }: Database,
  studyInstanceUID: string,
  { source, origin, extent, claims, claimedBy }: Statement,
): Promise<Verdict> {
  const [row] = await sql`
    select put_evidence(
      ${studyInstanceUID}, ${source}, ${origin}, ${extent}, ${JSON.stringify(claims)}::text::jsonb,
      ${claimedBy ?? null}
    ) as verdict`
  return row?.verdict as Verdict
}

/** Takes back all that a source said of a study. @returns false: it said nothing. */
export async function withdrawEvidence(
  { sql }: Database,
  studyInstanceUID: string,
  source: EvidenceSource,
): Promise<boolean> {
  const [row] = await sql`select withdraw_evidence(${studyInstanceUID}, ${source}) as withdrawn`
  return row?.withdrawn === true
}

export type KeptEvidence = Omit<
  typeof evidence.$inferSelect,
  'evidenceKey' | 'studyInstanceUID' | 'listDigest'
>

/** All that is said of a study, up to `atMost` statements; those about all of it first. */
export async function listEvidence(
  { orm }: Database,
  studyInstanceUID: string,
  atMost: number,
): Promise<KeptEvidence[]> {
  const {
    evidenceKey: _,
    studyInstanceUID: __,
    listDigest: ___,
    ...shown
  } = getTableColumns(evidence)
  return orm
    .select(shown)
    .from(evidence)
    .where(eq(evidence.studyInstanceUID, studyInstanceUID))
    .orderBy(
      asc(evidence.extent),
      asc(evidence.source),
      raw`${evidence.seriesInstanceUID} nulls first`,
      asc(evidence.origin),
    )
    .limit(atMost)
}

/** What the evidence says of a study that is not here. */
export async function verdictWithoutInstances(
  { sql }: Database,
  studyInstanceUID: string,
): Promise<{ verdict: Verdict; expectedInstanceCount: number | null }> {
  const [row] = await sql`
    select
      verdict_of(0, min(instance_count) filter (where extent = 'all'),
        max(instance_count) filter (where extent = 'all'), coalesce(max(missing_count), 0)) as verdict,
      coalesce(
        max(instance_count) filter (where extent = 'all'), nullif(max(missing_count), 0)
      ) as expected
    from evidence
    where study_instance_uid = ${studyInstanceUID}
    and series_instance_uid is null
    and instance_count is not null`
  return {
    verdict: row?.verdict as Verdict,
    expectedInstanceCount: (row?.expected as number | null) ?? null,
  }
}

/** SOP Instance UIDs that are named somewhere and are not here, in their order, after `after`. */
export async function listMissing(
  { sql }: Database,
  studyInstanceUID: string,
  { after, limit }: { after: string; limit: number },
): Promise<string[]> {
  const rows = await sql`
    select distinct m.sop_instance_uid collate "C" as uid
    from missing_instances(${studyInstanceUID}) m
    where m.sop_instance_uid collate "C" > ${after}
    order by 1
    limit ${limit}`
  return rows.map((row) => row.uid as string)
}

export interface SeriesVerdict {
  seriesInstanceUID: string
  verdict: Verdict
  received: number
  expected: number | null
}

/** Series that anything is said of: those that are here, and those that are only expected. */
export async function listSeriesVerdicts(
  { sql }: Database,
  studyInstanceUID: string,
  atMost: number,
): Promise<SeriesVerdict[]> {
  return sql<SeriesVerdict[]>`
    select
      c.series_instance_uid as "seriesInstanceUID",
      coalesce(s.verdict, verdict_of(0, c.low, c.high, c.missing)) as verdict,
      coalesce(s.instance_count, 0) as received,
      case when s.series_key is null then coalesce(c.high, nullif(c.missing, 0)) else s.expected_instance_count end
        as expected
    from (
      select
        series_instance_uid, min(instance_count) filter (where extent = 'all') as low,
        max(instance_count) filter (where extent = 'all') as high, max(missing_count) as missing
      from evidence
      where study_instance_uid = ${studyInstanceUID}
      and series_instance_uid is not null
      group by series_instance_uid
    ) c
    left join series s
      on s.series_instance_uid = c.series_instance_uid
      and s.study_key = (select study_key from studies where study_instance_uid = ${studyInstanceUID})
    order by c.series_instance_uid collate "C"
    limit ${atMost}`
}
