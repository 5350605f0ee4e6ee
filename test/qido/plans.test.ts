import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../db/database.ts'
import { findKeys, foundSql, type Search } from '../../db/search.ts'
import { type SearchLevel, searchAttributes } from '../../db/search-attributes.ts'
import { parseParameters } from '../../server/qido/parameters.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'

/** Enough that Postgres reads an index rather than a table. */
const studyCount = 20_000
const seriesOfStudy = 2
const instancesOfSeries = 5

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  await fill()
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

/** Rows as an archive of some years has them: dates in the order of arrival, few modalities, many names. */
async function fill(): Promise<void> {
  const { sql } = database
  await sql`
    insert into studies (
      study_instance_uid, patient_id, patient_name, study_date, study_time, accession_number, study_id,
      referring_physician_name, modalities_in_study, series_count, instance_count, first_received_at,
      last_received_at
    )
    select
      '1.2.826.0.1.' || n, 'P' || n / 3, 'Name' || n % 7000 || '^Given' || n % 20,
      to_char(date '2010-01-01' + n / 5, 'YYYYMMDD'), to_char(time '00:00' + n * interval '7s', 'HH24MISS'),
      'A' || n, 'S' || n, 'Doctor' || n % 2000, array[(array['CT', 'MR', 'US'])[1 + n % 3]], ${seriesOfStudy},
      ${seriesOfStudy * instancesOfSeries}, now(), now()
    from generate_series(1, ${studyCount}::int) n`
  await sql`
    insert into series (
      series_instance_uid, study_key, modality, series_number, performed_procedure_step_start_date,
      performed_procedure_step_start_time, request_attributes_sequence, instance_count, first_received_at,
      last_received_at
    )
    select
      t.study_instance_uid || '.' || s, t.study_key,
      case when t.study_key % 500 = 0 then 'PT' else t.modalities_in_study[1] end, case when t.study_key % 500 = 0 then 7 else s end,
      t.study_date, t.study_time,
      jsonb_build_array(jsonb_build_object(
        'ScheduledProcedureStepID', 'SPS' || t.study_key, 'RequestedProcedureID', 'RP' || t.study_key
      )),
      ${instancesOfSeries}, now(), now()
    from studies t
    cross join generate_series(1, ${seriesOfStudy}::int) s`
  await sql`
    insert into instances (
      sop_instance_uid, study_key, series_key, segment_key, segment_offset, byte_length, metadata_length, digest,
      sop_class_uid, transfer_syntax_uid, instance_number, received_at
    )
    select
      e.series_instance_uid || '.' || i, e.study_key, e.series_key, 1, i, 1, 1, '',
      case when e.modality = 'PT' then '1.2.3.128' else '1.2.3.2' end, '1.2.840.10008.1.2.1',
      case when e.series_key % 1000 = 0 then i + 1000 else i end, now()
    from series e
    cross join generate_series(1, ${instancesOfSeries}::int) i`
  await sql`vacuum analyze`
}

function searchOf(level: SearchLevel, query: string, path: Partial<Search> = {}): Search {
  const parameters = parseParameters(level, new URLSearchParams(query))
  return { level, ...parameters, ...path, told: { study: true, series: true } }
}

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Actual Loops': number
  /** In each loop. */
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

/** The nodes of the plan of a search. */
async function nodesOf(search: Search): Promise<Plan[]> {
  const { sql } = database
  const [row] = (await sql`
    explain (analyze, format json) ${foundSql(sql, search)}`) as unknown as [
    { 'QUERY PLAN': [{ Plan: Plan }] },
  ]
  const all = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(all)]
  return all(row['QUERY PLAN'][0].Plan)
}

/** Rows that were read and then not wanted: without an index for a key, nearly all that there are. */
function rowsInVain(nodes: Plan[]): number {
  return nodes.reduce(
    (sum, node) => sum + (node['Rows Removed by Filter'] ?? 0) * node['Actual Loops'],
    0,
  )
}

describe(`Plans of searches among ${studyCount * seriesOfStudy * instancesOfSeries} instances`, () => {
  const uid = '1.2.826.0.1.500'

  test.each<[level: SearchLevel, query: string]>([
    // The required keys (PS3.18 Table 10.6.1-5), each by one value that few have.
    ['study', 'StudyDate=20150303'],
    ['study', 'StudyDate=20150303-20150310'],
    ['study', 'StudyTime=101500'],
    ['study', 'StudyTime=1015-101505'],
    ['study', 'StudyDate=20150303-20150304&StudyTime=10-11'],
    ['study', 'AccessionNumber=A500'],
    ['study', 'AccessionNumber=A500*'],
    ['study', 'ModalitiesInStudy=PT'],
    ['study', 'ReferringPhysicianName=doctor500'],
    ['study', 'PatientName=name500^given0'],
    ['study', 'PatientName=name500*'],
    ['study', 'PatientName=name500^*'],
    ['study', 'PatientName=name500^*=x^*'],
    ['study', 'PatientID=P500'],
    ['study', 'PatientID=P500*'],
    ['study', 'PatientID=P500%5CP501'],
    ['study', `StudyInstanceUID=${uid}`],
    ['study', `StudyInstanceUID=${uid},1.2.826.0.1.501`],
    ['study', 'StudyID=S500'],
    ['series', 'Modality=PT'],
    ['series', `SeriesInstanceUID=${uid}.1`],
    ['series', 'SeriesNumber=7'],
    ['series', 'SeriesNumber=0007,8'],
    ['series', 'SeriesNumber=%22%22&emptyvaluematching=true'],
    ['series', 'PerformedProcedureStepStartDate=20150303'],
    ['series', 'PerformedProcedureStepStartTime=101500-101505'],
    ['series', 'RequestAttributesSequence.ScheduledProcedureStepID=SPS500'],
    ['series', 'RequestAttributesSequence.RequestedProcedureID=RP500'],
    ['series', '00400275.00401001=RP500&00400275.00400009=%22%22&emptyvaluematching=true'],
    ['series', '00400275.00401001=RP500&00400275.00400009=SPS*'],
    ['instance', 'SOPClassUID=1.2.3.128'],
    ['instance', `SOPInstanceUID=${uid}.1.1`],
    ['instance', 'InstanceNumber=1003'],
    ['instance', 'InstanceNumber=%2B01003'],
    ['instance', 'InstanceNumber=%22%22&emptyvaluematching=true'],
    // Keys of higher levels.
    ['series', 'PatientName=name500*'],
    ['series', 'StudyDate=20150303'],
    ['instance', 'PatientID=P500'],
    ['instance', 'AccessionNumber=A500'],
    ['instance', `SeriesInstanceUID=${uid}.1`],
    ['instance', 'RequestAttributesSequence.RequestedProcedureID=RP500'],
    // What many have, and a page of it is asked for.
    ['study', 'limit=50'],
    ['study', 'StudyDate=20120101-20190101&limit=50'],
    ['study', 'ModalitiesInStudy=CT&limit=50'],
    ['study', 'PatientName=name*&limit=50'],
    ['study', 'PatientName=name*^*&limit=50'],
    ['series', 'limit=50'],
    ['series', 'Modality=CT&limit=50'],
    ['series', 'SeriesNumber=2&limit=50'],
    ['instance', 'limit=50'],
    ['instance', 'SOPClassUID=1.2.3.2&limit=50'],
    ['instance', 'InstanceNumber=3&limit=50'],
    ['instance', 'StudyDate=20120101-20190101&Modality=MR&limit=50'],
  ])('no table is read as a whole for %s?%s', async (level, query) => {
    const nodes = await nodesOf(searchOf(level, query))
    expect(nodes.length).toBeGreaterThan(1)
    const whole = nodes.filter((node) => node['Node Type'] === 'Seq Scan')
    expect(whole.map((node) => node['Relation Name'])).toEqual([])
    expect(rowsInVain(nodes)).toBeLessThan(5000)
  })

  test.each<[level: SearchLevel, path: Partial<Search>]>([
    ['series', { studyInstanceUID: uid }],
    ['instance', { studyInstanceUID: uid }],
    ['instance', { studyInstanceUID: uid, seriesInstanceUID: `${uid}.1` }],
  ])('nor for every %s below %j', async (level, path) => {
    const nodes = await nodesOf(searchOf(level, '', path))
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan')
  })

  test('a deep page reads the index of the order', async () => {
    const search = searchOf('study', 'offset=19000&limit=50')
    const nodes = (await nodesOf(search)).map((node) => node['Node Type'])
    expect(nodes).toContain('Index Only Scan')
    expect(nodes).not.toContain('Sort')
    const { keys, beyondCount } = await findKeys(openDatabase(database.sql), search)
    expect([keys.length, beyondCount]).toEqual([50, 950])
  })

  test('pages follow one another without a gap or a repetition (QI-A10)', async () => {
    const db = openDatabase(database.sql)
    const all = await findKeys(db, searchOf('instance', 'StudyDate=20150303&limit=1000'))
    const pages: string[] = []
    for (let offset = 0; offset < all.keys.length; offset += 7) {
      const query = `StudyDate=20150303&limit=7&offset=${offset}`
      pages.push(...(await findKeys(db, searchOf('instance', query))).keys)
    }
    expect(pages).toEqual(all.keys)
    expect(new Set(pages).size).toBe(5 * seriesOfStudy * instancesOfSeries)
  })

  test.each(searchAttributes.map(({ keyword }) => keyword))(
    'whatever is asked of %s is answered or refused',
    async (keyword) => {
      const values = [
        '\\',
        '=',
        '==',
        '^',
        "'",
        '"',
        '""',
        '%',
        '_',
        '\\\\',
        'a\\',
        '*\\',
        '?',
        '*?*',
        'a=b=c=d',
        '[',
        '(a|b',
        '\u0001',
        '\ufffd',
        '😀*',
        'a'.repeat(5000),
        '0',
        '-1',
        '+5',
        '999999999999',
        '1e9',
        '-',
        ',',
        '1,',
        '{}',
        '20240101',
        '-20240101',
        '10-11',
        '1.2.3',
        '1.2.3,1.2',
        'true',
        'null',
      ]
      for (const value of values) {
        for (const way of [
          '',
          'fuzzymatching=true&',
          'emptyvaluematching=true&',
          'multiplevaluematching=true&',
        ]) {
          const query = `${way}${keyword}=${encodeURIComponent(value)}&limit=1`
          const outcome = await Promise.resolve()
            .then(() => findKeys(openDatabase(database.sql), searchOf('instance', query)))
            .then(
              () => 200,
              (error: { status?: number }) => error.status ?? error,
            )
          expect([200, 400], `${query}: ${outcome}`).toContain(outcome)
        }
      }
    },
  )

  test('what remains is counted to a thousand (QI-S3)', async () => {
    const db = openDatabase(database.sql)
    expect((await findKeys(db, searchOf('study', 'limit=50'))).beyondCount).toBe(1001)
    const { keys, beyondCount } = await findKeys(db, searchOf('study', 'PatientID=P500&limit=2'))
    expect([keys.length, beyondCount]).toEqual([2, 1])
  })
})
