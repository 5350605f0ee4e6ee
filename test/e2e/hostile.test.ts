import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { searchAttributes } from '../../db/search-attributes.ts'
import { hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  boundary,
  multipartBody,
  multipartType,
  readAnswer,
  requestHead,
  sendRaw,
  stow,
} from '../support/stow.ts'

/** What is known to have been done to others, done to a server as a process of its own. */

let server: StowageServer
const study = uniqueUID()

beforeAll(async () => {
  server = await startServer()
  await stow(`${server.dicomWeb}/studies`, [dicomFile({ studyInstanceUID: study })])
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

/** Bytes of the server's memory. */
async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
}

async function expectAlive(): Promise<void> {
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  expect(server.log).not.toMatch(/^\S+ error/m)
}

const get = (path: string) =>
  Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])
const smuggled = get('/healthz').toString()

describe('One request that two servers would read as two (RFC 9112 6.1, 6.3)', () => {
  test.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6'],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 5'],
    ['an encoding that nobody knows', 'Transfer-Encoding: xchunked'],
    ['chunks that are not the last encoding', 'Transfer-Encoding: chunked, identity'],
    ['a length with a sign', 'Content-Length: +5'],
    ['a length of two numbers', 'Content-Length: 5, 6'],
    ['a space before the colon', 'Content-Length : 5'],
    ['a folded header', 'X: a\r\n b\r\nTransfer-Encoding\r\n : chunked'],
  ])('with %s is refused, and what follows is not answered', async (_, headers) => {
    const head = `POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${multipartType}\r\n${headers}\r\n\r\n`
    const answer = await sendRaw(server.port, Buffer.from(`${head}0\r\n\r\n${smuggled}`), 'fin')
    expect(answer.match(/^HTTP\/1\.1 /gm)?.length ?? 0).toBeLessThan(2)
    expect(answer === '' || statusOf(answer) === 400).toBe(true)
    await expectAlive()
  })
})

describe('Addresses', () => {
  test.each([
    '/assets/../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '/assets/..%5c..%5cpackage.json',
    '/assets//etc/passwd',
    '/dicom-web/studies/../../etc/passwd',
    '/dicom-web/studies/..%2f..%2f..%2fetc%2fpasswd',
    '/studies/..%2f..%2fpostgres/files.zip',
    '/api/transfers/..%2f..%2fsegments',
  ])('%s leads to no file', async (path) => {
    const answer = await sendRaw(server.port, get(path), 'wait')
    expect([400, 404]).toContain(statusOf(answer))
    expect(answer).not.toMatch(/root:|"name":/)
  })

  test.each([
    '%00',
    '%ED%A0%80',
    '%FF',
    '%0d%0aset-cookie:%20a=b',
    '%27%20or%201=1--',
    '%3Cscript%3E',
    '9'.repeat(5000),
  ])('a UID that is %s is refused wherever one can stand', async (uid) => {
    const paths = [
      `/studies/${uid}`,
      `/studies/${uid}/files.zip`,
      `/studies/${study}/series/${uid}`,
      `/studies/${uid}/missing`,
      `/studies/${uid}/actions/settle`,
      `/api/studies/${uid}`,
      `/api/studies/${uid}/evidence`,
      `/api/transfers/${uid}`,
      `/api/webhooks/${uid}`,
      `/api/deletions/${uid}`,
      `/transfers/${uid}`,
      `/commitments/${uid}`,
      `/problems/${uid}/${uid}`,
      `/dicom-web/studies/${uid}`,
      `/dicom-web/studies/${uid}/metadata`,
      `/dicom-web/studies/${study}/series/${uid}/rendered`,
      `/dicom-web/commitment-requests/${uid}`,
    ]
    for (const path of paths) {
      const answer = await sendRaw(server.port, get(path), 'wait')
      expect([400, 404], path).toContain(statusOf(answer))
      expect(answer.toLowerCase()).not.toContain('\r\nset-cookie: a=b')
      expect(answer).not.toContain('<script>')
    }
    await expectAlive()
  })
})

describe('Parameters of a search', () => {
  const hostile = [
    "' or '1'='1",
    "'; drop table studies; --",
    '\\',
    '%',
    '_',
    '$1',
    '\ud800',
    '"',
    '*?*?*?',
    '\u0001',
    '-'.repeat(4000),
  ]

  test('SQL in any of them finds nothing, and does nothing', async () => {
    const names = [
      ...searchAttributes.flatMap(({ keyword, tag }) => [keyword, tag]),
      'limit',
      'offset',
      'includefield',
      'fuzzymatching',
    ]
    for (const [index, name] of names.entries()) {
      const value = hostile[index % hostile.length] as string
      for (const given of [value, `x${value}`]) {
        const query = new URLSearchParams({
          [name]: given,
          fuzzymatching: name === 'fuzzymatching' ? given : 'true',
        })
        const answer = await fetch(`${server.dicomWeb}/instances?${query}`)
        await answer.arrayBuffer()
        expect([200, 204, 400], `${name}=${given}`).toContain(answer.status)
      }
    }
    for (const path of [
      '/?q=',
      '/?patientID=',
      '/api/changes?type=',
      '/api/changes?since=',
      '/api/transfers?state=',
      '/feed?type=',
    ]) {
      for (const value of hostile) {
        const answer = await fetch(
          `${server.url}${path}${encodeURIComponent(value.replace('\ud800', '\ufffd'))}`,
        )
        await answer.arrayBuffer()
        expect([200, 400], path + value).toContain(answer.status)
      }
    }
    expect((await fetch(`${server.dicomWeb}/studies?StudyInstanceUID=${study}`)).status).toBe(200)
    await expectAlive()
  })

  test('lists without end and numbers beyond all bounds are answered, or refused', async () => {
    const many = (value: string, count: number) =>
      Array.from({ length: count }, () => value).join(',')
    for (const query of [
      `StudyInstanceUID=${many('1.2', 2500)}`,
      `PatientName=${many('*', 5000)}`,
      `includefield=${many('00081030', 1500)}`,
      `includefield=${many('00091001', 1500)}`,
      `NumberOfFrames=${many('1', 5000)}`,
      `limit=${'9'.repeat(300)}`,
      `offset=${'9'.repeat(300)}`,
      `InstanceNumber=${'9'.repeat(300)}`,
      `StudyDate=${'9'.repeat(5000)}-`,
    ]) {
      const answer = await fetch(`${server.dicomWeb}/instances?${query}`)
      await answer.arrayBuffer()
      expect([200, 204, 400], query.slice(0, 30)).toContain(answer.status)
    }
    await expectAlive()
  })
})

describe('Bodies', () => {
  const fourGiB = 2 ** 32

  test('that claim 4 GiB, in Content-Length, in a part, and in an element, take no memory', async () => {
    const before = await residentBytes()
    const file = dicomFile({
      elements: [{ tag: '00081030', vr: 'UC', value: Buffer.alloc(8), claimedLength: 0xfffffffe }],
    })
    const part = Buffer.from(
      `--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${fourGiB}\r\n\r\nDICM\r\n--${boundary}--\r\n`,
    )
    const claims = Array.from({ length: 20 }, (_, i) => {
      const body = i % 2 ? part : multipartBody([file])
      const head = requestHead('/dicom-web/studies', { 'content-length': fourGiB })
      return sendRaw(server.port, Buffer.concat([head, body]), 'fin')
    })
    for (const answer of await Promise.all(claims)) expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    const lying = await fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: { 'content-type': multipartType },
      body: new Uint8Array(part),
    })
    expect((await readAnswer(lying)).status).toBe(400)
    expect((await residentBytes()) - before).toBeLessThan(256 * 2 ** 20)
    await expectAlive()
  })

  test('of parts without end, or one part of headers without end, are refused', async () => {
    const before = await residentBytes()
    const post = async (body: string) =>
      readAnswer(
        await fetch(`${server.dicomWeb}/studies`, {
          method: 'POST',
          headers: { 'content-type': multipartType },
          body,
        }),
      )
    const headers = await post(`--${boundary}\r\n${'A: b\r\n'.repeat(50_000)}`)
    expect(headers.status).toBe(400)
    expect(headers.body.detail).toContain('16384 bytes')
    const parts = await post(
      `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n\r\n`.repeat(100_100),
    )
    expect(parts.status).toBe(413)
    const noParts = await post(`--${boundary}x\r\n`.repeat(10_000))
    expect(noParts.status).toBe(400)
    expect((await residentBytes()) - before).toBeLessThan(256 * 2 ** 20)
    await expectAlive()
  })

  test('a compressed archive is not unpacked', async () => {
    const answer = await fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: { 'content-type': 'application/zip' },
      body: Buffer.from('PK\x03\x04'),
    })
    expect(answer.status).toBe(415)
  })

  const deep = (opening: string) => opening.repeat(50_000)
  const json = 'application/dicom+json'
  const bodies: [name: string, method: string, path: string, type: string, body: string][] = [
    ['nested JSON', 'POST', '/dicom-web/studies', json, deep('[{"00081140":{"vr":"SQ","Value":')],
    [
      'nested XML',
      'POST',
      '/dicom-web/studies',
      'application/dicom+xml',
      `<NativeDicomModel>${deep('<Item number="1">')}`,
    ],
    [
      'nested JSON',
      'POST',
      '/dicom-web/commitment-requests/1.2.9',
      json,
      deep('{"00081199":{"vr":"SQ","Value":['),
    ],
    [
      'a UID of spaces',
      'POST',
      '/dicom-web/commitment-requests/1.2.9',
      json,
      `{"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2${' '.repeat(1_000_000)}3"]}}]}}`,
    ],
    ['nested JSON', 'PUT', `/api/studies/${study}/evidence`, 'application/json', deep('[')],
    [
      'a series without a UID',
      'PUT',
      `/api/studies/${study}/evidence`,
      'application/json',
      '{"series":[{"instanceCount":1}]}',
    ],
    [
      'a prototype',
      'PUT',
      `/api/studies/${study}/evidence`,
      'application/json',
      '{"__proto__":{"instanceCount":1}}',
    ],
    [
      'a prototype',
      'POST',
      '/api/webhooks',
      'application/json',
      '{"__proto__":{"url":"https://a.invalid/"}}',
    ],
    ['a prototype', 'PUT', '/api/quiet-rules', 'application/json', '{"__proto__":{"rules":[]}}'],
    [
      'a prototype',
      'DELETE',
      '/dicom-web/studies/1.2.999',
      'application/json',
      '{"__proto__":{"force":true},"constructor":1}',
    ],
    [
      'a NUL',
      'DELETE',
      `/dicom-web/studies/${study}`,
      'application/json',
      '{"reason":"a\\u0000b"}',
    ],
    ['a NUL', 'PUT', '/api/consumers/a', 'application/json', '{"seq":"\\u0000"}'],
    [
      'elements that all objects have',
      'POST',
      '/dicom-web/commitment-requests/1.2.9',
      'application/dicom+xml',
      '<NativeDicomModel><constructor><a/></constructor></NativeDicomModel>',
    ],
    [
      'entities',
      'POST',
      '/dicom-web/commitment-requests/1.2.9',
      'application/dicom+xml',
      '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><NativeDicomModel>&b;</NativeDicomModel>',
    ],
  ]

  test.each(bodies)('%s: %s %s is refused', async (_, method, path, type, body) => {
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: { 'content-type': type },
      body,
    })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect(await answer.text()).not.toContain('root:')
    await expectAlive()
  })
})

test('the window function "constructor" is none', async () => {
  const answer = await fetch(
    `${server.dicomWeb}/studies/${study}/rendered?window=1,1,constructor`,
    {
      headers: { accept: 'image/png' },
    },
  )
  expect(answer.status).toBe(400)
})

describe('Names of patients, and UIDs, are text to whoever shows them', () => {
  const evil = '"><img src=x onerror=document.title=1><script>'
  // An equals sign would begin another group of the name.
  const evilName = '"><script>document.write(1)</script><b>'
  const uid = uniqueUID()

  beforeAll(async () => {
    const stored = await stow(`${server.dicomWeb}/studies`, [
      dicomFile({
        studyInstanceUID: uid,
        seriesInstanceUID: uniqueUID(),
        patientName: evilName,
        patientID: `../../${evil}`,
        studyDescription: "</title><b onclick='x'>%0d%0aX-Evil: 1",
        accessionNumber: '../../../etc/x',
      }),
    ])
    expect(stored.status).toBe(200)
  })

  test('a download has no name or path of them (zip slip), and no header', async () => {
    const answer = await fetch(`${server.url}/studies/${uid}/files.zip`)
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${uid}.zip"`)
    expect(answer.headers.get('x-evil')).toBeNull()
    const zip = Buffer.from(await answer.arrayBuffer())
    // Names stand in the central directory (APPNOTE 4.3.12), 46 bytes behind its signature.
    const directory = zip.subarray(zip.indexOf('PK\x01\x02', 0, 'latin1'))
    const nameBytes = directory.readUInt16LE(28)
    const name = directory.toString('latin1', 46, 46 + nameBytes)
    expect(name).toBe('0001/00000001.dcm')
  })

  test.skipIf(!hasBrowser())(
    'the pages in a browser show the name, and run nothing of it',
    async () => {
      const browser = await startBrowser()
      try {
        await using watched = await openPage(browser, server.url)
        const { page } = watched
        for (const path of [
          '/',
          `/studies/${uid}`,
          `/?q=${encodeURIComponent(evil)}`,
          '/transfers',
          '/feed',
        ]) {
          await page.goto(`${server.url}${path}`)
          expect(await page.title()).not.toBe('1')
          expect(await page.locator('img[src=x]').count()).toBe(0)
        }
        await page.goto(`${server.url}/studies/${uid}`)
        expect(await page.locator('body').innerText()).toContain(evilName)
      } finally {
        await browser.close()
      }
    },
  )
})
