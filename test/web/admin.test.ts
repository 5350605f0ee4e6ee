import { Buffer } from 'node:buffer'
import { drizzle } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import { describe, expect, test, vi } from 'vitest'
import { countStudies, listStudies, parseStudyCursor, type StudyCursor } from '../../db/listing.ts'
import * as schema from '../../db/schema.ts'
import { StoreError } from '../../server/store/store.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type TestApp, testApp } from './app.ts'

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

async function get({ app }: TestApp, path: string, headers: Record<string, string> = browser) {
  const answer = await app.request(path, { headers })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

/** Studies received within the same microsecond too, so that only the key tells their order. */
async function insertStudies({ db }: TestApp, count: number): Promise<void> {
  await db.sql`
    insert into studies (study_instance_uid, first_received_at, last_received_at)
    select '1.2.' || n, now(), timestamptz '2026-03-01 12:00:00.000001Z' + (n / 3) * interval '1 microsecond'
    from generate_series(1, ${count}) n`
}

describe('the list of studies', () => {
  test('shows each study once, from the newest to the oldest and back', async () => {
    await using archive = await testApp()
    await insertStudies(archive, 120)
    const pages: string[][] = []
    let path: string | undefined = '/'
    const older: string[] = []
    while (path !== undefined) {
      older.push(path)
      const { text } = await get(archive, path)
      pages.push(uidsOf(text))
      path = linkOf(text, 'Older')
    }
    const expected = Array.from({ length: 120 }, (_, index) => `1.2.${120 - index}`)
    expect(pages.map((page) => page.length)).toEqual([50, 50, 20])
    expect(pages.flat()).toEqual(expected)
    const last = await get(archive, older[2] as string)
    const middle = await get(archive, linkOf(last.text, 'Newer') as string)
    expect(uidsOf(middle.text)).toEqual(expected.slice(50, 100))
    const first = await get(archive, linkOf(middle.text, 'Newer') as string)
    expect(uidsOf(first.text)).toEqual(expected.slice(0, 50))
    expect(first.text).toContain('Newest 50 of 120')
  })

  test('begins anew at the newest when there are too few newer ones for a page', async () => {
    await using archive = await testApp()
    await insertStudies(archive, 60)
    const { studies } = await listStudies(archive.db, { limit: 20 })
    const page = await get(archive, `/?after=${encodeURIComponent(studies[9]?.cursor as string)}`)
    expect(uidsOf(page.text)).toHaveLength(50)
    expect(page.text).toContain('hx-sse:connect')
  })

  test('reads a page by the index, not by sorting all', async () => {
    await using archive = await testApp()
    await insertStudies(archive, 5000)
    const { sql } = archive.db
    await sql`analyze studies`
    const asked: { query: string; params: unknown[] }[] = []
    const logger = { logQuery: (query: string, params: unknown[]) => asked.push({ query, params }) }
    const db = { sql, orm: drizzle(sql as unknown as Sql, { schema, logger }) }
    const cursor = '2026-03-01T12:00:00.000800Z~2400' as StudyCursor
    for (const place of [{}, { before: cursor }, { after: cursor }]) {
      await listStudies(db, { limit: 50, ...place })
    }
    for (const { query, params } of asked) {
      const plan = JSON.stringify(
        await sql.unsafe(`explain (format json) ${query}`, params as string[]),
      )
      expect(plan).toContain('studies_last_received_at')
      expect(plan).not.toContain('"Sort"')
    }
    expect(asked).toHaveLength(3)
    expect(await countStudies(archive.db)).toBe(5000)
  })

  test.each([
    'x',
    '2026-03-01T12:00:00.000000Z',
    "2026-03-01T12:00:00.000000Z~1'",
    '2026-99-99T12:00:00.000000Z~1',
  ])('answers 400 as a page for a place that is none: %s', async (place) => {
    await using archive = await testApp()
    const answer = await get(archive, `/?before=${encodeURIComponent(place)}`)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toContain('text/html')
  })

  test('a cursor is what it was made from', () => {
    expect(parseStudyCursor('2026-03-01T12:00:00.123456Z~42')).toBeDefined()
  })
})

describe('a study and a transfer', () => {
  test('have a page each, which escapes what a sender wrote', async () => {
    await using archive = await testApp()
    const studyInstanceUID = uniqueUID()
    const evil = '<script>alert(1)</script>'
    await archive.send([dicomFile({ studyInstanceUID, patientName: evil, studyDescription: evil })])
    for (const path of ['/', `/studies/${studyInstanceUID}`]) {
      const { status, text, headers } = await get(archive, path)
      expect(status).toBe(200)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(text).toContain('&lt;script&gt;alert(1)')
      expect(text).not.toContain('<script>')
    }
  })

  test('are told by the API', async () => {
    await using archive = await testApp()
    const studyInstanceUID = uniqueUID()
    const file = dicomFile({ studyInstanceUID })
    await archive.send([file])
    const outcome = await archive.send([dicomFile(), Buffer.from('no dicom')])
    const study = JSON.parse((await get(archive, `/api/studies/${studyInstanceUID}`, {})).text)
    expect(study).toEqual({
      studyInstanceUID,
      state: 'settling',
      generation: 1,
      settlesAt: expect.stringMatching(/^\d{4}-.*Z$/),
      seriesCount: 1,
      instanceCount: 1,
      completeness: expect.anything(),
      commitment: { state: 'none', committed: 0, failed: 0 },
      byteLength: file.length,
      firstReceivedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      lastReceivedAt: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    const transfer = JSON.parse(
      (await get(archive, `/api/transfers/${outcome.transferID}`, {})).text,
    )
    expect(transfer).toMatchObject({
      transferID: outcome.transferID,
      state: 'refused',
      service: 'stow',
      partCount: 2,
      reason: '1 instance was refused',
      refusals: [{ position: 1, failureReason: 0xc000, failureReasonHex: 'C000' }],
      warnings: [],
    })
    expect(transfer).not.toHaveProperty('sender')
    const page = await get(archive, `/transfers/${outcome.transferID}`)
    expect(page.text).toContain('(C000)')
  })

  test('are listed by state, and no more than asked for', async () => {
    await using archive = await testApp()
    for (const _ of [1, 2, 3]) await archive.send([dicomFile()])
    await archive.send([Buffer.from('no dicom')])
    const states = async (query: string) =>
      JSON.parse((await get(archive, `/api/transfers${query}`, {})).text).transfers.map(
        (one: { state: string }) => one.state,
      )
    expect(await states('')).toEqual(['refused', 'committed', 'committed', 'committed'])
    expect(await states('?state=refused,aborted')).toEqual(['refused'])
    expect(await states('?state=committed&limit=2')).toEqual(['committed', 'committed'])
  })

  test.each([
    ['/api/transfers?limit=0', 400],
    ['/api/transfers?limit=-1', 400],
    ['/api/transfers?state=lost', 400],
    ['/api/transfers/x', 404],
    [`/api/transfers/${crypto.randomUUID()}`, 404],
    ['/api/studies/1.2.3', 404],
    ['/api/studies/x', 404],
    ['/studies/1.2.3', 404],
    ['/transfers/x', 404],
    ['/assets/../layout.tsx', 404],
    ['/assets/nothing.css', 404],
    ['/nothing', 404],
  ])('GET %s is answered %d: JSON for programs, a page for browsers', async (path, status) => {
    await using archive = await testApp()
    const program = await get(archive, path, {})
    expect([program.status, program.headers.get('content-type')]).toEqual([
      status,
      'application/problem+json',
    ])
    const page = await get(archive, path)
    expect([page.status, page.headers.get('content-type')]).toEqual([
      status,
      'text/html; charset=utf-8',
    ])
  })
})

describe('assets', () => {
  test.each([
    ['base.css', 'text/css; charset=utf-8'],
    ['vendor/htmx.min.js', 'text/javascript; charset=utf-8'],
    ['icons.svg', 'image/svg+xml'],
  ])('%s has its type, and is not loaded again while it is the same', async (name, contentType) => {
    await using archive = await testApp()
    const first = await archive.app.request(`/assets/${name}`)
    expect(first.status).toBe(200)
    expect(first.headers.get('content-type')).toBe(contentType)
    const etag = first.headers.get('etag') as string
    const again = await archive.app.request(`/assets/${name}`, {
      headers: { 'if-none-match': etag },
    })
    expect([again.status, await again.text()]).toEqual([304, ''])
  })
})

describe('health', () => {
  test('lives, and is ready', async () => {
    await using archive = await testApp()
    expect((await get(archive, '/healthz')).status).toBe(200)
    expect((await get(archive, '/readyz')).status).toBe(200)
  })

  test('says what keeps it from taking a study, and still lives', async () => {
    const probe = () =>
      Promise.reject(new StoreError('write', Object.assign(new Error(), { code: 'EROFS' })))
    await using archive = await testApp({ store: { probe } })
    const answer = await get(archive, '/readyz', {})
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.text)).toMatchObject({ database: true, store: false })
    expect(answer.text).toContain('the store cannot be written')
    expect(answer.text).not.toContain('EROFS')
    expect((await get(archive, '/healthz')).status).toBe(200)
  })

  test('is not ready while it stops', async () => {
    await using archive = await testApp()
    await archive.live.stop()
    expect((await get(archive, '/readyz')).status).toBe(503)
  })
})

describe('the live stream', () => {
  test('begins with all of the page, then sends what changed, and ends with the hub', async () => {
    await using archive = await testApp()
    const answer = await archive.app.request('/live')
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const first = Buffer.from((await reader.read()).value ?? []).toString()
    expect(first).toMatch(/^data: <hx-partial hx-target="#arriving" hx-swap="innerMorph">/)
    expect(first).toMatch(/\n\n$/)
    const studyInstanceUID = uniqueUID()
    await archive.send([dicomFile({ studyInstanceUID, patientName: 'A\nB' })])
    archive.live.changed()
    const second = Buffer.from((await reader.read()).value ?? []).toString()
    expect(second).toContain(`id="study-${studyInstanceUID.replaceAll('.', '-')}"`)
    expect(second).toContain('hx-target="#ended"')
    expect(second).not.toContain('hx-target="#arriving"')
    expect(
      second
        .trimEnd()
        .split('\n')
        .every((line) => line.startsWith('data: ')),
    ).toBe(true)
    await archive.live.stop()
    expect((await reader.read()).done).toBe(true)
  })

  test('shows the row that the page shows', async () => {
    await using archive = await testApp()
    await archive.send([dicomFile()])
    const page = (await get(archive, '/')).text
    const reader = (
      (await archive.app.request('/live')).body as ReadableStream<Uint8Array>
    ).getReader()
    const first = Buffer.from((await reader.read()).value ?? []).toString()
    const rows = [...page.matchAll(/<tr id=.*?<\/tr>/g)].map(([row]) => row)
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(first).toContain(row)
    await reader.cancel()
  })

  test('is not opened for HEAD, which would leave it open for ever', async () => {
    await using archive = await testApp()
    const subscribed = vi.spyOn(archive.live, 'subscribe')
    const answer = await archive.app.request('/live', { method: 'HEAD' })
    expect([answer.status, answer.body]).toEqual([200, null])
    expect(subscribed).not.toHaveBeenCalled()
  })

  test('answers a problem, without any detail, when the database is away', async () => {
    await using archive = await testApp()
    await archive.db.sql`alter table studies rename to away`
    const answer = await get(archive, '/live', { accept: 'text/html, text/event-stream' })
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('studies"')
    await archive.db.sql`alter table away rename to studies`
  })
})

function uidsOf(html: string): string[] {
  return [...html.matchAll(/href="\/studies\/([\d.]+)"/g)].map(([, uid]) => uid as string)
}

function linkOf(html: string, text: string): string | undefined {
  return new RegExp(`<a href="([^"]+)">${text}</a>`).exec(html)?.[1]
}
