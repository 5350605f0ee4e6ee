import { and, eq, sql as raw } from 'drizzle-orm'
import type { Database } from './database.ts'
import type { ResourcePath } from './instances.ts'
import { instances, series, studies } from './schema.ts'

/** The transfer syntaxes that the instances of a resource have, each once. Empty: there is no such resource. */
export async function transferSyntaxesOf({ orm }: Database, path: ResourcePath): Promise<string[]> {
  const rows = await orm
    .selectDistinct({ transferSyntaxUID: instances.transferSyntaxUID })
    .from(studies)
    .innerJoin(series, eq(series.studyKey, studies.studyKey))
    .innerJoin(instances, eq(instances.seriesKey, series.seriesKey))
    .where(
      and(
        eq(studies.studyInstanceUID, path.studyInstanceUID),
        path.seriesInstanceUID ? eq(series.seriesInstanceUID, path.seriesInstanceUID) : undefined,
        path.sopInstanceUID ? eq(instances.sopInstanceUID, path.sopInstanceUID) : undefined,
      ),
    )
  return rows.map(({ transferSyntaxUID }) => transferSyntaxUID)
}

/**
 * What changes whenever a study or series gains or loses an instance: when it did last, and what it holds. Undefined:
 * there is none. Costs one row.
 */
export async function versionOf(
  { orm }: Database,
  path: ResourcePath,
): Promise<string | undefined> {
  const of = path.seriesInstanceUID === undefined ? studies : series
  const [row] = await orm
    .select({
      version: raw<string>`concat_ws('.', ${of.instanceCount}, ${of.byteLength},
        extract(epoch from ${of.lastReceivedAt}), extract(epoch from ${of.firstReceivedAt}))`,
    })
    .from(studies)
    .innerJoin(series, eq(series.studyKey, studies.studyKey))
    .where(
      and(
        eq(studies.studyInstanceUID, path.studyInstanceUID),
        path.seriesInstanceUID ? eq(series.seriesInstanceUID, path.seriesInstanceUID) : undefined,
      ),
    )
    .limit(1)
  return row?.version
}
