import type { PendingQuery } from 'postgres'
import type { Database } from '../../db/database.ts'
import type { Finding, Report } from './finding.ts'

type Sql = Database['sql']

/** Rows taken from a cursor at once, and looked at again at once. */
const rowsAtOnce = 200

/** What instances are marked as, and series and studies count. */
const marks = ['committed instances', 'damaged instances']

interface Counted {
  key: number
  /** What the row says, and what is there. */
  says: number[]
  holds: number[]
}

/** One question to the database: rows that are not as they should be. */
interface Question<Row extends { key: number }> {
  /** @param keys Only these. Default all. */
  ask(sql: Sql, keys?: number[]): PendingQuery<Record<string, unknown>[]>
  tell(row: Row): Generator<Finding>
}

/**
 * Counts the instances of every series, study and patient, and compares with what their rows say.
 *
 * All is counted in one snapshot, so a commit in between does no harm. What does not fit is looked at
 * once more, in a new one, before it is reported. Memory does not grow with the number of rows.
 */
export async function checkCounts({ sql }: Database, report: Report): Promise<void> {
  await sql.begin('isolation level repeatable read read only', async (snapshot) => {
    const within = snapshot as unknown as Sql
    await askTwice(seriesQuestion, within, sql, report)
    await askTwice(studiesQuestion, within, sql, report)
    await askTwice(patientsQuestion, within, sql, report)
  })
}

async function askTwice<Row extends { key: number }>(
  { ask, tell }: Question<Row>,
  snapshot: Sql,
  sql: Sql,
  report: Report,
): Promise<void> {
  for await (const rows of ask(snapshot).cursor(rowsAtOnce)) {
    const still = await ask(
      sql,
      rows.map((row) => row.key as number),
    )
    for (const row of still) for (const finding of tell(row as unknown as Row)) report(finding)
  }
}

interface SeriesRow extends Counted {
  studyInstanceUID: string
  seriesInstanceUID: string
  isElsewhere: boolean
}

const seriesQuestion: Question<SeriesRow> = {
  ask: (sql, keys) => sql`
    with held as (
      select
        series_key, count(*) as instances, sum(byte_length)::bigint as bytes,
        count(committed_at) as committed, count(damaged_at) as damaged, min(study_key) as first_study, max(study_key) as last_study
      from instances
      ${keys === undefined ? sql`` : sql`where series_key = any(${keys}::bigint[])`}
      group by series_key
    ), compared as (
      select
        e.series_key as key, t.study_instance_uid as "studyInstanceUID",
        e.series_instance_uid as "seriesInstanceUID",
        array[
          e.instance_count, e.byte_length, e.committed_instance_count, e.damaged_instance_count
        ] as says,
        array[
          coalesce(h.instances, 0), coalesce(h.bytes, 0), coalesce(h.committed, 0),
          coalesce(h.damaged, 0)
        ] as holds,
        coalesce(h.first_study <> e.study_key or h.last_study <> e.study_key, false) as "isElsewhere"
      from series e
      join studies t on t.study_key = e.study_key
      left join held h on h.series_key = e.series_key
      ${keys === undefined ? sql`` : sql`where e.series_key = any(${keys}::bigint[])`}
    )
    select key, "studyInstanceUID", "seriesInstanceUID", says::text[], holds::text[], "isElsewhere"
    from compared
    where says <> holds or holds[1] = 0 or "isElsewhere"`,
  *tell(row) {
    const { studyInstanceUID, seriesInstanceUID } = row
    const place = { studyInstanceUID, seriesInstanceUID }
    if (isEmpty(row)) {
      yield { problem: 'series-without-instances', place, detail: 'it has no instance' }
    }
    yield* tellCounts('series-counts', place, row, ['instances', 'bytes', ...marks])
    if (row.isElsewhere) {
      const detail = 'some of its instances say that they belong to another study'
      yield { problem: 'series-in-other-study', place, detail }
    }
  },
}

interface StudyRow extends Counted {
  studyInstanceUID: string
  areModalitiesRight: boolean
  isPatientRight: boolean
}

const studiesQuestion: Question<StudyRow> = {
  ask: (sql, keys) => sql`
    with held as (
      select
        e.study_key, e.modality, count(i.sop_instance_uid) as instances,
        count(i.committed_at) as committed, count(i.damaged_at) as damaged,
        coalesce(sum(i.byte_length), 0)::bigint as bytes
      from series e
      left join instances i on i.series_key = e.series_key
      ${keys === undefined ? sql`` : sql`where e.study_key = any(${keys}::bigint[])`}
      group by e.series_key
    ), summed as (
      select
        study_key, count(*) as series, sum(instances)::bigint as instances,
        sum(bytes)::bigint as bytes, sum(committed)::bigint as committed,
        sum(damaged)::bigint as damaged,
        coalesce(array_agg(distinct modality) filter (where modality is not null), '{}') as modalities
      from held
      group by study_key
    ), compared as (
      select
        t.study_key as key, t.study_instance_uid as "studyInstanceUID",
        array[
          t.series_count, t.instance_count, t.byte_length, t.committed_instance_count,
          t.damaged_instance_count
        ] as says,
        array[
          coalesce(s.series, 0), coalesce(s.instances, 0), coalesce(s.bytes, 0),
          coalesce(s.committed, 0), coalesce(s.damaged, 0)
        ] as holds,
        t.modalities_in_study @> coalesce(s.modalities, '{}')
          and cardinality(t.modalities_in_study) = coalesce(cardinality(s.modalities), 0)
          as "areModalitiesRight",
        p.patient_id is not distinct from t.patient_id
          and (p.patient_key is null or p.issuer_of_patient_id = coalesce(t.issuer_of_patient_id, ''))
          as "isPatientRight"
      from studies t
      left join summed s on s.study_key = t.study_key
      left join patients p on p.patient_key = t.patient_key
      ${keys === undefined ? sql`` : sql`where t.study_key = any(${keys}::bigint[])`}
    )
    select
      key, "studyInstanceUID", says::text[], holds::text[], "areModalitiesRight", "isPatientRight"
    from compared
    where says <> holds or holds[1] = 0 or not "areModalitiesRight" or not "isPatientRight"`,
  *tell(row) {
    const place = { studyInstanceUID: row.studyInstanceUID }
    if (isEmpty(row)) yield { problem: 'study-without-series', place, detail: 'it has no series' }
    yield* tellCounts('study-counts', place, row, ['series', 'instances', 'bytes', ...marks])
    if (!row.areModalitiesRight) {
      const detail = 'its Modalities in Study are not those of its series'
      yield { problem: 'study-modalities', place, detail }
    }
    if (!row.isPatientRight) {
      const detail = 'its Patient ID is not that of the patient it is filed under'
      yield { problem: 'study-of-other-patient', place, detail }
    }
  },
}

const patientsQuestion: Question<Counted> = {
  ask: (sql, keys) => sql`
    with held as (
      select
        e.study_key, count(distinct e.series_key) as series, count(i.sop_instance_uid) as instances,
        coalesce(sum(i.byte_length), 0)::bigint as bytes
      from series e
      left join instances i on i.series_key = e.series_key
      ${
        keys === undefined
          ? sql``
          : sql`
              join studies t on t.study_key = e.study_key
              where t.patient_key = any(${keys}::bigint[])`
      }
      group by e.study_key
    ), compared as (
      select
        p.patient_key as key,
        array[p.study_count, p.series_count, p.instance_count, p.byte_length] as says,
        array[
          count(t.study_key), coalesce(sum(h.series), 0)::bigint,
          coalesce(sum(h.instances), 0)::bigint, coalesce(sum(h.bytes), 0)::bigint
        ] as holds
      from patients p
      left join studies t on t.patient_key = p.patient_key
      left join held h on h.study_key = t.study_key
      ${keys === undefined ? sql`` : sql`where p.patient_key = any(${keys}::bigint[])`}
      group by p.patient_key
    )
    select key, says::text[], holds::text[]
    from compared
    where says <> holds or holds[1] = 0`,
  *tell(row) {
    const place = { patientKey: row.key }
    if (isEmpty(row)) {
      yield {
        problem: 'patient-without-studies',
        place,
        detail: 'there is no study of this patient',
      }
    }
    yield* tellCounts('patient-counts', place, row, ['studies', 'series', 'instances', 'bytes'])
  },
}

function isEmpty(row: Counted): boolean {
  return Number(row.holds[0]) === 0
}

function* tellCounts(
  problem: Finding['problem'],
  place: Finding['place'],
  row: Counted,
  names: string[],
): Generator<Finding> {
  const wrong = names.flatMap((name, at) => {
    const [says, holds] = [row.says[at], row.holds[at]].map(Number)
    return says === holds ? [] : [`says ${says} ${name} and has ${holds}`]
  })
  if (wrong.length > 0) yield { problem, place, detail: `it ${wrong.join(', ')}` }
}
