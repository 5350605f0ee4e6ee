import type { Database } from '../../db/database.ts'

/** An instance, and where its bytes should be. Null: the row that its key names is not there. */
export interface InstanceRow {
  studyInstanceUID: string | null
  seriesInstanceUID: string | null
  sopInstanceUID: string
  segmentKey: number
  segmentID: string | null
  segmentOffset: number
  byteLength: number
  metadataLength: number
  digest: Uint8Array
  /** What the row says of its bytes. */
  isDamaged: boolean
}

/** Some 1.5 MB of rows. */
const rowsAtOnce = 5000

/**
 * All instances in the order in which their bytes lie, a page at a time: each page is a statement of
 * its own, for reading all bytes may take hours, and a snapshot held for so long would keep Postgres
 * from cleaning up. Those in segments that are newer than the question are left out: who stores faster than
 * this is read would be followed for ever.
 */
export async function* instanceRows({ sql }: Database): AsyncGenerator<InstanceRow, void, void> {
  const [newest] = await sql<{ key: number | null }[]>`
    select max(segment_key) as key
    from instances`
  let last: InstanceRow | undefined
  for (;;) {
    // The page is cut before the joins, so that each costs a few index reads.
    const page: InstanceRow[] = await sql<InstanceRow[]>`
      select
        t.study_instance_uid as "studyInstanceUID", e.series_instance_uid as "seriesInstanceUID",
        i.sop_instance_uid as "sopInstanceUID", i.segment_key as "segmentKey",
        g.segment_id as "segmentID", i.segment_offset as "segmentOffset",
        i.byte_length as "byteLength", i.metadata_length as "metadataLength", i.digest,
        i.damaged_at is not null as "isDamaged"
      from (
        select *
        from instances
        where segment_key <= ${newest?.key ?? 0}
        ${
          last === undefined
            ? sql``
            : sql`
                and segment_key >= ${last.segmentKey}
                and (segment_key, segment_offset, sop_instance_uid)
                  > (${last.segmentKey}, ${last.segmentOffset}, ${last.sopInstanceUID})`
        }
        order by segment_key, segment_offset, sop_instance_uid
        limit ${rowsAtOnce}
      ) i
      left join segments g on g.segment_key = i.segment_key
      left join series e on e.series_key = i.series_key
      left join studies t on t.study_key = e.study_key
      order by i.segment_key, i.segment_offset, i.sop_instance_uid`
    yield* page
    last = page.at(-1)
    if (page.length < rowsAtOnce) return
  }
}

/** The instance as it is now; undefined when it is gone. */
export async function findInstanceRow(
  { sql }: Database,
  sopInstanceUID: string,
): Promise<InstanceRow | undefined> {
  const [row] = await sql<InstanceRow[]>`
    select
      t.study_instance_uid as "studyInstanceUID", e.series_instance_uid as "seriesInstanceUID",
      i.sop_instance_uid as "sopInstanceUID", i.segment_key as "segmentKey",
      g.segment_id as "segmentID", i.segment_offset as "segmentOffset",
      i.byte_length as "byteLength", i.metadata_length as "metadataLength", i.digest,
      i.damaged_at is not null as "isDamaged"
    from instances i
    left join segments g on g.segment_key = i.segment_key
    left join series e on e.series_key = i.series_key
    left join studies t on t.study_key = e.study_key
    where i.sop_instance_uid = ${sopInstanceUID}`
  return row
}

/** What lies in a segment, a row for each study. */
export async function studiesInSegment(
  { sql }: Database,
  segmentKey: number,
): Promise<{ studyInstanceUID: string; count: number }[]> {
  return sql<{ studyInstanceUID: string; count: number }[]>`
    select t.study_instance_uid as "studyInstanceUID", count(*) as count
    from instances i
    join series e on e.series_key = i.series_key
    join studies t on t.study_key = e.study_key
    where i.segment_key = ${segmentKey}
    group by t.study_instance_uid
    order by t.study_instance_uid`
}
