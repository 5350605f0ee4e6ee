import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DicomElement, explicitLittleEndian, uniqueUID } from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  codeStreams,
  frame,
  image,
  imageWith,
  jpegLS,
  mpeg4,
  pixels,
  retrieve,
  rle,
  type Stored,
  size,
  store,
} from './pictures.ts'

const base = '1.2.840.10008.1.2'
const octets = 'application/octet-stream'
const multipartOctets = `multipart/related; type="${octets}"`

let server: StowageServer

beforeAll(async () => {
  server = await startServer()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

type Model = Record<string, { BulkDataURI?: string; Value?: Model[] }>

async function modelOf({ url }: Stored): Promise<Model> {
  const [model] = (await (await fetch(`${url}/metadata`)).json()) as Model[]
  return model as Model
}

/** As many bytes as a picture of its size would have uncompressed, and more. */
const stream = Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 37) % 251))

describe('A video (PS3.18 8.7.3, PS3.5 8.2.5)', () => {
  const fragments = [stream, stream.subarray(0, 50)]
  let video: Stored

  beforeAll(async () => {
    const options = { ...size, numberOfFrames: 30, transferSyntaxUID: mpeg4, elements: image }
    video = await store(server, { ...options, pixelBytes: fragments })
  })

  test.each([
    ['video/mp4', 'video/mp4'],
    ['*/*', 'multipart/related; type="video/mp4"'],
    ['multipart/related; type="video/mp4"', 'multipart/related; type="video/mp4"'],
    [`${octets}; transfer-syntax=*`, octets],
  ])('of many frames is one stream by its BulkDataURI: %s (WA-R4)', async (accept, expected) => {
    const uri = (await modelOf(video))['7FE00010']?.BulkDataURI as string
    for (const url of [uri, `${video.url}/pixeldata`]) {
      const { status, type, body } = await retrieve(url, accept)
      expect(status, body.toString()).toBe(200)
      expect(type.startsWith(expected), type).toBe(true)
      const bytes = type.startsWith('multipart') ? partsOf(type, body)[0]?.bytes : body
      expect(bytes).toEqual(Buffer.concat(fragments))
    }
  })

  test('is given to who asks in the address for video/mp4', async () => {
    for (const url of [`${video.url}/pixeldata`, (await modelOf(video))['7FE00010']?.BulkDataURI]) {
      const { status, type, body } = await retrieve(`${url}?accept=video/mp4`, '*/*')
      expect(status, body.toString()).toBe(200)
      expect(type).toBe(`video/mp4; transfer-syntax=${mpeg4}`)
      expect(body).toEqual(Buffer.concat(fragments))
    }
  })

  test('has no frames that could be told apart, and no picture', async () => {
    for (const path of ['/frames/1', '/rendered', '/thumbnail']) {
      expect((await retrieve(video.url + path)).status, path).toBe(406)
    }
  })

  test('comes with the bulk data of its study as stored, to who takes any transfer syntax', async () => {
    const any = await retrieve(`${video.study}/bulkdata`, `${multipartOctets}; transfer-syntax=*`)
    expect(any.status, any.body.toString()).toBe(200)
    const [part] = partsOf(any.type, any.body)
    expect(part?.headers['content-type']).toBe(`${octets}; transfer-syntax=${mpeg4}`)
    expect(part?.bytes).toEqual(Buffer.concat(fragments))
    expect((await retrieve(`${video.study}/bulkdata`, multipartOctets)).status).toBe(406)
  })
})

describe('What no codec here decodes (WA-R6)', () => {
  const eightBits = imageWith(
    { tag: '00280100', vr: 'US', value: 8 },
    { tag: '00280101', vr: 'US', value: 8 },
    { tag: '00280102', vr: 'US', value: 7 },
  )
  test.each([
    ['JPEG XL', `${base}.4.110`],
    ['JPEG 2000 part 2', `${base}.4.92`],
    ['a retired JPEG process', `${base}.4.55`],
    ['a video of one frame', mpeg4],
  ])('is never shown as if it were pixels: %s', async (_, transferSyntaxUID) => {
    const options = { rows: 4, columns: 6, transferSyntaxUID, elements: eightBits }
    const { url } = await store(server, { ...options, pixelBytes: [stream] })
    for (const path of ['/rendered', '/thumbnail', '/frames/1/rendered']) {
      const { status, body } = await retrieve(url + path)
      expect(status, path).toBe(406)
      expect(body.toString()).toContain('cannot be rendered')
    }
  })
})

test.each([
  ['Encapsulated uncompressed', `${base}.1.98`, (pixels: Buffer) => pixels],
  ['Deflated', `${base}.8.1`, (pixels: Buffer) => padded(deflateRawSync(pixels))],
])(
  '%s image frames are pixels: as frames, in a file, as a picture (WA-N11)',
  async (_, transferSyntaxUID, encode) => {
    const { url } = await store(server, {
      ...size,
      transferSyntaxUID,
      pixelBytes: [1, 2, 3].map((number) => encode(frame(number))),
      elements: image,
    })
    const frames = await retrieve(`${url}/frames/1,2,3`, multipartOctets)
    expect(frames.status, frames.body.toString()).toBe(200)
    const parts = partsOf(frames.type, frames.body)
    expect(parts.map(({ headers }) => headers['content-type'])).toEqual(
      Array(3).fill(`${octets}; transfer-syntax=${explicitLittleEndian}`),
    )
    expect(parts.map(({ bytes }) => bytes)).toEqual([1, 2, 3].map(frame))
    const file = await retrieve(url, `application/dicom; transfer-syntax=${explicitLittleEndian}`)
    expect(file.status).toBe(200)
    expect(file.body.subarray(-pixels.length)).toEqual(pixels)
    expect((await retrieve(`${url}/frames/2/rendered`, 'image/png')).status).toBe(200)
  },
)

test('Frames of one bit a pixel follow each other without a gap when they are decoded (PS3.5 8.1.1)', async () => {
  // 3 x 3 ones, then all but the first one.
  const frames = [Buffer.from([0xff, 0x01]), Buffer.from([0xfe, 0x01])]
  const { url } = await store(server, {
    rows: 3,
    columns: 3,
    numberOfFrames: 2,
    transferSyntaxUID: `${base}.8.1`,
    pixelBytes: frames.map((bytes) => padded(deflateRawSync(bytes))),
    elements: imageWith(
      { tag: '00280100', vr: 'US', value: 1 },
      { tag: '00280101', vr: 'US', value: 1 },
      { tag: '00280102', vr: 'US', value: 0 },
    ),
  })
  const packed = Buffer.from([0xff, 0xfd, 0x03])
  const file = await retrieve(url, `application/dicom; transfer-syntax=${explicitLittleEndian}`)
  expect(file.status).toBe(200)
  expect(file.body.subarray(-4)).toEqual(Buffer.concat([packed, Buffer.alloc(1)]))
  const { type, body } = await retrieve(`${url}/pixeldata`, multipartOctets)
  expect(partsOf(type, body)[0]?.bytes).toEqual(packed)
  const single = await retrieve(`${url}/frames/2`, octets)
  expect(single.body).toEqual(frames[1])
})

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)])
}

describe('Pixel data of an item: Icon Image Sequence (PS3.3 C.7.6.1.1.6)', () => {
  const iconPixels = frame(2)
  const icon = (value: Uint8Array): DicomElement => ({
    tag: '00880200',
    vr: 'SQ',
    items: [
      [
        { tag: '00280002', vr: 'US', value: 1 },
        { tag: '00280004', vr: 'CS', value: 'MONOCHROME2' },
        { tag: '00280010', vr: 'US', value: size.rows },
        { tag: '00280011', vr: 'US', value: size.columns },
        { tag: '00280100', vr: 'US', value: 16 },
        { tag: '00280101', vr: 'US', value: 16 },
        { tag: '00280102', vr: 'US', value: 15 },
        { tag: '00280103', vr: 'US', value: 0 },
        { tag: '7FE00010', vr: 'OB', value },
      ],
    ],
  })
  let stored: Stored
  let streams: Buffer[]

  beforeAll(async () => {
    streams = await codeStreams(jpegLS)
    stored = await store(server, {
      ...size,
      transferSyntaxUID: jpegLS,
      pixelBytes: streams,
      elements: imageWith(icon(streams[1] as Buffer)),
    })
  })

  async function iconURI(): Promise<string> {
    const [item] = (await modelOf(stored))['00880200']?.Value ?? []
    return item?.['7FE00010']?.BulkDataURI as string
  }

  test('is its code stream, or its pixels, by its BulkDataURI (WA-R4, WA-S11)', async () => {
    const asStored = await retrieve(await iconURI(), 'image/jls')
    expect(asStored.status, asStored.body.toString()).toBe(200)
    expect(asStored.type).toBe(`image/jls; transfer-syntax=${jpegLS}`)
    expect(asStored.body).toEqual(streams[1])
    const decoded = await retrieve(await iconURI(), octets)
    expect(decoded.type).toBe(`${octets}; transfer-syntax=${explicitLittleEndian}`)
    expect(decoded.body).toEqual(iconPixels)
  })

  test('is decoded in the bulk data of its instance', async () => {
    const { status, type, body } = await retrieve(`${stored.url}/bulkdata`, multipartOctets)
    expect(status).toBe(200)
    const ofIcon = partsOf(type, body).find(({ headers }) =>
      headers['content-location']?.includes('00880200'),
    )
    expect(ofIcon?.bytes).toEqual(iconPixels)
  })

  test('is decoded with its image where a file is (PS3.5 A.2)', async () => {
    const decoded = await retrieve(
      stored.url,
      `application/dicom; transfer-syntax=${explicitLittleEndian}`,
    )
    expect(decoded.status, decoded.body.toString('latin1')).toBe(200)
    expect(decoded.body.includes(streams[1] as Buffer)).toBe(false)
    expect(decoded.body.includes(iconPixels)).toBe(true)
    // What was decoded can be stored, and is read as it should be.
    const copy = await reStored(decoded.body)
    const [item] = (await modelOf(copy))['00880200']?.Value ?? []
    const again = await retrieve(item?.['7FE00010']?.BulkDataURI as string, octets)
    expect(again.body).toEqual(iconPixels)
  })

  test('of a colour icon says how its pixels are written now', async () => {
    const planes = Buffer.from(Array.from({ length: 72 }, (_, index) => index * 3))
    const colour: DicomElement = {
      tag: '00880200',
      vr: 'SQ',
      items: [
        [
          { tag: '00280002', vr: 'US', value: 3 },
          { tag: '00280004', vr: 'CS', value: 'RGB' },
          { tag: '00280006', vr: 'US', value: 1 },
          { tag: '00280010', vr: 'US', value: size.rows },
          { tag: '00280011', vr: 'US', value: size.columns },
          { tag: '00280100', vr: 'US', value: 8 },
          { tag: '00280101', vr: 'US', value: 8 },
          { tag: '00280102', vr: 'US', value: 7 },
          { tag: '00280103', vr: 'US', value: 0 },
          { tag: '7FE00010', vr: 'OB', value: rleOfPlanes(planes) },
        ],
      ],
    }
    const grey = await codeStreams(rle)
    const { url } = await store(server, {
      ...size,
      transferSyntaxUID: rle,
      pixelBytes: grey,
      elements: imageWith(colour),
    })
    const decoded = await retrieve(
      url,
      `application/dicom; transfer-syntax=${explicitLittleEndian}`,
    )
    expect(decoded.status, decoded.body.toString('latin1')).toBe(200)
    const copy = await reStored(decoded.body)
    const [item] = (await modelOf(copy))['00880200']?.Value ?? []
    expect(item?.['00280006']?.Value).toEqual([0])
    const again = await retrieve(item?.['7FE00010']?.BulkDataURI as string, octets)
    const byPixel = Buffer.from(
      Array.from(
        { length: 72 },
        (_, index) => planes[(index % 3) * 24 + Math.floor(index / 3)] as number,
      ),
    )
    expect(again.body).toEqual(byPixel)
  })

  /** Three segments, each of one plane as literal runs (PS3.5 G). */
  function rleOfPlanes(planes: Buffer): Buffer {
    const head = Buffer.alloc(64)
    const segments = [0, 1, 2].map((plane) =>
      Buffer.concat([
        Buffer.from([23]),
        planes.subarray(plane * 24, plane * 24 + 24),
        Buffer.alloc(1),
      ]),
    )
    head.writeUInt32LE(3, 0)
    for (const plane of [0, 1, 2]) head.writeUInt32LE(64 + plane * 26, 4 + plane * 4)
    return Buffer.concat([head, ...segments])
  }

  /** The same file under another name. */
  async function reStored(file: Buffer): Promise<Stored> {
    const [, uid = ''] = /instances\/([\d.]+)/.exec(stored.url) ?? []
    const text = file.toString('latin1')
    const [old = ''] = text.match(/1\.2\.826\.0\.1\.3680043\.10\.1474\.[\d.]+/g)?.slice(0, 1) ?? []
    expect(old.length).toBeGreaterThan(0)
    // Of equal length, so that no length in the file changes.
    const fresh = old.replace(/\d$/, (digit) => String((Number(digit) + 5) % 10)).replace(/^1/, '2')
    const renamed = Buffer.from(text.replaceAll(old, fresh), 'latin1')
    const answer = await fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom', prefer: 'handling=lenient' },
      body: new Uint8Array(renamed),
    })
    const body = await answer.text()
    expect(answer.status, body).toBeLessThan(300)
    const url = /"(http[^"]*\/instances\/[\d.]+)"/.exec(body)?.[1] as string
    expect(uid).not.toBe('')
    return { url, study: '', file: renamed }
  }
})

describe('An image that is broken among good ones (WA-N13, WA-S2)', () => {
  const named = `multipart/related; type="application/dicom"; transfer-syntax=${explicitLittleEndian}`

  async function spoiltStudy(firstPixels: number): Promise<Stored> {
    const studyInstanceUID = uniqueUID()
    const series = (number: number) => `${studyInstanceUID}.${number}`
    const rows = Math.max(4, firstPixels)
    const good = await store(server, {
      studyInstanceUID,
      seriesInstanceUID: series(1),
      rows,
      columns: 256,
      elements: image,
    })
    await store(server, {
      studyInstanceUID,
      seriesInstanceUID: series(2),
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: `${base}.4.50`,
      pixelBytes: [Buffer.from('ffd8ffe0000400', 'hex'), Buffer.alloc(100, 7)],
      elements: image,
    })
    await store(server, {
      studyInstanceUID,
      seriesInstanceUID: series(3),
      ...size,
      pixelBytes: pixels,
      elements: image,
    })
    return good
  }

  test('does not keep them away: they come, and the status says that they are not all', async () => {
    const { study } = await spoiltStudy(4)
    for (const [path, accept, count] of [
      ['', named, 2],
      ['/bulkdata', multipartOctets, 2],
      ['/pixeldata', multipartOctets, 2],
      ['/rendered', 'multipart/related; type="image/jpeg"', 4],
    ] as const) {
      const { status, type, body } = await retrieve(study + path, accept)
      expect([path, status]).toEqual([path, 206])
      expect([path, partsOf(type, body).length]).toEqual([path, count])
    }
  })

  test('breaks an answer off that had begun as whole; the next one says that it is not', async () => {
    // More than is held back before the status goes out.
    const { study } = await spoiltStudy(2000)
    await expect(retrieve(study, named)).rejects.toThrow()
    const { status, type, body } = await retrieve(study, named)
    expect(status).toBe(206)
    expect(partsOf(type, body)).toHaveLength(2)
  })

  test('alone is 406', async () => {
    const { url, study } = await store(server, {
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: `${base}.4.50`,
      pixelBytes: [Buffer.alloc(100, 7)],
      elements: image,
    })
    expect((await retrieve(study, named)).status).toBe(406)
    expect((await retrieve(`${study}/bulkdata`, multipartOctets)).status).toBe(406)
    expect((await retrieve(`${study}/rendered`)).status).toBe(406)
    expect((await retrieve(url, '*/*')).status).toBe(200)
  })

  test('is passed over by the thumbnail of its study', async () => {
    const studyInstanceUID = uniqueUID()
    const broken = await store(server, {
      studyInstanceUID,
      seriesInstanceUID: `${studyInstanceUID}.1`,
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: `${base}.4.50`,
      pixelBytes: [Buffer.alloc(100, 7)],
      elements: image,
    })
    await store(server, {
      studyInstanceUID,
      seriesInstanceUID: `${studyInstanceUID}.2`,
      ...size,
      pixelBytes: pixels,
      elements: image,
    })
    expect((await retrieve(`${broken.study}/thumbnail`)).status).toBe(200)
    expect((await retrieve(`${broken.url}/thumbnail`)).status).toBe(406)
  })
})
