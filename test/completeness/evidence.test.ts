import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { numberChanges } from '../../db/changes.ts'
import { putEvidence } from '../../db/evidence.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld } from '../support/intake.ts'
import { aStudy, type Study } from '../support/study.ts'
import { type TestApp, testApp } from '../web/app.ts'

let server: TestApp

beforeAll(async () => {
  server = await testApp()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function ask(method: string, path: string, body?: unknown) {
  const answer = await server.app.request(`/api/studies/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

const declare = (study: Study, body: unknown) =>
  ask('PUT', `${study.studyInstanceUID}/evidence`, body)

async function completenessOf(study: Study) {
  return (await ask('GET', study.studyInstanceUID)).body.completeness
}

/** Verdicts of a study as the feed told them. */
async function toldOf(study: Study, level = 'study'): Promise<string[]> {
  await numberChanges(server.db)
  const rows = await server.db.sql`
    select type, details ->> 'verdict' as verdict
    from changes
    where study_instance_uid = ${study.studyInstanceUID}
    and level = ${level}
    and type in ('complete', 'incomplete')
    order by seq`
  return rows.map(({ type, verdict }) => `${type}: ${verdict}`)
}

describe('the verdict of a study (P5)', () => {
  test('is unknown without evidence, however much comes (OXI-15)', async () => {
    const study = aStudy(3)
    await server.send(study.files)
    expect(await completenessOf(study)).toEqual({
      verdict: 'unknown',
      received: 3,
      expected: null,
      missingCount: 0,
      missing: [],
      series: [],
      evidence: [],
    })
    expect(await toldOf(study)).toEqual([])
  })

  test('is partial 43 of 192 with the 149 missing named, and complete once the moment the last one comes', async () => {
    const study = aStudy(192)
    await server.send(study.files.slice(0, 43))
    expect((await declare(study, { sopInstanceUIDs: study.uids })).status).toBe(200)
    const missing = study.uids.slice(43).sort()
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'partial',
      received: 43,
      expected: 192,
      missingCount: 149,
      missing,
      evidence: [{ source: 'declared', extent: 'all', instanceCount: 192, missingCount: 149 }],
    })
    const page = await ask('GET', `${study.studyInstanceUID}/missing?limit=100`)
    expect(page.body).toEqual({ sopInstanceUIDs: missing.slice(0, 100), done: false })
    const next = await ask('GET', `${study.studyInstanceUID}/missing?after=${missing[99]}`)
    expect(next.body).toEqual({ sopInstanceUIDs: missing.slice(100), done: true })

    await server.send(study.files.slice(43, 191))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'partial', missingCount: 1 })
    await server.send(study.files.slice(190))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'complete', missing: [] })
    expect(await toldOf(study)).toEqual(['incomplete: partial', 'complete: complete'])
  })

  test('may be told before the first instance, which is then held against it', async () => {
    const study = aStudy(2)
    const declared = await declare(study, { instanceCount: 2 })
    expect(declared.body).toMatchObject({ verdict: 'partial', received: 0, expected: 2 })
    expect((await ask('GET', study.studyInstanceUID)).body).toMatchObject({
      state: 'expected',
      instanceCount: 0,
      completeness: { verdict: 'partial', missingCount: 2 },
    })
    // Nothing is made of it: no study is listed.
    expect((await server.db.sql`select from studies where instance_count = 0`).length).toBe(0)
    await server.send(study.files.slice(0, 1))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'partial', received: 1 })
    await server.send(study.files.slice(1))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'complete', received: 2 })
    expect(await toldOf(study)).toEqual(['incomplete: partial', 'complete: complete'])
  })

  test('is complete at once when evidence comes late, and unknown again when it is withdrawn', async () => {
    const study = aStudy(2)
    await server.send(study.files)
    await declare(study, { instanceCount: 2 })
    expect(await completenessOf(study)).toMatchObject({ verdict: 'complete', expected: 2 })
    expect((await ask('DELETE', `${study.studyInstanceUID}/evidence`)).status).toBe(204)
    expect((await ask('DELETE', `${study.studyInstanceUID}/evidence`)).status).toBe(404)
    expect(await completenessOf(study)).toMatchObject({ verdict: 'unknown', expected: null })
    expect(await toldOf(study)).toEqual(['complete: complete', 'incomplete: unknown'])
  })

  test('knows 0 expected from unknown (OXI-8)', async () => {
    const study = aStudy(1)
    expect((await declare(study, { instanceCount: 0 })).body).toMatchObject({
      verdict: 'complete',
      expected: 0,
    })
    await server.send(study.files)
    expect(await completenessOf(study)).toMatchObject({ verdict: 'conflict', expected: 0 })
  })

  test('is in conflict when more comes than was declared, or another one', async () => {
    const more = aStudy(3)
    await server.send(more.files)
    await declare(more, { instanceCount: 2 })
    expect(await completenessOf(more)).toMatchObject({ verdict: 'conflict', expected: 2 })

    const other = aStudy(3)
    await server.send(other.files)
    const absent = uniqueUID()
    await declare(other, { sopInstanceUIDs: [...other.uids.slice(1), absent] })
    expect(await completenessOf(other)).toMatchObject({ verdict: 'conflict', missing: [absent] })
  })

  test('is in conflict when two sources disagree, and shows both; complete when they agree', async () => {
    const study = aStudy(2)
    await server.send(study.files)
    await declare(study, { instanceCount: 2 })
    const peer = (instanceCount: number) =>
      putEvidence(server.db, study.studyInstanceUID, {
        source: 'peer',
        origin: '',
        extent: 'all',
        claims: [{ instanceCount }],
        claimedBy: 'http://peer.example/dicom-web',
      })
    expect(await peer(3)).toBe('conflict')
    expect((await completenessOf(study)).evidence).toMatchObject([
      { source: 'declared', instanceCount: 2 },
      { source: 'peer', instanceCount: 3, claimedBy: 'http://peer.example/dicom-web' },
    ])
    expect(await peer(2)).toBe('complete')
    // What could not be had says nothing.
    await putEvidence(server.db, study.studyInstanceUID, {
      source: 'peer',
      origin: '',
      extent: 'all',
      claims: [{ instanceCount: null, detail: 'It was answered 503' }],
    })
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'complete',
      evidence: [{ source: 'declared' }, { source: 'peer', detail: 'It was answered 503' }],
    })
  })

  test('counts once what two sources name, whether their lists are the same or overlap', async () => {
    const study = aStudy(4)
    const [first, second, third, fourth] = study.uids as [string, string, string, string]
    const names = (origin: string, sopInstanceUIDs: string[]) =>
      putEvidence(server.db, study.studyInstanceUID, {
        source: 'commitment-request',
        origin,
        extent: 'some',
        claims: [{ instanceCount: sopInstanceUIDs.length, sopInstanceUIDs }],
      })
    await server.send(study.files.slice(0, 1))
    await names('2.25.1', [first, second, third])
    await names('2.25.2', [third, first, second])
    expect(await completenessOf(study)).toMatchObject({
      expected: 3,
      missing: [second, third].sort(),
    })
    await names('2.25.2', [third, fourth])
    expect(await completenessOf(study)).toMatchObject({
      ...{ verdict: 'partial', received: 1, expected: 4 },
      missing: [second, third, fourth].sort(),
    })
    await server.send(study.files.slice(2))
    expect(await completenessOf(study)).toMatchObject({
      received: 3,
      expected: 4,
      missing: [second],
    })
    await server.send(study.files.slice(1, 2))
    // They named some, and nobody said that these are all.
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'unknown',
      received: 4,
      missing: [],
    })
  })

  test('rests on its series: each has its own, also one of which nothing came (SWD-16)', async () => {
    const here = aStudy(3)
    const never = uniqueUID()
    await server.send(here.files.slice(0, 2))
    await declare(here, {
      series: [
        { seriesInstanceUID: here.seriesInstanceUID, sopInstanceUIDs: here.uids },
        { seriesInstanceUID: never, instanceCount: 5 },
      ],
    })
    const verdicts = async () =>
      Object.fromEntries(
        (await completenessOf(here)).series.map((one: Record<string, unknown>) => [
          one.seriesInstanceUID,
          `${one.verdict} ${one.received} of ${one.expected}`,
        ]),
      )
    expect(await verdicts()).toEqual({
      [here.seriesInstanceUID]: 'partial 2 of 3',
      [never]: 'partial 0 of 5',
    })
    await server.send(here.files.slice(2))
    expect(await verdicts()).toEqual({
      [here.seriesInstanceUID]: 'complete 3 of 3',
      [never]: 'partial 0 of 5',
    })
    expect(await completenessOf(here)).toMatchObject({ verdict: 'partial', expected: 8 })
    await server.send(aStudy(5, never, here.studyInstanceUID).files)
    expect(await completenessOf(here)).toMatchObject({ verdict: 'complete', expected: 8 })
    expect(await toldOf(here)).toEqual(['incomplete: partial', 'complete: complete'])
    expect(await toldOf(here, 'series')).toEqual([
      'incomplete: partial',
      'complete: complete',
      'complete: complete',
    ])
  })
})

describe('deleting', () => {
  const remove = (path: string) =>
    server.app.request(`/dicom-web/studies/${path}`, { method: 'DELETE' })

  test('makes a whole study partial again, and names what is gone', async () => {
    const study = aStudy(3)
    await server.send(study.files)
    await declare(study, { sopInstanceUIDs: study.uids })
    const { studyInstanceUID, seriesInstanceUID, uids } = study
    const path = `${studyInstanceUID}/series/${seriesInstanceUID}/instances/${uids[1]}`
    expect((await remove(path)).status).toBe(200)
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'partial',
      received: 2,
      expected: 3,
      missing: [uids[1]],
    })
    expect(await toldOf(study)).toEqual(['complete: complete', 'incomplete: partial'])
  })

  test('an instance that a list expects in another series changes nothing there', async () => {
    const one = aStudy(2)
    const two = aStudy(1, uniqueUID(), one.studyInstanceUID)
    const elsewhere = two.uids[0] as string
    await server.send([...one.files, ...two.files])
    await declare(one, {
      series: [
        { seriesInstanceUID: one.seriesInstanceUID, sopInstanceUIDs: [...one.uids, elsewhere] },
      ],
    })
    const missingCount = async () =>
      (
        await server.db
          .sql`select missing_count from evidence where study_instance_uid = ${one.studyInstanceUID}`
      )[0]
    expect(await missingCount()).toEqual({ missing_count: 1 })
    const path = `${one.studyInstanceUID}/series/${two.seriesInstanceUID}/instances/${elsewhere}`
    expect((await remove(path)).status).toBe(200)
    expect(await missingCount()).toEqual({ missing_count: 1 })
  })

  test('a whole study leaves what was declared of it', async () => {
    const study = aStudy(2)
    await server.send(study.files)
    await declare(study, { sopInstanceUIDs: study.uids })
    expect((await remove(study.studyInstanceUID)).status).toBe(200)
    expect((await ask('GET', `${study.studyInstanceUID}/evidence`)).body).toMatchObject({
      verdict: 'partial',
      received: 0,
      missing: study.uids.toSorted(),
    })
  })
})

describe('a declaration', () => {
  test.each([
    [undefined, 'the body is no JSON object'],
    [{}, 'the body does not have exactly one of'],
    [{ instanceCount: 1, series: [] }, 'the body does not have exactly one of'],
    [{ instances: 1 }, 'the body does not have exactly one of'],
    [{ instanceCount: -1 }, '"instanceCount" is no whole number'],
    [{ instanceCount: '5' }, '"instanceCount" is no whole number'],
    [{ sopInstanceUIDs: ['1.2', 'x'] }, '"sopInstanceUIDs" has no UID at place 2'],
    [{ series: [] }, '"series" is no list of 1 to'],
    [
      { series: [{ seriesInstanceUID: 'x', instanceCount: 1 }] },
      '"seriesInstanceUID" of series 1 is no UID',
    ],
    [{ series: [{ seriesInstanceUID: '1.2' }] }, 'series 1 does not have exactly one of'],
    [
      {
        series: [
          { seriesInstanceUID: '1.2', instanceCount: 1 },
          { seriesInstanceUID: '1.2', instanceCount: 1 },
        ],
      },
      'names one of them twice',
    ],
  ])('%j is refused with what is wrong', async (body, detail) => {
    const { status, body: problem } = await declare(aStudy(1), body)
    expect(status).toBe(400)
    expect(problem.detail).toContain(detail)
  })

  test('of a study that nobody knows is not there', async () => {
    expect((await ask('GET', `${uniqueUID()}/evidence`)).status).toBe(404)
    expect((await ask('GET', uniqueUID())).status).toBe(404)
    expect((await ask('PUT', 'x/evidence', { instanceCount: 1 })).status).toBe(404)
  })
})

describe.each([
  { way: 'in groups', limits: {} },
  { way: 'on their own', limits: nothingHeld },
])('under parallel commits, $way', ({ limits }) => {
  test('evidence and instances that come at the same time end complete, told once', async () => {
    await using busy = await testApp({}, limits)
    for (let round = 0; round < 12; round++) {
      const study = aStudy(6)
      const claims = [{ instanceCount: 6, sopInstanceUIDs: study.uids }]
      const statement = { source: 'declared', origin: '', extent: 'all', claims } as const
      await Promise.all([
        ...study.files.map((file) => busy.send([file])),
        putEvidence(busy.db, study.studyInstanceUID, statement),
      ])
      const [row] = await busy.db.sql`
        select verdict, expected_instance_count as expected
        from studies
        where study_instance_uid = ${study.studyInstanceUID}`
      expect(row).toEqual({ verdict: 'complete', expected: 6 })
      await numberChanges(busy.db)
      const told = await busy.db.sql`
        select from changes
        where study_instance_uid = ${study.studyInstanceUID}
        and level = 'study'
        and type = 'complete'`
      expect(told.length).toBe(1)
    }
  })
})

describe('a study that is being made while somebody says what it holds', () => {
  /** Waits until a backend waits for a lock that the transaction of `held` has. */
  async function untilSomebodyWaits(held: { pid: number }): Promise<void> {
    for (;;) {
      const [row] = await server.db.sql`
        select count(*)::integer as count
        from pg_stat_activity
        where ${held.pid} = any(pg_blocking_pids(pid))`
      if (row?.count > 0) return
    }
  }

  test('is judged with the commit that comes second: the evidence', async () => {
    const study = aStudy(1)
    const sql = await server.db.sql.reserve()
    const [held] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
    await sql`begin`
    await sql`
      insert into studies (study_instance_uid, first_received_at, last_received_at, instance_count)
      values (${study.studyInstanceUID}, now(), now(), 1)`
    const claims = [{ instanceCount: 1 }]
    const statement = { source: 'declared', origin: '', extent: 'all', claims } as const
    const verdict = putEvidence(server.db, study.studyInstanceUID, statement)
    await untilSomebodyWaits(held as { pid: number })
    await sql`commit`
    sql.release()
    expect(await verdict).toBe('complete')
  })

  test('is judged with the commit that comes second: the instance', async () => {
    const study = aStudy(1)
    const sql = await server.db.sql.reserve()
    const [held] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`
    await sql`begin`
    await sql`
      select put_evidence(
        ${study.studyInstanceUID}, 'declared', '', 'all', '[{"instanceCount": 1}]', null
      )`
    const sent = server.send(study.files)
    await untilSomebodyWaits(held as { pid: number })
    await sql`commit`
    sql.release()
    expect((await sent).state).toBe('committed')
    expect(await completenessOf(study)).toMatchObject({ verdict: 'complete', received: 1 })
  })
})
