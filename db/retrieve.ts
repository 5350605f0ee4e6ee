import { and, eq } from 'drizzle-orm'
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
 * What changes whenever a study or series gains or loses an instance, or has one healed: when it gained one last, what it holds, and what
 * the row of the study was last written by (decision 30). Undefined: there is none. Costs one row.
 */
export async function versionOf(
  { sql }: Database,
  { studyInstanceUID, seriesInstanceUID }: ResourcePath,
): Promise<string | undefined> {
  const isIt =
    seriesInstanceUID === undefined ? sql`` : sql`and e.series_instance_uid = ${seriesInstanceUID}`
  const of = seriesInstanceUID === undefined ? sql`t` : sql`e`
  const [row] = await sql<{ version: string }[]>`
    select concat_ws('.', ${of}.instance_count, ${of}.byte_length,
      extract(epoch from ${of}.last_received_at), extract(epoch from ${of}.first_received_at), t.xmin) as version
    from studies t join series e on e.study_key = t.study_key
    where t.study_instance_uid = ${studyInstanceUID} ${isIt}
    limit 1`
  return row?.version
}
