import { and, eq } from 'drizzle-orm'
import type { Database } from './database.ts'
import { instances, segments, series, studies } from './schema.ts'
import type { Fragment } from './search-conditions.ts'

export type Study = typeof studies.$inferSelect
export type Series = typeof series.$inferSelect

type Row = typeof instances.$inferSelect

/** All that is known of an instance, with the UIDs of what it belongs to. */
export interface InstanceDetails extends Omit<Row, 'studyKey' | 'segmentKey'> {
  studyInstanceUID: string
  seriesInstanceUID: string
  segmentID: string
}

/** What retrieval needs of it: what it is, and where its bytes are. */
export interface Instance
  extends Omit<InstanceDetails, 'bitsAllocated' | 'committedAt' | 'damagedAt'> {
  /** Where it is now, for who does not find it there any more. @throws {DeletedMeanwhileError} */
  whereNow(): Promise<InstancePlace>
}

export interface InstancePlace {
  segmentID: string
  segmentOffset: number
}

/** Some of a resource was deleted while it was being read. */
export class DeletedMeanwhileError extends Error {
  override name = 'DeletedMeanwhileError'

  constructor() {
    super('Cannot read on: some of it was deleted meanwhile')
  }
}

/** A study, a series of it, or an instance of that: the resource that a path names. */
export interface ResourcePath {
  studyInstanceUID: string
  seriesInstanceUID?: string | undefined
  sopInstanceUID?: string | undefined
}

type SeriesPath = Omit<ResourcePath, 'sopInstanceUID'>

export type InstanceKeys = Record<keyof ResourcePath, string>

const instancesAtOnce = 1000

/** Columns of an instance `i`, a series `e`, a study `t` and a segment `g`, for {@link instanceOf}. */
export function instanceColumns(sql: Database['sql']): Fragment {
  return sql`
    i.sop_instance_uid as "sopInstanceUID", i.series_key as "seriesKey",
    i.segment_offset as "segmentOffset", i.byte_length as "byteLength",
    i.metadata_length as "metadataLength", i.digest, i.sop_class_uid as "sopClassUID",
    i.transfer_syntax_uid as "transferSyntaxUID", i.instance_number as "instanceNumber",
    i.number_of_frames as "numberOfFrames", i.rows, i.columns, i.received_at as "receivedAt",
    t.study_instance_uid as "studyInstanceUID", e.series_instance_uid as "seriesInstanceUID",
    g.segment_id as "segmentID"`
}

/** Rows of {@link instanceColumns}. */
export type InstanceColumns = Omit<Instance, 'receivedAt' | 'whereNow'> & { receivedAt: string }

export function instanceOf({ orm }: Database, row: InstanceColumns): Instance {
  return {
    ...row,
    receivedAt: new Date(row.receivedAt),
    whereNow: () => placeOf({ orm }, row),
  }
}

/**
 * All instances of a study or series, in a stable order. Empty: there is no such resource.
 *
 * Those of a small one are found by one statement, in one snapshot. Of a large one a page is read at a time, so that memory does not
 * grow with it. What is committed meanwhile is left out as a whole then, for the reader may be past a part of it already: each
 * commit lies in segments of its own or at the end of a shared one, so the segments, and how long they are at the
 * beginning, tell what was. (No snapshot is held open for a reader who takes his time.) What is moved meanwhile, from one
 * segment to another, is still found.
 *
 * By statements that stay prepared: to plan them takes longer than to run them.
 *
 * @throws {DeletedMeanwhileError} at the end, when there were fewer than there were at the beginning: so nobody takes
 *   what he got for all.
 */
export async function* instancesOf(
  db: Database,
  path: SeriesPath,
): AsyncGenerator<Instance, void, void> {
  const { sql } = db
  const small = await pageOf(db, path, sql``)
  if (small.length < instancesAtOnce) {
    for (const row of small) yield instanceOf(db, row)
    return
  }
  const present = await segmentsOf(db, path)
  // It was deleted in between.
  if (present.length === 0) return
  const isPresent = within(sql, present)
  let missing = present.reduce((sum, { count }) => sum + count, 0)
  let isBeyond = sql``
  for (;;) {
    const page = await pageOf(db, path, sql`and ${isPresent} ${isBeyond}`)
    for (const row of page) yield instanceOf(db, row)
    missing -= page.length
    const last = page.at(-1)
    if (last === undefined || page.length < instancesAtOnce) break
    isBeyond = sql`and (i.series_key, i.sop_instance_uid) > (${last.seriesKey}, ${last.sopInstanceUID})`
  }
  if (missing > 0) throw new DeletedMeanwhileError()
}

async function pageOf(
  { sql }: Database,
  path: SeriesPath,
  condition: Fragment,
): Promise<readonly InstanceColumns[]> {
  return sql<InstanceColumns[]>`
    select ${instanceColumns(sql)}
    from studies t
    join series e on e.study_key = t.study_key
    join instances i on i.series_key = e.series_key
    join segments g on g.segment_key = i.segment_key
    where ${at(sql, path)}
    ${condition}
    order by i.series_key, i.sop_instance_uid
    limit ${instancesAtOnce}`
}

/** Undefined: there is none. */
export async function findInstance(
  { orm }: Database,
  { studyInstanceUID, seriesInstanceUID, sopInstanceUID }: InstanceKeys,
): Promise<InstanceDetails | undefined> {
  const [found] = await orm
    .select()
    .from(instances)
    .innerJoin(series, eq(series.seriesKey, instances.seriesKey))
    .innerJoin(studies, eq(studies.studyKey, series.studyKey))
    .innerJoin(segments, eq(segments.segmentKey, instances.segmentKey))
    .where(
      and(
        eq(instances.sopInstanceUID, sopInstanceUID),
        eq(series.seriesInstanceUID, seriesInstanceUID),
        eq(studies.studyInstanceUID, studyInstanceUID),
      ),
    )
  if (found === undefined) return undefined
  const { segmentID } = found.segments
  return { ...found.instances, studyInstanceUID, seriesInstanceUID, segmentID }
}

interface Present {
  /** That into which the instances came first, if they were moved. */
  originKey: number
  byteLength: number
  /** Of the instances of the resource that lie in it. */
  count: number
  askedAt: string
}

/** Where an instance with these bytes is. @throws {DeletedMeanwhileError} */
export async function placeOf(
  { orm }: Pick<Database, 'orm'>,
  { sopInstanceUID, digest }: { sopInstanceUID: string; digest: Uint8Array },
): Promise<InstancePlace> {
  const [place] = await orm
    .select({ segmentID: segments.segmentID, segmentOffset: instances.segmentOffset })
    .from(instances)
    .innerJoin(segments, eq(segments.segmentKey, instances.segmentKey))
    .where(and(eq(instances.sopInstanceUID, sopInstanceUID), eq(instances.digest, digest)))
  if (place === undefined) throw new DeletedMeanwhileError()
  return place
}

async function segmentsOf({ sql }: Database, path: SeriesPath): Promise<Present[]> {
  return sql<Present[]>`
    select
      ${originKey(sql)} as "originKey", max(g.byte_length) as "byteLength", count(*)::integer as count,
      statement_timestamp()::text as "askedAt"
    from studies t
    join series e on e.study_key = t.study_key
    join instances i on i.series_key = e.series_key
    join segments g on g.segment_key = i.segment_key
    where ${at(sql, path)}
    group by 1`
}

function originKey(sql: Database['sql']): Fragment {
  return sql`coalesce(g.origin_key, g.segment_key)`
}

/**
 * In the segments that were there, as far as they went then; or moved from there, if it was there then.
 *
 * As parameters of arrays, for there may be more of them than a statement takes.
 */
function within(sql: Database['sql'], present: Present[]): Fragment {
  const keys = present.map((one) => one.originKey)
  const lengths = present.map(({ byteLength }) => byteLength)
  return sql`exists (
    select from unnest(${keys}::bigint[], ${lengths}::bigint[]) as p (origin_key, byte_length)
    where p.origin_key = ${originKey(sql)}
    and case
      when g.origin_key is null then i.segment_offset < p.byte_length
      else i.received_at <= ${present[0]?.askedAt as string}::timestamptz
    end)`
}

function at(sql: Database['sql'], path: SeriesPath): Fragment {
  const { studyInstanceUID, seriesInstanceUID } = path
  return sql`t.study_instance_uid = ${studyInstanceUID}
    ${seriesInstanceUID === undefined ? sql`` : sql`and e.series_instance_uid = ${seriesInstanceUID}`}`
}
