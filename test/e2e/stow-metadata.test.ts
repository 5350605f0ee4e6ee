import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uniqueUID } from '../support/dicom-file.ts'
import { type DicomJson, readInstance } from '../support/dicom-reading.ts'
import { xmlOf } from '../support/metadata-file.ts'
import {
  bodyOf,
  bulkPart,
  jsonPart,
  jsonRequest,
  type RequestPart,
  xmlRequest,
} from '../support/metadata-request.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import type { StowAnswer } from '../support/stow.ts'
import {
  canary,
  ctImageStorage,
  expectNoPatientData,
  expectProblem,
  leftBehindBy,
  Sender,
  segmentsOf,
  storedIn,
  storeModule,
} from './dicomweb.ts'

let server: StowageServer
let sender: Sender

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_LOG_LEVEL: 'debug' } })
  sender = new Sender(server)
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** Metadata of a new instance with 16 x 16 pixels, changed by some attributes. */
function instance(changes: DicomJson = {}) {
  const study = uniqueUID()
  const series = uniqueUID()
  const uid = uniqueUID()
  const json: DicomJson = {
    '00080016': { vr: 'UI', Value: [ctImageStorage] },
    '00080018': { vr: 'UI', Value: [uid] },
    '00080020': { vr: 'DA', Value: ['20240131'] },
    '00080050': { vr: 'SH', Value: [canary.accessionNumber] },
    '00080060': { vr: 'CS', Value: ['CT'] },
    '00081030': { vr: 'LO', Value: [canary.studyDescription] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: canary.patientName }] },
    '00100020': { vr: 'LO', Value: [canary.patientID] },
    '0020000D': { vr: 'UI', Value: [study] },
    '0020000E': { vr: 'UI', Value: [series] },
    '00200013': { vr: 'IS', Value: [1] },
    '00280002': { vr: 'US', Value: [1] },
    '00280004': { vr: 'CS', Value: ['MONOCHROME2'] },
    '00280010': { vr: 'US', Value: [16] },
    '00280011': { vr: 'US', Value: [16] },
    '00280100': { vr: 'US', Value: [16] },
    '00280103': { vr: 'US', Value: [0] },
    '7FE00010': { vr: 'OW', BulkDataURI: 'pixels' },
    ...changes,
  }
  const url = `${sender.studies}/${study}/series/${series}/instances/${uid}`
  return { study, series, uid, json, url }
}

const pixels = Buffer.from(Array.from({ length: 512 }, (_, index) => index & 0xff))

async function post(parts: RequestPart[], contentType = jsonRequest, url = sender.studies) {
  return sender.post(contentType, bodyOf(parts), {}, url)
}

/** The file that was made, as it comes back. */
async function fileOf(url: string): Promise<Buffer> {
  const answer = await fetch(url, { headers: { accept: 'application/dicom' } })
  expect(answer.status).toBe(200)
  return Buffer.from(await answer.arrayBuffer())
}

/** The metadata that come back, with bulk data in the place of their URIs. */
async function metadataBack(url: string): Promise<DicomJson> {
  const [json] = (await (await fetch(`${url}/metadata`)).json()) as [DicomJson]
  for (const element of Object.values(json)) {
    if (element.BulkDataURI === undefined) continue
    const answer = await fetch(element.BulkDataURI, {
      headers: { accept: 'application/octet-stream' },
    })
    delete element.BulkDataURI
    element.InlineBinary = Buffer.from(await answer.arrayBuffer()).toString('base64')
  }
  return json
}

function expectStored(answer: StowAnswer, ...stored: { uid: string; url: string }[]): void {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  const items = answer.body['00081199'].Value
  expect(items).toEqual(
    storeModule({
      stored: stored.map(({ uid, url }) => ({ sopInstanceUID: uid, url })),
    })['00081199']?.Value,
  )
}

describe('Metadata and bulk data as one request (PS3.18 10.5.1.4, 8.6.1.2)', () => {
  test('ST-M3, MB-2, MB-6: metadata and pixel data become a file that says the same', async () => {
    const one = instance()
    expectStored(await post([jsonPart(one.json), bulkPart('pixels', pixels)]), one)
    const read = readInstance(await fileOf(one.url))
    expect(read.transferSyntaxUID).toBe('1.2.840.10008.1.2.1')
    expect(await metadataBack(one.url)).toEqual({
      ...one.json,
      '7FE00010': { vr: 'OW', InlineBinary: pixels.toString('base64') },
    })
  })

  test('ST-M4, MB-1: XML has a part for each instance', async () => {
    const two = [instance(), instance({ '7FE00010': { vr: 'OW', BulkDataURI: 'others' } })] as const
    const others = Buffer.from(pixels).reverse()
    const answer = await post(
      [
        { contentType: 'application/dicom+xml', body: xmlOf(two[0].json) },
        { contentType: 'application/dicom+xml; charset=utf-8', body: xmlOf(two[1].json) },
        bulkPart('others', others),
        bulkPart('pixels', pixels),
      ],
      xmlRequest,
    )
    expectStored(answer, ...two)
    for (const [one, bytes] of [[two[0], pixels] as const, [two[1], others] as const]) {
      expect(await metadataBack(one.url)).toEqual({
        ...one.json,
        '7FE00010': { vr: 'OW', InlineBinary: bytes.toString('base64') },
      })
    }
  })

  test('MB-1, AT-01: one array has the metadata of all instances, and all are there at once', async () => {
    const first = instance()
    const all = Array.from({ length: 60 }, (_, index) => {
      const uid = uniqueUID()
      const json: DicomJson = {
        ...first.json,
        '00080018': { vr: 'UI', Value: [uid] },
        '7FE00010': { vr: 'OW', BulkDataURI: `pixels/${index}` },
      }
      return { uid, json, url: first.url.replace(first.uid, uid) }
    })
    const bulk = all.map((_, index) => bulkPart(`pixels/${index}`, Buffer.alloc(512, index)))
    const answer = await post([jsonPart(...all.map((one) => one.json)), ...bulk.reverse()])
    expectStored(answer, ...all)
    expect(await storedIn(server, first.study)).toHaveLength(60)
    const last = readInstance(await fileOf((all[59] as { url: string }).url))
    expect(last.sopInstanceUID).toBe(all[59]?.uid)
    expect((await fileOf((all[59] as { url: string }).url)).subarray(-512)).toEqual(
      Buffer.alloc(512, 59),
    )
  })

  test.each([
    ['relative', 'bulk/1', 'bulk/1'],
    ['absolute', 'http://archive.example/bulk/1', 'http://archive.example/bulk/1'],
    ['of another scheme', 'urn:uuid:7', 'urn:uuid:7'],
    [
      'relative and absolute',
      './1?x=%20',
      () => `${sender.studies.replace(/studies$/, '')}1?x=%20`,
    ],
    ['no URL at all', 'http://[', 'http://['],
  ])('MB-2: a location may be %s', async (_, uri, location) => {
    const one = instance({ '7FE00010': { vr: 'OW', BulkDataURI: uri } })
    const at = typeof location === 'string' ? location : location()
    expectStored(await post([jsonPart(one.json), bulkPart(at, pixels)]), one)
  })

  test('MB-3: bulk data may come before the metadata that refer to them', async () => {
    const one = instance()
    expectStored(await post([bulkPart('pixels', pixels), jsonPart(one.json)]), one)
  })

  test('two instances may refer to the same part', async () => {
    const two = [instance(), instance()] as const
    const answer = await post([jsonPart(two[0].json, two[1].json), bulkPart('pixels', pixels)])
    expectStored(answer, ...two)
  })

  test('ST-M5: metadata alone, with everything inline', async () => {
    for (const [type, write] of [
      ['application/dicom+json', (json: DicomJson) => JSON.stringify([json])],
      ['application/dicom+json; charset=UTF-8', (json: DicomJson) => JSON.stringify(json, null, 2)],
      ['application/dicom+xml', xmlOf],
    ] as const) {
      const inline = { vr: 'OW', InlineBinary: pixels.toString('base64') }
      const one = instance({ '7FE00010': inline })
      expectStored(await sender.post(type, Buffer.from(write(one.json))), one)
      expect((await metadataBack(one.url))['7FE00010']).toEqual(inline)
    }
  })

  test('bulk data of other attributes, inside sequences too, and of text', async () => {
    const one = instance({
      '00081115': {
        vr: 'SQ',
        Value: [
          { '00091010': { vr: 'OB', BulkDataURI: 'b' }, '00090010': { vr: 'LO', Value: ['X'] } },
        ],
      },
      '00420010': { vr: 'ST', BulkDataURI: 'text' },
    })
    const answer = await post([
      jsonPart(one.json),
      bulkPart('text', Buffer.from('grün')),
      bulkPart('b', Buffer.from([1, 2, 3])),
      bulkPart('pixels', pixels),
    ])
    expectStored(answer, one)
    const json = await metadataBack(one.url)
    expect(json['00420010']).toEqual({ vr: 'ST', Value: ['grün'] })
    expect(json['00080005']).toEqual({ vr: 'CS', Value: ['ISO_IR 192'] })
    // Padded to an even length (PS3.5 7.1.1; JS-25).
    expect(json['00081115']?.Value).toMatchObject([{ '00091010': { InlineBinary: 'AQIDAA==' } }])
  })

  test('MB-10: group 0002 of the metadata is ignored', async () => {
    const one = instance({
      '00020002': { vr: 'UI', Value: ['1.2.3'] },
      '00020010': { vr: 'UI', Value: ['1.2.840.10008.1.2.4.50'] },
    })
    expectStored(await post([jsonPart(one.json), bulkPart('pixels', pixels)]), one)
    expect(readInstance(await fileOf(one.url)).transferSyntaxUID).toBe('1.2.840.10008.1.2.1')
  })

  test('AT-05: the same request again is success, and stores nothing', async () => {
    const one = instance()
    const parts = [jsonPart(one.json), bulkPart('pixels', pixels)]
    expectStored(await post(parts), one)
    const digest = await fileOf(one.url)
    const segments = segmentsOf(server)
    expectStored(await post(parts), one)
    expect(await fileOf(one.url)).toEqual(digest)
    expect(segmentsOf(server)).toEqual(segments)
  })

  test('MB-7: a document comes in its own type, or as octets', async () => {
    for (const type of ['application/pdf', 'application/octet-stream']) {
      const { '7FE00010': _, ...rest } = instance().json
      const one = instance()
      const json: DicomJson = {
        ...rest,
        '00080018': { vr: 'UI', Value: [one.uid] },
        '0020000D': { vr: 'UI', Value: [one.study] },
        '0020000E': { vr: 'UI', Value: [one.series] },
        '00420011': { vr: 'OB', BulkDataURI: 'document' },
        '00420012': { vr: 'LO', Value: ['application/pdf'] },
      }
      const pdf = Buffer.from('%PDF-1.7 of nobody ')
      expectStored(await post([jsonPart(json), bulkPart('document', pdf, type)]), one)
      const file = await fileOf(one.url)
      expect(file.indexOf(pdf)).toBeGreaterThan(0)
      expect(file.length % 2).toBe(0)
    }
  })
})

/** The fragments of encapsulated Pixel Data at the end of a file, the Basic Offset Table first. */
function fragmentsOf(file: Buffer): Buffer[] {
  const fragments: Buffer[] = []
  let at =
    file.indexOf(Buffer.from([0xe0, 0x7f, 0x10, 0, 0x4f, 0x42, 0, 0, 255, 255, 255, 255])) + 12
  expect(at).toBeGreaterThan(12)
  while (file.readUInt32LE(at) === 0xe000fffe) {
    const length = file.readUInt32LE(at + 4)
    fragments.push(file.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  expect(file.subarray(at).toString('hex')).toBe('feffdde000000000')
  return fragments
}

describe('Compressed pixel data (MB-8)', () => {
  const jpeg = Buffer.from('ffd8ffc0000b080010001001011100ffd9', 'hex')

  test.each([
    ['image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.50'],
    ['image/jls', '1.2.840.10008.1.2.4.80'],
    ['image/jp2; transfer-syntax="1.2.840.10008.1.2.4.91"', '1.2.840.10008.1.2.4.91'],
    ['image/dicom-rle', '1.2.840.10008.1.2.5'],
    ['image/jphc', '1.2.840.10008.1.2.4.201'],
    ['video/mp4', '1.2.840.10008.1.2.4.102'],
    ['application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.57', '1.2.840.10008.1.2.4.57'],
  ])('MB-8: %s is encapsulated unchanged as %s', async (type, transferSyntaxUID) => {
    const one = instance()
    expectStored(await post([jsonPart(one.json), bulkPart('pixels', jpeg, type)]), one)
    const file = await fileOf(one.url)
    expect(readInstance(file).transferSyntaxUID).toBe(transferSyntaxUID)
    expect(fragmentsOf(file)).toEqual([Buffer.alloc(0), Buffer.concat([jpeg, Buffer.alloc(1)])])
    expect((await metadataBack(one.url))['7FE00010']?.vr).toBe('OB')
  })

  test.each([
    ['baseline', 'ffd8 ffe00004abcd ffc0000b080010001001011100 ffda0008010100003f00', '50'],
    ['extended', 'ffd8 ffc1000b0c0010001001011100', '51'],
    ['lossless, predictor 1', 'ffd8 ffc3000b100010001001011100 ffda0008010100010000', '70'],
    ['lossless, predictor 6', 'ffd8 ffc3000b100010001001011100 ffda0008010100060000', '57'],
    ['none that can be seen', 'ffd8', '70'],
  ])(
    'image/jpeg without a transfer syntax, %s, is labelled by its process',
    async (_, hex, uid) => {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
      const one = instance()
      expectStored(await post([jsonPart(one.json), bulkPart('pixels', bytes, 'image/jpeg')]), one)
      const { transferSyntaxUID } = readInstance(await fileOf(one.url))
      expect(transferSyntaxUID).toBe(`1.2.840.10008.1.2.4.${uid}`)
    },
  )

  test('MB-8: frames come a part each, in any order, and get a Basic Offset Table', async () => {
    const one = instance({ '00280008': { vr: 'IS', Value: [3] } })
    const frame = (number: number) => Buffer.from([0xff, 0xd8, number])
    const type = 'image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50'
    const parts = [3, 1, 2].map((number) =>
      bulkPart(`pixels/frames/${number}`, frame(number), type),
    )
    expectStored(await post([jsonPart(one.json), ...parts]), one)
    const [table, ...frames] = fragmentsOf(await fileOf(one.url))
    expect(frames).toEqual(
      [1, 2, 3].map((number) => Buffer.concat([frame(number), Buffer.alloc(1)])),
    )
    expect([0, 4, 8].map((at) => table?.readUInt32LE(at))).toEqual([0, 12, 24])
  })

  test('frames that are not compressed are joined', async () => {
    const one = instance({ '00280008': { vr: 'IS', Value: [2] } })
    const parts = [1, 2].map((n) => bulkPart(`pixels/frames/${n}`, Buffer.alloc(512, n)))
    expectStored(await post([jsonPart(one.json), ...parts]), one)
    const file = await fileOf(one.url)
    expect(file.subarray(-1024)).toEqual(
      Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(512, 2)]),
    )
  })

  test.each([
    'image/png',
    'image/gif',
    'text/plain',
    'image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.90',
    'application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2',
    'application/octet-stream; transfer-syntax=1.2.3',
  ])('%s cannot be pixel data: 415, and nothing is stored', async (type) => {
    const one = instance()
    expectProblem(await post([jsonPart(one.json), bulkPart('pixels', pixels, type)]), 415)
    expect(await storedIn(server, one.study)).toEqual([])
  })

  test('MB-8: as many frames as Number of Frames says, in one transfer syntax', async () => {
    const type = (uid: string) => `image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.${uid}`
    for (const parts of [
      [bulkPart('pixels/frames/1', jpeg, type('50'))],
      [bulkPart('pixels', jpeg, type('50'))],
      [
        bulkPart('pixels/frames/1', jpeg, type('50')),
        bulkPart('pixels/frames/2', jpeg, type('70')),
      ],
      [bulkPart('pixels', jpeg, type('50')), bulkPart('pixels/frames/1', jpeg, type('50'))],
    ]) {
      const one = instance({ '00280008': { vr: 'IS', Value: [2] } })
      expectRefused(await post([jsonPart(one.json), ...parts]), [[one.uid, 0xc000]])
    }
  })
})

/** 409 with these instances and reasons, and nothing else. */
function expectRefused(
  answer: StowAnswer,
  failed: [sopInstanceUID: string, reason: number][],
): void {
  expect(answer.status, JSON.stringify(answer.body)).toBe(409)
  expect(answer.body).toEqual(
    storeModule({ failed: failed.map(([sopInstanceUID, reason]) => ({ sopInstanceUID, reason })) }),
  )
}

describe('Metadata and bulk data that cannot be stored', () => {
  test('MB-4: a reference without a part, or with two, is a failure of its instance', async () => {
    const one = instance()
    const other = instance({ '7FE00010': { vr: 'OW', BulkDataURI: 'missing' } })
    const parts = [jsonPart(one.json, other.json), bulkPart('pixels', pixels)]
    expectRefused(await post(parts), [
      [one.uid, 0xc0ff],
      [other.uid, 0xc000],
    ])
    const again = [jsonPart(one.json), bulkPart('pixels', pixels), bulkPart('pixels', pixels)]
    expectRefused(await post(again), [[one.uid, 0xc000]])
    expect(await storedIn(server, one.study)).toEqual([])
    const lenient = await sender.post(jsonRequest, bodyOf(parts), { prefer: 'handling=lenient' })
    expect(lenient.status).toBe(202)
    expect(await storedIn(server, one.study)).toEqual([one.uid])
  })

  test('MB-4: a part that nothing refers to is 400, also one without a location', async () => {
    const one = instance()
    for (const extra of [
      bulkPart('other', pixels),
      { contentType: 'application/octet-stream', body: pixels },
    ]) {
      const answer = await post([jsonPart(one.json), bulkPart('pixels', pixels), extra])
      expectProblem(answer, 400)
      expect(answer.body.detail).toContain('part 3')
    }
    expect(await storedIn(server, one.study)).toEqual([])
  })

  test('MB-5: what a reference points to is never fetched', async () => {
    let asked = 0
    const foreign = createServer((_, answer) => {
      asked++
      answer.end()
    })
    await new Promise<void>((listening) => foreign.listen(0, '127.0.0.1', listening))
    const { port } = foreign.address() as AddressInfo
    const one = instance({
      '7FE00010': { vr: 'OW', BulkDataURI: `http://127.0.0.1:${port}/pixels` },
    })
    expectRefused(await post([jsonPart(one.json)]), [[one.uid, 0xc000]])
    const stored = instance()
    expectStored(await post([jsonPart(stored.json), bulkPart('pixels', pixels)]), stored)
    const own = (await (await fetch(`${stored.url}/metadata`)).json())[0]['7FE00010']
    const copy = instance({ '7FE00010': own })
    expectRefused(await post([jsonPart(copy.json)]), [[copy.uid, 0xc000]])
    expect(asked).toBe(0)
    foreign.close()
  })

  test('MB-6: a length that is no multiple of the words, or text that is no UTF-8', async () => {
    const odd = instance()
    expectRefused(await post([jsonPart(odd.json), bulkPart('pixels', pixels.subarray(1))]), [
      [odd.uid, 0xc000],
    ])
    const text = instance({ '00420010': { vr: 'ST', BulkDataURI: 'text' } })
    const parts = [bulkPart('pixels', pixels), bulkPart('text', Buffer.from([0x67, 0xfc]))]
    expectRefused(await post([jsonPart(text.json), ...parts]), [[text.uid, 0x0106]])
  })

  test('MB-7: a document of another type than its data set says', async () => {
    const one = instance({
      '00420011': { vr: 'OB', BulkDataURI: 'document' },
      '00420012': { vr: 'LO', Value: ['application/pdf'] },
    })
    const parts = [bulkPart('pixels', pixels), bulkPart('document', pixels, 'text/xml')]
    expectRefused(await post([jsonPart(one.json), ...parts]), [[one.uid, 0xc000]])
  })

  test.each<[string, DicomJson, number]>([
    ['DV-09: no Study Instance UID', { '0020000D': undefined as never }, 0x0120],
    ['DV-10: an empty Series Instance UID', { '0020000E': { vr: 'UI' } }, 0x0121],
    [
      'DV-11: a Study Instance UID that is none',
      { '0020000D': { vr: 'UI', Value: ['1.02'] } },
      0x0106,
    ],
    [
      'DV-13: two Series Instance UIDs',
      { '0020000E': { vr: 'UI', Value: ['1.2', '1.3'] } },
      0xa900,
    ],
    ['DV-23: a DICOMDIR', { '00080016': { vr: 'UI', Value: ['1.2.840.10008.1.3.10'] } }, 0x0122],
    ['JS-27: an unknown VR', { '00091001': { vr: 'ZZ', Value: ['1'] } }, 0xc000],
    [
      'JS-03: two ways to say a value',
      { '00091001': { vr: 'OB', Value: [], InlineBinary: '' } },
      0xc000,
    ],
    ['JS-13: a number beyond its VR', { '00280010': { vr: 'US', Value: [65536] } }, 0x0106],
    [
      'DV-24: an Accession Number of 70,000 characters',
      { '00080050': { vr: 'SH', Value: ['A'.repeat(70_000)] } },
      0xa700,
    ],
  ])('%s', async (_, changes, reason) => {
    const one = instance(changes)
    const answer = await post([jsonPart(one.json), bulkPart('pixels', pixels)])
    expect(answer.status, JSON.stringify(answer.body)).toBe(409)
    const [item] = answer.body['00081198'].Value
    expect(item['00081155'].Value).toEqual([one.uid])
    expect(item['00081197'].Value).toEqual([reason])
  })

  test('DV-09: without SOP Instance UID the failure is told by its reason alone', async () => {
    const { '00080018': _, ...json } = instance().json
    const answer = await post([jsonPart(json), bulkPart('pixels', pixels)])
    expect(answer.status).toBe(409)
    expect(answer.body).toEqual(storeModule({ others: [0x0120] }))
  })

  test('DV-14: an instance of another study than the path', async () => {
    const one = instance()
    const parts = [jsonPart(one.json), bulkPart('pixels', pixels)]
    const answer = await post(parts, jsonRequest, `${sender.studies}/1.2.3`)
    expectRefused(answer, [[one.uid, 0xa901]])
    expectStored(await post(parts, jsonRequest, `${sender.studies}/${one.study}`), one)
  })

  test.each<[string, string, (json: DicomJson) => RequestPart[], number]>([
    ['JS-02: metadata that are no array', jsonRequest, () => [{ ...jsonPart(), body: '"x"' }], 400],
    ['no instance', jsonRequest, () => [jsonPart()], 400],
    [
      'an array that is cut',
      jsonRequest,
      (json) => [{ ...jsonPart(), body: `[${JSON.stringify(json)}` }],
      400,
    ],
    [
      'an array with a comma too many',
      jsonRequest,
      (json) => [{ ...jsonPart(), body: `[${JSON.stringify(json)},]` }],
      400,
    ],
    ['JSON that is none', jsonRequest, () => [{ ...jsonPart(), body: '[{"00080016":}]' }], 400],
    [
      'bytes that are not UTF-8',
      jsonRequest,
      () => [
        {
          ...jsonPart(),
          body: Buffer.from([0x5b, 0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x5d]),
        },
      ],
      400,
    ],
    ['no metadata', jsonRequest, () => [bulkPart('pixels', pixels)], 400],
    ['MB-1: two parts of JSON', jsonRequest, (json) => [jsonPart(json), jsonPart(json)], 400],
    [
      'XML that is none',
      xmlRequest,
      () => [{ contentType: 'application/dicom+xml', body: '<a>' }],
      400,
    ],
    [
      'XML for JSON',
      jsonRequest,
      (json) => [{ contentType: 'application/dicom+xml', body: xmlOf(json) }],
      415,
    ],
    [
      'a file for metadata',
      jsonRequest,
      () => [{ contentType: 'application/dicom', body: pixels }],
      415,
    ],
    [
      'MP-30: multipart inside',
      jsonRequest,
      (json) => [jsonPart(json), bulkPart('pixels', pixels, 'multipart/related; boundary=x')],
      415,
    ],
    [
      'MP-17: a later part without a type',
      jsonRequest,
      (json) => [jsonPart(json), { location: 'pixels', body: pixels }],
      415,
    ],
    [
      'MP-22: base64',
      jsonRequest,
      (json) => [
        jsonPart(json),
        { ...bulkPart('pixels', pixels), headers: { 'Content-Transfer-Encoding': 'base64' } },
      ],
      415,
    ],
    [
      'MP-21: another length than declared',
      jsonRequest,
      (json) => [
        jsonPart(json),
        { ...bulkPart('pixels', pixels), headers: { 'Content-Length': '511' } },
      ],
      400,
    ],
    [
      'another digest than declared',
      jsonRequest,
      (json) => [
        jsonPart(json),
        { ...bulkPart('pixels', pixels), headers: { 'Content-Digest': 'sha-256=:AAAA:' } },
      ],
      400,
    ],
    [
      'another charset',
      jsonRequest.replace('json"', 'json; charset=latin1"'),
      (json) => [jsonPart(json), bulkPart('pixels', pixels)],
      415,
    ],
    [
      'MP-10: a start that names no part',
      `${jsonRequest}; start="<x>"`,
      (json) => [jsonPart(json), bulkPart('pixels', pixels)],
      400,
    ],
  ])('%s', async (_, contentType, parts, status) => {
    const one = instance()
    expectProblem(await post(parts(one.json), contentType), status)
    expect(await storedIn(server, one.study)).toEqual([])
  })

  test('MP-10: start names the metadata by Content-ID; MP-17: the first part needs no type', async () => {
    const one = instance()
    const root = { body: JSON.stringify([one.json]), headers: { 'Content-ID': '<root>' } }
    const parts = [root, bulkPart('pixels', pixels)]
    expectStored(await post(parts, `${jsonRequest}; start="<root>"`), one)
  })

  test('MP-26: a body that is cut leaves nothing, however much of it waited', async () => {
    const segments = segmentsOf(server)
    const one = instance()
    const body = bodyOf([jsonPart(one.json), bulkPart('pixels', Buffer.alloc(5_000_000))])
    expectProblem(await sender.post(jsonRequest, body.subarray(0, -40)), 400)
    expect(await storedIn(server, one.study)).toEqual([])
    await expect.poll(() => segmentsOf(server)).toEqual(segments)
  })

  test('bulk data that waited are given back with the commit', async () => {
    const before = new Set(segmentsOf(server))
    const one = instance({
      '00280010': { vr: 'US', Value: [2048] },
      '00280011': { vr: 'US', Value: [2048] },
    })
    const large = randomBytes(2 * 2048 * 2048)
    expectStored(await post([bulkPart('pixels', large), jsonPart(one.json)]), one)
    expect((await fileOf(one.url)).subarray(-large.length).equals(large)).toBe(true)
    await expect.poll(() => segmentsOf(server).filter((name) => !before.has(name))).toHaveLength(1)
  })
})

test('nothing of a patient is in answers, logs or names', async () => {
  expectNoPatientData(...(await leftBehindBy(server)))
})
