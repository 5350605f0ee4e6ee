import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  allOf,
  expectClean,
  expectConsistent,
  filesOf,
  seenOf,
  settledHoldings,
  type TestStudy,
  testStudy,
} from '../support/archive.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { FeedConsumer, linesOfSearch } from '../support/feed-consumer.ts'
import { SeededRandom } from '../support/random.ts'
import { type StowageServer, startServer, startServers } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { readAnswer, stow } from '../support/stow.ts'
import { expectProblem } from './dicomweb.ts'

const random = new SeededRandom()
console.log(`TEST_SEED=${random.seed} repeats these moments`)

const studyOf = (
  server: StowageServer,
  { studyInstanceUID }: Pick<TestStudy, 'studyInstanceUID'>,
) => `${server.dicomWeb}/studies/${studyInstanceUID}`

async function call(url: string, method = 'GET', body?: unknown) {
  const json = body === undefined ? {} : { body: JSON.stringify(body) }
  return readAnswer(await fetch(url, { method, ...json }))
}

async function store(server: StowageServer, study: TestStudy): Promise<void> {
  const answer = await stow(`${server.dicomWeb}/studies`, study.files)
  expect(answer.status).toBe(200)
}

/** The paths of all instances of a study, as a search tells them. */
async function instancePaths(server: StowageServer, study: TestStudy): Promise<string[]> {
  const { body } = await call(`${studyOf(server, study)}/instances?limit=10000`)
  return (body as Record<string, { Value: string[] }>[]).map(
    (one) => `/series/${one['0020000E']?.Value[0]}/instances/${one['00080018']?.Value[0]}`,
  )
}

describe('DELETE on a resource of DICOMweb (P8)', () => {
  test('deletes; reads are 410, searches empty, and a second one is 410 (WA-S4, QI-S9)', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0.2' } })
    const study = testStudy(3)
    await store(server, study)
    const url = studyOf(server, study)
    const [first, second, third] = (await instancePaths(server, study)) as [string, string, string]

    const one = await call(`${url}${first}`, 'DELETE', { reason: 'Blurred' })
    expect(one.status).toBe(200)
    expect(one.body).toMatchObject({ level: 'instance', reason: 'Blurred', instanceCount: 1 })
    expectProblem(await call(`${url}${first}`), 410)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(2))

    // As a DICOMweb client does it: no body, no reason.
    const series = second.split('/instances/')[0] as string
    const rest = await call(`${url}${series}`, 'DELETE')
    expect(rest.status).toBe(200)
    expect(rest.body).toMatchObject({ level: 'series', instanceCount: 2 })
    expect(rest.body.reason).toBeUndefined()
    for (const path of [
      '',
      '/metadata',
      '/rendered',
      '/thumbnail',
      '/bulkdata',
      series,
      `${third}/frames/1`,
    ]) {
      expectProblem(await call(`${url}${path}`), 410)
    }
    expect((await fetch(`${url}/series`)).status).toBe(204)
    expect(
      (await fetch(`${server.dicomWeb}/studies?StudyInstanceUID=${study.studyInstanceUID}`)).status,
    ).toBe(204)
    expectProblem(await call(url, 'DELETE'), 410)
    expectProblem(await call(`${server.dicomWeb}/studies/1.2.3`, 'DELETE'), 404)
    expectProblem(await call(`${server.dicomWeb}/studies/1.2.3`), 404)

    const { body } = await call(`${server.url}/api/deletions`)
    expect(body.deletions.map((d: { level: string }) => d.level)).toEqual(['series', 'instance'])
    const details = await call(one.headers.get('location') as string)
    expect(details.body).toEqual({ ...one.body, refusedInstanceCount: 1 })
    const changes = await call(`${server.url}/api/changes?type=deleted&limit=100`)
    expect(changes.body.changes.map((c: { level: string }) => c.level)).toEqual([
      'instance',
      'series',
      'study',
      'patient',
    ])
    const orthanc = await call(`${server.url}/changes?limit=1000`)
    const types = orthanc.body.Changes.map(
      (c: { ChangeType: string; ResourceType: string }) => `${c.ChangeType} ${c.ResourceType}`,
    )
    for (const level of ['Series', 'Study', 'Patient']) expect(types).toContain(`Deleted ${level}`)
    await expectClean(server)
  })

  test('is heard at once by every server, also in the midst of being read (WA-S4)', async () => {
    await using postgres = await startSharedPostgres()
    const env = { STOWAGE_STORE_DIR: postgres.storeDir }
    await using servers = await startServers(2, { databaseURL: postgres.url, env })
    const [one, other] = [...servers] as [StowageServer, StowageServer]
    const study = testStudy(24)
    await store(one, study)
    const [last, ...paths] = (await instancePaths(one, study)).reverse() as [string, ...string[]]
    const read = async (server: StowageServer, path: string) => {
      const accept = 'application/dicom; transfer-syntax=*'
      const answer = await fetch(`${studyOf(server, study)}${path}`, { headers: { accept } })
      await answer.arrayBuffer()
      return answer.status
    }
    for (const path of paths) {
      let isDeleting = true
      const reading = servers.map(async (server) => {
        while (isDeleting) expect(await read(server, last)).toBe(200)
      })
      try {
        for (const server of servers) expect(await read(server, path)).toBe(200)
        expect((await call(`${studyOf(one, study)}${path}`, 'DELETE')).status).toBe(200)
        expect(await Promise.all([read(other, path), read(one, path)])).toEqual([410, 410])
      } finally {
        isDeleting = false
        await Promise.all(reading)
      }
    }
  })

  test('says what is wrong with a body, and 409 of what is committed (P6)', async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    const study = testStudy(2)
    await store(server, study)
    const url = studyOf(server, study)
    for (const body of [
      [],
      { reason: 7 },
      { reason: 'x'.repeat(1001) },
      { force: 'yes' },
      { why: '' },
    ]) {
      expectProblem(await call(url, 'DELETE', body), 400)
    }
    expectProblem(await readAnswer(await fetch(url, { method: 'DELETE', body: '{' })), 400)
    expectProblem(await call(`${server.dicomWeb}/studies/no-uid`, 'DELETE'), 400)
    await sql`update instances set committed_at = now()`
    await sql`update series set committed_instance_count = 2`
    await sql`update studies set committed_instance_count = 2`
    const refused = await call(url, 'DELETE', { force: true })
    expectProblem(refused, 409)
    expect(refused.body.committedInstanceCount).toBe(2)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(2))
    const forced = await call(url, 'DELETE', { force: true, reason: 'Must go' })
    expect(forced.body).toMatchObject({ isForced: true, committedInstanceCount: 2 })
  })

  test('what comes again is refused, strict and lenient, with when and why, until it is allowed', async () => {
    await using server = await startServer()
    const study = testStudy(2)
    await store(server, study)
    const url = studyOf(server, study)
    await call(url, 'DELETE', { reason: 'Wrong patient' })
    for (const handling of ['strict', 'lenient']) {
      const again = await stow(`${server.dicomWeb}/studies`, study.files, {
        prefer: `handling=${handling}`,
      })
      expect(again.status).toBe(409)
      const reasons = again.body['00081198'].Value.map(
        (item: Record<string, { Value: number[] }>) => item['00081197']?.Value[0],
      )
      expect(reasons).toEqual([0xc410, 0xc410])
    }
    const { body } = await call(`${server.url}/api/transfers?state=refused`)
    const transfer = await call(`${server.url}/api/transfers/${body.transfers[0].transferID}`)
    expect(transfer.body.refusals[0].detail).toMatch(/^It was deleted on .*Z: Wrong patient$/)

    const allow = `${server.url}/api/studies/${study.studyInstanceUID}/allow-resend`
    expect((await call(allow, 'POST')).body).toEqual({ allowedInstanceCount: 2 })
    expect((await call(allow, 'POST')).body).toEqual({ allowedInstanceCount: 0 })
    expectProblem(await call(`${server.url}/api/studies/1.2.3/allow-resend`, 'POST'), 404)
    await store(server, study)
    expect(await seenOf(server, study.studyInstanceUID)).toEqual(allOf(2))
    await call(url, 'DELETE', { allowResend: true })
    await store(server, study)
    await expectClean(server)
  })
})

describe('the bytes of what was deleted', () => {
  test('a study of 2,000 instances is deleted while it is retrieved: the reader never gets other bytes, nor an end that says it is all', async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    const study = testStudy(2000, 12_000)
    await store(server, study)
    const digests = new Set(study.files.map((file) => file.toString('latin1')))
    const answer = await fetch(studyOf(server, study))
    const boundary = /boundary=(\S+)/.exec(answer.headers.get('content-type') as string)?.[1]
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const pieces = [(await reader.read()).value as Uint8Array]
    const deletion = await call(studyOf(server, study), 'DELETE')
    expect(deletion.body.instanceCount).toBe(2000)
    await server.until(async () => (await filesOf(server.storeDir)).bytes === 0)
    const isBroken = await (async () => {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return false
        pieces.push(value)
      }
    })().catch(() => true)
    const whole = `\r\n${Buffer.concat(pieces).toString('latin1')}`
    const parts = whole.split(`\r\n--${boundary}`).slice(1)
    // The last one may be cut off.
    const complete = parts.slice(0, -1).map((part) => part.slice(part.indexOf('\r\n\r\n') + 4))
    expect(complete.length).toBeGreaterThan(0)
    expect(complete.filter((part) => !digests.has(part))).toEqual([])
    expect(isBroken).toBe(complete.length < 2000)
    expect(parts.at(-1)?.startsWith('--')).toBe(!isBroken)
    expect(await settledHoldings(server, sql)).toMatchObject({ instances: 0, files: 0, bytes: 0 })
    await expectClean(server)
  })

  test('come back through SIGKILL at any moment of a compaction, and nothing else is lost', async () => {
    await using server = await startServer({ env: { STOWAGE_LEASE_SECONDS: '3' } })
    const kept: string[] = []
    let cutCount = 0
    for (let round = 0; round < 6; round++) {
      const study = twoSeries(30, 400_000)
      await store(server, study)
      await using sql = await server.connect()
      const isCompacting = async () =>
        (await sql`select from segments where compacts_key is not null and state = 'open'`).length >
        0
      expect((await call(`${studyOf(server, study)}/series/${study.first}`, 'DELETE')).status).toBe(
        200,
      )
      // It may be over between two looks.
      for (let look = 0; look < 200 && !(await isCompacting()); look++);
      await sleep(random.between(0, 40))
      await server.kill()
      if (await isCompacting()) cutCount++
      await server.start()
      kept.push(study.studyInstanceUID)
      for (const uid of kept) expect(await seenOf(server, uid)).toEqual(allOf(30))
      if (round % 3 === 2) await expectClean(server)
    }
    expect(cutCount).toBeGreaterThan(0)
    await using sql = await server.connect()
    await server.until(async () => {
      const [row] = await sql`
        select
          (select count(*)::int from freed_bytes)
            + (select count(*)::int from segments where state <> 'kept' or dead_bytes > 0) as left`
      return row?.left === 0
    })
    await settledHoldings(server, sql)
    await expectConsistent(server, sql)
    await expectClean(server)
  })
})

/** A study of two series with so many instances each, in the order in which they lie. */
function twoSeries(count: number, pixelBytes: number): TestStudy & { first: string } {
  const [first, second] = [uniqueUID(), uniqueUID()]
  const study = { studyInstanceUID: uniqueUID(), patientID: 'P' }
  const files = [first, second].flatMap((seriesInstanceUID) =>
    Array.from({ length: count }, (_, index) =>
      dicomFile({ ...study, seriesInstanceUID, instanceNumber: index + 1, pixelBytes }),
    ),
  )
  return { ...study, files, first }
}

describe('a consumer that knows nothing but the feed (P7)', () => {
  test('agrees with a search after deletions at every level, and after what was sent again', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0.2' } })
    const consumer = new FeedConsumer()
    const studies = Array.from({ length: 6 }, () => testStudy(4))
    for (const study of studies) await store(server, study)
    const [whole, allButOne, one, bySeries, again] = studies as TestStudy[] & { length: 6 }
    const remove = async (study: TestStudy, paths: string[], body?: unknown) => {
      for (const path of paths) {
        expect((await call(`${studyOf(server, study)}${path}`, 'DELETE', body)).status).toBe(200)
      }
    }
    await remove(whole as TestStudy, [''])
    await remove(
      allButOne as TestStudy,
      (await instancePaths(server, allButOne as TestStudy)).slice(1),
    )
    await remove(one as TestStudy, await instancePaths(server, one as TestStudy))
    const [path] = await instancePaths(server, bySeries as TestStudy)
    await remove(bySeries as TestStudy, [path?.split('/instances/')[0] as string])
    await remove(again as TestStudy, [''], { allowResend: true })
    await consumer.readOn(server.url, 7)
    expect(consumer.lines).toEqual(await linesOfSearch(server))

    await store(server, again as TestStudy)
    await consumer.readOn(server.url, 7)
    expect(consumer.lines).toEqual(await linesOfSearch(server))
    expect(consumer.studies.size).toBe(3)
  })
})
