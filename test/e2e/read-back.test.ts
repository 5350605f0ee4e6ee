import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
  uniqueUID,
} from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { type StowAnswer, stow } from '../support/stow.ts'
import { call, type Dataset } from './dicomweb.ts'
import { a, a1, a2, a3, b, b1 } from './two-studies.ts'

let server: StowageServer
let studies: string

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_TRUST_PROXY: '1' } })
  studies = `${server.dicomWeb}/studies`
  for (const files of [[a1, a2, a3], [b1]]) {
    expect((await stow(studies, files)).status).toBeLessThan(300)
  }
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const get = (path: string, headers: Record<string, string> = {}): Promise<StowAnswer> =>
  call(`${server.dicomWeb}${path}`, { headers })

describe('Retrieve instances (PS3.18 10.4)', () => {
  const paths = {
    study: `/studies/${a.uid}`,
    series: `/studies/${a.uid}/series/${a.series}`,
    instance: `/studies/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1`,
  }

  async function retrieve(
    path: string,
    accept?: string,
  ): Promise<{ response: Response; body: Buffer }> {
    const headers: Record<string, string> = accept === undefined ? {} : { accept }
    const response = await fetch(`${server.dicomWeb}${path}`, { headers })
    return { response, body: Buffer.from(await response.arrayBuffer()) }
  }

  test.each([
    ['study', undefined, [a1, a2, a3]],
    ['series', 'multipart/related; type="application/dicom"', [a1, a2]],
    ['instance', '*/*', [a1]],
    ['study', 'multipart/related; type="application/dicom"; transfer-syntax=*', [a1, a2, a3]],
    ['study', 'multipart/related; type=application/dicom', [a1, a2, a3]],
    ['study', 'multipart/related', [a1, a2, a3]],
  ] as const)(
    'WA-R1, WA-S1, WA-S9: a %s by Accept: %s is its files, byte for byte',
    async (level, accept, files) => {
      const { response, body } = await retrieve(paths[level], accept)
      expect(response.status).toBe(200)
      const type = response.headers.get('content-type')
      expect(type).toMatch(/^multipart\/related; type="application\/dicom"; boundary=[\w-]+$/)
      expect(response.headers.get('vary')).toBe('Accept')
      const parts = partsOf(type, body)
      expect(parts.map((part) => sha256(part.bytes))).toEqual(files.map(sha256))
      for (const [index, part] of parts.entries()) {
        const file = files[index] as Buffer
        const syntax = file === a2 ? jpegBaseline : '1.2.840.10008.1.2.1'
        expect(part.headers['content-type']).toBe(`application/dicom; transfer-syntax=${syntax}`)
        expect(part.headers['content-length']).toBe(String(file.length))
        expect(part.headers['content-location']).toMatch(
          new RegExp(`^${studies}/${a.uid}/series/[\\d.]+/instances/[\\d.]+$`),
        )
        // What it says of itself leads to itself.
        const again = await fetch(part.headers['content-location'] as string, {
          headers: { accept: 'application/dicom' },
        })
        expect(Buffer.from(await again.arrayBuffer()).equals(file)).toBe(true)
      }
    },
  )

  test('WA-S13: one instance alone, with its length and transfer syntax', async () => {
    const { response, body } = await retrieve(paths.instance, 'application/dicom')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe(
      'application/dicom; transfer-syntax=1.2.840.10008.1.2.1',
    )
    expect(response.headers.get('content-length')).toBe(String(a1.length))
    expect(body.equals(a1)).toBe(true)
  })

  test.each([
    [implicitLittleEndian, '*', explicitLittleEndian],
    [explicitBigEndian, '*', explicitLittleEndian],
    [deflatedLittleEndian, '*', deflatedLittleEndian],
    [deflatedLittleEndian, explicitLittleEndian, explicitLittleEndian],
  ])(
    'WA-N10, WA-N12: what was sent in %s comes by transfer-syntax=%s in %s, under its true name',
    async (transferSyntaxUID, wanted, expected) => {
      const uid = uniqueUID()
      const [study, series] = [uniqueUID(), uniqueUID()]
      const options = {
        studyInstanceUID: study,
        seriesInstanceUID: series,
        sopInstanceUID: uid,
        patientID: 'P3',
        studyDate: '20260505',
      }
      const file = dicomFile({ ...options, transferSyntaxUID })
      expect((await stow(studies, [file])).status).toBe(200)
      const path = `/studies/${study}/series/${series}/instances/${uid}`
      const { response, body } = await retrieve(
        path,
        `application/dicom; transfer-syntax=${wanted}`,
      )
      expect(response.headers.get('content-type')).toBe(
        `application/dicom; transfer-syntax=${expected}`,
      )
      const isAsStored = transferSyntaxUID === expected
      expect(body.equals(isAsStored ? file : dicomFile(options))).toBe(true)
      const metadata = await get(`${path}/metadata`)
      expect(metadata.body[0]['00100020']).toEqual({ vr: 'LO', Value: ['P3'] })
      expect(metadata.body[0]['00280010']).toEqual({ vr: 'US', Value: [16] })
    },
  )

  test('a study of more instances than are looked up at once comes whole (QI-A8)', async () => {
    const study = uniqueUID()
    const files = Array.from({ length: 1203 }, () =>
      dicomFile({
        studyInstanceUID: study,
        seriesInstanceUID: `${study}.1`,
        studyDate: '20260606',
        pixelBytes: 2,
        rows: 1,
        columns: 1,
      }),
    )
    expect((await stow(studies, files)).status).toBe(200)
    const { response, body } = await retrieve(`/studies/${study}`)
    const parts = partsOf(response.headers.get('content-type'), body)
    expect(new Set(parts.map((part) => sha256(part.bytes)))).toEqual(new Set(files.map(sha256)))
    expect((await get(`/studies/${study}/metadata`)).body).toHaveLength(1203)
    const found = await get(`/studies?StudyInstanceUID=${study}`)
    expect(found.body[0]['00201208'].Value).toEqual([1203])
  })

  test.each([
    ['an unknown study', '/studies/1.2.3'],
    ['an unknown series', `/studies/${a.uid}/series/1.2.3`],
    ['an unknown instance', `${'/studies/'}${a.uid}/series/${a.series}/instances/1.2.3`],
    ['a series of another study', `/studies/${a.uid}/series/${b.series}`],
    [
      'an instance of another series',
      `/studies/${a.uid}/series/${a.other}/instances/1.2.826.10.1.1.1`,
    ],
    [
      'an instance of another study',
      `/studies/${b.uid}/series/${a.series}/instances/1.2.826.10.1.1.1`,
    ],
    ['metadata of an unknown study', '/studies/1.2.3/metadata'],
    [
      'metadata of an instance of another study',
      `/studies/${b.uid}/series/${a.series}/instances/1.2.826.10.1.1.1/metadata`,
    ],
    [
      'bulk data beyond the file',
      `/studies/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1/bulkdata/7FE00010/0-99999999`,
    ],
    [
      'bulk data without a range',
      `/studies/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1/bulkdata/7FE00010/x`,
    ],
  ])('WA-S3: answers 404 to %s', async (_name, path) => {
    const answer = await get(path)
    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  })

  test.each([
    '/studies/abc',
    '/studies/1.02',
    `/studies/${a.uid}/series/x`,
    `/studies/${a.uid}/series/${a.series}/instances/1..2`,
    '/studies/abc/metadata',
  ])('WA-S5: answers 400 to %s', async (path) => {
    expect((await get(path)).status).toBe(400)
  })

  test.each([
    ['study', 'application/dicom'],
    ['series', 'application/dicom'],
    ['study', 'image/jpeg'],
    ['instance', 'multipart/related; type="image/jpeg"'],
    ['instance', 'application/dicom;q=0, multipart/related;q=0'],
    ['instance', 'nonsense'],
  ] as const)(
    'WA-N5, WA-N7: answers 406 to a %s by Accept: %s, and says what there is',
    async (level, accept) => {
      const answer = await get(paths[level], { accept })
      expect(answer.status).toBe(406)
      const forms = [
        'multipart/related; type="application/dicom"',
        ...(level === 'instance' ? ['application/dicom'] : []),
      ]
      expect(answer.body.available).toEqual(
        expect.arrayContaining([
          ...forms.map((form) => `${form}; transfer-syntax=${explicitLittleEndian}`),
          'multipart/related; type="application/octet-stream"',
        ]),
      )
      const alone = answer.body.available.filter((name: string) => /^application\/dicom/.test(name))
      expect(alone.length > 0).toBe(level === 'instance')
    },
  )

  test('WA-N3, WA-N8: the highest q decides, and accept= goes before the header', async () => {
    const weighted = 'multipart/related; type="application/dicom";q=0.3, application/dicom;q=0.8'
    const single = await retrieve(paths.instance, weighted)
    expect(single.response.headers.get('content-type')).toMatch(/^application\/dicom;/)
    const asked = `${paths.instance}?accept=${encodeURIComponent('application/dicom')}`
    const byQuery = await retrieve(asked, '*/*')
    expect(byQuery.response.headers.get('content-type')).toMatch(/^application\/dicom;/)
  })

  test('WA-S18: HEAD is GET without a body, and leaves no file open', async () => {
    const head = (path: string, accept = '*/*') =>
      fetch(`${server.dicomWeb}${path}`, { method: 'HEAD', headers: { accept } })
    const single = await head(paths.instance, 'application/dicom')
    expect(single.status).toBe(200)
    expect(single.headers.get('content-length')).toBe(String(a1.length))
    expect(await single.text()).toBe('')
    expect((await head('/studies/1.2.3')).status).toBe(404)
    expect((await head('/studies')).status).toBe(200)
    const openFiles = () => readdirSync(`/proc/${server.pid}/fd`).length
    const before = existsSync('/proc/self/fd') ? openFiles() : 0
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        [paths.study, paths.instance, `${paths.study}/metadata`].flatMap((path) => [
          head(path),
          // Only this one would begin with bytes of a file.
          head(paths.instance, 'application/dicom'),
        ]),
      )
    }
    if (before > 0) expect(openFiles()).toBeLessThan(before + 20)
  })
})

describe('Retrieve metadata (PS3.18 10.4.1.1.2, Annex F)', () => {
  const instancePath = `/studies/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1`

  test.each([
    ['study', `/studies/${a.uid}`, 3],
    ['series', `/studies/${a.uid}/series/${a.series}`, 2],
    ['instance', instancePath, 1],
  ])(
    'WA-R2: of a %s is one array with an object for each instance',
    async (_level, path, count) => {
      const answer = await get(`${path}/metadata`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('application/dicom+json')
      expect(answer.body).toHaveLength(count)
      for (const dataset of answer.body as Dataset[]) {
        expect(dataset['0020000D']?.Value).toEqual([a.uid])
        // JavaScript puts keys that are whole numbers first, whatever the text says.
        const tags = Object.keys(dataset).filter((tag) => !/^[1-9]\d*$/.test(tag))
        expect(tags).toEqual(tags.toSorted())
        expect(Object.keys(dataset).filter((tag) => tag.startsWith('0002'))).toEqual([])
      }
    },
  )

  test('come in gzip to who takes it, the same every time, until an instance comes', async () => {
    const study = uniqueUID()
    const [one, two] = [1, 2].map((instanceNumber) =>
      dicomFile({ studyInstanceUID: study, seriesInstanceUID: `${study}.1`, instanceNumber }),
    )
    const ask = (encoding: string) =>
      fetch(`${studies}/${study}/metadata`, { headers: { 'accept-encoding': encoding } })
    await stow(studies, [one as Buffer])
    const plain = await ask('identity')
    expect(plain.headers.get('content-encoding')).toBeNull()
    const expected = await plain.text()
    const tags: (string | null)[] = [plain.headers.get('etag')]
    for (let round = 0; round < 2; round++) {
      const answer = await ask('gzip')
      expect(answer.headers.get('content-encoding')).toBe('gzip')
      expect(answer.headers.get('vary')).toBe('Accept, Accept-Encoding')
      tags.push(answer.headers.get('etag'))
      expect(await answer.text()).toBe(expected)
    }
    expect(tags[1]).toBe(tags[2])
    expect(new Set(tags).size).toBe(2)
    await stow(studies, [two as Buffer])
    expect(await (await ask('gzip')).json()).toHaveLength(2)
  })

  test('WA-S14: tells all that the file says, and where the rest is', async () => {
    const { body } = await get(`${instancePath}/metadata`)
    const offset = a1.indexOf(Buffer.alloc(5000, 1))
    expect(body).toEqual([
      {
        '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
        '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
        '00080018': { vr: 'UI', Value: ['1.2.826.10.1.1.1'] },
        '00080020': { vr: 'DA', Value: ['20260102'] },
        '00080030': { vr: 'TM', Value: ['101500'] },
        '00080050': { vr: 'SH', Value: ['ACC-1'] },
        '00080060': { vr: 'CS', Value: ['CT'] },
        '00080070': { vr: 'LO', Value: ['Maker'] },
        '00080090': { vr: 'PN', Value: [{ Alphabetic: 'Ref^Doc' }] },
        '00080201': { vr: 'SH', Value: ['+0100'] },
        '00081030': { vr: 'LO', Value: ['Head'] },
        '0008103E': { vr: 'LO', Value: ['Thorax'] },
        '00100010': {
          vr: 'PN',
          Value: [
            {
              Alphabetic: 'Yamada^Tarou',
              Ideographic: '山田^太郎',
              Phonetic: 'やまだ^たろう',
            },
          ],
        },
        '00100020': { vr: 'LO', Value: ['PAT 1'] },
        '00100030': { vr: 'DA', Value: ['19700131'] },
        '00100040': { vr: 'CS', Value: ['F'] },
        '00101010': { vr: 'AS', Value: ['055Y'] },
        '00180015': { vr: 'CS', Value: ['CHEST'] },
        '00180050': { vr: 'DS', Value: [1.5] },
        '0020000D': { vr: 'UI', Value: [a.uid] },
        '0020000E': { vr: 'UI', Value: [a.series] },
        '00200010': { vr: 'SH', Value: ['S1'] },
        '00200011': { vr: 'IS', Value: [1] },
        '00200013': { vr: 'IS', Value: [1] },
        '00280002': { vr: 'US', Value: [1] },
        '00280010': { vr: 'US', Value: [16] },
        '00280011': { vr: 'US', Value: [16] },
        '00280100': { vr: 'US', Value: [16] },
        '00280103': { vr: 'US', Value: [0] },
        '00400244': { vr: 'DA', Value: ['20260102'] },
        '00400245': { vr: 'TM', Value: ['1014'] },
        '00400275': {
          vr: 'SQ',
          Value: [
            {
              '00400007': { vr: 'LO', Value: ['Step one'] },
              '00400009': { vr: 'SH', Value: ['SPS-1'] },
              '00401001': { vr: 'SH', Value: ['RP-1'] },
            },
            { '00401001': { vr: 'SH', Value: ['RP-2'] } },
          ],
        },
        '20010010': { vr: 'LO', Value: ['Acme 1.0'] },
        '20011003': { vr: 'LO', Value: ['private'] },
        '7FE00010': {
          vr: 'OW',
          BulkDataURI: `${server.dicomWeb}${instancePath}/bulkdata/7FE00010/${offset}-5000`,
        },
      },
    ])
  })

  test('JS-04: a name without a group is empty, in metadata and in search results', async () => {
    const study = uniqueUID()
    const options = { studyInstanceUID: study, seriesInstanceUID: uniqueUID(), patientName: '==' }
    expect((await stow(studies, [dicomFile(options)])).status).toBe(200)
    for (const path of [`/studies/${study}/metadata`, `/studies?StudyInstanceUID=${study}`]) {
      expect((await get(path)).body[0]['00100010'], path).toEqual({ vr: 'PN' })
    }
    const xml = await fetch(`${studies}/${study}/metadata`, {
      headers: { accept: 'multipart/related; type="application/dicom+xml"' },
    })
    expect(await xml.text()).toContain(
      '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"/>',
    )
  })

  test('WA-R4, WA-S12: a BulkDataURI leads to the value, alone and as a part', async () => {
    const { body } = await get(`${instancePath}/metadata`)
    const uri = body[0]['7FE00010'].BulkDataURI
    const single = await fetch(uri, { headers: { accept: 'application/octet-stream' } })
    expect(single.status).toBe(200)
    expect(single.headers.get('content-type')).toBe('application/octet-stream')
    expect(Buffer.from(await single.arrayBuffer()).equals(Buffer.alloc(5000, 1))).toBe(true)
    for (const accept of ['*/*', 'multipart/related; type="application/octet-stream"']) {
      const multi = await fetch(uri, { headers: { accept } })
      const [part, ...more] = partsOf(
        multi.headers.get('content-type'),
        Buffer.from(await multi.arrayBuffer()),
      )
      expect(more).toEqual([])
      expect(part?.headers).toEqual({
        'content-type': `application/octet-stream; transfer-syntax=${explicitLittleEndian}`,
        'content-location': uri,
        'content-length': '5000',
      })
      expect(part?.bytes.equals(Buffer.alloc(5000, 1))).toBe(true)
    }
    expect((await fetch(uri, { headers: { accept: 'image/jpeg' } })).status).toBe(406)
  })

  test.each([
    ['application/json', 200],
    ['*/*', 200],
    ['text/html', 406],
    ['application/dicom', 406],
  ])('WA-N16: Accept: %s is %i', async (accept, status) => {
    expect((await get(`${instancePath}/metadata`, { accept })).status).toBe(status)
  })
})

describe('URLs behind a trusted proxy', () => {
  const headers = {
    forwarded: 'for=10.0.0.1;proto=https;host=pacs.example',
    'x-forwarded-prefix': '/archive',
  }
  const base = 'https://pacs.example/archive/dicom-web/studies'

  test('name the proxy in search results, in metadata, in parts and in warnings', async () => {
    const studiesFound = await get(`/studies?StudyInstanceUID=${a.uid}`, headers)
    expect(studiesFound.body[0]['00081190'].Value).toEqual([`${base}/${a.uid}`])
    const limited = await get('/instances?limit=1', headers)
    expect(limited.headers.get('warning')).toMatch(
      /^299 https:\/\/pacs\.example\/archive\/dicom-web "There are 1000 additional results that can be requested, and more/,
    )
    const path = `/studies/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1`
    const metadata = await get(`${path}/metadata`, headers)
    expect(metadata.body[0]['7FE00010'].BulkDataURI).toMatch(
      new RegExp(`^${base}/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1/bulkdata/`),
    )
    const response = await fetch(`${server.dicomWeb}${path}`, { headers })
    const [part] = partsOf(
      response.headers.get('content-type'),
      Buffer.from(await response.arrayBuffer()),
    )
    expect(part?.headers['content-location']).toBe(
      `${base}/${a.uid}/series/${a.series}/instances/1.2.826.10.1.1.1`,
    )
  })
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
