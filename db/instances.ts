import { and, asc, count, eq, inArray, sql as raw, type SQL } from 'drizzle-orm'
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

/** What a search asks for; each list is "one of these". */
export interface SearchKeys {
  studyInstanceUID?: string[] | undefined
  seriesInstanceUID?: string[] | undefined
  sopInstanceUID?: string[] | undefined
  patientID?: string | undefined
  studyDate?: string | undefined
}

export interface Page {
  limit: number
  offset: number
}

/**
 * Newest first, the key as the last word, so that the order is stable. (QI-A10) `nulls last` is how the
 * index is built; without it Postgres would sort the table.
 */
export async function searchStudies(
  { orm }: Database,
  keys: SearchKeys,
  page: Page,
): Promise<Study[]> {
  return orm
    .select()
    .from(studies)
    .where(matching(keys))
    .orderBy(raw`${studies.lastReceivedAt} desc nulls last, ${studies.studyKey} desc nulls last`)
    .limit(page.limit)
    .offset(page.offset)
}

export async function searchSeries(
  { orm }: Database,
  keys: SearchKeys,
  page: Page,
): Promise<{ series: Series; study: Study }[]> {
  return orm
    .select({ series, study: studies })
    .from(series)
    .innerJoin(studies, eq(studies.studyKey, series.studyKey))
    .where(matching(keys))
    .orderBy(asc(series.seriesKey))
    .limit(page.limit)
    .offset(page.offset)
}

export async function searchInstances(
  { orm }: Database,
  keys: SearchKeys,
  page: Page,
): Promise<{ instance: typeof instances.$inferSelect; series: Series; study: Study }[]> {
  return orm
    .select({ instance: instances, series, study: studies })
    .from(instances)
    .innerJoin(series, eq(series.seriesKey, instances.seriesKey))
    .innerJoin(studies, eq(studies.studyKey, instances.studyKey))
    .where(matching(keys))
    .orderBy(asc(instances.seriesKey), asc(instances.sopInstanceUID))
    .limit(page.limit)
    .offset(page.offset)
}

/** How many a search would find without a limit. */
export async function countMatches(
  { orm }: Database,
  level: 'study' | 'series' | 'instance',
  keys: SearchKeys,
): Promise<number> {
  const total = { total: count() }
  const [row] =
    level === 'study'
      ? await orm.select(total).from(studies).where(matching(keys))
      : level === 'series'
        ? await orm
            .select(total)
            .from(series)
            .innerJoin(studies, eq(studies.studyKey, series.studyKey))
            .where(matching(keys))
        : await orm
            .select(total)
            .from(instances)
            .innerJoin(series, eq(series.seriesKey, instances.seriesKey))
            .innerJoin(studies, eq(studies.studyKey, instances.studyKey))
            .where(matching(keys))
  return row?.total ?? 0
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

function matching(keys: SearchKeys): SQL | undefined {
  return and(
    keys.studyInstanceUID && inArray(studies.studyInstanceUID, keys.studyInstanceUID),
    keys.seriesInstanceUID && inArray(series.seriesInstanceUID, keys.seriesInstanceUID),
    keys.sopInstanceUID && inArray(instances.sopInstanceUID, keys.sopInstanceUID),
    keys.patientID === undefined ? undefined : eq(studies.patientID, keys.patientID),
    keys.studyDate === undefined ? undefined : eq(studies.studyDate, keys.studyDate),
  )
}
