import { and, asc, eq, sql as raw, type SQL } from 'drizzle-orm'
import type { Database } from './database.ts'
import { instances, segments, series, studies } from './schema.ts'

export type Study = typeof studies.$inferSelect
export type Series = typeof series.$inferSelect

/** An instance with the UIDs of what it belongs to, and where its bytes are. */
export interface Instance extends Omit<typeof instances.$inferSelect, 'studyKey' | 'segmentKey'> {
  studyInstanceUID: string
  seriesInstanceUID: string
  segmentID: string
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

const instancesAtOnce = 500

/**
 * All instances of a study or series, or the one instance, in a stable order; a page at a time, so
 * that memory does not grow with the study. Empty: there is no such resource.
 *
 * What is committed while somebody reads is left out as a whole, for he may be past a part of it
 * already: each commit lies in segments of its own or at the end of a shared one, so the segments, and how
 * long they are at the beginning, tell what was. (No snapshot is held open for a reader who takes his time.) What
 * is moved meanwhile, from one segment to another, is still found.
 *
 * @throws {DeletedMeanwhileError} at the end, when there were fewer than there were at the beginning: so nobody takes
 *   what he got for all.
 */
export async function* instancesOf(
  { orm }: Database,
  path: ResourcePath,
): AsyncGenerator<Instance, void, void> {
  const present = await segmentsOf({ orm }, path)
  if (present.length === 0) return
  let missing = present.reduce((sum, { count }) => sum + count, 0)
  let after: Instance | undefined
  for (;;) {
    const rows = await orm
      .select({
        sopInstanceUID: instances.sopInstanceUID,
        seriesKey: instances.seriesKey,
        segmentOffset: instances.segmentOffset,
        byteLength: instances.byteLength,
        metadataLength: instances.metadataLength,
        digest: instances.digest,
        sopClassUID: instances.sopClassUID,
        transferSyntaxUID: instances.transferSyntaxUID,
        instanceNumber: instances.instanceNumber,
        numberOfFrames: instances.numberOfFrames,
        rows: instances.rows,
        columns: instances.columns,
        bitsAllocated: instances.bitsAllocated,
        receivedAt: instances.receivedAt,
        committedAt: instances.committedAt,
        damagedAt: instances.damagedAt,
        studyInstanceUID: studies.studyInstanceUID,
        seriesInstanceUID: series.seriesInstanceUID,
        segmentID: segments.segmentID,
      })
      .from(studies)
      .innerJoin(series, eq(series.studyKey, studies.studyKey))
      .innerJoin(instances, eq(instances.seriesKey, series.seriesKey))
      .innerJoin(segments, eq(segments.segmentKey, instances.segmentKey))
      .where(and(at(path), within(present), after && following(after)))
      .orderBy(asc(instances.seriesKey), asc(instances.sopInstanceUID))
      .limit(instancesAtOnce)
    const page = rows.map((row): Instance => ({ ...row, whereNow: () => placeOf({ orm }, row) }))
    yield* page
    missing -= page.length
    after = page.at(-1)
    if (page.length < instancesAtOnce) break
  }
  if (missing > 0) throw new DeletedMeanwhileError()
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

const originKey = raw<number>`coalesce(${segments.originKey}, ${segments.segmentKey})`

async function segmentsOf({ orm }: Pick<Database, 'orm'>, path: ResourcePath): Promise<Present[]> {
  return orm
    .select({
      originKey: originKey.as('origin_key'),
      byteLength: raw<number>`max(${segments.byteLength})`,
      count: raw<number>`count(*)::integer`,
      askedAt: raw<string>`statement_timestamp()::text`,
    })
    .from(studies)
    .innerJoin(series, eq(series.studyKey, studies.studyKey))
    .innerJoin(instances, eq(instances.seriesKey, series.seriesKey))
    .innerJoin(segments, eq(segments.segmentKey, instances.segmentKey))
    .where(at(path))
    .groupBy(originKey)
}

/**
 * In the segments that were there, as far as they went then; or moved from there, if it was there then.
 *
 * As parameters of arrays, for there may be more of them than a statement takes.
 */
function within(present: Present[]): SQL {
  const keys = `{${present.map((one) => one.originKey).join(',')}}`
  const lengths = `{${present.map(({ byteLength }) => byteLength).join(',')}}`
  return raw`exists (
    select from unnest(${keys}::bigint[], ${lengths}::bigint[]) as p (origin_key, byte_length)
    where p.origin_key = ${originKey}
    and case
      when ${segments.originKey} is null then ${instances.segmentOffset} < p.byte_length
      else ${instances.receivedAt} <= ${present[0]?.askedAt}::timestamptz
    end)`
}

function at(path: ResourcePath): SQL | undefined {
  return and(
    eq(studies.studyInstanceUID, path.studyInstanceUID),
    path.seriesInstanceUID ? eq(series.seriesInstanceUID, path.seriesInstanceUID) : undefined,
    path.sopInstanceUID ? eq(instances.sopInstanceUID, path.sopInstanceUID) : undefined,
  )
}

function following(last: Instance): SQL {
  return raw`(${instances.seriesKey}, ${instances.sopInstanceUID}) > (${last.seriesKey}, ${last.sopInstanceUID})`
}
