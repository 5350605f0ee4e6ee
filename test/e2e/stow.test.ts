import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  boundary,
  chunkEncoded,
  multipartBody,
  multipartType,
  postChunked,
  requestHead,
  sendRaw,
} from '../support/stow.ts'
import {
  Conversation,
  call,
  canary,
  expectNoPatientData,
  expectProblem,
  leftBehindBy,
  readNativeModel,
  Sender,
  segmentsOf,
  storedIn,
  storeModule,
} from './dicomweb.ts'

let server: StowageServer
let sender: Sender
const newStudy = () => sender.newStudy()
const send = (...given: Parameters<Sender['send']>) => sender.send(...given)
const post = (...given: Parameters<Sender['post']>) => sender.post(...given)

beforeAll(async () => {
  server = await startServer({
    env: { STOWAGE_LOG_LEVEL: 'debug', STOWAGE_NAMES: 'archive.example' },
  })
  sender = new Sender(server)
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** Of whatever server a test has started beside the one of this file. */
let otherLogs = ''

describe('Store resources (PS3.18 10.5.1.1)', () => {
  test('ST-R1, OTA-11: one request may hold instances of several studies, each with URLs of its own', async () => {
    const [a, b] = [newStudy(), newStudy()]
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
    const study = newStudy()
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
    for (const [url, allow] of [
      [sender.studies, 'GET, HEAD, POST'],
      [`${sender.studies}/1.2.3`, 'GET, HEAD, POST, DELETE'],
    ] as const) {
      for (const method of ['PUT', 'PATCH']) {
        const answer = await call(url, { method })
        expectProblem(answer, 405)
        expect(answer.headers.get('allow')).toBe(allow)
      }
    }
    expectProblem(await call(sender.studies, { method: 'DELETE' }), 405)
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
    const study = newStudy()
    const answer = await send(
      [study.instance().file],
      {},
      `${sender.studies}?limit=x&PatientID=1&foo`,
    )
    expect(answer.status).toBe(200)
  })

  test.each(['abc', '1.2.03', '1..2', '1.2.3.', `1.${'2'.repeat(63)}`, '1'])(
    'ST-R5: answers 400 when the path has %s for a study',
    async (study) => {
      expectProblem(await send([newStudy().instance().file], {}, `${sender.studies}/${study}`), 400)
    },
  )
})

describe('Request media types (PS3.18 10.5.1.4)', () => {
  test.each([
    ['ST-M1', 'multipart/related; type="application/dicom"'],
    ['ST-M7', 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'],
    ['ST-M7', 'multipart/related; type="application/dicom"; charset=utf-8'],
  ])('%s: takes %s', async (_id, type) => {
    const study = newStudy()
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
      const study = newStudy()
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
    ['ST-M6', 'application/zip'],
    ['ST-M6', `multipart/form-data; boundary=${boundary}`],
    ['ST-M6', `multipart/mixed; boundary=${boundary}`],
    ['ST-M6', 'image/jpeg'],
    ['MP-09', `multipart/related; type="image/jpeg"; boundary=${boundary}`],
    ['ST-H1', undefined],
  ])('%s: answers 415 to %s, and says what can be sent', async (_id, type) => {
    const study = newStudy()
    const answer = await post(type, multipartBody([study.instance().file]))
    expectProblem(answer, 415)
    expect(answer.headers.get('accept')).toBe(
      [
        'multipart/related; type="application/dicom", application/dicom',
        'multipart/related; type="application/dicom+json"',
        'multipart/related; type="application/dicom+xml"',
        'application/dicom+json, application/dicom+xml',
      ].join(', '),
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
    expectProblem(await post(type, multipartBody([newStudy().instance().file])), 400)
  })
})

describe('Request headers (PS3.18 10.5.1.3)', () => {
  test('ST-H2: takes a chunked body, in chunks of a single byte too (MP-16)', async () => {
    const study = newStudy()
    const [one, two] = [study.instance(), study.instance()]
    const type = { 'content-type': multipartType }
    const answer = await postChunked(sender.studies, type, [multipartBody([one.file])])
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
    const study = newStudy()
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
    const study = newStudy()
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
    const study = newStudy()
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
    const study = newStudy()
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
    const study = newStudy()
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
    const study = newStudy()
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

describe('Digests (RFC 9530)', () => {
  const base64 = (algorithm: string, bytes: Uint8Array): string =>
    createHash(algorithm).update(bytes).digest('base64')
  const sha256 = (bytes: Uint8Array): string => `sha-256=:${base64('sha256', bytes)}:`
  const sha512 = (bytes: Uint8Array): string => `sha-512=:${base64('sha512', bytes)}:`
  const wrong = Buffer.from('something else')

  test('takes a body whose Content-Digest and Repr-Digest are right', async () => {
    const study = newStudy()
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
    const study = newStudy()
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
    const study = newStudy()
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
      const body = multipartBody([newStudy().instance().file])
      expect((await post(multipartType, body, { 'content-digest': digest })).status).toBe(200)
    },
  )

  test('holds a part against the Content-Digest of its own', async () => {
    const study = newStudy()
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
    const study = newStudy()
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
    // The sender's doing, not a connection that went away.
    const { body } = await call(`${small.url}/api/transfers?limit=2`)
    const states = body.transfers.map((transfer: { state: string }) => transfer.state)
    expect(states).toEqual(['refused', 'refused'])
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
    const answer = await send([newStudy().instance().file, bad], { prefer })
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
    const study = newStudy()
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
    const study = newStudy()
    const headers = { 'content-type': multipartType, host: 'archive.example:8104' }
    const answer = await postChunked(sender.studies, headers, [
      multipartBody([study.instance().file]),
    ])
    expect(JSON.parse(answer.text)['00081190'].Value).toEqual([
      `http://archive.example:8104/dicom-web/studies/${study.uid}`,
    ])
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
      const files = [newStudy().instance().file, Buffer.from('not DICOM')]
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
    const body = multipartBody([newStudy().instance().file])
    await sendRaw(server.port, Buffer.concat([head, body]), 'fin')
    expect(server.log.length).toBeGreaterThan(100)
    expectNoPatientData(otherLogs, ...(await leftBehindBy(server)))
  })
})

function withLastBytesChanged(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  changed[changed.length - 8] = (changed.at(-8) as number) ^ 1
  return changed
}

describe('an answer about very many instances', () => {
  test('names each of 1,500, stored or rolled back, in the order of the parts (AT-02)', async () => {
    const study = newStudy()
    const instances = Array.from({ length: 1500 }, () => study.instance())
    const uids = instances.map(({ uid }) => uid)
    const files = instances.map(({ file }) => file)
    const refused = await send([...files, Buffer.from('not DICOM')])
    expect(refused.status).toBe(409)
    expect(refused.body['0008119A'].Value).toHaveLength(1)
    expect(uidsOf(refused.body['00081198'].Value)).toEqual(uids)
    const stored = await send(files)
    expect(stored.status).toBe(200)
    expect(uidsOf(stored.body['00081199'].Value)).toEqual(uids)
  })
})

function uidsOf(items: { [tag: string]: { Value: string[] } }[]): (string | undefined)[] {
  return items.map((item) => item['00081155']?.Value[0])
}
