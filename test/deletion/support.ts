import type { Database } from '../../db/database.ts'
import { deleteResource } from '../../db/deletions.ts'
import type { ResourcePath } from '../../db/instances.ts'
import { Compactor } from '../../server/deletion/compactor.ts'
import { silentLog } from '../../server/log.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import type { TestIntake } from '../support/intake.ts'

/** A study of which the UIDs and files are known. */
export interface MadeStudy {
  studyInstanceUID: string
  patientID: string
  instances: { seriesInstanceUID: string; sopInstanceUID: string; file: Buffer }[]
}

/** So many series with so many instances each. */
export function madeStudy(series = 1, count = 3, patientID = 'P'): MadeStudy {
  const studyInstanceUID = uniqueUID()
  const instances = Array.from({ length: series }, (_, s) => {
    const seriesInstanceUID = uniqueUID()
    return Array.from({ length: count }, (_, index) => {
      const uids = { studyInstanceUID, seriesInstanceUID, sopInstanceUID: uniqueUID() }
      const modality = s === 0 ? 'CT' : 'SR'
      const file = dicomFile({ ...uids, patientID, modality, instanceNumber: index + 1 })
      return { ...uids, file }
    })
  }).flat()
  return { studyInstanceUID, patientID, instances }
}

export const filesOfStudy = ({ instances }: MadeStudy) => instances.map(({ file }) => file)

/** Deletes, and insists that it was. */
export async function deleted(
  db: Database,
  path: ResourcePath,
  request: Parameters<typeof deleteResource>[2] = {},
) {
  const result = await deleteResource(db, path, request)
  if (result.outcome !== 'deleted') throw new Error(result.outcome)
  return result.deletion
}

/** Gives back what was deleted, as far as it can be now. */
export async function compact(archive: Pick<TestIntake, 'db' | 'store'>): Promise<void> {
  const compactor = new Compactor({
    ...archive,
    log: silentLog,
    leaseMs: 30_000,
    keepTransfersDays: 0,
  })
  await compactor.round()
}

/** Rows whose counts are not what is there, and segments whose dead bytes are not. */
export async function wrongRows({ sql }: Database): Promise<unknown[]> {
  return [
    ...(await sql`
      select 'study' as level, study_instance_uid as uid from studies t
      where (t.instance_count, t.byte_length, t.committed_instance_count, t.damaged_instance_count) is distinct from (
        select (count(*)::int, sum(byte_length)::bigint, count(committed_at)::int, count(damaged_at)::int)
        from instances i where i.study_key = t.study_key
      ) or t.series_count <> (select count(*) from series e where e.study_key = t.study_key)
      union all
      select 'series', series_instance_uid from series e
      where (e.instance_count, e.byte_length, e.committed_instance_count, e.damaged_instance_count) is distinct from (
        select (count(*)::int, sum(byte_length)::bigint, count(committed_at)::int, count(damaged_at)::int)
        from instances i where i.series_key = e.series_key
      )
      union all
      select 'patient', patient_id from patients p
      where (p.study_count, p.series_count, p.instance_count, p.byte_length) is distinct from (
        select (count(*)::int, sum(series_count)::int, sum(instance_count)::int, sum(byte_length)::bigint)
        from studies t where t.patient_key = p.patient_key
      )
      union all
      select 'segment', g.segment_id::text from segments g
      where g.state = 'kept'
      and g.byte_length - g.dead_bytes
        - (select coalesce(sum(byte_length), 0) from freed_bytes f where f.segment_key = g.segment_key)
        <> (
          select coalesce(sum(i.byte_length + i.metadata_length), 0)
          from instances i where i.segment_key = g.segment_key
        )`),
  ]
}

/** Changes without number, by type and level, in order. */
export async function changesOf({ sql }: Database): Promise<string[]> {
  const rows = await sql`select type, level from changes_to_come order by change_key`
  return rows.map(({ type, level }) => `${type} ${level}`)
}
