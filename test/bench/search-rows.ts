/**
 * Measures how long searches take when the archive holds a thousand studies and when it holds a million of them, of ten
 * instances each.
 *
 *     node --import tsx test/bench/search-rows.ts [--studies 1000,100000,1000000] [--seconds 3]
 *
 * One study is sent and copied in the database (generated-rows.ts). Each search has as many results whatever the size is, and
 * is asked of two hundred studies in turn. Before the smallest size the server is warmed.
 */
import { parseArgs } from 'node:util'
import type postgres from 'postgres'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { GeneratedRows } from './generated-rows.ts'
import { wholeNumber } from './options.ts'
import { askFor } from './reader.ts'
import { formatNumber, quantile } from './statistics.ts'
import { renderTable } from './tables.ts'

const { values } = parseArgs({
  options: { studies: { type: 'string' }, seconds: { type: 'string' } },
})
const sizes = (values.studies ?? '1000,100000,1000000')
  .split(',')
  .map((size) => wholeNumber('--studies', size, 0, 1))
const seconds = wholeNumber('--seconds', values.seconds, 3, 1)

const ways = 200
const instancesOfStudy = 10
/** Studies of one family name. */
const familySize = 40
const daysOfArchive = 7300

await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0' } })
await using sql = await server.connect()
await sendStudy()
const rows = await GeneratedRows.prepare(sql, {
  patient_name: `'F' || lpad((n / ${familySize})::text, 8, '0') || '^G' || n % ${familySize}`,
  study_date: `to_char(date '2006-01-01' + (n * 7919 % ${daysOfArchive})::integer, 'YYYYMMDD')`,
})

interface Figures {
  first: number
  p50: number
  p99: number
  perSecond: number
}

const figures = new Map<string, Map<number, Figures>>()
for (const size of sizes) {
  const filledAt = performance.now()
  await rows.fillUpTo(size * instancesOfStudy)
  const fillSeconds = ((performance.now() - filledAt) / 1000).toFixed(0)
  console.error(`${size} studies after ${fillSeconds} s; measuring`)
  for (const [title, paths] of Object.entries(await pathsOf(size, sql))) {
    const urls = paths.map((path) => server.dicomWeb + path)
    const asking = { urls, headers: { accept: 'application/dicom+json' }, seconds }
    if (size === sizes[0]) await askFor({ ...asking, clients: 8 })
    const [first] = (await askFor({ ...asking, clients: 1, seconds: 0 })).latencies
    for (const clients of [1, 8]) {
      const { latencies, perSecond } = await askFor({ ...asking, clients })
      const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)]
      const name = `${title}\t${clients}`
      const bySize = figures.get(name) ?? new Map<number, Figures>()
      figures.set(name, bySize.set(size, { first: first as number, p50, p99, perSecond }))
    }
  }
}
const [smallest] = sizes
console.log(
  renderTable(
    'Searches',
    ['search', 'clients', 'studies', 'first ms', 'p50 ms', 'p99 ms', 'a second', 'p50 x'],
    [...figures].flatMap(([name, bySize]) =>
      [...bySize].map(([size, { first, p50, p99, perSecond }]) => [
        ...name.split('\t'),
        size.toLocaleString('en'),
        ...[first, p50, p99, perSecond].map(formatNumber),
        formatNumber(p50 / (bySize.get(smallest as number)?.p50 as number)),
      ]),
    ),
  ),
)

async function sendStudy(): Promise<void> {
  // As the copies want them: all of them begin with the study's.
  const studyInstanceUID = uniqueUID()
  const seriesInstanceUID = `${studyInstanceUID}.1`
  const files = Array.from({ length: instancesOfStudy }, (_, index) => {
    const sopInstanceUID = `${seriesInstanceUID}.${index + 1}`
    const uids = { studyInstanceUID, seriesInstanceUID, sopInstanceUID }
    return dicomFile({ ...uids, modality: 'CT', instanceNumber: index + 1 })
  })
  await stow(`${server.dicomWeb}/studies`, files)
  await server.until(async () => {
    const answer = await fetch(`${server.url}/?state=stable`)
    return (await answer.text()).includes('The one study')
  })
}

/** Searches by what studies have that lie all over the archive. */
async function pathsOf(size: number, database: postgres.Sql): Promise<Record<string, string[]>> {
  const studies = await database<Record<'uid' | 'name' | 'id' | 'accession', string>[]>`
    select study_instance_uid as uid, patient_name as name, patient_id as id, accession_number as accession
    from (select *, row_number() over (order by study_key) as place from studies) s
    where place % ${Math.max(1, Math.floor(size / ways))} = 0
    limit ${ways}`
  const each = (path: (study: (typeof studies)[0]) => string) => studies.map(path)
  const encode = encodeURIComponent
  const period = (_: unknown, index: number) => {
    const year = 2006 + (index % 18)
    return `/studies?StudyDate=${year}0101-${year + 1}1231&limit=50`
  }
  return {
    'studies?limit=50': ['/studies?limit=50'],
    period: studies.map(period),
    'beginning of a name': each(({ name }) => `/studies?PatientName=${name.slice(0, 9)}*&limit=50`),
    name: each(({ name }) => `/studies?PatientName=${encode(name)}`),
    'Patient ID': each(({ id }) => `/studies?PatientID=${encode(id)}`),
    'Accession Number': each(({ accession }) => `/studies?AccessionNumber=${encode(accession)}`),
    'Study Instance UID': each(({ uid }) => `/studies?StudyInstanceUID=${uid}`),
    'series of a study': each(({ uid }) => `/studies/${uid}/series`),
    'instances of a study': each(({ uid }) => `/studies/${uid}/instances`),
  }
}
