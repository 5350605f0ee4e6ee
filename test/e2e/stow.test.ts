import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type DicomFileOptions,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  implicitLittleEndian,
  jpegBaseline,
  uniqueUID,
} from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  boundary,
  chunkEncoded,
  multipartBody,
  multipartType,
  postChunked,
  requestHead,
  type StowAnswer,
  sendRaw,
  stow,
} from '../support/stow.ts'
import {
  Conversation,
  call,
  canary,
  ctImageStorage,
  everythingHeard,
  partsOf,
  readNativeModel,
  recorded,
  segmentsOf,
  storedIn,
  storeModule,
} from './dicomweb.ts'

let server: StowageServer
let studies: string
/** Of whatever server a test has started beside the one of this file. */
let otherLogs = ''

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_LOG_LEVEL: 'debug' } })
  studies = `${server.dicomWeb}/studies`
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** One study with one series, whose instances a test makes one by one. */
class TestStudy {
  readonly uid = uniqueUID()
  readonly series = uniqueUID()

  /** An instance of it, changed by the options, with its UID. */
  instance(options: DicomFileOptions = {}): { uid: string; file: Buffer } {
    const uid = options.sopInstanceUID ?? uniqueUID()
    return {
      uid,
      file: dicomFile({
        ...canary,
        studyInstanceUID: this.uid,
        seriesInstanceUID: this.series,
        sopInstanceUID: uid,
        ...options,
      }),
    }
  }

  get url(): string {
    return `${studies}/${this.uid}`
  }

  urlOf(uid: string): string {
    return `${this.url}/series/${this.series}/instances/${uid}`
  }
}

async function send(
  files: Uint8Array[],
  headers: Record<string, string> = {},
  url = studies,
): Promise<StowAnswer> {
  return recorded(await stow(url, files, headers))
}

/** Posts a body as it is, with a Content-Type as it is. */
async function post(
  contentType: string | undefined,
  body: Uint8Array,
  headers: Record<string, string> = {},
  url = studies,
): Promise<StowAnswer> {
  return call(url, {
    method: 'POST',
    headers: { ...(contentType === undefined ? {} : { 'content-type': contentType }), ...headers },
    body: new Uint8Array(body),
  })
}

function expectProblem(answer: StowAnswer, status: number): void {
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body).toMatchObject({ type: 'about:blank', status, detail: expect.any(String) })
}

describe('Store resources (PS3.18 10.5.1.1)', () => {
  test('ST-R1, OTA-11: one request may hold instances of several studies, each with URLs of its own', async () => {
    const [a, b] = [new TestStudy(), new TestStudy()]
    const [one, two] = [a.instance(), b.instance()]
    const answer = await send([one.file, two.file])
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      '00081190': { vr: 'UR' },
      '00081199': {
        vr: 'SQ',
        Value: [
          {
            '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
            '00081155': { vr: 'UI', Value: [one.uid] },
            '00081190': {
              vr: 'UR',
              Value: [
                `${server.url}/dicom-web/studies/${a.uid}/series/${a.series}/instances/${one.uid}`,
              ],
            },
          },
          {
            '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
            '00081155': { vr: 'UI', Value: [two.uid] },
            '00081190': {
              vr: 'UR',
              Value: [
                `${server.url}/dicom-web/studies/${b.uid}/series/${b.series}/instances/${two.uid}`,
              ],
            },
          },
        ],
      },
    })
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('content-location')).toBeNull()
    expect(await storedIn(server, a.uid)).toEqual([one.uid])
    expect(await storedIn(server, b.uid)).toEqual([two.uid])
  })

  test('ST-R2, SWD-5: a request to a study that is new creates it, and the answer says where', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await send([file], {}, study.url)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/dicom+json')
    expect(answer.headers.get('location')).toBe(study.url)
    expect(answer.headers.get('content-location')).toBe(study.url)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [{ sopInstanceUID: uid, url: study.urlOf(uid) }],
      }),
    )
    // SWD-4: the URLs of the answer lead to what was stored.
    const url = answer.body['00081199'].Value[0]['00081190'].Value[0]
    const stored = await fetch(url, { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test('ST-R3: answers 405 with Allow to methods that Store does not have', async () => {
    for (const url of [studies, `${studies}/1.2.3`]) {
      for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        const answer = await call(url, { method })
        expectProblem(answer, 405)
        expect(answer.headers.get('allow')).toBe('GET, HEAD, POST')
      }
    }
  })

  test('answers 405 with Allow where only reading is possible (PS3.18 8.5)', async () => {
    const paths = ['/series', '/instances', '/studies/1.2/series', '/studies/1.2/metadata']
    for (const path of paths) {
      const answer = await call(server.dicomWeb + path, { method: 'POST', body: 'x' })
      expectProblem(answer, 405)
      expect(answer.headers.get('allow')).toBe('GET, HEAD')
    }
  })

  test('answers 404 to a path that leads nowhere, without saying it again', async () => {
    const answer = await call(`${server.dicomWeb}/patients/${canary.patientID}`, { method: 'POST' })
    expectProblem(answer, 404)
  })

  test('ST-R4: ignores query parameters', async () => {
    const study = new TestStudy()
    const answer = await send([study.instance().file], {}, `${studies}?limit=x&PatientID=1&foo`)
    expect(answer.status).toBe(200)
  })

  test.each(['abc', '1.2.03', '1..2', '1.2.3.', `1.${'2'.repeat(63)}`, '1'])(
    'ST-R5: answers 400 when the path has %s for a study',
    async (study) => {
      expectProblem(await send([new TestStudy().instance().file], {}, `${studies}/${study}`), 400)
    },
  )
})

describe('Request media types (PS3.18 10.5.1.4)', () => {
  test.each([
    ['ST-M1', 'multipart/related; type="application/dicom"'],
    ['ST-M7', 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'],
    ['ST-M7', 'multipart/related; type="application/dicom"; charset=utf-8'],
  ])('%s: takes %s', async (_id, type) => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await post(`${type}; boundary=${boundary}`, multipartBody([file]))
    expect(answer.status).toBe(200)
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })

  test.each([
    'application/dicom',
    'Application/DICOM',
    'application/dicom; transfer-syntax=1.2.840.10008.1.2.4.70',
  ])(
    'ST-M2: takes one file as %s, and the File Meta Information decides its transfer syntax',
    async (type) => {
      const study = new TestStudy()
      const { uid, file } = study.instance()
      const answer = await post(type, file)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual(
        storeModule({
          retrieveURL: study.url,
          stored: [{ sopInstanceUID: uid, url: study.urlOf(uid) }],
        }),
      )
      const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
      expect(stored.headers.get('content-type')).toBe(
        'application/dicom; transfer-syntax=1.2.840.10008.1.2.1',
      )
      expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
    },
  )

  test.each([
    ['ST-M3', `multipart/related; type="application/dicom+json"; boundary=${boundary}`],
    ['ST-M4', `multipart/related; type="application/dicom+xml"; boundary=${boundary}`],
    ['ST-M5', 'application/dicom+json'],
    ['ST-M5', 'application/dicom+xml'],
    ['ST-M6', 'application/zip'],
    ['ST-M6', `multipart/form-data; boundary=${boundary}`],
    ['ST-M6', `multipart/mixed; boundary=${boundary}`],
    ['ST-M6', 'image/jpeg'],
    ['MP-09', `multipart/related; type="image/jpeg"; boundary=${boundary}`],
    ['ST-H1', undefined],
  ])('%s: answers 415 to %s, and says what can be sent', async (_id, type) => {
    const study = new TestStudy()
    const answer = await post(type, multipartBody([study.instance().file]))
    expectProblem(answer, 415)
    expect(answer.headers.get('accept')).toBe(
      'multipart/related; type="application/dicom", application/dicom',
    )
    expect(await storedIn(server, study.uid)).toEqual([])
  })

  test.each([
    'dicom',
    'multipart/related; type="application/dicom; boundary=x',
    `multipart/related; type="application/dicom"; boundary=a; boundary=${boundary}`,
    'application/dicom; transfer-syntax=1.2; transfer-syntax=1.3',
    `multipart/related; type="application"; boundary=${boundary}`,
  ])('ST-H1, ST-M7: answers 400 to a Content-Type that cannot be parsed: %s', async (type) => {
    expectProblem(await post(type, multipartBody([new TestStudy().instance().file])), 400)
  })
})

describe('Request headers (PS3.18 10.5.1.3)', () => {
  test('ST-H2: takes a chunked body, in chunks of a single byte too (MP-16)', async () => {
    const study = new TestStudy()
    const [one, two] = [study.instance(), study.instance()]
    const type = { 'content-type': multipartType }
    const answer = await postChunked(studies, type, [multipartBody([one.file])])
    expect(answer.status).toBe(200)
    const raw = await sendRaw(
      server.port,
      Buffer.concat([
        requestHead('/dicom-web/studies', { 'transfer-encoding': 'chunked' }),
        chunkEncoded(multipartBody([two.file]), 1),
      ]),
      'wait',
    )
    expect(raw).toMatch(/^HTTP\/1\.1 200 /)
    expect(await storedIn(server, study.uid)).toEqual([one.uid, two.uid].sort())
  })

  test.each(['gzip', 'GZIP', 'x-gzip'])('ST-H3: decodes Content-Encoding: %s', async (encoding) => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await post(multipartType, gzipSync(multipartBody([file])), {
      'content-encoding': encoding,
    })
    expect(answer.status).toBe(200)
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test.each(['deflate', 'br', 'zstd', 'gzip, gzip', 'foo'])(
    'ST-H3: answers 415 to Content-Encoding: %s, and says which it decodes (RFC 9110 15.5.16)',
    async (encoding) => {
      const answer = await post(multipartType, multipartBody([]), { 'content-encoding': encoding })
      expectProblem(answer, 415)
      expect(answer.headers.get('accept-encoding')).toBe('gzip, identity')
    },
  )

  test.each([
    ['no gzip at all', (body: Buffer) => body],
    ['a gzip that is cut', (body: Buffer) => gzipSync(body).subarray(0, -12)],
    ['a gzip with a wrong checksum', (body: Buffer) => withLastBytesChanged(gzipSync(body))],
  ])('ST-H3: answers 400 to %s, and nothing is stored', async (_name, encode) => {
    const study = new TestStudy()
    const body = encode(multipartBody([study.instance().file]))
    expectProblem(await post(multipartType, body, { 'content-encoding': 'gzip' }), 400)
    expect(await storedIn(server, study.uid)).toEqual([])
  })

  test.each([
    [undefined, 'application/dicom+json'],
    ['', 'application/dicom+json'],
    ['*/*', 'application/dicom+json'],
    ['application/*', 'application/dicom+json'],
    ['application/json', 'application/dicom+json'],
    ['application/dicom+xml', 'application/dicom+xml'],
    ['application/dicom+json;q=0.4, application/dicom+xml;q=0.5', 'application/dicom+xml'],
    ['text/html, nonsense, application/dicom+xml', 'application/dicom+xml'],
  ])('ST-H4, ST-H6: answers Accept: %s with %s', async (accept, expected) => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    // Over a bare connection, for every HTTP client adds an Accept of its own.
    const body = multipartBody([file])
    const headers = {
      'content-length': body.length,
      connection: 'close',
      ...(accept === undefined ? {} : { accept }),
    }
    const head = requestHead('/dicom-web/studies', headers)
    const raw = await sendRaw(server.port, Buffer.concat([head, body]), 'wait')
    const [answerHead = '', answerBody = ''] = raw.split('\r\n\r\n')
    expect(answerHead).toMatch(/^HTTP\/1\.1 200 /)
    expect(answerHead.toLowerCase()).toContain(`\r\ncontent-type: ${expected}\r\n`)
    const module = expected.endsWith('xml') ? readNativeModel(answerBody) : JSON.parse(answerBody)
    expect(module['00081199'].Value[0]['00081155'].Value).toEqual([uid])
  })

  test('wraps the XML as one part for who accepts nothing else (checklist 1.10)', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const accept = 'multipart/related; type="application/dicom+xml"'
    const answer = await send([file], { accept })
    expect(answer.status).toBe(200)
    const [part, ...more] = partsOf(answer.headers.get('content-type'), Buffer.from(answer.body))
    expect(more).toEqual([])
    expect(part?.headers['content-type']).toBe('application/dicom+xml')
    expect(readNativeModel(part?.bytes.toString() ?? '')).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [{ sopInstanceUID: uid, url: study.urlOf(uid) }],
      }),
    )
  })

  test.each([
    'text/html',
    'application/dicom',
    'application/dicom+json;q=0, application/dicom+xml;q=0',
    'multipart/related; type="application/dicom"',
    'nonsense',
  ])('ST-H5: answers 406 to Accept: %s, and stores nothing', async (accept) => {
    const study = new TestStudy()
    const answer = await send([study.instance().file], { accept })
    expectProblem(answer, 406)
    expect(answer.body.available).toEqual(['application/dicom+json', 'application/dicom+xml'])
    expect(await storedIn(server, study.uid)).toEqual([])
  })

  test.each([
    ['a Content-Type that is not stored', 415, { 'content-type': 'image/jpeg' }],
    ['a Content-Type without a boundary', 400, { 'content-type': 'multipart/related' }],
    ['an Accept that cannot be served', 406, { accept: 'image/png' }],
    ['an encoding that is not decoded', 415, { 'content-encoding': 'br' }],
    ['a length over the limit', 413, { 'content-length': 2 ** 50 }],
  ])('ST-H7: answers %s with %i instead of 100 Continue', async (_name, status, headers) => {
    using conversation = new Conversation(server.port)
    const all = { 'content-length': 5_000_000, expect: '100-continue', ...headers }
    conversation.say(requestHead('/dicom-web/studies', all))
    await conversation.hear(/\r\n\r\n.*\}/s)
    expect(conversation.heard).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(conversation.heard).not.toContain('100 Continue')
  })

  test('ST-H7: a path without a valid study gets its 400 instead of 100 Continue', async () => {
    using conversation = new Conversation(server.port)
    const headers = { 'content-length': 5_000_000, expect: '100-continue' }
    conversation.say(requestHead('/dicom-web/studies/nonsense', headers))
    await conversation.hear(/\r\n\r\n.*\}/s)
    expect(conversation.heard).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('ST-H7: says 100 Continue to a request that it will read, before it was sent', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const body = multipartBody([file])
    using conversation = new Conversation(server.port)
    const headers = { 'content-length': body.length, expect: '100-continue' }
    conversation.say(requestHead('/dicom-web/studies', headers))
    await conversation.hear(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
    conversation.say(body)
    await conversation.hear(/\r\n\r\nHTTP\/1\.1 200 /)
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })

  test('answers 417 to an expectation that is none of HTTP (RFC 9110 10.1.1)', async () => {
    const head = requestHead('/dicom-web/studies', { 'content-length': 5, expect: 'a-miracle' })
    expect(await sendRaw(server.port, head, 'wait')).toMatch(/^HTTP\/1\.1 417 /)
  })
})

describe('Multipart (RFC 2046 5.1.1; PS3.18 8.6.1.2)', () => {
  type Wrap = (file: Buffer) => Uint8Array
  const related = 'multipart/related; type="application/dicom"'
  const part = (headers: string, file: Uint8Array, delimiter = boundary): Buffer =>
    Buffer.concat([Buffer.from(`--${delimiter}\r\n${headers}\r\n`), file])
  const closed = (delimiter = boundary): Buffer => Buffer.from(`\r\n--${delimiter}--\r\n`)
  const dicom = 'Content-Type: application/dicom\r\n'
  const asBoundary =
    (delimiter: string): Wrap =>
    (file) =>
      Buffer.concat([part(dicom, file, delimiter), closed(delimiter)])
  const usual: Wrap = asBoundary(boundary)
  const withPartHeaders =
    (headers: string): Wrap =>
    (file) =>
      Buffer.concat([part(headers, file), closed()])
  const around =
    (before: string, after: string): Wrap =>
    (file) =>
      Buffer.concat([Buffer.from(before), usual(file), Buffer.from(after)])

  const accepted: [id: string, name: string, contentType: string, wrap: Wrap][] = [
    ['MP-01', 'type in quotes', `${related}; boundary=${boundary}`, usual],
    [
      'MP-01',
      'type without quotes',
      `multipart/related; type=application/dicom; boundary=${boundary}`,
      usual,
    ],
    [
      'MP-02',
      'names and types in any case',
      `Multipart/RELATED; TYPE="Application/DICOM"; Boundary=${boundary}`,
      usual,
    ],
    [
      'MP-03',
      'parameters in another order, with spaces and tabs',
      `multipart/related ;\t boundary = ${boundary} ;\ttype="application/dicom" ; x=y`,
      usual,
    ],
    [
      'MP-04, OTA-9',
      'a quoted boundary with spaces and all that needs quotes',
      `${related}; boundary="a b:c=d/e?f'g(h)i,j+k"`,
      asBoundary("a b:c=d/e?f'g(h)i,j+k"),
    ],
    [
      'MP-04',
      'a quoted boundary with escapes',
      `${related}; boundary="a\\b\\:c"`,
      asBoundary('ab:c'),
    ],
    [
      'MP-05',
      'an unquoted boundary with = and :',
      `${related}; boundary=a=b:c`,
      asBoundary('a=b:c'),
    ],
    [
      'MP-06, OTA-9',
      'a type with parameters of its own',
      `multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=${boundary}`,
      usual,
    ],
    [
      'MP-07',
      'a boundary of 70 characters',
      `${related}; boundary=${'b'.repeat(70)}`,
      asBoundary('b'.repeat(70)),
    ],
    ['MP-08', 'no type', `multipart/related; boundary=${boundary}`, usual],
    [
      'MP-10',
      'a start parameter, which has no meaning here',
      `${related}; start="<x@y>"; boundary=${boundary}`,
      usual,
    ],
    [
      'MP-11',
      'a CR LF before the first delimiter',
      `${related}; boundary=${boundary}`,
      around('\r\n', ''),
    ],
    [
      'MP-12',
      'preamble and epilogue',
      `${related}; boundary=${boundary}`,
      around('This is a preamble\r\nof two lines\r\n', 'and an epilogue'),
    ],
    [
      'MP-13',
      'spaces and tabs after the delimiters',
      `${related}; boundary=${boundary}`,
      (file) =>
        Buffer.concat([
          Buffer.from(`--${boundary} \t \r\n${dicom}\r\n`),
          file,
          Buffer.from(`\r\n--${boundary}--  \t\r\n`),
        ]),
    ],
    [
      'MP-13',
      'no CR LF after the closing delimiter',
      `${related}; boundary=${boundary}`,
      (file) => usual(file).subarray(0, -2),
    ],
    [
      'MP-17',
      'a first part without headers',
      `${related}; boundary=${boundary}`,
      withPartHeaders(''),
    ],
    [
      'MP-18',
      'a part with a transfer syntax',
      `${related}; boundary=${boundary}`,
      withPartHeaders(
        'content-type: Application/Dicom; transfer-syntax=1.2.840.10008.1.2.4.70\r\n',
      ),
    ],
    [
      'MP-20',
      'headers that mean nothing here',
      `${related}; boundary=${boundary}`,
      withPartHeaders(
        `${dicom}MIME-Version: 1.0\r\nContent-Disposition: attachment; filename="${canary.patientName}.dcm"\r\nContent-ID: <1@x>\r\nContent-Location: a\r\n`,
      ),
    ],
    ...['binary', '8bit', '7bit', 'BINARY'].map((encoding): [string, string, string, Wrap] => [
      'MP-22',
      `Content-Transfer-Encoding: ${encoding}`,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}Content-Transfer-Encoding: ${encoding}\r\n`),
    ]),
    [
      'MP-21',
      'a Content-Length that is right',
      `${related}; boundary=${boundary}`,
      (file) => Buffer.concat([part(`${dicom}Content-Length: ${file.length}\r\n`, file), closed()]),
    ],
    [
      'MP-23',
      'folded header lines',
      `${related}; boundary=${boundary}`,
      withPartHeaders(
        'Content-Type: application/dicom;\r\n\ttransfer-syntax=1.2.840.10008.1.2.1\r\n',
      ),
    ],
    [
      'MP-31',
      'an epilogue that looks like another part',
      `${related}; boundary=${boundary}`,
      around('', `--${boundary}\r\nContent-Type: text/plain\r\n\r\nx\r\n--${boundary}--\r\n`),
    ],
  ]

  test.each(accepted)('%s: takes %s', async (_id, _name, contentType, wrap) => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await post(contentType, wrap(file))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(await storedIn(server, study.uid)).toEqual([uid])
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test('MP-14, MP-15, MP-32, OTA-9: what only looks like a delimiter stays in the pixel data', async () => {
    const study = new TestStudy()
    const lookAlikes = [
      `--${boundary}\r\n`,
      `x--${boundary}--\r\n`,
      `\n--${boundary}\r\n`,
      `\r\n--${boundary}X\r\n`,
      `\r\n--${boundary}--X\r\n`,
      `\r\n--${boundary} X\r\n`,
      `\r\n--${boundary}\n`,
      `\r\n--${boundary.toUpperCase()}\r\n`,
      `\r\r\n--${boundary.slice(0, -1)}\r\n`,
      '\r\n\r\n',
      `\r\n-${boundary}`,
      `\r\n--${boundary}\r`,
    ].join('')
    const pixelBytes = Buffer.from(lookAlikes.length % 2 === 0 ? lookAlikes : `${lookAlikes}!`)
    const { uid, file } = study.instance({ pixelBytes })
    const answer = await send([file, study.instance().file])
    expect(answer.status).toBe(200)
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  const refused: [id: string, name: string, status: number, contentType: string, wrap: Wrap][] = [
    [
      'MP-02',
      'a boundary in another case',
      400,
      `${related}; boundary=${boundary.toUpperCase()}`,
      usual,
    ],
    ['MP-07', 'no boundary', 400, related, usual],
    ['MP-07', 'an empty boundary', 400, `${related}; boundary=""`, asBoundary('')],
    [
      'MP-07',
      'a boundary of 71 characters',
      400,
      `${related}; boundary=${'b'.repeat(71)}`,
      asBoundary('b'.repeat(71)),
    ],
    [
      'MP-07',
      'a boundary that ends with a space',
      400,
      `${related}; boundary="abc "`,
      asBoundary('abc '),
    ],
    [
      'MP-07',
      'a boundary with a control character',
      400,
      `${related}; boundary="a\tb"`,
      asBoundary('a\tb'),
    ],
    [
      'MP-08',
      'no type, and a first part that is not DICOM',
      415,
      `multipart/related; boundary=${boundary}`,
      withPartHeaders('Content-Type: image/jpeg\r\n'),
    ],
    [
      'MP-08',
      'no type anywhere',
      415,
      `multipart/related; boundary=${boundary}`,
      withPartHeaders(''),
    ],
    [
      'MP-17',
      'a later part without headers',
      415,
      `${related}; boundary=${boundary}`,
      (file) => Buffer.concat([part(dicom, file), Buffer.from('\r\n'), part('', file), closed()]),
    ],
    [
      'MP-19, OTA-6',
      'a later part of another type',
      415,
      `${related}; boundary=${boundary}`,
      (file) =>
        Buffer.concat([
          part(dicom, file),
          Buffer.from('\r\n'),
          part('Content-Type: text/plain\r\n', Buffer.from('x')),
          Buffer.from('\r\n'),
          part(dicom, file),
          closed(),
        ]),
    ],
    [
      'MP-19',
      'application/octet-stream',
      415,
      `${related}; boundary=${boundary}`,
      withPartHeaders('Content-Type: application/octet-stream\r\n'),
    ],
    [
      'MP-21',
      'a Content-Length that is wrong',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}Content-Length: 7\r\n`),
    ],
    [
      'MP-21',
      'a Content-Length that is no number',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}Content-Length: x\r\n`),
    ],
    ...['base64', 'quoted-printable'].map((encoding): [string, string, number, string, Wrap] => [
      'MP-22',
      `Content-Transfer-Encoding: ${encoding}`,
      415,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}Content-Transfer-Encoding: ${encoding}\r\n`),
    ]),
    [
      'MP-24',
      'a header line without a colon',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}nonsense\r\n`),
    ],
    [
      'MP-24',
      'NUL in a header',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}X: a\0b\r\n`),
    ],
    [
      'MP-24',
      'a bare CR in a header',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}X: a\rb\r\n`),
    ],
    [
      'MP-24',
      'headers of more than 16 KiB',
      400,
      `${related}; boundary=${boundary}`,
      withPartHeaders(`${dicom}X: ${'a'.repeat(16 * 1024)}\r\n`),
    ],
    [
      'MP-25',
      'lines that end in LF',
      400,
      `${related}; boundary=${boundary}`,
      (file) =>
        Buffer.concat([
          Buffer.from(`--${boundary}\nContent-Type: application/dicom\n\n`),
          file,
          Buffer.from(`\n--${boundary}--\n`),
        ]),
    ],
    [
      'MP-26',
      'a body that ends inside a part',
      400,
      `${related}; boundary=${boundary}`,
      (file) =>
        Buffer.concat([part(dicom, file), Buffer.from('\r\n'), part(dicom, file.subarray(0, 500))]),
    ],
    [
      'MP-26, OTA-1',
      'a body that ends right after a part',
      400,
      `${related}; boundary=${boundary}`,
      (file) => part(dicom, file),
    ],
    [
      'MP-26',
      'a body that ends in its closing delimiter',
      400,
      `${related}; boundary=${boundary}`,
      (file) => usual(file).subarray(0, -3),
    ],
    ['MP-28', 'an empty body', 400, `${related}; boundary=${boundary}`, () => Buffer.alloc(0)],
    [
      'MP-28',
      'a closing delimiter alone',
      400,
      `${related}; boundary=${boundary}`,
      () => Buffer.from(`--${boundary}--\r\n`),
    ],
    ['MP-28', 'no delimiter at all', 400, `${related}; boundary=${boundary}`, (file) => file],
    [
      'MP-30',
      'a multipart inside a part',
      415,
      `${related}; boundary=${boundary}`,
      (file) =>
        Buffer.concat([
          part(
            'Content-Type: multipart/related; boundary=inner\r\n',
            Buffer.concat([part(dicom, file, 'inner'), closed('inner')]),
          ),
          closed(),
        ]),
    ],
  ]

  test.each(refused)(
    '%s: refuses %s with %i, and stores nothing',
    async (_id, _name, status, contentType, wrap) => {
      const study = new TestStudy()
      expectProblem(await post(contentType, wrap(study.instance().file)), status)
      expect(await storedIn(server, study.uid)).toEqual([])
    },
  )

  test('MP-19, OTA-6: gives all bytes back when the last of 21 parts is of another type', async () => {
    const study = new TestStudy()
    const files = Array.from({ length: 20 }, () => study.instance().file)
    const before = segmentsOf(server)
    const body = Buffer.concat([
      multipartBody(files).subarray(0, -4),
      Buffer.from('\r\nContent-Type: text/plain\r\n\r\nx'),
      closed(),
    ])
    expectProblem(await post(multipartType, body), 415)
    expect(await storedIn(server, study.uid)).toEqual([])
    expect(segmentsOf(server)).toEqual(before)
  })
})

describe('Digests (RFC 9530)', () => {
  const base64 = (algorithm: string, bytes: Uint8Array): string =>
    createHash(algorithm).update(bytes).digest('base64')
  const sha256 = (bytes: Uint8Array): string => `sha-256=:${base64('sha256', bytes)}:`
  const sha512 = (bytes: Uint8Array): string => `sha-512=:${base64('sha512', bytes)}:`
  const wrong = Buffer.from('something else')

  test('takes a body whose Content-Digest and Repr-Digest are right', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const body = multipartBody([file])
    const answer = await post(multipartType, body, {
      'content-digest': `${sha256(body)}, ${sha512(body)}`,
      'repr-digest': sha512(body),
    })
    expect(answer.status).toBe(200)
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })

  test('Content-Digest is that of the encoded bytes, Repr-Digest that of the decoded ones', async () => {
    const study = new TestStudy()
    const body = multipartBody([study.instance().file])
    const gzipped = gzipSync(body)
    const headers = { 'content-encoding': 'gzip' }
    const right = { 'content-digest': sha256(gzipped), 'repr-digest': sha256(body) }
    const swapped = { 'content-digest': sha256(body), 'repr-digest': sha256(gzipped) }
    expectProblem(await post(multipartType, gzipped, { ...headers, ...swapped }), 400)
    expect((await post(multipartType, gzipped, { ...headers, ...right })).status).toBe(200)
  })

  test.each([
    ['content-digest', 'one that is wrong', () => sha256(wrong)],
    [
      'content-digest',
      'one of two that is wrong',
      (body: Buffer) => `${sha256(body)}, ${sha512(wrong)}`,
    ],
    ['repr-digest', 'one that is wrong', () => sha512(wrong)],
  ])('answers 400 to %s: %s, and stores nothing', async (name, _what, digest) => {
    const study = new TestStudy()
    const body = multipartBody([study.instance().file])
    const before = segmentsOf(server)
    expectProblem(await post(multipartType, body, { [name]: digest(body) }), 400)
    expectProblem(
      await post('application/dicom', study.instance().file, { [name]: digest(body) }),
      400,
    )
    expect(await storedIn(server, study.uid)).toEqual([])
    expect(segmentsOf(server)).toEqual(before)
  })

  test.each(['md5=:AAAA:', 'unixsum=:AAAA:', 'nonsense', ''])(
    'passes over a Content-Digest that it does not know: %s',
    async (digest) => {
      const body = multipartBody([new TestStudy().instance().file])
      expect((await post(multipartType, body, { 'content-digest': digest })).status).toBe(200)
    },
  )

  test('holds a part against the Content-Digest of its own', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const body = (digest: string): Buffer =>
      Buffer.concat([
        Buffer.from(
          `--${boundary}\r\nContent-Type: application/dicom\r\nContent-Digest: ${digest}\r\n\r\n`,
        ),
        file,
        Buffer.from(`\r\n--${boundary}--`),
      ])
    expectProblem(await post(multipartType, body(sha256(wrong))), 400)
    expect(await storedIn(server, study.uid)).toEqual([])
    expect((await post(multipartType, body(sha256(file)))).status).toBe(200)
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })
})

describe('Limits (PS3.18 10.5.3.1: 413, 408, 503)', () => {
  let small: StowageServer
  let smallStudies: string

  beforeAll(async () => {
    small = await startServer({
      env: {
        STOWAGE_MAX_REQUEST_BYTES: '192KiB',
        STOWAGE_MAX_PART_BYTES: '64KiB',
        STOWAGE_MAX_PARTS: '4',
        STOWAGE_MAX_TRANSFERS: '1',
        STOWAGE_IDLE_SECONDS: '1',
        STOWAGE_LOG_LEVEL: 'debug',
      },
    })
    smallStudies = `${small.dicomWeb}/studies`
  })

  afterAll(async () => {
    await small[Symbol.asyncDispose]()
    otherLogs += small.log
  })

  afterEachStoresNothing()

  function afterEachStoresNothing(): void {
    afterEach(async () => {
      expect((await fetch(`${small.dicomWeb}/instances`)).status).toBe(204)
      expect(segmentsOf(small)).toEqual([])
    })
  }

  const files = (count: number, pixelBytes: number): Buffer[] => {
    const study = new TestStudy()
    return Array.from({ length: count }, () => study.instance({ pixelBytes }).file)
  }

  test('MP-33: answers 413 to a Content-Length over the limit, before it reads the body', async () => {
    const head = requestHead('/dicom-web/studies', { 'content-length': 192 * 1024 + 1 })
    const raw = await sendRaw(small.port, head, 'wait')
    expect(raw).toMatch(/^HTTP\/1\.1 413 /)
    expect(raw).toContain('"limitBytes":196608')
  })

  test('MP-33, MP-12: answers 413 to a chunked body over the limit, its preamble and epilogue counted', async () => {
    const body = multipartBody(files(1, 1000))
    const filler = Buffer.alloc(192 * 1024, 'x')
    for (const pieces of [
      [filler, Buffer.from('\r\n'), body],
      [body, filler],
      [multipartBody(files(4, 60_000))],
    ]) {
      const answer = await postChunked(smallStudies, { 'content-type': multipartType }, pieces)
      expect(answer.status).toBe(413)
      expect(JSON.parse(answer.text)).toMatchObject({ status: 413, limitBytes: 196_608 })
    }
  })

  test('MP-33: answers 413 to one part over the limit, in a multipart and alone', async () => {
    const [file] = files(1, 64 * 1024) as [Buffer]
    const answer = await send([...files(1, 100), file], {}, smallStudies)
    expectProblem(answer, 413)
    expect(answer.body.limitBytes).toBe(65_536)
    expectProblem(await post('application/dicom', file, {}, smallStudies), 413)
  })

  test('MP-33: answers 413 to one part too many', async () => {
    expectProblem(await send(files(5, 100), {}, smallStudies), 413)
  })

  test('DV-24: answers 413 to a gzip body that inflates over the limit', async () => {
    const [file] = files(1, 50_000) as [Buffer]
    const bomb = gzipSync(Buffer.concat([multipartBody([file]), Buffer.alloc(50_000_000)]))
    expect(bomb.length).toBeLessThan(100_000)
    const answer = await post(multipartType, bomb, { 'content-encoding': 'gzip' }, smallStudies)
    expectProblem(answer, 413)
  })

  test('answers 408 to a sender that says nothing in the middle of its body', async () => {
    using conversation = new Conversation(small.port)
    const [file] = files(1, 1000) as [Buffer]
    const body = multipartBody([file])
    conversation.say(requestHead('/dicom-web/studies', { 'content-length': body.length }))
    conversation.say(body.subarray(0, 700))
    await conversation.hear(/^HTTP\/1\.1 408 .*\}/s)
  })

  test('answers 503 with Retry-After to one transfer too many, before it reads the body', async () => {
    using first = new Conversation(small.port)
    const expectation = { 'content-length': 5000, expect: '100-continue' }
    first.say(requestHead('/dicom-web/studies', expectation))
    await first.hear(/^HTTP\/1\.1 100 /)
    using second = new Conversation(small.port)
    second.say(requestHead('/dicom-web/studies', expectation))
    await second.hear(/\r\n\r\n.*\}/s)
    expect(second.heard).toMatch(/^HTTP\/1\.1 503 /)
    expect(second.heard).toMatch(/\r\nretry-after: \d+\r\n/i)
    await first.hear(/HTTP\/1\.1 408 .*\}/s)
  })
})

/** A part that cannot be stored, and what the answer says of it. */
interface BadPart {
  id: string
  name: string
  make(study: TestStudy, uid: string): Uint8Array
  reason: number
  /** Whether the answer can name it: in Failed SOP Sequence, else in Other Failures Sequence. */
  isNamed: boolean
  sopClassUID?: string
}

const uidTags = [
  ['SOPClassUID', '00080016', 0x0106],
  ['SOPInstanceUID', '00080018', 0x0117],
  ['StudyInstanceUID', '0020000D', 0x0106],
  ['SeriesInstanceUID', '0020000E', 0x0106],
] as const

const nested = (depth: number): NonNullable<DicomFileOptions['elements']>[number] => ({
  tag: '00081115',
  vr: 'SQ',
  undefinedLength: true,
  items: [depth === 0 ? [] : [nested(depth - 1)]],
})

const badParts: BadPart[] = [
  {
    id: 'DV-01',
    name: 'a text',
    make: () => Buffer.from(`Not DICOM, of ${canary.patientName}`),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-01, MP-29',
    name: 'an empty part',
    make: () => Buffer.alloc(0),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-02',
    name: 'a file without preamble',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID }).file.subarray(132),
    reason: 0xc000,
    isNamed: false,
  },
  {
    id: 'DV-03',
    name: 'File Meta Information without a transfer syntax',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID, without: ['00020010'] }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-04',
    name: 'a file cut in its pixel data',
    make: (study, sopInstanceUID) => study.instance({ sopInstanceUID }).file.subarray(0, -8),
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-04',
    name: 'a sequence that is longer than the file',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        elements: [{ tag: '00081115', vr: 'SQ', items: [[]], claimedLength: 1_000_000 }],
      }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-05',
    name: 'an unknown transfer syntax',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, transferSyntaxUID: '1.2.826.0.1.3680043.10.1474.9' }).file,
    reason: 0xc122,
    isNamed: true,
  },
  {
    id: 'DV-08',
    name: 'File Meta Information of another instance',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, meta: [{ tag: '00020003', vr: 'UI', value: '1.2.3' }] })
        .file,
    reason: 0xa900,
    isNamed: true,
  },
  {
    id: 'DV-08',
    name: 'File Meta Information of another SOP class',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, meta: [{ tag: '00020002', vr: 'UI', value: '1.2.3' }] })
        .file,
    reason: 0xa900,
    isNamed: true,
  },
  ...uidTags.flatMap(([keyword, tag, invalid]): BadPart[] => {
    const changed =
      (value: string | undefined) =>
      (study: TestStudy, sopInstanceUID: string): Uint8Array =>
        study.instance({
          sopInstanceUID,
          ...(value === undefined ? { without: [tag] } : { elements: [{ tag, vr: 'UI', value }] }),
        }).file
    return [
      // The File Meta Information names class and instance where the data set does not.
      {
        id: 'DV-09',
        name: `no ${keyword}`,
        make: changed(undefined),
        reason: 0x0120,
        isNamed: true,
      },
      {
        id: 'DV-10',
        name: `an empty ${keyword}`,
        make: changed(''),
        reason: 0x0121,
        isNamed: true,
      },
      {
        id: 'DV-11',
        name: `a ${keyword} that is none`,
        make: changed('1.2.abc'),
        reason: invalid,
        isNamed: true,
      },
      {
        id: 'DV-12',
        name: `a ${keyword} of 65 characters`,
        make: changed(`1.${'2'.repeat(63)}`),
        reason: invalid,
        isNamed: true,
      },
      {
        id: 'DV-13',
        name: `a ${keyword} of two values`,
        make: changed('1.2.3\\1.2.4'),
        reason: 0xa900,
        isNamed: true,
      },
    ]
  }),
  {
    id: 'DV-09',
    name: 'no SOP Instance UID anywhere',
    make: (study) => study.instance({ without: ['00080018', '00020003'] }).file,
    reason: 0x0120,
    isNamed: false,
  },
  {
    id: 'DV-11',
    name: 'no valid SOP Instance UID anywhere',
    make: (study) => study.instance({ sopInstanceUID: 'Canaryname' }).file,
    reason: 0x0117,
    isNamed: false,
  },
  {
    id: 'DV-23',
    name: 'a DICOMDIR',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, sopClassUID: '1.2.840.10008.1.3.10' }).file,
    reason: 0x0122,
    isNamed: true,
    sopClassUID: '1.2.840.10008.1.3.10',
  },
  {
    id: 'DV-24',
    name: 'an element that claims 4 GiB',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        elements: [
          { tag: '00420011', vr: 'OB', value: Buffer.alloc(8), claimedLength: 0xfffffffe },
        ],
      }).file,
    reason: 0xc000,
    isNamed: true,
  },
  {
    id: 'DV-24',
    name: 'sequences in sequences, 200 deep',
    make: (study, sopInstanceUID) =>
      study.instance({ sopInstanceUID, elements: [nested(200)] }).file,
    reason: 0xa700,
    isNamed: true,
  },
  {
    id: 'DV-24',
    name: 'a deflated data set that inflates without end',
    make: (study, sopInstanceUID) =>
      study.instance({
        sopInstanceUID,
        transferSyntaxUID: deflatedLittleEndian,
        pixelBytes: 64_000_000,
      }).file,
    reason: 0xa700,
    isNamed: true,
  },
]

const rolledBack = 0xc0ff

describe('A bad part (PS3.18 10.5.3, Annex I)', () => {
  test.each(badParts)('$id: $name is refused; strict, the others with it', async (bad) => {
    const study = new TestStudy()
    const [first, last] = [study.instance(), study.instance()]
    const uid = uniqueUID()
    const files = [first.file, bad.make(study, uid), last.file]
    const guilty = {
      sopInstanceUID: uid,
      reason: bad.reason,
      ...(bad.sopClassUID ? { sopClassUID: bad.sopClassUID } : {}),
    }
    const innocent = [first, last].map((one) => ({
      sopInstanceUID: one.uid,
      reason: rolledBack,
    })) as [{ sopInstanceUID: string; reason: number }, { sopInstanceUID: string; reason: number }]
    const expected = storeModule(
      bad.isNamed
        ? { failed: [innocent[0], guilty, innocent[1]] }
        : { failed: innocent, others: [bad.reason] },
    )
    const answer = await send(files)
    expect(answer.status).toBe(409)
    expect(answer.headers.get('content-type')).toBe('application/dicom+json')
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('preference-applied')).toBeNull()
    expect(answer.body).toEqual(expected)
    const inXML = await send(files, { accept: 'application/dicom+xml', prefer: 'handling=strict' })
    expect(inXML.status).toBe(409)
    expect(inXML.headers.get('content-type')).toBe('application/dicom+xml')
    expect(inXML.headers.get('preference-applied')).toBe('handling=strict')
    expect(readNativeModel(inXML.body)).toEqual(answer.body)
    expect(await storedIn(server, study.uid)).toEqual([])
  })

  test.each(badParts)('$id: $name is refused; lenient, alone', async (bad) => {
    const study = new TestStudy()
    const [first, last] = [study.instance(), study.instance()]
    const uid = uniqueUID()
    const files = [first.file, bad.make(study, uid), last.file]
    const guilty = {
      sopInstanceUID: uid,
      reason: bad.reason,
      ...(bad.sopClassUID ? { sopClassUID: bad.sopClassUID } : {}),
    }
    const expected = storeModule({
      retrieveURL: study.url,
      ...(bad.isNamed ? { failed: [guilty] } : {}),
      stored: [first, last].map((one) => ({ sopInstanceUID: one.uid, url: study.urlOf(one.uid) })),
      ...(bad.isNamed ? {} : { others: [bad.reason] }),
    })
    const answer = await send(files, { prefer: 'handling=lenient' })
    expect(answer.status).toBe(202)
    expect(answer.headers.get('preference-applied')).toBe('handling=lenient')
    expect(answer.headers.get('location')).toBe(study.url)
    expect(answer.body).toEqual(expected)
    const headers = { accept: 'application/dicom+xml', prefer: 'handling=lenient' }
    const inXML = await send(files, headers)
    expect(inXML.status).toBe(202)
    expect(readNativeModel(inXML.body)).toEqual(answer.body)
    expect(await storedIn(server, study.uid)).toEqual([first.uid, last.uid].sort())
  })

  test.each(badParts)('$id: $name alone is 409 with the module', async (bad) => {
    const uid = uniqueUID()
    const file = bad.make(new TestStudy(), uid)
    for (const prefer of ['handling=strict', 'handling=lenient']) {
      const answers = [
        await send([file], { prefer }),
        await post('application/dicom', file, { prefer }),
      ]
      for (const answer of answers) {
        expect(answer.status).toBe(409)
        expect(Object.keys(answer.body)).toEqual([
          '00081190',
          bad.isNamed ? '00081198' : '0008119A',
        ])
        const [item] = answer.body[bad.isNamed ? '00081198' : '0008119A'].Value
        expect(item['00081197']).toEqual({ vr: 'US', Value: [bad.reason] })
      }
    }
  })


  test.each([
    ['the start', 0],
    ['the middle', 250],
    ['the end', 499],
  ])('OTA-4, AT-02, AT-03: one bad part among 500, at %s', async (_where, position) => {
    const study = new TestStudy()
    const good = Array.from({ length: 499 }, () => study.instance())
    const files = good.map((one) => one.file)
    files.splice(position, 0, Buffer.from('This is not DICOM'))
    const before = segmentsOf(server)
    const strict = await send(files)
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: good.map((one) => ({ sopInstanceUID: one.uid, reason: rolledBack })),
        others: [0xc000],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([])
    expect(segmentsOf(server)).toEqual(before)

    const lenient = await send(files, { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: good.map((one) => ({ sopInstanceUID: one.uid, url: study.urlOf(one.uid) })),
        others: [0xc000],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual(good.map((one) => one.uid).sort())
  })

  test('OTA-5, AT-04, DV-14: an instance of another study than that of the path', async () => {
    const [a, b] = [new TestStudy(), new TestStudy()]
    const [good, other] = [a.instance(), b.instance()]
    const files = [good.file, other.file]
    const strict = await send(files, {}, a.url)
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: good.uid, reason: rolledBack },
          { sopInstanceUID: other.uid, reason: 0xa901 },
        ],
      }),
    )
    const lenient = await send(files, { prefer: 'handling=lenient' }, a.url)
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: a.url,
        failed: [{ sopInstanceUID: other.uid, reason: 0xa901 }],
        stored: [{ sopInstanceUID: good.uid, url: a.urlOf(good.uid) }],
      }),
    )
    expect(await storedIn(server, a.uid)).toEqual([good.uid])
    expect(await storedIn(server, b.uid)).toEqual([])
    const alone = await send([other.file], { prefer: 'handling=lenient' }, a.url)
    expect(alone.status).toBe(409)
    expect(alone.body).toEqual(
      storeModule({ failed: [{ sopInstanceUID: other.uid, reason: 0xa901 }] }),
    )
  })
})

describe('What is stored already (PS3.18 10.5.2; checklist 1.9)', () => {
  test('AT-05, OTA-14: the same bytes again are success, and are not stored twice', async () => {
    const study = new TestStudy()
    const [one, two] = [study.instance(), study.instance()]
    const first = await send([one.file, two.file])
    expect(first.status).toBe(200)
    const segments = segmentsOf(server)
    for (const prefer of ['handling=strict', 'handling=lenient']) {
      const again = await send([one.file, two.file], { prefer })
      expect(again.status).toBe(200)
      expect(again.body).toEqual(first.body)
      expect(segmentsOf(server)).toEqual(segments)
    }
    const three = study.instance()
    const more = await send([one.file, three.file])
    expect(more.status).toBe(200)
    expect(more.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [one, three].map(({ uid }) => ({ sopInstanceUID: uid, url: study.urlOf(uid) })),
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([one.uid, two.uid, three.uid].sort())
  })

  const conflicts: [id: string, name: string, reason: number, change: DicomFileOptions][] = [
    ['AT-06, DV-16', 'other content', 0x0111, { pixelBytes: Buffer.alloc(512, 7) }],
    ['DV-17', 'another SOP class', 0x0119, { sopClassUID: '1.2.840.10008.5.1.4.1.1.4' }],
    ['AT-07, DV-15', 'another series', 0xa902, { seriesInstanceUID: uniqueUID() }],
    [
      'AT-07, DV-15',
      'another study',
      0xa902,
      { studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() },
    ],
  ]

  test.each(conflicts)(
    '%s: a SOP Instance UID that is stored with %s',
    async (_id, _name, reason, change) => {
      const study = new TestStudy()
      const { uid, file } = study.instance()
      await send([file])
      const changed = study.instance({ sopInstanceUID: uid, ...change }).file
      const fresh = study.instance()
      const failed = {
        sopInstanceUID: uid,
        sopClassUID: change.sopClassUID ?? ctImageStorage,
        reason,
      }
      const strict = await send([changed, fresh.file])
      expect(strict.status).toBe(409)
      expect(strict.body).toEqual(
        storeModule({ failed: [failed, { sopInstanceUID: fresh.uid, reason: rolledBack }] }),
      )
      const alone = await send([changed], { prefer: 'handling=lenient' })
      expect(alone.status).toBe(409)
      expect(alone.body).toEqual(storeModule({ failed: [failed] }))
      const lenient = await send([changed, fresh.file], { prefer: 'handling=lenient' })
      expect(lenient.status).toBe(202)
      expect(lenient.body).toEqual(
        storeModule({
          retrieveURL: study.url,
          failed: [failed],
          stored: [{ sopInstanceUID: fresh.uid, url: study.urlOf(fresh.uid) }],
        }),
      )
      const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
      expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
      expect(await storedIn(server, study.uid)).toEqual([uid, fresh.uid].sort())
    },
  )

  test('AT-12, DV-15: a series that is stored with another study', async () => {
    const [a, b] = [new TestStudy(), new TestStudy()]
    await send([a.instance().file])
    const moved = b.instance({ seriesInstanceUID: a.series })
    const fresh = b.instance()
    const strict = await send([fresh.file, moved.file])
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: fresh.uid, reason: rolledBack },
          { sopInstanceUID: moved.uid, reason: 0xa903 },
        ],
      }),
    )
    const lenient = await send([fresh.file, moved.file], { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body['00081198'].Value[0]['00081197'].Value).toEqual([0xa903])
    expect(await storedIn(server, b.uid)).toEqual([fresh.uid])
  })

  test('AT-12: a series that comes with two studies in one request', async () => {
    const [a, b] = [new TestStudy(), new TestStudy()]
    const [first, second] = [a.instance(), b.instance({ seriesInstanceUID: a.series })]
    const answer = await send([first.file, second.file])
    expect(answer.status).toBe(409)
    expect(answer.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: first.uid, reason: rolledBack },
          { sopInstanceUID: second.uid, reason: 0xa903 },
        ],
      }),
    )
  })

  test('AT-08: two parts with the same bytes are one instance', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await send([file, file])
    expect(answer.status).toBe(200)
    const item = { sopInstanceUID: uid, url: study.urlOf(uid) }
    expect(answer.body).toEqual(storeModule({ retrieveURL: study.url, stored: [item, item] }))
    expect(await storedIn(server, study.uid)).toEqual([uid])
  })

  test('AT-09: two parts with one SOP Instance UID and different bytes', async () => {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const changed = study.instance({ sopInstanceUID: uid, instanceNumber: 2 }).file
    const strict = await send([file, changed])
    expect(strict.status).toBe(409)
    expect(strict.body).toEqual(
      storeModule({
        failed: [
          { sopInstanceUID: uid, reason: rolledBack },
          { sopInstanceUID: uid, reason: 0x0111 },
        ],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([])
    const lenient = await send([file, changed], { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(lenient.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        failed: [{ sopInstanceUID: uid, reason: 0x0111 }],
        stored: [{ sopInstanceUID: uid, url: study.urlOf(uid) }],
      }),
    )
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
  })

  test('AT-10: of two requests at once with one SOP Instance UID and different bytes, one wins whole', async () => {
    for (let round = 0; round < 10; round++) {
      const study = new TestStudy()
      const shared = uniqueUID()
      const requests = [1, 2].map((instanceNumber) => {
        const own = study.instance()
        const contested = study.instance({ sopInstanceUID: shared, instanceNumber })
        return { own, contested, files: [own.file, contested.file] }
      })
      const answers = await Promise.all(requests.map(({ files }) => send(files)))
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409])
      const winner = requests[answers.findIndex((answer) => answer.status === 200)]
      const loser = requests[answers.findIndex((answer) => answer.status === 409)]
      expect(answers.find((answer) => answer.status === 409)?.body).toEqual(
        storeModule({
          failed: [
            { sopInstanceUID: loser?.own.uid ?? '', reason: rolledBack },
            { sopInstanceUID: shared, reason: 0x0111 },
          ],
        }),
      )
      expect(await storedIn(server, study.uid)).toEqual([shared, winner?.own.uid].sort())
      const stored = await fetch(study.urlOf(shared), { headers: { accept: 'application/dicom' } })
      const bytes = Buffer.from(await stored.arrayBuffer())
      expect(bytes.equals(winner?.contested.file as Buffer)).toBe(true)
    }
  })
})

describe('What is stored, as it is (checklist 7.3)', () => {
  test.each<[id: string, name: string, status: number, options: DicomFileOptions]>([
    ['DV-06', 'Implicit VR Little Endian', 200, { transferSyntaxUID: implicitLittleEndian }],
    ['DV-06', 'Explicit VR Big Endian', 200, { transferSyntaxUID: explicitBigEndian }],
    ['DV-05', 'a deflated data set', 200, { transferSyntaxUID: deflatedLittleEndian }],
    [
      'DV-05',
      'JPEG fragments',
      200,
      { transferSyntaxUID: jpegBaseline, pixelBytes: [Buffer.alloc(10, 1), Buffer.alloc(4, 2)] },
    ],
    ['DV-19', 'a Study Date that is none', 202, { studyDate: '2024-01-01' }],
    ['DV-19', 'a Modality in lower case', 202, { modality: 'ct' }],
    ['VA-8', 'an Accession Number that is too long', 202, { accessionNumber: 'A'.repeat(17) }],
    ['VA-8', 'a Patient ID of 60,000 characters', 202, { patientID: longText(60_000) }],
    ['7.2', 'no Patient ID', 200, { without: ['00100020'] }],
    ['7.2', 'an empty Patient ID and Study Date', 200, { patientID: '', studyDate: '' }],
    [
      'DV-20',
      'text that its character set does not have',
      200,
      {
        specificCharacterSet: 'ISO_IR 192',
        elements: [{ tag: '00100010', vr: 'PN', value: Buffer.from([0x43, 0xff, 0xfe, 0x5e]) }],
      },
    ],
    [
      'DV-21',
      'a value of odd length',
      200,
      { elements: [{ tag: '00100010', vr: 'PN', value: Buffer.from('Odd') }] },
    ],
    ['DV-22', 'a private SOP class', 200, { sopClassUID: '1.2.826.0.1.3680043.10.1474.77' }],
    ['DV-07', 'a retired SOP class', 200, { sopClassUID: '1.2.840.10008.5.1.1.30' }],
    ['VA-2', 'a UID padded with spaces', 200, { elements: [] }],
    [
      'DV-03',
      'a wrong group length of the File Meta Information',
      200,
      { without: ['00020000'], meta: [{ tag: '00020000', vr: 'UL', value: 7 }] },
    ],
    ['DV-21', 'NUL in a text', 200, { elements: [{ tag: '00081030', vr: 'LO', value: 'a\0b ' }] }],
  ])('%s: %s is %i', async (_id, name, status, options) => {
    const study = new TestStudy()
    const { uid } = study.instance()
    const padding = name.includes('padded')
      ? { elements: [{ tag: '00080018', vr: 'UI', value: `${uid}${' '.repeat(2)}` }] }
      : {}
    const { file } = study.instance({ sopInstanceUID: uid, ...options, ...padding })
    const answer = await send([file])
    expect(answer.status, JSON.stringify(answer.body)).toBe(status)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [
          {
            sopInstanceUID: uid,
            sopClassUID: options.sopClassUID ?? ctImageStorage,
            url: study.urlOf(uid),
            ...(status === 202 ? { warning: 0xb007 } : {}),
          },
        ],
      }),
    )
    const stored = await fetch(study.urlOf(uid), { headers: { accept: 'application/dicom' } })
    expect(Buffer.from(await stored.arrayBuffer()).equals(file)).toBe(true)
    expect((await fetch(`${study.urlOf(uid)}/metadata`)).status).toBe(200)
  })

  test('DV-18: an instance that contradicts its study is stored with a warning', async () => {
    const study = new TestStudy()
    const [first, second] = [study.instance(), study.instance({ patientID: 'CANARY-ID-4712' })]
    expect((await send([first.file])).status).toBe(200)
    const answer = await send([second.file])
    expect(answer.status).toBe(202)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: study.url,
        stored: [{ sopInstanceUID: second.uid, url: study.urlOf(second.uid), warning: 0xb007 }],
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual([first.uid, second.uid].sort())
  })
})

describe('Preferences (RFC 7240)', () => {
  const bad = Buffer.from('not DICOM')
  test.each([
    ['handling=lenient', 202, 'handling=lenient'],
    ['handling="lenient"', 202, 'handling=lenient'],
    ['Handling = Lenient', 202, 'handling=lenient'],
    ['return=minimal, respond-async, handling=lenient; x=y', 202, 'handling=lenient'],
    ['handling=lenient, handling=strict', 202, 'handling=lenient'],
    ['handling=strict, handling=lenient', 409, 'handling=strict'],
    ['handling=other', 409, null],
    ['return=minimal', 409, null],
    ['return=minimal; handling=lenient', 409, null],
    ['x="a, handling=lenient"', 409, null],
    ['', 409, null],
  ])('Prefer: %s is answered %i, applied: %s', async (prefer, status, applied) => {
    const answer = await send([new TestStudy().instance().file, bad], { prefer })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('preference-applied')).toBe(applied)
    expect(answer.body['0008119A']).toEqual({
      vr: 'SQ',
      Value: [{ '00081197': { vr: 'US', Value: [0xc000] } }],
    })
  })
})

describe('Retrieve URLs (PS3.18 10.5.3.3)', () => {
  const forwarded: [name: string, headers: Record<string, string>, base: string][] = [
    [
      'Forwarded',
      { forwarded: 'for=1.2.3.4;host=pacs.example;proto=https' },
      'https://pacs.example',
    ],
    [
      'Forwarded with quotes, by two proxies',
      { forwarded: 'for="[::1]";Host="pacs.example:8443";Proto=HTTPS, for=5;host=inner' },
      'https://pacs.example:8443',
    ],
    [
      'X-Forwarded-Proto, -Host and -Prefix',
      {
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'pacs.example, inner',
        'x-forwarded-prefix': '/archive/',
      },
      'https://pacs.example/archive',
    ],
    [
      'X-Forwarded-Port',
      {
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'pacs.example',
        'x-forwarded-port': '8443',
      },
      'https://pacs.example:8443',
    ],
  ]

  async function expectBase(base: string, at: StowageServer, headers: Record<string, string>) {
    const study = new TestStudy()
    const { uid, file } = study.instance()
    const answer = await send([file], headers, `${at.dicomWeb}/studies`)
    const url = `${base}/dicom-web/studies/${study.uid}`
    expect(answer.status).toBe(200)
    expect(answer.headers.get('location')).toBe(url)
    expect(answer.headers.get('content-location')).toBe(url)
    expect(answer.body).toEqual(
      storeModule({
        retrieveURL: url,
        stored: [{ sopInstanceUID: uid, url: `${url}/series/${study.series}/instances/${uid}` }],
      }),
    )
  }

  test('name the host that the sender asked', async () => {
    await expectBase(server.url, server, {})
    await expectBase(server.url.replace('127.0.0.1', 'localhost'), server, {
      host: `localhost:${server.port}`,
    })
  })

  test.each(forwarded)('do not believe %s of a stranger', async (_name, headers) => {
    await expectBase(server.url, server, headers)
  })

  describe('behind a proxy that is trusted', () => {
    let behind: StowageServer
    beforeAll(async () => {
      behind = await startServer({
        env: { STOWAGE_TRUST_PROXY: '127.0.0.0/8', STOWAGE_HANDLING: 'lenient' },
      })
    })
    afterAll(async () => {
      await behind[Symbol.asyncDispose]()
      otherLogs += behind.log
    })

    test.each(forwarded)('follow %s', async (_name, headers, base) => {
      await expectBase(base, behind, headers)
    })

    test('do not follow what is no host', async () => {
      await expectBase(behind.url, behind, {
        forwarded: 'host="evil.example/x?";proto=javascript',
        'x-forwarded-prefix': '//evil',
      })
    })

    test('STOWAGE_HANDLING says what holds without Prefer', async () => {
      const files = [new TestStudy().instance().file, Buffer.from('not DICOM')]
      const lenient = await send(files, {}, `${behind.dicomWeb}/studies`)
      expect(lenient.status).toBe(202)
      expect(lenient.headers.get('preference-applied')).toBeNull()
      const strict = await send(files, { prefer: 'handling=strict' }, `${behind.dicomWeb}/studies`)
      expect(strict.status).toBe(409)
      expect(strict.headers.get('preference-applied')).toBe('handling=strict')
    })
  })

  test('say STOWAGE_BASE_URL where it is set, whoever asks', async () => {
    await using fixed = await startServer({
      env: { STOWAGE_BASE_URL: 'https://dicom.example/pacs/', STOWAGE_TRUST_PROXY: '1' },
    })
    await expectBase('https://dicom.example/pacs', fixed, {})
    await expectBase('https://dicom.example/pacs', fixed, { forwarded: 'host=pacs.example' })
    otherLogs += fixed.log
  })
})

describe('Patient data (P10)', () => {
  test('are in no answer, no header, no URL, no name of a file, and not in the log', async () => {
    // A cut body makes the server log, if anything does.
    const head = requestHead('/dicom-web/studies', { 'content-length': 100_000 })
    const body = multipartBody([new TestStudy().instance().file])
    await sendRaw(server.port, Buffer.concat([head, body]), 'fin')
    const said = [everythingHeard(), server.log, otherLogs, segmentsOf(server).join()].join('\n')
    expect(said.length).toBeGreaterThan(100_000)
    expect(server.log.length).toBeGreaterThan(100)
    // Only what was found is shown, not all that was said.
    expect(said.match(/.{0,200}canary.{0,60}/gi)).toBeNull()
  })
})

/** Text that does not compress: an index of Postgres takes no more than 2.7 KB of it. */
function longText(length: number): string {
  let text = ''
  for (let counter = 0; text.length < length; counter++) {
    text += createHash('sha256').update(String(counter)).digest('base64')
  }
  return text.slice(0, length)
}

function withLastBytesChanged(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  changed.writeUInt32LE(changed.readUInt32LE(changed.length - 8) ^ 1, changed.length - 8)
  return changed
}
