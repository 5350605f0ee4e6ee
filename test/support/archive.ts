import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type postgres from 'postgres'
import { expect } from 'vitest'
import { dicomFile, uniqueUID } from './dicom-file.ts'
import type { StowageServer } from './server.ts'

/** What a database and a store hold, counted. */
export interface Holdings {
  patients: number
  studies: number
  series: number
  instances: number
  refusals: number
  /** Rows that are there only while a transfer is open, or until its bytes are given back. */
  staged: number
  receiving: number
  segmentsNotKept: number
  segments: number
  files: number
  bytes: number
}

/** Some files of one new study; their patient is named after the study's last number. */
export interface TestStudy {
  studyInstanceUID: string
  patientID: string
  files: Buffer[]
}

export function testStudy(count: number, pixelBytes = 512, patientID?: string): TestStudy {
  const studyInstanceUID = uniqueUID()
  const seriesInstanceUID = uniqueUID()
  const id = patientID ?? `P-${studyInstanceUID.split('.').slice(-2).join('-')}`
  const files = Array.from({ length: count }, (_, index) =>
    dicomFile({
      studyInstanceUID,
      seriesInstanceUID,
      patientID: id,
      instanceNumber: index + 1,
      pixelBytes,
    }),
  )
  return { studyInstanceUID, patientID: id, files }
}

/** Counts everything, straight from the tables and the folder. */
export async function holdingsOf(server: StowageServer, sql: postgres.Sql): Promise<Holdings> {
  const [row] = await sql`
    select
      (select count(*)::int from patients) as patients,
      (select count(*)::int from studies) as studies,
      (select count(*)::int from series) as series,
      (select count(*)::int from instances) as instances,
      (select count(*)::int from refusals) as refusals,
      (select count(*)::int from staged_instances) as staged,
      (select count(*)::int from transfers where state = 'receiving') as receiving,
      (select count(*)::int from segments where state <> 'kept') as "segmentsNotKept",
      (select count(*)::int from segments) as segments`
  return { ...(row as unknown as Holdings), ...(await filesOf(server.storeDir)) }
}

/** All files under a folder, also those that are being deleted at this moment or not. */
export async function filesOf(folder: string): Promise<{ files: number; bytes: number }> {
  let files = 0
  let bytes = 0
  const names = await readdir(folder, { recursive: true }).catch(() => [] as string[])
  for (const name of names) {
    const facts = await stat(join(folder, name)).catch(() => undefined)
    if (!facts?.isFile()) continue
    files++
    bytes += facts.size
  }
  return { files, bytes }
}

/** Waits until nothing is under way and no bytes wait to be deleted, then counts. */
export async function settledHoldings(
  server: StowageServer,
  sql: postgres.Sql,
  seconds = 30,
): Promise<Holdings> {
  let holdings: Holdings | undefined
  await server
    .until(async () => {
      // A database that was killed may still be on its way up.
      holdings = await holdingsOf(server, sql).catch(() => undefined)
      return holdings !== undefined && isSettled(holdings)
    }, seconds)
    .catch((error: Error) => {
      throw new Error(`It does not settle: ${JSON.stringify(holdings)}\n${error.message}`)
    })
  return holdings as Holdings
}

function isSettled({ receiving, staged, segmentsNotKept, segments, files }: Holdings): boolean {
  return receiving === 0 && staged === 0 && segmentsNotKept === 0 && segments === files
}

/** How many instances of a study each face of DICOMweb shows. */
export async function seenOf(
  server: StowageServer,
  studyInstanceUID: string,
): Promise<{ study: number; search: number; retrieved: number; metadata: number }> {
  const studies = `${server.dicomWeb}/studies`
  const [study] = await searched(`${studies}?StudyInstanceUID=${studyInstanceUID}`)
  const instances = await searched(`${studies}/${studyInstanceUID}/instances?limit=10000`)
  const retrieved = await read(`${studies}/${studyInstanceUID}`)
  const boundary = /boundary=(\S+)/.exec(retrieved.headers.get('content-type') ?? '')?.[1]
  const parts = Buffer.from(await retrieved.arrayBuffer()).toString('latin1')
  const metadata = await read(`${studies}/${studyInstanceUID}/metadata`)
  return {
    study: (study?.['00201208']?.Value?.[0] as number | undefined) ?? 0,
    search: instances.length,
    retrieved: boundary === undefined ? 0 : parts.split(`--${boundary}\r\n`).length - 1,
    metadata: metadata.status === 200 ? ((await metadata.json()) as unknown[]).length : 0,
  }
}

/** How many instances of a study a search finds: what the other faces show is counted by `seenOf`. */
export async function foundOf(server: StowageServer, studyInstanceUID: string): Promise<number> {
  const url = `${server.dicomWeb}/studies/${studyInstanceUID}/instances?limit=10000`
  return (await searched(url)).length
}

export const allOf = (count: number) => ({
  study: count,
  search: count,
  retrieved: count,
  metadata: count,
})

/** A reader who is asked to come back (503) does so: one connection of the server may be broken still. */
async function read(url: string): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const answer = await fetch(url)
    if (answer.status !== 503 || attempt === 20) return answer
    await answer.body?.cancel()
    await sleep(100)
  }
}

type Result = Record<string, { Value?: unknown[] } | undefined>

async function searched(url: string): Promise<Result[]> {
  const answer = await read(url)
  if (answer.status === 204) return []
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`)
  return (await answer.json()) as Result[]
}

/** Whatever came of a request that was not stored: nothing of it is to be seen anywhere. (P1, OTA-1) */
export async function expectNothingOf(server: StowageServer, study: TestStudy): Promise<void> {
  expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(0))
  expect(await searched(`${server.dicomWeb}/studies?PatientID=${study.patientID}`)).toEqual([])
  for (const path of ['/', '/api/transfers']) {
    const answer = await read(`${server.url}${path}`)
    expect(answer.status).toBe(200)
    const text = await answer.text()
    expect(text).not.toContain(study.studyInstanceUID)
    expect(text).not.toContain(study.patientID)
  }
}

/** `stowage check` has nothing to say. */
export async function expectClean(server: StowageServer): Promise<void> {
  const { code, stdout, stderr } = await server.run('check')
  expect(code, `${stdout}${stderr}`).toBe(0)
}

/**
 * What is counted is what is there, and every byte in the store is accounted for.
 *
 * @param uncommittedBytes What servers that were killed may have left at most, behind what was committed in
 *   their shared segments. (Decision 9)
 */
export async function expectConsistent(
  server: StowageServer,
  sql: postgres.Sql,
  uncommittedBytes = 0,
): Promise<void> {
  const wrong = await sql`
    with counted as (
      select
        t.study_key, t.patient_key, count(distinct i.series_key)::int as series,
        count(i.sop_instance_uid)::int as instances, coalesce(sum(i.byte_length), 0)::bigint as bytes
      from studies t
      left join instances i on i.study_key = t.study_key
      group by t.study_key
    ), of_patient as (
      select
        p.patient_key, count(c.study_key)::int as studies, coalesce(sum(c.series), 0)::int as series,
        coalesce(sum(c.instances), 0)::int as instances
      from patients p
      left join counted c on c.patient_key = p.patient_key
      group by p.patient_key
    )
    select 'study' as level, t.study_key as key
    from studies t
    join counted c on c.study_key = t.study_key
    where (t.series_count, t.instance_count, t.byte_length) <> (c.series, c.instances, c.bytes)
    or c.instances = 0
    union all
    select 'series', e.series_key
    from series e
    where e.instance_count <> (select count(*) from instances i where i.series_key = e.series_key)
    or e.instance_count = 0
    union all
    select 'patient', p.patient_key
    from patients p
    join of_patient o on o.patient_key = p.patient_key
    where (p.study_count, p.series_count, p.instance_count)
      <> (o.studies, o.series, o.instances)
    or o.studies = 0
    union all
    select 'segment', g.segment_key
    from segments g
    where g.byte_length - g.dead_bytes <> (
      select coalesce(sum(i.byte_length + i.metadata_length), 0)
      from instances i
      where i.segment_key = g.segment_key
    )`
  expect([...wrong]).toEqual([])
  const [sum] = await sql`select coalesce(sum(byte_length), 0)::float8 as bytes from segments`
  const { bytes } = await filesOf(server.storeDir)
  expect(bytes).toBeGreaterThanOrEqual(sum?.bytes)
  expect(bytes).toBeLessThanOrEqual(sum?.bytes + uncommittedBytes)
}
