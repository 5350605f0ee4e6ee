import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deflatedLittleEndian,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import {
  codeStreams,
  frame,
  image,
  jpegLS,
  mpeg4,
  pixels,
  retrieve,
  rle,
  type Stored,
  size,
  store,
} from './pictures.ts'

const octets = 'application/octet-stream'
const multipartOctets = `multipart/related; type="${octets}"`

let server: StowageServer
let native: Stored
let compressed: Stored
let streams: Buffer[]

beforeAll(async () => {
  server = await startServer()
  streams = await codeStreams(jpegLS)
  native = await store(server, { ...size, pixelBytes: pixels, elements: image })
  compressed = await store(server, {
    ...size,
    transferSyntaxUID: jpegLS,
    pixelBytes: streams,
    elements: image,
  })
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function framesAt(url: string, accept?: string): Promise<Buffer[]> {
  const { status, type, body } = await retrieve(url, accept)
  expect(status, body.toString()).toBe(200)
  return partsOf(type, body).map((part) => part.bytes)
}

describe('Retrieve frames (PS3.18 10.4.1.1.6)', () => {
  test('WA-R3, WA-S9, WA-S10, WA-S11: a list of frames is a part for each, in its order', async () => {
    const { status, type, body } = await retrieve(`${native.url}/frames/1,3`, multipartOctets)
    expect(status).toBe(200)
    expect(type).toMatch(/^multipart\/related; type="application\/octet-stream"; boundary=/)
    const parts = partsOf(type, body)
    expect(parts.map((part) => part.bytes)).toEqual([frame(1), frame(3)])
    expect(parts.map((part) => part.headers)).toEqual(
      [1, 3].map((number) => ({
        'content-type': `${octets}; transfer-syntax=${explicitLittleEndian}`,
        'content-location': `${native.url}/frames/${number}`,
      })),
    )
  })

  test('a single frame may come alone, with its length', async () => {
    const answer = await retrieve(`${native.url}/frames/2`, octets)
    expect(answer.type).toBe(`${octets}; transfer-syntax=${explicitLittleEndian}`)
    expect(answer.headers.get('content-length')).toBe(String(frame(2).length))
    expect(answer.body).toEqual(frame(2))
  })

  test('WA-N7: several frames never come as one part', async () => {
    expect((await retrieve(`${native.url}/frames/1,2`, octets)).status).toBe(406)
  })

  test.each([
    ['implicit VR', implicitLittleEndian],
    ['deflated', deflatedLittleEndian],
    ['big endian', explicitBigEndian],
  ])('WA-S11: frames of what was stored %s are little endian', async (_, transferSyntaxUID) => {
    const isBig = transferSyntaxUID === explicitBigEndian
    const pixelBytes = isBig ? Buffer.from(pixels).swap16() : pixels
    const { url } = await store(server, { ...size, transferSyntaxUID, pixelBytes, elements: image })
    expect(await framesAt(`${url}/frames/1,2,3`)).toEqual([1, 2, 3].map(frame))
    expect((await retrieve(`${url}/frames/3`, octets)).body).toEqual(frame(3))
  })

  test('big endian bytes in words come in order, also of a frame that begins inside a word', async () => {
    const odd = { rows: 1, columns: 3, numberOfFrames: 2 }
    const { url } = await store(server, {
      ...odd,
      transferSyntaxUID: explicitBigEndian,
      pixelBytes: Buffer.from([1, 2, 3, 4, 5, 6]).swap16(),
      elements: [...image, { tag: '00280100', vr: 'US', value: 8 }],
    })
    expect(await framesAt(`${url}/frames/1,2`)).toEqual([
      Buffer.from([1, 2, 3]),
      Buffer.from([4, 5, 6]),
    ])
  })

  test('frames of one bit a pixel begin where the last one ended, also inside a byte (PS3.5 8.1.1)', async () => {
    // Frames of 9 bits, lowest first: 1 0000 0001, 0 1000 0011, 1 1111 1111.
    const { url } = await store(server, {
      rows: 3,
      columns: 3,
      numberOfFrames: 3,
      pixelBytes: Buffer.from([0b00000001, 0b00000111, 0b11111101, 0b00000111]),
      elements: [...image, { tag: '00280100', vr: 'US', value: 1 }],
    })
    expect(await framesAt(`${url}/frames/1,2,3`)).toEqual([
      Buffer.from([0b00000001, 1]),
      Buffer.from([0b10000011, 0]),
      Buffer.from([0b11111111, 1]),
    ])
  })

  test.each(['0', '-1', 'a', '1,', '2,1', '1,1', '1.5', ',', '%20'])(
    'WA-S5: the list "%s" is 400',
    async (list) => {
      expect((await retrieve(`${native.url}/frames/${list}`)).status).toBe(400)
    },
  )

  test('WA-S6: a number beyond the last frame is 404 that says how many there are', async () => {
    const { status, body } = await retrieve(`${native.url}/frames/2,4`)
    expect(status).toBe(404)
    expect(JSON.parse(body.toString()).detail).toBe('Cannot retrieve frame 4: the instance has 3')
  })

  test('WA-S7: of an object without pixel data frames, pictures and pixel data are 404', async () => {
    const { url, study } = await store(server, { pixelBytes: null })
    for (const path of [
      '/frames/1',
      '/rendered',
      '/thumbnail',
      '/pixeldata',
      '/frames/1/rendered',
    ]) {
      expect((await retrieve(`${url}${path}`)).status, path).toBe(404)
    }
    expect((await retrieve(`${study}/rendered`)).status).toBe(404)
  })

  test('a file that holds fewer frames than it says has those that it holds', async () => {
    const { url } = await store(server, {
      ...size,
      pixelBytes: pixels.subarray(0, 100),
      elements: image,
    })
    expect(await framesAt(`${url}/frames/1,2`)).toEqual([frame(1), frame(2)])
    expect((await retrieve(`${url}/frames/3`)).status).toBe(404)
  })
})

describe('Compressed frames (PS3.18 8.7.3)', () => {
  const path = (list: string) => `${compressed.url}/frames/${list}`

  test.each([
    ['WA-N2 anything', '*/*', 'image/jls'],
    ['its type', 'multipart/related; type="image/jls"', 'image/jls'],
    ['its old name', 'multipart/related; type="image/x-jls"', 'image/x-jls'],
    ['WA-N10 octets in any syntax', `${multipartOctets}; transfer-syntax=*`, octets],
    ['WA-N9 octets in its syntax', `${multipartOctets}; transfer-syntax=${jpegLS}`, octets],
  ])('%s: the code streams alone, as stored', async (_, accept, root) => {
    const { type, body } = await retrieve(path('1,2,3'), accept)
    expect(type).toContain(`type="${root}"`)
    const parts = partsOf(type, body)
    expect(parts.map((part) => part.bytes)).toEqual(streams)
    for (const part of parts) {
      expect(part.headers['content-type']).toBe(`${root}; transfer-syntax=${jpegLS}`)
    }
  })

  test.each([
    ['WA-N11 octets', multipartOctets],
    [
      'WA-N9 octets in Explicit VR Little Endian',
      `${multipartOctets}; transfer-syntax=${explicitLittleEndian}`,
    ],
  ])('%s: decoded', async (_, accept) => {
    expect(await framesAt(path('1,3'), accept)).toEqual([frame(1), frame(3)])
    expect(
      (
        await retrieve(
          path('2'),
          accept.includes('syntax') ? `${octets}; transfer-syntax=${explicitLittleEndian}` : octets,
        )
      ).body,
    ).toEqual(frame(2))
  })

  test('what is not compressed comes compressed without loss to who asks for it', async () => {
    const { type, body } = await retrieve(
      `${native.url}/frames/1,2,3`,
      'multipart/related; type="image/jls"',
    )
    const made = partsOf(type, body).map((part) => part.bytes)
    const again = await store(server, {
      ...size,
      transferSyntaxUID: jpegLS,
      pixelBytes: made.map((bytes) => Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)])),
      elements: image,
    })
    expect(await framesAt(`${again.url}/frames/1,2,3`, multipartOctets)).toEqual(
      [1, 2, 3].map(frame),
    )
  })

  test('WA-N13: a syntax that cannot be made is 406, and it says what can be', async () => {
    const { status, body } = await retrieve(
      path('1'),
      `image/jp2; transfer-syntax=1.2.840.10008.1.2.4.91`,
    )
    expect(status).toBe(406)
    expect(JSON.parse(body.toString()).available).toEqual(
      expect.arrayContaining([
        `image/jls; transfer-syntax=${jpegLS}`,
        `${octets}; transfer-syntax=${explicitLittleEndian}`,
      ]),
    )
  })

  test('a broken code stream is 406 where pixels are asked for, and comes as stored', async () => {
    const broken = Buffer.alloc(64, 7)
    const { url } = await store(server, {
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: jpegBaseline,
      pixelBytes: [broken],
      elements: image,
    })
    for (const accept of [octets, multipartOctets]) {
      const { status, body } = await retrieve(`${url}/frames/1`, accept)
      expect(status).toBe(406)
      expect(JSON.parse(body.toString()).available[0]).toContain('image/jpeg')
    }
    for (const form of ['application/dicom', 'multipart/related; type="application/dicom"']) {
      expect((await retrieve(url, form)).status).toBe(200)
      const named = `${form}; transfer-syntax=${explicitLittleEndian}`
      expect((await retrieve(url, named)).status).toBe(406)
    }
    expect((await retrieve(`${url}/pixeldata`, multipartOctets)).status).toBe(406)
    const any = await retrieve(`${url}/pixeldata`, '*/*')
    const [part] = partsOf(any.type, any.body)
    expect(part?.headers['content-type']).toBe(`${octets}; transfer-syntax=${jpegBaseline}`)
    expect(part?.bytes).toEqual(broken)
    expect((await retrieve(`${url}/frames/1`, 'image/jpeg')).body).toEqual(broken)
    expect((await retrieve(`${url}/rendered`)).status).toBe(406)
  })

  test('WA-S8: a frame too large to be held is 413 where pixels are asked for, and comes as stored', async () => {
    const { url, file } = await store(server, {
      rows: 40_000,
      columns: 40_000,
      transferSyntaxUID: rle,
      pixelBytes: [Buffer.alloc(100, 1)],
      elements: image,
    })
    for (const path of ['/frames/1', '/pixeldata']) {
      expect((await retrieve(`${url}${path}`, multipartOctets)).status).toBe(413)
    }
    expect((await retrieve(`${url}/rendered`)).status).toBe(413)
    expect((await retrieve(`${url}/frames/1`, 'image/dicom-rle')).body).toEqual(
      Buffer.alloc(100, 1),
    )
    const named = `application/dicom; transfer-syntax=${explicitLittleEndian}`
    expect((await retrieve(url, named)).status).toBe(413)
    expect((await retrieve(url, 'application/dicom')).body.equals(file)).toBe(true)
  })

  test('what has no pixels, in a syntax for compressed ones, comes in Explicit VR Little Endian', async () => {
    const { url } = await store(server, { transferSyntaxUID: rle, pixelBytes: null })
    const { status, type } = await retrieve(url, 'application/dicom')
    expect(status).toBe(200)
    expect(type).toBe(`application/dicom; transfer-syntax=${explicitLittleEndian}`)
  })

  test('a video is one part, as stored', async () => {
    const { url } = await store(server, {
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: mpeg4,
      pixelBytes: [Buffer.alloc(100, 1), Buffer.alloc(50, 2)],
      elements: image,
    })
    const { type, body } = await retrieve(`${url}/frames/1`, 'video/mp4')
    expect(type).toBe(`video/mp4; transfer-syntax=${mpeg4}`)
    expect(body).toEqual(Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(50, 2)]))
  })
})

describe('Bulk data and pixel data (PS3.18 10.4.1.1.5)', () => {
  const uriOf = async ({ url }: Stored, tag: string): Promise<string> => {
    const answer = await fetch(`${url}/metadata`)
    const [dataset] = (await answer.json()) as Record<string, { BulkDataURI: string }>[]
    return dataset?.[tag]?.BulkDataURI as string
  }

  test.each([
    ['big endian', explicitBigEndian],
    ['deflated', deflatedLittleEndian],
    ['implicit VR', implicitLittleEndian],
  ])(
    'WA-R4, WA-S12, JS-09: values of what was stored %s are little endian',
    async (_, transferSyntaxUID) => {
      const isBig = transferSyntaxUID === explicitBigEndian
      const values = Buffer.from(Uint16Array.from({ length: 1000 }, (_, i) => i * 5).buffer)
      const given = (bytes: Buffer) => (isBig ? Buffer.from(bytes).swap16() : bytes)
      const stored = await store(server, {
        ...size,
        transferSyntaxUID,
        pixelBytes: given(pixels),
        elements: [...image, { tag: '00281201', vr: 'OW', value: given(values) }],
      })
      const uri = await uriOf(stored, '00281201')
      expect((await retrieve(uri, octets)).body).toEqual(values)
      const part = await retrieve(uri, octets, { range: 'bytes=3-12' })
      expect(part.status).toBe(206)
      expect(part.body).toEqual(values.subarray(3, 13))
      expect((await retrieve(await uriOf(stored, '7FE00010'), octets)).body).toEqual(pixels)
    },
  )

  test('WA-R4: the URI of compressed pixel data gives its frames, as stored or decoded', async () => {
    const uri = await uriOf(compressed, '7FE00010')
    expect(await framesAt(uri, 'multipart/related; type="image/jls"')).toEqual(streams)
    expect(Buffer.concat(await framesAt(uri, multipartOctets))).toEqual(pixels)
  })

  test('WA-R4, WA-R5: /bulkdata and /pixeldata of a study, series and instance are all there is', async () => {
    const studyInstanceUID = '1.2.826.77.1'
    const value = Buffer.alloc(2000, 5)
    const bulk = { tag: '00420011', vr: 'OB', value }
    const one = await store(server, {
      studyInstanceUID,
      ...size,
      pixelBytes: pixels,
      elements: [...image, bulk],
    })
    const other = await store(server, {
      studyInstanceUID,
      ...size,
      transferSyntaxUID: jpegLS,
      pixelBytes: streams,
      elements: image,
    })
    const series = one.url.slice(0, one.url.indexOf('/instances'))
    for (const resource of [one.study, series]) {
      expect(await framesAt(`${resource}/bulkdata`)).toEqual([value, pixels, pixels])
      expect(await framesAt(`${resource}/pixeldata`, multipartOctets)).toEqual([pixels, pixels])
      expect(await framesAt(resource, multipartOctets)).toEqual([value, pixels, pixels])
    }
    const { type, body } = await retrieve(`${one.url}/bulkdata`)
    const parts = partsOf(type, body)
    expect(parts[0]?.headers['content-location']).toBe(await uriOf(one, '00420011'))
    expect(await framesAt(`${other.url}/pixeldata`)).toEqual([pixels])
    expect((await retrieve(`${one.url}/bulkdata`, 'image/png')).status).toBe(406)
  })

  test('WA-S3: bulk data that metadata do not name are 404', async () => {
    const uri = await uriOf(native, '7FE00010')
    for (const other of [
      uri.replace('7FE00010', '7FE00008'),
      `${uri}0`,
      uri.replace(/\d+-/, '0-'),
    ]) {
      expect((await retrieve(other)).status, other).toBe(404)
    }
  })
})

describe('Encoded anew (PS3.18 8.7.3)', () => {
  test.each([
    ['WA-N11 application/dicom', 'application/dicom'],
    ['WA-N9 by name', `application/dicom; transfer-syntax=${explicitLittleEndian}`],
  ])('%s: a compressed instance is decoded, and says so', async (_, accept) => {
    const { type, body } = await retrieve(compressed.url, accept)
    expect(type).toBe(`application/dicom; transfer-syntax=${explicitLittleEndian}`)
    expect(body.subarray(-pixels.length)).toEqual(pixels)
  })

  test.each([jpegLS, rle])(
    'an instance comes compressed without loss in %s, and back',
    async (syntax) => {
      const accept = `application/dicom; transfer-syntax=${syntax}`
      const { type, body } = await retrieve(native.url, accept)
      expect(type).toBe(accept)
      // As another instance, for this one is there.
      const uid = native.url.split('/').at(-1) as string
      const renamed = Buffer.from(
        body.toString('latin1').replaceAll(uid, uid.replace(/^1/, '2')),
        'latin1',
      )
      const answer = await fetch(`${server.dicomWeb}/studies`, {
        method: 'POST',
        headers: { 'content-type': 'application/dicom', prefer: 'handling=lenient' },
        body: new Uint8Array(renamed),
      })
      expect(answer.status).toBe(syntax === jpegLS ? 200 : 409)
      if (answer.status !== 200) return
      const url = native.url.replace(uid, uid.replace(/^1/, '2'))
      expect(await framesAt(`${url}/frames/1,2,3`, multipartOctets)).toEqual([1, 2, 3].map(frame))
    },
  )

  test('WA-N13, WA-S2: a study of which some can be had as asked is 206 with those; none is 406', async () => {
    const studyInstanceUID = '1.2.826.78.1'
    const { study } = await store(server, {
      studyInstanceUID,
      ...size,
      pixelBytes: pixels,
      elements: image,
    })
    await store(server, {
      studyInstanceUID,
      ...size,
      numberOfFrames: 1,
      transferSyntaxUID: mpeg4,
      pixelBytes: [Buffer.alloc(10, 1)],
    })
    const asked = (syntax: string) =>
      retrieve(study, `multipart/related; type="application/dicom"; transfer-syntax=${syntax}`)
    const some = await asked(explicitLittleEndian)
    expect(some.status).toBe(206)
    expect(some.headers.get('content-range')).toBeNull()
    expect(partsOf(some.type, some.body)).toHaveLength(1)
    expect((await asked('*')).status).toBe(200)
    expect((await asked('1.2.840.10008.1.2.4.91')).status).toBe(406)
    // WA-N11 lets what cannot be decoded come as it is, when no syntax was named.
    const any = await retrieve(study, 'multipart/related; type="application/dicom"')
    expect(any.status).toBe(200)
    expect(partsOf(any.type, any.body)).toHaveLength(2)
  })

  test('WA-N12: implicit VR and big endian are never sent, not even to who asks for them', async () => {
    const { url } = await store(server, { transferSyntaxUID: implicitLittleEndian })
    for (const syntax of [implicitLittleEndian, explicitBigEndian]) {
      expect((await retrieve(url, `application/dicom; transfer-syntax=${syntax}`)).status).toBe(406)
    }
  })
})
