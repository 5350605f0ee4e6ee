/**
 * Measures how long the server takes for the list of studies, at many studies.
 *
 *     node --import tsx test/bench/page.ts [--studies 1000000] [--requests 200]
 *
 * One study is sent and copied in the database (generated-rows.ts); then its list is asked for, one request after the other.
 */
import { parseArgs } from 'node:util'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { GeneratedRows } from './generated-rows.ts'
import { wholeNumber } from './options.ts'
import { formatNumber, quantile } from './statistics.ts'
import { renderTable } from './tables.ts'

const { values } = parseArgs({
  options: { studies: { type: 'string' }, requests: { type: 'string' } },
})
const studies = wholeNumber('--studies', values.studies, 1_000_000, 1)
const requests = wholeNumber('--requests', values.requests, 200, 1)

await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0' } })
const file = dicomFile({
  studyInstanceUID: uniqueUID(),
  patientName: 'Bench^Adler',
  modality: 'CT',
})
await stow(`${server.dicomWeb}/studies`, [file])
await server.until(async () => {
  const answer = await fetch(`${server.dicomWeb}/studies`)
  return answer.status === 200
})
await server.until(async () => {
  const answer = await fetch(`${server.url}/?state=stable`)
  return (await answer.text()).includes('The one study')
})
await using sql = await server.connect()
await (await GeneratedRows.prepare(sql)).fillUpTo(studies)
// Receipt over a year, dates over ten, one of a thousand not whole: as lists have them.
await sql`
  update studies
  set last_received_at = now() - (study_key % 31536000) * interval '1 second',
    study_date = to_char(date '2016-01-01' + (study_key / 10000 % 3650)::integer, 'YYYYMMDD'),
    verdict = case when study_key / 10000 % 1000 = 0 then 'partial' else 'unknown' end`
await sql`vacuum analyze studies`

const [deep] = await sql`
  select to_char(last_received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '~' || study_key as cursor
  from studies order by last_received_at offset ${Math.floor(studies / 2)} limit 1`
const [some] =
  await sql`select patient_name as name, patient_id as id from studies offset ${Math.floor(studies / 3)} limit 1`
const queries: [title: string, path: string, body?: string][] = [
  ['first page', '/'],
  ['deep page', `/?before=${encodeURIComponent(deep?.cursor as string)}`],
  ['name', '/', `PatientName=${encodeURIComponent(some?.name as string)}`],
  ['beginning of a name that all have', '/', 'PatientName=bench'],
  ['Patient ID', '/', `PatientID=${encodeURIComponent(some?.id as string)}`],
  ['not whole', '/?verdict=partial'],
  ['stable, of a month', '/?state=stable&from=2020-03-01&to=2020-03-31'],
  ['with problems', '/?state=problems'],
  ['by study date', '/?sort=date'],
]
const rows: string[][] = []
for (const [title, path, body] of queries) {
  const latencies: number[] = []
  let bytes = 0
  for (let index = 0; index < requests; index++) {
    const askedAt = performance.now()
    const answer = await fetch(server.url + path, {
      ...(body === undefined ? {} : { method: 'POST', body }),
      headers: {
        accept: 'text/html',
        ...(body && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
    })
    bytes = (await answer.arrayBuffer()).byteLength
    if (!answer.ok) throw new Error(`${title} is answered ${answer.status}`)
    latencies.push(performance.now() - askedAt)
  }
  rows.push([
    title,
    formatNumber(quantile(latencies, 0.5)),
    formatNumber(quantile(latencies, 0.99)),
    formatNumber(bytes / 1000),
  ])
}
console.log(
  renderTable(`The list at ${studies} studies`, ['query', 'p50 ms', 'p99 ms', 'KB'], rows),
)
