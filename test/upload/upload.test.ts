import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type TestApp, testApp } from '../web/app.ts'
import { type Entry, file, formBody, formType } from './form.ts'

const strict: Entry = { name: 'handling', value: 'strict' }
const lenient: Entry = { name: 'handling', value: 'lenient' }
const noDicom = Buffer.from('no dicom')

function post(
  { app }: TestApp,
  entries: Entry[] | Uint8Array,
  headers: Record<string, string> = {},
) {
  const body = Array.isArray(entries) ? formBody(entries) : entries
  return app.request('/upload', {
    method: 'POST',
    headers: { 'content-type': formType, accept: 'text/html', ...headers },
    body: new Uint8Array(body),
  })
}

describe('an upload by the form of the page', () => {
  test('is one transfer, stored whole', async () => {
    await using archive = await testApp()
    const studyInstanceUID = uniqueUID()
    const files = [1, 2, 3].map(() =>
      dicomFile({ studyInstanceUID, pixelBytes: randomBytes(300_000) }),
    )
    const answer = await post(archive, [strict, ...files.map((one, i) => file(`${i}.dcm`, one))])
    const html = await answer.text()
    expect(answer.status).toBe(200)
    expect(html).toContain('All 3 instances are stored.')
    expect(html).toContain(`href="studies/${studyInstanceUID}"`)
    expect(await archive.counts()).toMatchObject({ studies: 1, instances: 3 })
    const { transfers } = await (await archive.app.request('/api/transfers')).json()
    expect(transfers).toMatchObject([
      { service: 'upload', state: 'committed', storedCount: 3, partCount: 3, handling: 'strict' },
    ])
    const stored = await archive.app.request(`/dicom-web/studies/${studyInstanceUID}`)
    const bytes = Buffer.from(await stored.arrayBuffer())
    for (const one of files) expect(bytes.includes(one)).toBe(true)
  })

  test('is stored as nothing when one file is refused, and the sender sees which', async () => {
    await using archive = await testApp()
    const answer = await post(archive, [
      strict,
      file('good.dcm', dicomFile()),
      file('Doe^Jane.txt', noDicom),
    ])
    const html = await answer.text()
    expect(answer.status).toBe(409)
    expect(html).toContain('Nothing of this upload was stored: 1 instance was refused.')
    expect(html).toContain('Doe^Jane.txt')
    expect(html).toContain('(C000)')
    expect(await archive.counts()).toMatchObject({ studies: 0, instances: 0 })
    expect(await archive.storedBytes()).toBe(0)
  })

  test('stores the good ones when the sender chose lenient', async () => {
    await using archive = await testApp()
    const answer = await post(archive, [lenient, file('a', dicomFile()), file('b', noDicom)])
    expect(answer.status).toBe(202)
    expect(await answer.text()).toContain('1 of 2 instances are stored; 1 instance was refused.')
    expect(await archive.counts()).toMatchObject({ instances: 1 })
  })

  test('does no harm when it is repeated', async () => {
    await using archive = await testApp()
    const entries = [strict, file('a', dicomFile())]
    await post(archive, entries)
    const answer = await post(archive, entries)
    expect(answer.status).toBe(200)
    expect(await answer.text()).toContain('The one instance is stored; it was here already.')
    expect(await archive.counts()).toMatchObject({ instances: 1 })
  })

  test('skips and counts what is no instance by its name', async () => {
    await using archive = await testApp()
    const others = ['disc/DICOMDIR', '.DS_Store', 'x/Thumbs.db', 'x/._1.dcm', 'DESKTOP.INI']
    const answer = await post(
      archive,
      [
        strict,
        ...others.map((name) => file(name, noDicom)),
        file('1.dcm', dicomFile()),
        file('', Buffer.alloc(0)),
      ],
      { accept: 'application/json' },
    )
    expect(await answer.json()).toMatchObject({
      state: 'committed',
      storedCount: 1,
      skippedCount: 5,
    })
  })

  test('takes an empty file for a part, not for none', async () => {
    await using archive = await testApp()
    const answer = await post(archive, [strict, file('empty.dcm', Buffer.alloc(0))])
    expect(answer.status).toBe(409)
  })

  test('is answered in JSON where that is preferred', async () => {
    await using archive = await testApp()
    const answer = await post(archive, [strict, file('a', dicomFile()), file('b', noDicom)], {
      accept: 'application/json',
    })
    expect(answer.status).toBe(409)
    expect(await answer.json()).toMatchObject({
      state: 'refused',
      storedCount: 0,
      refusedCount: 2,
      refusals: [{ position: 1, failureReason: 0xc000, failureReasonHex: 'C000' }],
    })
  })

  test.each([
    ['no file', [strict], 400, 'choose at least one'],
    ['an input without a file', [strict, file('', Buffer.alloc(0))], 400, 'choose at least one'],
    ['only a DICOMDIR', [strict, file('DICOMDIR', noDicom)], 400, 'all of its files are others'],
    [
      'an unknown handling',
      [{ name: 'handling', value: 'x' }, file('a', dicomFile())],
      400,
      'neither',
    ],
  ] as const)(
    'is refused as a page, without a trace, when it has %s',
    async (_, entries, status, text) => {
      await using archive = await testApp()
      const answer = await post(archive, [...entries])
      expect(answer.status).toBe(status)
      expect(answer.headers.get('content-type')).toContain('text/html')
      expect(await answer.text()).toContain(text)
      expect(await (await archive.app.request('/api/transfers')).json()).toEqual({ transfers: [] })
    },
  )

  test('is refused when the handling comes after a file that it would concern', async () => {
    await using archive = await testApp()
    const answer = await post(archive, [file('a', dicomFile()), lenient])
    expect(answer.status).toBe(400)
    expect(await archive.counts()).toMatchObject({ instances: 0 })
    expect(await archive.storedBytes()).toBe(0)
  })

  test.each([
    [0.5, 'in the middle of a file'],
    [0.999, 'before the last delimiter'],
  ])('leaves nothing when it ends early (%d: %s)', async (share) => {
    await using archive = await testApp()
    const body = formBody([
      strict,
      file('a', dicomFile({ pixelBytes: 9_000_000 })),
      file('b', dicomFile()),
    ])
    const answer = await post(archive, body.subarray(0, Math.floor(body.length * share)))
    expect(answer.status).toBe(400)
    expect(await archive.counts()).toMatchObject({ instances: 0 })
    expect(await archive.storedBytes()).toBe(0)
  })

  test('leaves nothing when the connection breaks, and says so in the list of transfers', async () => {
    await using archive = await testApp()
    const body = formBody([strict, file('a', dicomFile({ pixelBytes: 3_000_000 }))])
    let sentBytes = 0
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sentBytes >= 1_000_000) return controller.error(new Error('reset'))
        controller.enqueue(new Uint8Array(body.subarray(sentBytes, sentBytes + 100_000)))
        sentBytes += 100_000
      },
    })
    await archive.app.request('/upload', {
      method: 'POST',
      headers: { 'content-type': formType },
      body: broken,
      duplex: 'half',
    } as RequestInit)
    const { transfers } = await (await archive.app.request('/api/transfers')).json()
    expect(transfers).toMatchObject([
      {
        state: 'aborted',
        reason: 'The connection ended before the body did',
        receivedBytes: 1_000_000,
      },
    ])
    expect(await archive.storedBytes()).toBe(0)
  })

  test('has the limits of any sender', async () => {
    await using archive = await testApp({ parts: 2, requestBytes: 100_000 })
    const three = [strict, ...['a', 'b', 'c'].map((name) => file(name, dicomFile()))]
    expect((await post(archive, three)).status).toBe(413)
    const large = [strict, file('a', dicomFile({ pixelBytes: 200_000 }))]
    expect((await post(archive, large)).status).toBe(413)
    expect(await archive.counts()).toMatchObject({ instances: 0 })
    expect(await archive.storedBytes()).toBe(0)
  })

  test('is answered 503 when there are as many transfers as the server takes', async () => {
    await using archive = await testApp({}, { transfers: 0 })
    const answer = await post(archive, [strict, file('a', dicomFile())])
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d$/)
    expect(answer.headers.get('content-type')).toContain('text/html')
  })

  test('never puts the name of a file into the log or the database', async () => {
    await using archive = await testApp()
    await post(archive, [strict, file('Doe^Jane.dcm', noDicom)])
    await post(archive, formBody([strict, file('Doe^Jane.dcm', noDicom)]).subarray(0, 300))
    expect(archive.log()).not.toContain('Doe')
    const [row] = await archive.db.sql`
      select (select jsonb_agg(t) from transfers t)::text || (select jsonb_agg(r) from refusals r)::text as all`
    expect(row?.all).toContain('refused')
    expect(row?.all).not.toContain('Doe')
  })
})

describe('a form that another site sends', () => {
  test.each([
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'same-origin', origin: 'null' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ origin: 'http://localhost' }, 200],
    [{}, 200],
  ])('%o is answered %d', async (headers, status) => {
    await using archive = await testApp()
    const answer = await post(
      archive,
      [strict, file('a', dicomFile())],
      headers as Record<string, string>,
    )
    expect(answer.status).toBe(status)
    expect(await archive.counts()).toMatchObject({ instances: status === 200 ? 1 : 0 })
  })
})

test('the form lists the handling before the files, and is of use without JavaScript', async () => {
  await using archive = await testApp()
  const answer = await archive.app.request('/upload')
  const html = await answer.text()
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(html).toContain('method="post" action="upload" enctype="multipart/form-data"')
  expect(html.indexOf('name="handling"')).toBeLessThan(html.indexOf('name="files"'))
  expect(html).toMatch(/value="strict" checked/)
  expect(html).toContain('webkitdirectory')
})
