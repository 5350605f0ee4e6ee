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
  { orm }: Database,
  path: ResourcePath,
): AsyncGenerator<Instance, void, void> {
  const present = path.sopInstanceUID === undefined ? await segmentsOf({ orm }, path) : undefined
  if (present?.length === 0) return
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
      .where(and(at(path), present && within(present), after && following(after)))
      .orderBy(asc(instances.seriesKey), asc(instances.sopInstanceUID))
      .limit(instancesAtOnce)
    yield* page
    after = page.at(-1)
    if (page.length < instancesAtOnce) return
  }
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
