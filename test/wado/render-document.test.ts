import { randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import type { AppEnv } from '../../server/http/env.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import type { WadoDeps } from '../../server/wado/deps.ts'
import { renderDocument } from '../../server/wado/render-document.ts'

function documentOf(type: string, content: string) {
  return {
    '00420011': { vr: 'OB', InlineBinary: Buffer.from(content).toString('base64') },
    '00420012': { vr: 'LO', Value: [type] },
  }
}

/** What a browser that takes everything is answered, unless it says what it takes. */
async function rendered(model: object, accept = '*/*'): Promise<Response> {
  const store = memoryStore()
  const segmentID = randomUUID()
  const metadata = Buffer.from(JSON.stringify(model))
  const writer = await store.create(segmentID)
  writer.append(metadata)
  await writer.seal()
  const instance = {
    digest: Buffer.alloc(32),
    segmentID,
    segmentOffset: 0,
    byteLength: 0,
    metadataLength: metadata.length,
    studyInstanceUID: '1.2',
    seriesInstanceUID: '1.3',
    sopInstanceUID: '1.4',
  } as unknown as Instance
  const app = new Hono<AppEnv>()
  app.get('/', (c) => {
    c.set('baseURL', 'https://h')
    return renderDocument(c, { store } as unknown as WadoDeps, instance, model as never)
  })
  return await app.request('/', { headers: { accept } })
}

describe('Structured Reports (PS3.18 Table 8.7.4-1)', () => {
  const report = {
    '00420013': { vr: 'SQ' },
    '0040A043': { vr: 'SQ', Value: [{ '00080104': { vr: 'LO', Value: ['A & B'] } }] },
    '0040A730': {
      vr: 'SQ',
      Value: [
        {
          '0040A040': { vr: 'CS', Value: ['TEXT'] },
          '0040A160': { vr: 'UT', BulkDataURI: 'bulkdata/0040A160/9-70000' },
        },
      ],
    },
  }

  test('are HTML, text, and as XML all that there is, with absolute URIs', async () => {
    const html = await rendered(report)
    expect(html.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await html.text()).toContain('<h1>A &amp; B</h1>')
    const plain = await rendered(report, 'text/plain')
    expect(await plain.text()).toBe('A & B\n  [long text: bulkdata/0040A160/9-70000]')
    const xml = await rendered(report, 'text/xml')
    expect(xml.headers.get('content-type')).toBe('text/xml; charset=utf-8')
    const text = await xml.text()
    expect(text).toContain('keyword="CodeMeaning"><Value number="1">A &amp; B</Value>')
    const url = 'https://h/dicom-web/studies/1.2/series/1.3/instances/1.4'
    expect(text).toContain(`<BulkData uri="${url}/bulkdata/0040A160/9-70000"/>`)
  })
})

describe('Encapsulated documents (PS3.18 Table 8.7.4-1)', () => {
  test.each(['application/pdf', 'text/plain'])('%s is shown', async (type) => {
    const answer = await rendered(documentOf(type, 'some text!'))
    expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('content-disposition')).toBeNull()
    expect(await answer.text()).toBe('some text!')
  })

  // Script of a stranger, on the origin of the page: `script-src 'self'` would let it run.
  test.each(['text/html', 'text/XML', 'image/svg+xml', 'text/javascript', 'model/stl'])(
    '%s is only ever saved, for it could have script in it',
    async (type) => {
      const answer = await rendered(documentOf(type, '<script src="rendered"></script>'))
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe(type.toLowerCase())
      expect(answer.headers.get('content-disposition')).toBe('attachment')
    },
  )

  test.each(['', 'pdf', 'text/html; x="', 'a/b\r\nset-cookie: x=1', 'tëxt/html', '*/*'])(
    'the type %j, which is none, is octets',
    async (type) => {
      const answer = await rendered(documentOf(type, 'x'))
      expect(answer.headers.get('content-type')).toBe('application/octet-stream')
      expect(answer.headers.get('content-disposition')).toBe('attachment')
    },
  )
})
