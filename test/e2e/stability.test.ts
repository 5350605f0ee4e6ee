import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import {
  externalDatabaseURL,
  type StowageServer,
  startServer,
  temporaryFolder,
} from '../support/server.ts'
import { multipartBody, multipartType, requestHead, stow } from '../support/stow.ts'

interface Change {
  seq: number
  type: string
  level: string
  studyInstanceUID?: string
  patientID?: string
  at: string
  generation?: number
  instanceCount?: number
  addedInstanceCount?: number
}

async function feedOf(server: StowageServer, query = ''): Promise<Change[]> {
  const all: Change[] = []
  for (let since = 0; ; ) {
    const answer = await fetch(`${server.url}/api/changes?since=${since}&limit=1000&${query}`)
    const { changes, last, done } = (await answer.json()) as {
      changes: Change[]
      last: number
      done: boolean
    }
    all.push(...changes)
    if (done) return all
    since = last
  }
}

const stableOf = (server: StowageServer) => feedOf(server, 'type=stable')

function oneStudy() {
  return { patientID: uniqueUID(), studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
}

async function send(server: StowageServer, files: Uint8Array[]): Promise<void> {
  const { status } = await stow(`${server.dicomWeb}/studies`, files)
  expect(status).toBe(200)
}

async function stateOf(server: StowageServer, studyInstanceUID: string) {
  const answer = await fetch(`${server.url}/api/studies/${studyInstanceUID}`)
  return (await answer.json()) as { state: string; generation: number; settlesAt?: string }
}

describe('stability over HTTP (P4)', () => {
  test('a study is settling, then stable, and the feed tells it once at each level, in order (OST-1)', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '1' } })
    const here = oneStudy()
    await send(server, [dicomFile(here), dicomFile(here)])
    expect(await stateOf(server, here.studyInstanceUID)).toMatchObject({
      state: 'settling',
      generation: 1,
      settlesAt: expect.any(String),
    })
    await server.until(
      async () => (await stateOf(server, here.studyInstanceUID)).state === 'stable',
    )
    const stable = await stableOf(server)
    expect(stable.map(({ level }) => level)).toEqual(['series', 'study', 'patient'])
    const added = (await feedOf(server)).find(({ type }) => type === 'instances-added')
    for (const { at } of stable) {
      expect(Date.parse(at) - Date.parse(added?.at as string)).toBeGreaterThanOrEqual(1000)
    }
    await send(server, [dicomFile(here)])
    await server.until(async () => (await stableOf(server)).length === 6)
    expect((await stableOf(server)).filter(({ level }) => level === 'study')).toMatchObject([
      { generation: 1, instanceCount: 2 },
      { generation: 2, instanceCount: 3, addedInstanceCount: 1 },
    ])
  })

  test('a server that is killed before the event is due: it comes after the restart, once (OST-4)', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '1' } })
    await send(server, [dicomFile(oneStudy())])
    await server.kill()
    await server.start()
    await server.until(async () => (await stableOf(server)).length === 3)
    await server.stop()
    await server.start()
    await send(server, [dicomFile(oneStudy())])
    await server.until(async () => (await stableOf(server)).length === 6)
  })

  test('a sender that pauses three quiet times inside one request: nothing is said before its end (OTA-3)', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0.5' } })
    await using sql = await server.connect()
    const here = oneStudy()
    await send(server, [dicomFile(here)])
    const body = multipartBody([dicomFile(here), dicomFile(here)])
    const half = Math.floor(body.length / 2)
    const socket = connect(server.port, '127.0.0.1')
    socket.write(
      requestHead('/dicom-web/studies', {
        'content-type': multipartType,
        'content-length': body.length,
      }),
    )
    socket.write(body.subarray(0, half))
    await server.until(
      async () => (await stateOf(server, here.studyInstanceUID)).state === 'receiving',
    )
    const [{ end } = { end: '' }] = await sql`
      select max(last_received_at) + interval '2 s' as end from studies`
    await server.until(async () => {
      const [row] = await sql`select clock_timestamp() > ${end} as is_over`
      return row?.is_over === true
    })
    expect(await stableOf(server)).toEqual([])
    socket.write(body.subarray(half))
    await once(socket, 'data')
    socket.destroy()
    await server.until(async () => (await stableOf(server)).length === 3)
    expect(await stableOf(server)).toMatchObject([
      { level: 'series', generation: 1, instanceCount: 3 },
      { level: 'study', generation: 1, instanceCount: 3 },
      { level: 'patient', generation: 1, instanceCount: 3 },
    ])
  })

  test('an administrator lets it settle now, or opens it again (OST-11)', async () => {
    await using server = await startServer()
    const here = oneStudy()
    await send(server, [dicomFile(here)])
    const tell = async (what: string) => {
      const answer = await fetch(`${server.url}/api/studies/${here.studyInstanceUID}/${what}`, {
        method: 'POST',
      })
      expect(answer.status).toBe(202)
    }
    await tell('settle')
    await server.until(async () => (await stableOf(server)).length === 3)
    await tell('reopen')
    expect(await stateOf(server, here.studyInstanceUID)).toMatchObject({
      state: 'settling',
      generation: 2,
    })
    await tell('settle')
    await server.until(async () => (await stableOf(server)).length === 5)
    const unknown = await fetch(`${server.url}/api/studies/1.2.3/settle`, { method: 'POST' })
    expect(unknown.status).toBe(404)
  })

  test('quiet rules are changed over the API, at once for what waits', async () => {
    await using server = await startServer()
    await send(server, [dicomFile(oneStudy())])
    const put = (rules: unknown) =>
      fetch(`${server.url}/api/quiet-rules`, { method: 'PUT', body: JSON.stringify({ rules }) })
    for (const rules of [
      [],
      [{ modality: 'US', quietSeconds: 5 }],
      [{ quietSeconds: -1 }],
      [{ keyword: 'StudyDescription', quietSeconds: 1 }, { quietSeconds: 1 }],
      [{ colour: 'red', quietSeconds: 1 }, { quietSeconds: 1 }],
    ]) {
      expect((await put(rules)).status).toBe(400)
    }
    const rules = [{ modality: 'US', quietSeconds: 300 }, { quietSeconds: 0.1 }]
    expect((await put(rules)).status).toBe(200)
    expect(await (await fetch(`${server.url}/api/quiet-rules`)).json()).toEqual({
      rules: [{ modality: 'US', quietSeconds: 300 }, { quietSeconds: expect.closeTo(0.1) }],
    })
    await server.until(async () => (await stableOf(server)).length === 3)
  })
})

describe.skipIf(externalDatabaseURL === undefined)('servers that share a database', () => {
  test('say each event once, whoever is killed meanwhile (OST-2, OST-4)', async () => {
    const storeDir = await temporaryFolder()
    const env = {
      STOWAGE_QUIET_SECONDS: '2',
      STOWAGE_STORE_DIR: storeDir,
      STOWAGE_LEASE_SECONDS: '3',
    }
    await using first = await startServer({ env })
    const shared = { env, databaseURL: first.databaseURL }
    await using second = await startServer(shared)
    await using third = await startServer(shared)
    const servers = [first, second, third]
    const studies = Array.from({ length: 30 }, oneStudy)
    let sent = 0
    await Promise.all(
      Array.from({ length: 6 }, async (_, sender) => {
        for (let n = 0; n < 40; n++) {
          const server = servers[(n + sender) % 3] as StowageServer
          const study = studies[(n * 7 + sender) % studies.length]
          const answer = await stow(`${server.dicomWeb}/studies`, [dicomFile(study)]).catch(
            () => undefined,
          )
          if (answer?.status === 200) sent++
          if (sender === 0 && n % 10 === 9) {
            await server.kill()
            await server.start()
          }
        }
      }),
    )
    await using sql = await first.connect()
    await first.until(async () => {
      const [row] = await sql`
        select count(*)::int as count from patients where due_at is not null`
      return row?.count === 0
    })
    const changes = await feedOf(third)
    const stable = changes.filter(({ type }) => type === 'stable')
    const keys = stable.map((one) =>
      [one.level, one.studyInstanceUID ?? one.patientID, one.generation].join(' '),
    )
    expect(new Set(keys).size).toBe(keys.length)
    // One for each generation: 1, 2, ... up to the one that stands in the row.
    const rows = await sql`select study_instance_uid, generation, instance_count from studies`
    for (const row of rows) {
      const own = stable.filter(
        (one) => one.level === 'study' && one.studyInstanceUID === row.study_instance_uid,
      )
      expect(own.map(({ generation }) => generation)).toEqual(own.map((_, index) => index + 1))
      expect(own.at(-1)).toMatchObject({
        generation: row.generation,
        instanceCount: row.instance_count,
      })
      const added = changes.filter(
        (one) => one.type === 'instances-added' && one.studyInstanceUID === row.study_instance_uid,
      )
      expect(added.reduce((sum, one) => sum + (one.addedInstanceCount ?? 0), 0)).toBe(
        row.instance_count,
      )
    }
    const [total] = await sql`select count(*)::int as count from instances`
    expect(total?.count).toBeGreaterThanOrEqual(sent)
  })
})

describe('the feed over HTTP (P7)', () => {
  test('is waited for, streamed with ids to go on from, and read by named consumers', async () => {
    await using server = await startServer()
    const url = `${server.url}/api/changes`
    const waiting = fetch(`${url}?wait=60`).then((answer) => answer.json())
    const stream = await fetch(`${url}?type=new`, { headers: { accept: 'text/event-stream' } })
    expect(stream.headers.get('content-type')).toContain('text/event-stream')
    await send(server, [dicomFile(oneStudy())])
    expect(await waiting).toMatchObject({ changes: expect.arrayContaining([]), done: true })
    const events = await readEvents(stream, 3)
    expect(events.map(({ id, event }) => [id, event])).toEqual([
      ['1', 'new'],
      ['2', 'new'],
      ['3', 'new'],
    ])
    const again = await fetch(`${url}?type=new`, {
      headers: { accept: 'text/event-stream', 'last-event-id': '2' },
    })
    expect((await readEvents(again, 1)).map(({ id }) => id)).toEqual(['3'])

    expect((await fetch(`${url}?consumer=pipeline`)).status).toBe(404)
    const acknowledge = (seq: number) =>
      fetch(`${server.url}/api/consumers/pipeline`, {
        method: 'PUT',
        body: JSON.stringify({ acknowledged: seq }),
      })
    expect((await acknowledge(0)).status).toBe(200)
    expect((await acknowledge(4)).status).toBe(200)
    expect((await acknowledge(4000)).status).toBe(400)
    const rest = (await (await fetch(`${url}?consumer=pipeline`)).json()) as { changes: Change[] }
    expect(rest.changes.map(({ seq }) => seq)).toEqual([5])
    const back = (await (await fetch(`${url}?before=5&limit=2`)).json()) as {
      changes: Change[]
      last: number
      done: boolean
    }
    expect(back).toMatchObject({ last: 3, done: false })
    expect(back.changes.map(({ seq }) => seq)).toEqual([4, 3])
    for (const wrong of ['since=-1', 'limit=0', 'type=old', 'level=room', 'before=x']) {
      expect((await fetch(`${url}?${wrong}`)).status).toBe(400)
    }
  })
})

describe('a feed whose old changes are removed (P7)', () => {
  test('tells a reader that begins in them where to go on, also one that comes again by Last-Event-ID', async () => {
    await using server = await startServer({ env: { STOWAGE_KEEP_CHANGES_DAYS: '0' } })
    await send(server, [dicomFile(oneStudy())])
    const url = `${server.url}/api/changes`
    const all = (await (await fetch(url)).json()) as { last: number }
    await server.stop()
    await server.start()
    await server.until(async () => (await fetch(`${url}?since=0`)).status === 410)
    const stream = { accept: 'text/event-stream', 'last-event-id': '1' }
    for (const [query, headers] of [
      ['', {}],
      ['?since=1', {}],
      ['?since=1&wait=5', {}],
      ['', stream],
    ] as const) {
      const answer = await fetch(`${url}${query}`, { headers })
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(await answer.json()).toMatchObject({
        status: 410,
        since: all.last,
        detail: expect.stringContaining(`since=${all.last}`),
      })
    }
    const put = (acknowledged: number) =>
      fetch(`${server.url}/api/consumers/mine`, {
        method: 'PUT',
        body: JSON.stringify({ acknowledged }),
      })
    expect((await put(0)).status).toBe(410)
    expect((await put(all.last)).status).toBe(200)
    // From here on nothing is removed that it has not acknowledged.
    await send(server, [dicomFile(oneStudy())])
    await server.stop()
    await server.start()
    const rest = (await (await fetch(`${url}?consumer=mine`)).json()) as { changes: Change[] }
    expect(rest.changes.map(({ seq }) => seq)[0]).toBe(all.last + 1)
    expect(await (await fetch(`${url}?since=0&type=deleted`)).json()).toMatchObject({ done: true })
    expect((await fetch(`${server.url}/changes?since=0`)).status).toBe(200)
  })
})

describe("Orthanc's /changes", () => {
  test('is there for scripts that poll an Orthanc, with its identifiers (OST-14)', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '0.2' } })
    const studyInstanceUID = '1.2.840.113619.2.176.2025.1499492.7391.1171285944.390'
    const seriesInstanceUID = '1.2.840.113619.2.176.2025.1499492.7391.1171285944.394'
    await send(server, [
      dicomFile({ patientID: 'ozp00SjY2xG', studyInstanceUID, seriesInstanceUID }),
    ])
    await server.until(async () => (await stableOf(server)).length === 3)
    const seen: string[] = []
    let last = 0
    for (let isDone = false; !isDone; ) {
      const answer = await fetch(`${server.url}/changes?since=${last}&limit=2`)
      const page = (await answer.json()) as {
        Changes: { ChangeType: string; Path: string; Seq: number; Date: string }[]
        Done: boolean
        Last: number
      }
      expect(page.Changes.length).toBeLessThanOrEqual(2)
      for (const change of page.Changes) {
        expect(change.Seq).toBeGreaterThan(last)
        expect(change.Date).toMatch(/^\d{8}T\d{6}$/)
        last = change.Seq
        seen.push(`${change.ChangeType} ${change.Path}`)
      }
      last = page.Last
      isDone = page.Done
    }
    const patient = '/patients/6816cb19-844d5aee-85245eba-28e841e6-2414fae2'
    const study = '/studies/b9c08539-26f93bde-c81ab0d7-bffaf2cb-a4d0bdd0'
    const series = '/series/f2635388-f01d497a-15f7c06b-ad7dba06-c4c599fe'
    expect(seen).toEqual([
      `NewPatient ${patient}`,
      `NewStudy ${study}`,
      `NewSeries ${series}`,
      `StableSeries ${series}`,
      `StableStudy ${study}`,
      `StablePatient ${patient}`,
    ])
    const ask = async (query: string) => {
      const answer = await fetch(`${server.url}/changes?${query}`)
      const { Changes = [] } = (await answer.json()) as { Changes?: { ChangeType: string }[] }
      return Changes.map(({ ChangeType }) => ChangeType)
    }
    expect(await ask('type=StableStudy;NewSeries')).toEqual(['NewSeries', 'StableStudy'])
    expect(await ask('last')).toEqual(['StablePatient'])
    expect(await ask(`to=${last}&limit=2`)).toEqual(['StableStudy', 'StablePatient'])
    expect((await fetch(`${server.url}/changes?type=Odd`)).status).toBe(400)
  })
})

async function readEvents(
  answer: Response,
  count: number,
): Promise<{ id: string; event: string; data: unknown }[]> {
  let text = ''
  const events: { id: string; event: string; data: unknown }[] = []
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end < 0) break
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => {
            const colon = line.indexOf(':')
            return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
          }),
      )
      text = text.slice(end + 2)
      const [id, event, data] = ['id', 'event', 'data'].map((name) => fields.get(name))
      if (id && event && data) events.push({ id, event, data: JSON.parse(data) })
    }
    if (events.length >= count) break
  }
  return events
}
