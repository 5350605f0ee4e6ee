import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explicitLittleEndian } from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { readNativeModel } from './dicomweb.ts'
import { image, pixels, retrieve, type Stored, size, store } from './pictures.ts'

let server: StowageServer
let one: Stored

beforeAll(async () => {
  server = await startServer()
  one = await store(server, { ...size, pixelBytes: pixels, elements: image })
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const dicom = 'application/dicom'
const json = 'application/dicom+json'
const xml = 'multipart/related; type="application/dicom+xml"'
const query = (accept: string) => `?accept=${encodeURIComponent(accept)}`

describe('Negotiation (PS3.18 8.7)', () => {
  test.each([
    ['WA-N1 no Accept', undefined, json],
    ['WA-N2 anything', '*/*', json],
    ['WA-N3 the higher q', `${json};q=0.2, ${xml};q=0.201`, 'multipart/related'],
    ['WA-N3 q=0 of the default', `${json};q=0, */*`, 'multipart/related'],
    [
      'WA-N4 malformed and unknown entries among good ones',
      `;;, text/css, ${json}; q=x, ${json}`,
      json,
    ],
    [
      'WA-N15 case, spaces and no quotes',
      'Multipart/Related ; Type=Application/Dicom+XML',
      'multipart/related',
    ],
    ['WA-N16 application/json', 'application/json', json],
    ['WA-N17 charset', `${json}; charset=utf-8`, json],
    [
      'WA-N17 one charset of two',
      `${json}; charset=latin1, ${xml}; charset="UTF-8"`,
      'multipart/related',
    ],
  ])('%s', async (_, accept, type) => {
    const answer = await retrieve(`${one.url}/metadata`, accept)
    expect(answer.status).toBe(200)
    expect(answer.type.split(';')[0]).toBe(type)
    expect(answer.headers.get('vary')).toBe('Accept')
  })

  test.each([
    ['WA-N5 only what there is not', 'text/css, video/mp4', {}],
    ['WA-N17 another charset', `${json}; charset=iso-8859-1`, {}],
    ['WA-N17 another Accept-Charset', json, { 'accept-charset': 'iso-8859-1, utf-8;q=0' }],
  ])('%s is 406', async (_, accept, headers) => {
    const { status, body } = await retrieve(`${one.url}/metadata`, accept, headers)
    expect(status).toBe(406)
    expect(JSON.parse(body.toString()).detail).toMatch(/there is/)
  })

  test.each(['utf-8', '*', 'iso-8859-1;q=0.5, UTF-8'])(
    'WA-N17: Accept-Charset: %s takes UTF-8',
    async (charset) => {
      const answer = await retrieve(`${one.url}/metadata`, json, { 'accept-charset': charset })
      expect(answer.status).toBe(200)
    },
  )

  test.each([
    ['application/dicom, image/png', ''],
    ['*/*', query('application/dicom+json, text/html')],
  ])('WA-N6, WA-N8: DICOM and rendered types mixed (%s%s) are 400', async (accept, parameter) => {
    expect((await retrieve(`${one.url}${parameter}`, accept)).status).toBe(400)
  })

  test('WA-N8: the parameter accept goes before the header', async () => {
    const answer = await retrieve(`${one.url}/metadata${query(xml)}`, `${json}, ${xml};q=0.1`)
    expect(answer.type).toMatch(/^multipart\/related; type="application\/dicom\+xml"/)
    // As people write it.
    expect(
      (await retrieve(`${one.url}/metadata?accept=application/dicom+json`, '*/*')).status,
    ).toBe(200)
    // Names are case-sensitive: this is another parameter, and ignored.
    expect((await retrieve(`${one.url}/metadata?Accept=text/css`)).status).toBe(200)
  })

  test.each([
    ['a wildcard in it', '*/*', '*/*', 400],
    ['half a wildcard in it', 'application/*', '*/*', 400],
    ['what the header does not take', json, 'image/jpeg', 406],
    ['what there is not', 'text/css', '*/*', 406],
  ])('WA-N8: the parameter accept with %s', async (_, parameter, accept, status) => {
    expect((await retrieve(`${one.url}/metadata${query(parameter)}`, accept)).status).toBe(status)
  })

  test.each(['image/jpeg', 'image/png'])(
    'WA-N14: %s with a transfer-syntax is 400',
    async (type) => {
      const accept = `${type}; transfer-syntax=${explicitLittleEndian}`
      expect((await retrieve(`${one.url}/frames/1/rendered`, accept)).status).toBe(400)
    },
  )
})

describe('Metadata as XML (PS3.18 10.4.1.1.2; WA-R2, JS-28)', () => {
  test('a document for each instance, with its attributes in order', async () => {
    const studyInstanceUID = '1.2.826.79.1'
    for (const [uid, name] of [
      ['1.2.826.79.2', 'A&B'],
      ['1.2.826.79.3', 'C'],
    ] as const) {
      await store(server, {
        studyInstanceUID,
        sopInstanceUID: uid,
        accessionNumber: name,
        pixelBytes: null,
        // A tag that looks like a number to a program.
        elements: [{ tag: '20500020', vr: 'CS', value: 'IDENTITY' }],
        without: ['00100010'],
      })
    }
    const { type, body } = await retrieve(
      `${server.dicomWeb}/studies/${studyInstanceUID}/metadata`,
      xml,
    )
    const parts = partsOf(type, body)
    expect(parts[0]?.headers['content-type']).toBe('application/dicom+xml')
    const text = parts[0]?.bytes.toString() as string
    expect(text).toContain('<Value number="1">A&amp;B</Value>')
    const tags = [...text.matchAll(/ tag="([0-9A-F]{8})"/g)].map(([, tag]) => tag)
    expect(tags).toEqual([...tags].sort())
    const other = parts[1]?.bytes.toString() as string
    expect(readNativeModel(other)['20500020']).toEqual({ vr: 'CS', Value: ['IDENTITY'] })
  })
})

describe('Conditions and ranges (RFC 9110 13, 14)', () => {
  const tagOf = async (url: string, accept?: string) =>
    (await retrieve(url, accept)).headers.get('etag') as string

  test.each([
    ['an instance', '', dicom],
    ['metadata', '/metadata', json],
    ['a frame', '/frames/1', 'application/octet-stream'],
    ['a picture', '/frames/1/rendered', 'image/jpeg'],
  ])('WA-S17: %s has a strong ETag, and 304 for who has it', async (_, path, accept) => {
    const etag = await tagOf(`${one.url}${path}`, accept)
    expect(etag).toMatch(/^"[\w-]{20,}"$/)
    for (const known of [etag, `"x", W/${etag}`, '*']) {
      const again = await retrieve(`${one.url}${path}`, accept, { 'if-none-match': known })
      expect(again.status).toBe(304)
      expect(again.body.length).toBe(0)
      expect(again.headers.get('etag')).toBe(etag)
    }
    const other = await retrieve(`${one.url}${path}`, accept, { 'if-none-match': '"other"' })
    expect(other.status).toBe(200)
    expect((await retrieve(`${one.url}${path}`, accept, { 'if-match': '"other"' })).status).toBe(
      412,
    )
    expect((await retrieve(`${one.url}${path}`, accept, { 'if-match': etag })).status).toBe(200)
  })

  test('WA-S17: the tag is another for another form, and when the study gains an instance', async () => {
    const first = await store(server, { pixelBytes: null })
    const studyInstanceUID = first.study.split('/').at(-1) as string
    const series = first.url.slice(0, first.url.indexOf('/instances'))
    const tags = async () => [
      await tagOf(`${first.study}/metadata`),
      await tagOf(`${series}/metadata`),
    ]
    const [study, ofSeries] = await tags()
    expect(await tags()).toEqual([study, ofSeries])
    await store(server, { studyInstanceUID, pixelBytes: null })
    for (const tag of await tags()) expect([study, ofSeries]).not.toContain(tag)
    const syntax = (uid: string) => `${dicom}; transfer-syntax=${uid}`
    expect(await tagOf(one.url, syntax('1.2.840.10008.1.2.5'))).not.toBe(
      await tagOf(one.url, syntax(explicitLittleEndian)),
    )
  })

  test.each([
    ['bytes=0-99', 0, 100],
    ['bytes=200-', 200, undefined],
    ['bytes=-10', -10, undefined],
    ['bytes=10-99999999', 10, undefined],
  ])('WA-S16: %s of an instance is 206 with those bytes', async (range, start, end) => {
    const { file } = one
    const expected = file.subarray(start, end)
    const from = start < 0 ? file.length + start : start
    const answer = await retrieve(one.url, dicom, { range })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-range')).toBe(
      `bytes ${from}-${from + expected.length - 1}/${file.length}`,
    )
    expect(answer.headers.get('content-length')).toBe(String(expected.length))
    expect(answer.body.equals(expected)).toBe(true)
  })

  test('WA-S16: beyond the end is 416; what is no range, or of another version, is answered whole', async () => {
    const beyond = await retrieve(one.url, dicom, { range: 'bytes=99999999-' })
    expect(beyond.status).toBe(416)
    expect(beyond.headers.get('content-range')).toBe(`bytes */${one.file.length}`)
    const whole: Record<string, string>[] = [
      { range: 'bytes=5-2' },
      { range: 'items=0-1' },
      { range: 'bytes=0-1,4-5' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
    ]
    for (const headers of whole) {
      const answer = await retrieve(one.url, dicom, headers)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('accept-ranges')).toBe('bytes')
      expect(answer.body.equals(one.file)).toBe(true)
    }
    const etag = await tagOf(one.url, dicom)
    const same = await retrieve(one.url, dicom, { range: 'bytes=0-1', 'if-range': etag })
    expect(same.status).toBe(206)
  })

  test('WA-S18: HEAD of every resource is GET without a body', async () => {
    for (const path of ['', '/metadata', '/frames/1', '/rendered', '/thumbnail', '/bulkdata']) {
      const get = await fetch(`${one.url}${path}`)
      await get.arrayBuffer()
      const head = await fetch(`${one.url}${path}`, { method: 'HEAD' })
      expect(head.status, path).toBe(get.status)
      expect(head.headers.get('content-type')?.split(';')[0]).toBe(
        get.headers.get('content-type')?.split(';')[0],
      )
      expect(await head.text()).toBe('')
    }
  })

  test('another method is 405 with Allow, at each resource', async () => {
    for (const path of ['/frames/1', '/rendered', '/thumbnail', '/bulkdata', '/pixeldata']) {
      const answer = await fetch(`${one.url}${path}`, { method: 'PUT' })
      expect(answer.status, path).toBe(405)
      expect(answer.headers.get('allow')).toBe('GET, HEAD')
    }
  })
})
