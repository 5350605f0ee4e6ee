import type { Database } from './database.ts'
import { type InstancePlace, placeOf } from './instances.ts'
import { type Running, running } from './running.ts'
import type { ResultKey } from './search.ts'
import type { SearchLevel } from './search-attributes.ts'
import { constant } from './search-conditions.ts'

/** Where the metadata of a result are, or of one instance of it. */
export interface MetadataPlace {
  studyInstanceUID: string
  seriesInstanceUID: string
  sopInstanceUID: string
  segmentID: string
  segmentOffset: number
  byteLength: number
  metadataLength: number
  digest: Uint8Array
  /** See `Instance`. */
  whereNow(): Promise<InstancePlace>
}

/**
 * Finds the metadata of results: of a study and of a series those of one of their instances, always the same one
 * unless there are new ones.
 */
export function locateMetadata(
  db: Database,
  level: SearchLevel,
  keys: ResultKey[],
): Running<MetadataPlace[]> {
  const statement = (sql: Database['sql']) => sql`
    select
      r.*, i.sop_instance_uid as "sopInstanceUID", g.segment_id as "segmentID",
      i.segment_offset as "segmentOffset", i.byte_length as "byteLength",
      i.metadata_length as "metadataLength", i.digest
    from unnest(${keys}::text[]) p (key)
    cross join lateral (${constant(sql, instanceOf[level])} limit 1) one
    join instances i on i.sop_instance_uid = one.sop_instance_uid
    join segments g on g.segment_key = i.segment_key
    cross join lateral (
      select t.study_instance_uid as "studyInstanceUID", e.series_instance_uid as "seriesInstanceUID"
      from series e
      join studies t on t.study_key = e.study_key
      where e.series_key = i.series_key
      offset 0
    ) r`
  return running(db, statement, (rows) =>
    (rows as Omit<MetadataPlace, 'whereNow'>[]).map((row) => ({
      ...row,
      whereNow: () => placeOf(db, row),
    })),
  )
}

const instanceOf = {
  study: `select i.sop_instance_uid
    from series e
    join instances i on i.series_key = e.series_key
    where e.study_key = p.key::bigint
    order by e.series_key, i.sop_instance_uid`,
  series: `select i.sop_instance_uid
    from instances i
    where i.series_key = p.key::bigint
    order by i.sop_instance_uid`,
  instance: 'select p.key as sop_instance_uid',
}
