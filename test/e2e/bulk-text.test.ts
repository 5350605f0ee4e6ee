import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DicomElement,
  type DicomFileOptions,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  uniqueUID,
} from '../support/dicom-file.ts'
import type { DicomJson, DicomJsonElement } from '../support/dicom-reading.ts'
import { bodyOf, bulkPart, jsonPart, jsonRequest } from '../support/metadata-request.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { call } from './dicomweb.ts'

let server: StowageServer
let studies: string

beforeAll(async () => {
  server = await startServer()
  studies = `${server.dicomWeb}/studies`
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const octets = 'application/octet-stream'
const long = (text: string, bytes = 70_000) => text.repeat(Math.ceil(bytes / text.length))
const latin1 = (text: string) => Buffer.from(text, 'latin1')

/** Stores a file and gets its metadata. */
async function stored(
  elements: DicomElement[],
  options: DicomFileOptions = {},
): Promise<{ url: string; json: DicomJson }> {
  const study = uniqueUID()
  const file = dicomFile({
    studyInstanceUID: study,
    seriesInstanceUID: uniqueUID(),
    pixelBytes: null,
    ...options,
    elements,
  })
  expect((await stow(studies, [file])).status).toBe(200)
  return { url: `${studies}/${study}`, json: await metadataAt(`${studies}/${study}`) }
}

async function metadataAt(url: string): Promise<DicomJson> {
  return (await call(`${url}/metadata`)).body[0]
}

const uriOf = (element: DicomJsonElement | undefined) => element?.BulkDataURI as string

async function octetsAt(uri: string, headers: Record<string, string> = {}) {
  const response = await fetch(uri, { headers: { accept: octets, ...headers } })
  return { response, body: Buffer.from(await response.arrayBuffer()) }
}

describe('Text that became bulk data (PS3.18 Annex F; JS-18)', () => {
  const umlauts = long('ä')
  const textValue = (value: Uint8Array) => ({ tag: '0040A160', vr: 'UT', value })

  test.each([explicitLittleEndian, explicitBigEndian, implicitLittleEndian, deflatedLittleEndian])(
    'is UTF-8 as its metadata say, also of a file in %s',
    async (transferSyntaxUID) => {
      const { json } = await stored([textValue(latin1(umlauts))], {
        specificCharacterSet: 'ISO_IR 100',
        transferSyntaxUID,
        pixelBytes: 512,
      })
      expect(json['00080005']?.Value).toEqual(['ISO_IR 192'])
      const { response, body } = await octetsAt(uriOf(json['0040A160']))
      expect(response.status).toBe(200)
      expect(body.equals(Buffer.from(umlauts))).toBe(true)
    },
  )

  test('of several megabytes is decoded as it is read, characters of several bytes and all', async () => {
    const line = `\x1b$B;3ED\x1b(B and \x1b$BB@O:\x1b(B\r\n`
    const count = 100_000
    const { json } = await stored([textValue(latin1(line.repeat(count)))], {
      specificCharacterSet: '\\ISO 2022 IR 87',
    })
    const { body } = await octetsAt(uriOf(json['0040A160']))
    expect(body.equals(Buffer.from('山田 and 太郎\r\n'.repeat(count)))).toBe(true)
  })

  test('comes whole, without a length, and under a tag of its own', async () => {
    const { json } = await stored([textValue(latin1(umlauts))], {
      specificCharacterSet: 'ISO_IR 100',
    })
    const uri = uriOf(json['0040A160'])
    const { response, body } = await octetsAt(uri, { range: 'bytes=0-1' })
    expect(response.status).toBe(200)
    expect(response.headers.get('accept-ranges')).toBeNull()
    expect(body.length).toBe(140_000)
    const etag = response.headers.get('etag') as string
    expect((await octetsAt(uri, { 'if-none-match': etag })).response.status).toBe(304)
    const part = await fetch(uri)
    const [found] = partsOf(part.headers.get('content-type'), Buffer.from(await part.arrayBuffer()))
    expect(found?.headers['content-length']).toBeUndefined()
    expect(found?.bytes.equals(Buffer.from(umlauts))).toBe(true)
  })

  test.each([
    ['UTF-8', 'ISO_IR 192', Buffer.from(umlauts)],
    ['the default repertoire', undefined, Buffer.from(long('plain '))],
  ])('in %s is what it is in the file, with length and ranges', async (_, set, value) => {
    const { json } = await stored(
      [textValue(value)],
      set === undefined ? {} : { specificCharacterSet: set },
    )
    const uri = uriOf(json['0040A160'])
    const { response, body } = await octetsAt(uri)
    expect(response.headers.get('content-length')).toBe(String(value.length))
    expect(body.equals(value)).toBe(true)
    const range = await octetsAt(uri, { range: 'bytes=2-5' })
    expect(range.response.status).toBe(206)
    expect(range.body).toEqual(value.subarray(2, 6))
  })

  describe('in items with sets of their own', () => {
    const own = (set: string, value: Uint8Array): DicomElement[] => [
      { tag: '00080005', vr: 'CS', value: set },
      textValue(value),
    ]
    const elements = [
      { tag: '00080119', vr: 'UC', value: latin1(`${long('é', 35_000)}\\${long('ü', 35_000)}`) },
      {
        tag: '0040A730',
        vr: 'SQ',
        items: [
          own('ISO_IR 144', latin1(long('\xbb'))),
          own('ISO_IR 192', Buffer.from(long('я'))),
          [textValue(latin1(umlauts))],
          own('GB18030', Buffer.from(long('\xcd\xf5'), 'latin1')),
        ],
      },
      { tag: '00420011', vr: 'OB', value: Buffer.alloc(2000, 0xe4) },
    ]
    const texts = [long('Л'), long('я'), umlauts, long('王', 35_000)]

    test('each is decoded from the one that is in force for it', async () => {
      const { json } = await stored(elements, { specificCharacterSet: 'ISO_IR 100' })
      const items = json['0040A730']?.Value as DicomJson[]
      for (const [index, item] of items.entries()) {
        const { body } = await octetsAt(uriOf(item['0040A160']))
        expect(body.toString() === texts[index], `item ${index + 1}`).toBe(true)
      }
      const { body } = await octetsAt(uriOf(json['00080119']))
      expect(body.toString()).toBe(`${long('é', 35_000)}\\${long('ü', 35_000)}`)
    })

    test.each(['', '/bulkdata'])(
      'WA-R4: so are the parts of all bulk data (GET study%s)',
      async (path) => {
        const { url } = await stored(elements, { specificCharacterSet: 'ISO_IR 100' })
        const accept = `multipart/related; type="${octets}"`
        const response = await fetch(`${url}${path}`, { headers: { accept } })
        const parts = partsOf(
          response.headers.get('content-type'),
          Buffer.from(await response.arrayBuffer()),
        )
        const partsAt = (tag: string) =>
          parts.filter(({ headers }) => headers['content-location']?.includes(`${tag}/`))
        expect(partsAt('0040A160')).toHaveLength(4)
        expect(
          partsAt('0040A160').every(({ bytes }, index) => bytes.toString() === texts[index]),
        ).toBe(true)
        expect(partsAt('00420011')[0]?.bytes).toEqual(Buffer.alloc(2000, 0xe4))
        expect(partsAt('00420011')[0]?.headers['content-length']).toBe('2000')
      },
    )

    test('MB-2, JS-18: metadata and bulk data that were retrieved can be stored as they came', async () => {
      const { json } = await stored(elements, { specificCharacterSet: 'ISO_IR 100' })
      const study = uniqueUID()
      json['0020000D'] = { vr: 'UI', Value: [study] }
      json['0020000E'] = { vr: 'UI', Value: [uniqueUID()] }
      json['00080018'] = { vr: 'UI', Value: [uniqueUID()] }
      const sent = await withBulkData(json)
      const parts = [...sent.bulk].map(([uri, bytes]) => bulkPart(uri, bytes))
      const answer = await call(studies, {
        method: 'POST',
        headers: { 'content-type': jsonRequest },
        body: new Uint8Array(bodyOf([jsonPart(json), ...parts])),
      })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      const back = await withBulkData(await metadataAt(`${studies}/${study}`))
      expect(back.text === sent.text).toBe(true)
    })
  })
})

/** The bulk data of metadata by their URI, and the metadata with these in their place, but for padding (JS-17, JS-25). */
async function withBulkData(json: DicomJson) {
  const bulk = new Map<string, Buffer>()
  let text = JSON.stringify(json)
  for (const [, uri] of text.matchAll(/"BulkDataURI":"([^"]+)"/g)) {
    bulk.set(uri as string, (await octetsAt(uri as string)).body)
  }
  for (const [uri, bytes] of bulk) text = text.replace(uri, bytes.toString('latin1').trimEnd())
  return { text, bulk }
}
