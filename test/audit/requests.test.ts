import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AuditFilter, listAuditEvents } from '../../db/audit.ts'
import { RULES } from '../../server/access/rules.ts'
import { actionOf, eventNames } from '../../server/audit/actions.ts'
import { bearer, giveToken, giveUser, password, testApp } from '../access/archive.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { multipartBody, multipartType } from '../support/stow.ts'
import { placeOfLink } from '../web/app.ts'

const archive = await testApp()
const address = '10.1.2.3'
const tokens: Record<string, string> = {}
const patient = { patientName: 'Audited^Anna', patientID: 'AUDITED-1' }

beforeAll(async () => {
  tokens.reader = await giveToken(archive, 'viewer', ['reader'])
  tokens.sender = await giveToken(archive, 'ct-2', ['sender'])
  tokens.operator = await giveToken(archive, 'ops', ['operator'])
  tokens.admin = await giveToken(archive, 'boss', ['admin'])
  await giveUser(archive, 'ann', ['admin'])
  await archive.credentials.refresh()
})

afterAll(() => archive[Symbol.asyncDispose]())

async function ask(
  path: string,
  { as, ...init }: { as?: string } & RequestInit = {},
): Promise<{ status: number; text: string }> {
  const headers = { ...(as === undefined ? {} : bearer(tokens[as] as string)), ...init.headers }
  const answer = await archive.app.request(path, { ...init, headers }, { address })
  return { status: answer.status, text: await answer.text() }
}

function store(files: Uint8Array[]) {
  const body = new Uint8Array(multipartBody(files))
  const headers = { 'content-type': multipartType }
  return ask('/dicom-web/studies', { as: 'sender', method: 'POST', headers, body })
}

async function recorded(filter: AuditFilter) {
  await archive.audit.write()
  const events = await listAuditEvents(archive.db, filter, { limit: 1000, newestFirst: false })
  return events.map(({ at: _, auditKey: __, cursor: ___, ...rest }) =>
    Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)),
  )
}

async function storedStudy(count: number) {
  const studyInstanceUID = uniqueUID()
  const seriesInstanceUID = uniqueUID()
  const sopInstanceUIDs = Array.from({ length: count }, () => uniqueUID())
  const files = sopInstanceUIDs.map((sopInstanceUID) =>
    dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, ...patient }),
  )
  expect((await store(files)).status).toBe(200)
  return { studyInstanceUID, seriesInstanceUID, sopInstanceUIDs, files }
}

const who = { source: address, outcome: 0, eventCount: 1 }

describe('who stored', () => {
  test('is there for each study of a request, with what is new of it', async () => {
    const { studyInstanceUID, files } = await storedStudy(2)
    const other = uniqueUID()
    await store([...files, dicomFile({ studyInstanceUID: other })])
    const both = await recorded({ actor: 'token:ct-2', actions: ['store'] })
    const its = both.filter((event) => event.studyInstanceUID === studyInstanceUID)
    expect(its).toMatchObject([
      { ...who, actor: 'token:ct-2', instanceCount: 2, transferID: expect.any(String) },
      { ...who, instanceCount: 0 },
    ])
    expect(both).toContainEqual(
      expect.objectContaining({ studyInstanceUID: other, instanceCount: 1 }),
    )
  })

  test('is there when nothing was stored', async () => {
    expect((await store([Buffer.alloc(200)])).status).toBe(409)
    const last = (await recorded({ actions: ['store'] })).at(-1)
    expect(last).toMatchObject({ ...who, outcome: 4, actor: 'token:ct-2', what: 'stow refused' })
  })
})

describe('who saw', () => {
  test('is exact for studies and series', async () => {
    const { studyInstanceUID, seriesInstanceUID } = await storedStudy(1)
    const study = `/dicom-web/studies/${studyInstanceUID}`
    for (const path of [
      study,
      study,
      `${study}/metadata`,
      `${study}/series/${seriesInstanceUID}`,
    ]) {
      expect((await ask(path, { as: 'reader', headers: { accept: '*/*' } })).status).toBe(200)
    }
    await ask(`/studies/${studyInstanceUID}`, { as: 'reader', headers: { accept: 'text/html' } })
    const seen = { ...who, actor: 'token:viewer', studyInstanceUID }
    const reads = await recorded({ studyInstanceUID, actor: 'token:viewer' })
    const route = 'GET /dicom-web/studies/:study'
    expect(reads).toEqual([
      { ...seen, action: 'retrieve', what: route },
      { ...seen, action: 'retrieve', what: route },
      { ...seen, action: 'retrieve', what: `${route}/metadata` },
      { ...seen, action: 'retrieve', what: `${route}/series/:series`, seriesInstanceUID },
      { ...seen, action: 'view', what: 'GET /studies/:study' },
    ])
  })

  test('is folded by the minute for single instances, the first of which is there at once', async () => {
    const { studyInstanceUID, seriesInstanceUID, sopInstanceUIDs } = await storedStudy(3)
    const series = `/dicom-web/studies/${studyInstanceUID}/series/${seriesInstanceUID}`
    for (const sopInstanceUID of sopInstanceUIDs) {
      await ask(`${series}/instances/${sopInstanceUID}/metadata`, { as: 'reader' })
    }
    const reads = await recorded({ studyInstanceUID, actor: 'token:viewer' })
    expect(reads).toMatchObject([{ seriesInstanceUID, sopInstanceUID: sopInstanceUIDs[0] }])
  })

  test('searches say nothing of what was searched for but the study (P10)', async () => {
    const { studyInstanceUID } = await storedStudy(1)
    const query = `PatientName=Audited*&PatientID=AUDITED-1&StudyInstanceUID=${studyInstanceUID}`
    await ask(`/dicom-web/studies?${query}`, { as: 'reader' })
    await ask('/dicom-web/studies/Audited%5EAnna/series', { as: 'reader' })
    const reads = await recorded({ studyInstanceUID, actions: ['search'] })
    expect(reads).toMatchObject([{ ...who, actor: 'token:viewer' }])
    const [row] = await archive.db.sql`
      select string_agg(e::text, ' ') as said from audit_events e where e::text ilike '%audited%'`
    expect(row?.said).toBe(null)
  })
})

describe('who changed something', () => {
  test('deletions are in the log when they are answered', async () => {
    const { studyInstanceUID } = await storedStudy(1)
    await ask(`/dicom-web/studies/${studyInstanceUID}`, { as: 'operator', method: 'DELETE' })
    const events = await listAuditEvents(
      archive.db,
      { studyInstanceUID, actions: ['delete'] },
      { limit: 10, newestFirst: true },
    )
    expect(events).toMatchObject([{ actor: 'token:ops', source: address, outcome: 0 }])
  })

  test('what the page does to a study has the name of what was done', async () => {
    const { studyInstanceUID } = await storedStudy(1)
    const path = `/studies/${studyInstanceUID}/actions/settle`
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }
    const form = { as: 'operator', method: 'POST', headers }
    expect((await ask(path, form)).status).toBe(303)
    expect(await recorded({ studyInstanceUID, actions: ['act'] })).toMatchObject([
      { actor: 'token:ops', what: 'POST /studies/:study/actions/settle' },
    ])
  })
})

describe('who was not let in', () => {
  test('is there with what was asked for, under the name that was shown or none', async () => {
    const { studyInstanceUID } = await storedStudy(1)
    const path = `/dicom-web/studies/${studyInstanceUID}`
    expect((await ask(path, { as: 'sender' })).status).toBe(403)
    expect((await ask(path)).status).toBe(401)
    const refused = { source: address, outcome: 4, action: 'denied', studyInstanceUID }
    expect(await recorded({ studyInstanceUID, actions: ['denied', 'retrieve'] })).toMatchObject([
      { ...refused, actor: 'token:ct-2' },
      refused,
    ])
  })

  test('sign-ins are there, of a wrong password without the name that was typed', async () => {
    const signIn = (name: string, secret: string) =>
      ask('/login', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ name, password: secret }),
      })
    expect((await signIn('ann', 'wrong, but long enough')).status).toBe(401)
    expect((await signIn('ann', password)).status).toBe(303)
    const events = await recorded({ actions: ['sign-in'] })
    expect(events.map(({ actor, outcome }) => [actor, outcome])).toEqual([
      [undefined, 4],
      ['user:ann', 0],
    ])
  })
})

describe('reading the log', () => {
  const columns = 'at,action,eventID,eventType,eventActionCode,outcome,actor'

  test('is for admins, and is an event itself', async () => {
    for (const as of ['reader', 'sender', 'operator']) {
      expect((await ask('/api/audit', { as })).status).toBe(403)
    }
    expect((await ask('/api/audit', { as: 'admin' })).status).toBe(200)
    expect((await recorded({ actions: ['audit'] })).at(-1)).toMatchObject({ actor: 'token:boss' })
  })

  test('goes on from a cursor, by JSON, and streams all as NDJSON or CSV', async () => {
    const study = uniqueUID()
    for (let n = 0; n < 2100; n++) {
      archive.audit.record({ action: 'view', outcome: 0, studyInstanceUID: study, what: `${n}` })
    }
    const expected = Array.from({ length: 2100 }, (_, n) => `${n}`).sort()
    const paged: string[] = []
    for (let after = ''; ; ) {
      const page = await ask(`/api/audit?study=${study}&limit=900${after}`, { as: 'admin' })
      const { events, next } = JSON.parse(page.text)
      if (events.length === 0) break
      paged.push(...events.map((one: { what: string }) => one.what))
      after = `&after=${encodeURIComponent(next)}`
    }
    expect(paged.sort()).toEqual(expected)

    const path = `/api/audit?study=${study}`
    const lines = await ask(path, { as: 'admin', headers: { accept: 'application/x-ndjson' } })
    const events = lines.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ what }) => what).sort()).toEqual(expected)
    expect(events[0]).toMatchObject({ action: 'view', eventID: '110103 DICOM Instances Accessed' })

    const table = await ask(`${path}&format=csv`, { as: 'admin' })
    const rows = table.text.trimEnd().split('\r\n')
    expect(rows[0]?.startsWith(columns)).toBe(true)
    expect(rows).toHaveLength(2101)
  })

  test('a field of the CSV is no formula, and quotes what has to be', async () => {
    const study = uniqueUID()
    archive.audit.record({
      action: 'view',
      outcome: 0,
      studyInstanceUID: study,
      source: '=1+1',
      what: 'a "b", c',
    })
    const { text } = await ask(`/api/audit?format=csv&study=${study}`, { as: 'admin' })
    expect(text).toContain(",'=1+1,")
    expect(text).toContain(',"a ""b"", c",')
  })

  test.each(['action=none', 'study=Doe', 'from=yesterday', 'after=1', 'limit=0', 'format=xml'])(
    'says what is wrong with %s',
    async (query) => {
      const { status, text } = await ask(`/api/audit?${query}`, { as: 'admin' })
      expect(status).toBe(400)
      expect(JSON.parse(text).detail).toContain(`"${query.split('=')[0]}"`)
    },
  )

  test('the page shows it from the newest on, page by page, and by its fields', async () => {
    const study = uniqueUID()
    for (let n = 0; n < 150; n++) {
      archive.audit.record({
        action: 'view',
        outcome: 0,
        actor: `user:n${n}`,
        studyInstanceUID: study,
      })
    }
    await archive.audit.write()
    const page = async (path: string) =>
      (await ask(path, { as: 'admin', headers: { accept: 'text/html' } })).text
    const actors = (html: string) => [...html.matchAll(/user:n(\d+)/g)].map(([, n]) => Number(n))
    const first = await page(`/audit?study=${study}`)
    const older = /href="(audit\?[^"]+)">Older</.exec(first)?.[1]?.replaceAll('&amp;', '&')
    const second = await page(placeOfLink(older as string))
    expect([...actors(first), ...actors(second)]).toEqual(
      Array.from({ length: 150 }, (_, n) => 149 - n),
    )
    expect(second).not.toContain('>Older<')
    expect(await page(`/audit?study=${study}&actor=user:n7&until=2001-01-01`)).toContain(
      'Nothing of this kind has happened',
    )
    expect(actors(await page(`/audit?study=${study}&actor=user:n7`))).toContain(7)
  })
})

describe('what is recorded', () => {
  const routes = RULES.flatMap((rule) => rule.routes)

  test('is everything that names a study or changes something; this is all the rest', () => {
    expect(routes.filter((route) => actionOf(route) === undefined).sort()).toEqual(
      [
        'GET /healthz',
        'GET /readyz',
        'GET /metrics',
        'GET /login',
        'GET /assets/:name{.+}',
        'POST /theme',
        'GET /live/problems/:kind/:reason',
        'GET /live/problems',
        'POST /privacy',
        'GET /login/oidc',
        'OPTIONS /dicom-web',
        'OPTIONS /dicom-web/',
        'GET /api/openapi.json',
        'GET /upload',
        'GET /dicom-web/commitment-requests/:transaction',
        'GET /api/transfers',
        'GET /api/transfers/:transfer',
        'GET /api/consumers',
        'PUT /api/consumers/:name',
        'GET /transfers',
        'GET /live/transfers',
        'GET /transfers/:transfer',
        'GET /live/transfer/:transfer',
        'GET /commitments',
        'GET /live/commitments',
        'GET /commitments/:transaction',
        'GET /live/commitment/:transaction',
        'GET /problems',
        'GET /problems/:kind/:reason',
        'GET /webhooks',
        'GET /live/webhooks',
        'GET /webhooks/:webhook',
        'GET /health',
        'GET /live/health',
        'GET /api/deletions',
        'GET /api/deletions/:deletion',
        'GET /api/commitments',
        'GET /api/commitments/:transaction',
        'GET /api/quiet-rules',
        'GET /api/webhooks',
        'GET /api/webhooks/:webhook',
        'GET /api/webhooks/:webhook/deliveries',
      ].sort(),
    )
  })

  test('each action has its name in PS3.15', () => {
    const actions = new Set(routes.map((route) => actionOf(route)))
    actions.delete(undefined)
    expect([...actions].filter((action) => action && !(action in eventNames))).toEqual([])
  })
})
