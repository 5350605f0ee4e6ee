import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { numberChanges } from '../../db/changes.ts'
import { enqueueDeliveries } from '../../db/deliveries.ts'
import { parseStudyCursor } from '../../db/listing.ts'
import { addWebhook, findWebhook } from '../../db/webhooks.ts'
import { StoreError } from '../../server/store/store.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld } from '../support/intake.ts'
import { placeLedTo, placeOfLink, type TestApp, testApp, toldAt } from './app.ts'

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
    const page = await get(archive, '/?after=2026-03-01T12:00:00.000017Z~50')
    expect(uidsOf(page.text)).toHaveLength(50)
    expect(page.text).toContain('hx-sse:connect')
  })

  test('finds by every field, in the body of a request, and by filters in an address', async () => {
    await using archive = await testApp()
    const [wanted, other] = [uniqueUID(), uniqueUID()]
    const common = { studyInstanceUID: wanted, patientName: 'Doe^Jane', patientID: 'P-7' }
    const rest = { accessionNumber: 'A-7', modality: 'MR', studyDate: '20260214' }
    await archive.send([dicomFile({ ...common, ...rest, studyDescription: 'Knee' })])
    await archive.send([
      dicomFile({
        studyInstanceUID: other,
        seriesInstanceUID: uniqueUID(),
        patientName: 'Roe^Richard',
      }),
    ])
    const searches = [
      'PatientName=doe',
      'PatientName=d*jane',
      'PatientID=P-7',
      'AccessionNumber=A-7',
      'StudyDescription=Knee',
      `StudyInstanceUID=${wanted}`,
      'PatientName=doe&from=2026-02-01&to=2026-02-28&ModalitiesInStudy=mr&state=settling',
    ]
    for (const body of searches) {
      const answer = await search(archive, body)
      expect([body, answer.status, uidsOf(await answer.text())]).toEqual([body, 200, [wanted]])
    }
    for (const query of ['ModalitiesInStudy=MR', 'from=2026-02-14&to=2026-02-14']) {
      expect(uidsOf((await get(archive, `/?${query}`)).text)).toEqual([wanted])
    }
    expect(uidsOf((await get(archive, '/?state=stable')).text)).toEqual([])
    expect(uidsOf((await get(archive, '/?verdict=unknown&commitment=none')).text)).toHaveLength(2)
  })

  test('finds by the day of receipt in UTC, both ends included, and says which day is none', async () => {
    await using archive = await testApp()
    await insertStudies(archive, 3)
    const found = async (query: string) => uidsOf((await get(archive, `/?${query}`)).text).length
    expect(await found('receivedFrom=2026-03-01&receivedTo=2026-03-01')).toBe(3)
    expect(await found('receivedTo=2026-02-28')).toBe(0)
    expect(await found('receivedFrom=2026-03-02')).toBe(0)
    const page = await get(archive, '/?receivedFrom=2026-03-01')
    expect(page.text).toContain('no key for it: received from')
    for (const day of ['2026-02-31', 'x', '20260301']) {
      const wrong = await get(archive, `/?receivedFrom=${day}`)
      expect([day, wrong.status]).toEqual([day, 400])
      expect(wrong.text).toContain('written like 2026-03-01')
    }
    for (const query of [
      'receivedFrom=2026-03-02&receivedTo=2026-03-01',
      'from=2026-03-02&to=2026-03-01',
    ]) {
      const wrong = await get(archive, `/?${query}`)
      expect([query, wrong.status]).toEqual([query, 400])
      expect(wrong.text).toContain('begins on 2026-03-02 and ends before it, on 2026-03-01')
    }
  })

  test('leads a search without text to an address, and says what is wrong with one', async () => {
    await using archive = await testApp()
    const filters = await search(archive, 'state=&state=stable&from=2026-01-01')
    expect([filters.status, placeLedTo('/', filters)]).toEqual([
      303,
      '/?state=stable&from=2026-01-01',
    ])
    const wrong = await search(archive, 'StudyInstanceUID=x')
    expect(wrong.status).toBe(400)
    expect(await wrong.text()).toContain('its value is no UID')
  })

  test.each(['date', 'patient'])('sorted by %s it shows each study once, too', async (sort) => {
    await using archive = await testApp()
    await insertStudies(archive, 60)
    const first = (await get(archive, `/?sort=${sort}`)).text
    const second = (await get(archive, linkOf(first, 'Next') as string)).text
    expect(new Set([...uidsOf(first), ...uidsOf(second)]).size).toBe(60)
    expect(first).toContain('aria-sort')
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

describe('the instances of a series', () => {
  test('are in the order of their numbers where one page holds all, else of their UIDs', async () => {
    await using archive = await testApp()
    const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
    const of = (n: number, instanceNumber: number) =>
      dicomFile({
        studyInstanceUID,
        seriesInstanceUID,
        sopInstanceUID: `1.2.9.${n}`,
        instanceNumber,
      })
    await archive.send([of(1, 10), of(2, 9), of(3, 100)])
    const path = `/studies/${studyInstanceUID}/series/${seriesInstanceUID}`
    const shown = async () => {
      const { text } = await get(archive, path)
      return [...text.matchAll(/data-label="Number">(\d+)</g)].map(([, number]) => number)
    }
    expect(await shown()).toEqual(['9', '10', '100'])
    expect((await get(archive, path)).text).toContain('All 3 instances, by number')
    await archive.send(Array.from({ length: 100 }, (_, n) => of(1000 + n, 200 - n)))
    expect((await shown()).slice(0, 2)).toEqual(['10', '200'])
    expect((await get(archive, path)).text).toContain('100 of 103 instances, by UID')
  })
})

describe('a study that arrives for the first time', () => {
  test('is told above the list, where it has no row yet, instead of how to begin', async () => {
    await using archive = await testApp({}, nothingHeld)
    expect((await get(archive, '/')).text).toContain('Send the first study')
    const studyInstanceUID = uniqueUID()
    const transfer = await archive.intake.open({ service: 'stow', handling: 'strict' })
    transfer.beginPart()
    transfer.push(dicomFile({ studyInstanceUID }))
    transfer.endPart()
    await transfer.drain()
    await vi.waitFor(
      async () => {
        for (const path of ['/', '/?state=receiving']) {
          const { text } = await get(archive, path)
          expect(text.replace(/<[^>]+>/g, '')).toContain(
            '1 study is arriving for the first time: see Transfers.',
          )
          expect(text).toMatch(/id="count-receiving"[^>]*>1</)
          expect(text).not.toContain('Send the first study')
        }
      },
      { timeout: 10_000 },
    )
    await transfer.commit()
    await vi.waitFor(
      async () => expect((await get(archive, '/')).text).not.toContain('for the first time'),
      { timeout: 10_000 },
    )
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
      completeness: expect.objectContaining({ verdict: 'unknown', received: 1 }),
      commitment: { state: 'none', committed: 0, failed: 0 },
      state: 'settling',
      generation: 1,
      settlesAt: expect.stringMatching(/^\d{4}-.*Z$/),
      seriesCount: 1,
      instanceCount: 1,
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

describe('actions', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }

  test('are done for our own pages, and told in place', async () => {
    await using archive = await testApp()
    const studyInstanceUID = uniqueUID()
    await archive.send([dicomFile({ studyInstanceUID })])
    const path = `/studies/${studyInstanceUID}`
    const action = `${path}/actions/settle`
    const answer = await archive.app.request(action, { method: 'POST', headers: form })
    expect([answer.status, toldAt(action, answer)]).toEqual([303, `${path} done=settle`])
    // Nobody can say so by an address, and it is said once.
    expect((await get(archive, `${path}?done=settle`)).text).not.toContain('It settles now')
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0] as string
    const page = await get(archive, path, { ...browser, cookie })
    expect(page.text).toContain('It settles now')
    expect(page.headers.get('set-cookie')).toMatch(/^done=; Path=\/; Max-Age=0;/)
    const other = await get(archive, `/studies/${uniqueUID()}`, { ...browser, cookie })
    expect(other.headers.get('set-cookie')).toBeNull()
    const broken = await get(archive, path, { ...browser, cookie: 'done=%E0%A4' })
    expect(broken.status).toBe(200)
  })

  test.each([['/studies/STUDY/actions/settle'], ['/theme']])(
    'POST %s is refused to a page of another site',
    async (path) => {
      await using archive = await testApp()
      const studyInstanceUID = uniqueUID()
      await archive.send([dicomFile({ studyInstanceUID })])
      const answer = await archive.app.request(path.replace('STUDY', studyInstanceUID), {
        method: 'POST',
        headers: { ...form, 'sec-fetch-site': 'cross-site' },
      })
      expect(answer.status).toBe(403)
    },
  )

  test('a study is downloaded as a ZIP whose files are as they came', async () => {
    await using archive = await testApp()
    const studyInstanceUID = uniqueUID()
    const files = [1, 2, 3].map((number) => dicomFile({ studyInstanceUID, instanceNumber: number }))
    await archive.send(files)
    const answer = await archive.app.request(`/studies/${studyInstanceUID}/files.zip`)
    const zip = Buffer.from(await answer.arrayBuffer())
    expect(answer.headers.get('content-type')).toBe('application/zip')
    for (const file of files) expect(zip.includes(file)).toBe(true)
    expect(zip.includes('0001/00000001.dcm')).toBe(true)
    expect(zip.readUInt32LE(0)).toBe(0x04034b50)
  })

  test('all attributes of an instance are shown by name', async () => {
    await using archive = await testApp()
    const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = [
      uniqueUID(),
      uniqueUID(),
      uniqueUID(),
    ]
    const item = [{ tag: '00400007', vr: 'LO', value: 'Head' }]
    const elements = [{ tag: '00400275', vr: 'SQ', items: [item] }]
    await archive.send([
      dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, elements }),
    ])
    const { text } = await get(
      archive,
      `/studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
    )
    expect(text).toContain('SOP Instance UID')
    expect(text).toMatch(/\(0040,0007\).*Scheduled Procedure Step Description.*Head/)
  })

  test.each([
    '/transfers',
    '/problems',
    '/problems/refusal/49152',
    '/feed',
    '/webhooks',
    '/health',
    '/upload',
  ])('GET %s is a page', async (path) => {
    await using archive = await testApp()
    await archive.send([Buffer.from('no dicom')])
    const answer = await get(archive, path)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(answer.text).toContain('aria-current="page"')
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
    const zipped = await archive.app.request(`/assets/${name}`, {
      headers: { 'accept-encoding': 'gzip, br' },
    })
    expect([zipped.headers.get('content-encoding'), zipped.headers.get('etag')]).toEqual([
      'gzip',
      etag,
    ])
    const plain = gunzipSync(Buffer.from(await zipped.arrayBuffer()))
    expect(plain.toString()).toBe(await first.text())
  })
})

describe('health', () => {
  test('lives, and is ready', async () => {
    await using archive = await testApp()
    expect((await get(archive, '/healthz')).status).toBe(200)
    expect((await get(archive, '/readyz')).status).toBe(200)
  })

  test('tells how late studies became stable, and leaves out those that nobody wanted to wait for', async () => {
    await using archive = await testApp()
    const late = uniqueUID()
    const early = uniqueUID()
    for (const studyInstanceUID of [late, early])
      await archive.send([dicomFile({ studyInstanceUID })])
    // As the scheduler leaves them: 90 s after the quiet time, and at once, a day after the last instance.
    await archive.db.sql`
      update studies set due_at = null, settled_at = now(), quiet_seconds = 10, last_received_at = now() - interval '100 s'
      where study_instance_uid = ${late}`
    await archive.db.sql`
      update studies set due_at = null, settled_at = now(), quiet_seconds = 0, last_received_at = now() - interval '1 day'
      where study_instance_uid = ${early}`
    const { text } = await get(archive, '/health')
    expect(text.replaceAll('\u00a0', ' ')).toContain(
      'Stable at most 1 min 30 s after the quiet time, in 24 hours',
    )
  })

  test('says that nobody signs in, and how that ends', async () => {
    await using archive = await testApp()
    expect((await get(archive, '/health')).text).toContain('Nobody signs in here')
  })

  test('says that a receiver is not reached long before its messages are given up', async () => {
    await using archive = await testApp()
    const { sql } = archive.db
    await archive.send([dicomFile({ studyInstanceUID: uniqueUID() })])
    await numberChanges(archive.db)
    const url = 'https://receiver.example/'
    const webhookID = randomUUID()
    await addWebhook(archive.db, { webhookID, url, secret: 'whsec_', positionSeq: 0 }, 10)
    await enqueueDeliveries(archive.db, webhookID, 100)
    const told = async () =>
      (await get(archive, '/health')).text.replaceAll('\u00a0', ' ').replace(/<[^>]+>/g, ' ')
    // What was there before the webhook is as old as the webhook.
    await sql`update changes set at = at - interval '1 day'`
    expect(await told()).toMatch(/Webhooks\s+Well\s+nothing is stuck/)
    await sql`update webhooks set created_at = now() - interval '25 min'`
    // Each attempt that fails moves its next one on.
    await sql`update webhook_deliveries set attempts = 9, due_at = now() + interval '5 min'`
    await vi.waitFor(
      async () => {
        const text = await told()
        expect(text).toMatch(/Webhooks\s+Look\s+the oldest message is 25 min \d s late/)
        expect(text).toContain('Webhooks behind')
        expect(text).not.toContain('All well')
      },
      { timeout: 5000 },
    )
    await sql`update webhooks set is_paused = true`
    await vi.waitFor(async () => expect(await told()).not.toContain('late'), { timeout: 5000 })
    const page = await get(archive, `/webhooks/${webhookID}`)
    expect(page.text).toMatch(/messages? not delivered/)
    await sql`delete from webhook_deliveries`
    await sql`update webhooks set position_seq = 0`
    const behind = (await get(archive, `/webhooks/${webhookID}`)).text
    expect(behind).not.toContain('Everything is delivered.')
    expect(behind).toMatch(/It is paused: \d changes? wait/)
  })

  test('pauses a webhook, lets it go on and removes it, each said once', async () => {
    await using archive = await testApp()
    const webhookID = randomUUID()
    const url = 'https://receiver.example/'
    await addWebhook(archive.db, { webhookID, url, secret: 'whsec_', positionSeq: 0 }, 10)
    const path = `/webhooks/${webhookID}`
    const act = (action: string) =>
      archive.app.request(`${path}/actions/${action}`, {
        method: 'POST',
        body: 'seq=',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '4' },
      })
    const told = async (where: string, answer: Response) => {
      const cookie = answer.headers.get('set-cookie')?.split(';')[0] as string
      return (await get(archive, where, { cookie })).text
    }
    const paused = await act('pause')
    expect(toldAt(`${path}/actions/pause`, paused)).toBe(`${path} done=pause`)
    const page = await told(path, paused)
    expect(page).toContain('Paused: nothing is sent to it until it goes on.')
    expect(page).toContain(`action="webhooks/${webhookID}/actions/go-on"`)
    expect(await findWebhook(archive.db, webhookID)).toMatchObject({ isPaused: true })
    const goesOn = await told(path, await act('go-on'))
    expect(goesOn).toContain('It goes on, with what waited first.')
    expect(goesOn).toContain(`action="webhooks/${webhookID}/actions/pause"`)
    expect(await findWebhook(archive.db, webhookID)).toMatchObject({ isPaused: false })
    expect((await act('explode')).status).toBe(404)
    const removed = await act('remove')
    expect(toldAt(`${path}/actions/remove`, removed)).toBe('/webhooks done=remove')
    expect(await told('/webhooks', removed)).toContain('Removed. Nothing more is sent to it.')
    expect((await get(archive, path)).status).toBe(404)
    expect((await act('pause')).status).toBe(404)
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

  test('is not ready on a database that takes no writes, as a standby', async () => {
    await using archive = await testApp()
    await archive.db.sql`
      do $$ begin
        execute format('alter database %I set default_transaction_read_only = on', current_database());
      end $$`
    // It holds for connections that are opened from now on.
    await archive.db.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`
    await archive.db.sql`select pg_terminate_backend(pg_backend_pid())`.catch(() => {})
    await vi.waitFor(
      async () => {
        const answer = await get(archive, '/readyz', {})
        expect(JSON.parse(answer.text)).toMatchObject({ status: 503, database: false, store: true })
      },
      { timeout: 20_000 },
    )
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
    const answer = await archive.app.request('/live/studies')
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const first = Buffer.from((await reader.read()).value ?? []).toString()
    expect(first).toMatch(/^data: <hx-partial hx-target="#list" hx-swap="innerMorph" data-list/)
    expect(first).toMatch(/\n\n$/)
    const studyInstanceUID = uniqueUID()
    await archive.send([dicomFile({ studyInstanceUID, patientName: 'A\nB' })])
    archive.live.changed()
    const second = Buffer.from((await reader.read()).value ?? []).toString()
    expect(second).toContain(`id="study-${studyInstanceUID.replaceAll('.', '-')}"`)
    expect(second).toContain('hx-target="#list"')
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
      (await archive.app.request('/live/studies')).body as ReadableStream<Uint8Array>
    ).getReader()
    const first = Buffer.from((await reader.read()).value ?? []).toString()
    const rows = [...page.matchAll(/<tr id=.*?<\/tr>/g)].map(([row]) => row)
    expect(rows).toHaveLength(1)
    for (const row of rows) expect(first).toContain(row)
    await reader.cancel()
  })

  test('is not opened for HEAD, which would leave it open for ever', async () => {
    await using archive = await testApp()
    const subscribed = vi.spyOn(archive.live, 'subscribe')
    const answer = await archive.app.request('/live/studies', { method: 'HEAD' })
    expect([answer.status, answer.body]).toEqual([200, null])
    expect(subscribed).not.toHaveBeenCalled()
  })

  test('answers a problem, without any detail, when the database is away', async () => {
    await using archive = await testApp()
    await archive.db.sql`alter table studies rename to away`
    const answer = await get(archive, '/live/studies', { accept: 'text/html, text/event-stream' })
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('studies"')
    await archive.db.sql`alter table away rename to studies`
  })
})

async function search({ app }: TestApp, body: string): Promise<Response> {
  return app.request('/', {
    method: 'POST',
    body,
    headers: {
      ...browser,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
    },
  })
}

function uidsOf(html: string): string[] {
  return [...html.matchAll(/href="studies\/([\d.]+)"/g)].map(([, uid]) => uid as string)
}

function linkOf(html: string, text: string): string | undefined {
  const link = new RegExp(`<a href="([^"]+)">${text}</a>`).exec(html)?.[1]
  return link && placeOfLink(link.replaceAll('&amp;', '&'))
}
