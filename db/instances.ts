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
 * long they are at the beginning, tell what was. (No snapshot is held open for a reader who takes his time.)
 */
export async function* instancesOf(
  { orm, sql }: Database,
  path: ResourcePath,
): AsyncGenerator<Instance, void, void> {
  if (path.sopInstanceUID !== undefined) {
    yield* await oneInstance(sql, path as Record<keyof ResourcePath, string>)
    return
  }
  const present = await segmentsOf({ orm }, path)
  if (present.length === 0) return
  let after: Instance | undefined
  for (;;) {
    const page: Instance[] = await orm
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
    yield* page
    after = page.at(-1)
    if (page.length < instancesAtOnce) return
  }
}

/** By a statement that stays prepared: to plan this takes several times as long as to run it. */
async function oneInstance(
  sql: Database['sql'],
  path: Record<keyof ResourcePath, string>,
): Promise<Instance[]> {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = path
  const rows = await sql`
    select
      i.sop_instance_uid as "sopInstanceUID", i.series_key as "seriesKey",
      i.segment_offset as "segmentOffset", i.byte_length as "byteLength",
      i.metadata_length as "metadataLength", i.digest, i.sop_class_uid as "sopClassUID",
      i.transfer_syntax_uid as "transferSyntaxUID", i.instance_number as "instanceNumber",
      i.number_of_frames as "numberOfFrames", i.rows, i.columns,
      i.bits_allocated as "bitsAllocated", i.received_at as "receivedAt",
      i.committed_at as "committedAt", i.damaged_at as "damagedAt",
      t.study_instance_uid as "studyInstanceUID", e.series_instance_uid as "seriesInstanceUID",
      g.segment_id as "segmentID"
    from instances i
    join series e on e.series_key = i.series_key
    join studies t on t.study_key = e.study_key
    join segments g on g.segment_key = i.segment_key
    where i.sop_instance_uid = ${sopInstanceUID}
    and e.series_instance_uid = ${seriesInstanceUID}
    and t.study_instance_uid = ${studyInstanceUID}`
  const instant = (value: unknown) => (value === null ? null : new Date(value as string))
  return (rows as unknown as Instance[]).map((row) => ({
    ...row,
    receivedAt: instant(row.receivedAt) as Date,
    committedAt: instant(row.committedAt),
    damagedAt: instant(row.damagedAt),
  }))
}

interface Present {
  segmentKey: number
  byteLength: number
}

async function segmentsOf({ orm }: Pick<Database, 'orm'>, path: ResourcePath): Promise<Present[]> {
  return orm
    .selectDistinct({ segmentKey: segments.segmentKey, byteLength: segments.byteLength })
    .from(studies)
    .innerJoin(series, eq(series.studyKey, studies.studyKey))
    .innerJoin(instances, eq(instances.seriesKey, series.seriesKey))
    .innerJoin(segments, eq(segments.segmentKey, instances.segmentKey))
    .where(at(path))
}

/** As two parameters, for there may be more of them than a statement takes. */
function within(present: Present[]): SQL {
  const keys = `{${present.map(({ segmentKey }) => segmentKey).join(',')}}`
  const lengths = `{${present.map(({ byteLength }) => byteLength).join(',')}}`
  return raw`exists (
    select from unnest(${keys}::bigint[], ${lengths}::bigint[]) as p (segment_key, byte_length)
    where p.segment_key = ${instances.segmentKey} and ${instances.segmentOffset} < p.byte_length)`
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
