import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { call, canary, expectNoPatientData } from './dicomweb.ts'
import { image, imageWith, pixels, retrieve, type Stored, size, store } from './pictures.ts'

let server: StowageServer
/** 2 x 4, of 8 bits: 0, 50, 100 ... */
let grey: Stored
let frames: Stored

const eightBits = imageWith(
  { tag: '00280100', vr: 'US', value: 8 },
  { tag: '00280101', vr: 'US', value: 8 },
)
const ramp = Buffer.from([0, 50, 100, 150, 200, 250, 20, 70])

beforeAll(async () => {
  server = await startServer()
  grey = await store(server, {
    ...canary,
    rows: 2,
    columns: 4,
    pixelBytes: ramp,
    elements: [
      ...eightBits,
      { tag: '00281050', vr: 'DS', value: '128' },
      { tag: '00281051', vr: 'DS', value: '256' },
    ],
  })
  frames = await store(server, { ...size, pixelBytes: pixels, elements: image })
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** Width, height and the bytes of a PNG of ours. */
function readPNG(png: Buffer): { width: number; height: number; pixels: number[] } {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  const channels = png[25] === 0 ? 1 : 3
  const at = png.indexOf('IDAT')
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
  const shown: number[] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width * channels; x++) {
      const left = x < channels ? 0 : (shown.at(-channels) as number)
      shown.push(((lines[y * (width * channels + 1) + 1 + x] as number) + left) & 0xff)
    }
  }
  return { width, height, pixels: shown }
}

async function png(url: string): Promise<ReturnType<typeof readPNG>> {
  const { status, body } = await retrieve(url, 'image/png')
  expect(status, body.toString('latin1')).toBe(200)
  return readPNG(body)
}

describe('Rendered (PS3.18 8.3.5, 8.7.4; WA-R6)', () => {
  test.each([
    ['*/*', 'image/jpeg', 'ffd8ff'],
    [undefined, 'image/jpeg', 'ffd8ff'],
    ['image/png', 'image/png', '89504e47'],
    ['image/gif', 'image/gif', '47494638'],
    ['image/webp, image/png;q=0.5, image/jpeg;q=0.1', 'image/png', '89504e47'],
  ])('Accept: %s gets %s', async (accept, type, start) => {
    for (const path of ['/rendered', '/frames/1/rendered']) {
      const answer = await retrieve(`${grey.url}${path}`, accept)
      expect(answer.type).toBe(type)
      expect(answer.body.toString('hex').startsWith(start)).toBe(true)
      expect(answer.headers.get('content-length')).toBe(String(answer.body.length))
    }
  })

  test('the window is that of the data set, else that of the request', async () => {
    expect((await png(`${grey.url}/rendered`)).pixels).toEqual([...ramp])
    const narrow = await png(`${grey.url}/rendered?window=100,2,linear-exact`)
    expect(narrow.pixels).toEqual([0, 0, 128, 255, 255, 255, 0, 0])
    const sigmoid = await png(`${grey.url}/rendered?window=100,50,sigmoid`)
    expect(sigmoid.pixels[2]).toBe(128)
  })

  test('slope and intercept come before the window, and MONOCHROME1 turns all round', async () => {
    const { url } = await store(server, {
      rows: 2,
      columns: 4,
      pixelBytes: ramp,
      elements: [
        ...eightBits.filter(({ tag }) => tag !== '00280004'),
        { tag: '00280004', vr: 'CS', value: 'MONOCHROME1' },
        { tag: '00281050', vr: 'DS', value: '-872' },
        { tag: '00281051', vr: 'DS', value: '512' },
        { tag: '00281052', vr: 'DS', value: '-1128' },
        { tag: '00281053', vr: 'DS', value: '2' },
      ],
    })
    const { pixels: shown } = await png(`${url}/rendered`)
    for (const [index, value] of shown.entries()) {
      expect(Math.abs(value - (255 - (ramp[index] as number)))).toBeLessThanOrEqual(1)
    }
  })

  test('a frame of an enhanced image has the window of its own group', async () => {
    const windowOf = (center: string) => [
      {
        tag: '00289132',
        vr: 'SQ',
        items: [
          [
            { tag: '00281050', vr: 'DS', value: center },
            { tag: '00281051', vr: 'DS', value: '2' },
            { tag: '00281056', vr: 'CS', value: 'LINEAR_EXACT' },
          ],
        ],
      },
    ]
    const { url } = await store(server, {
      rows: 1,
      columns: 4,
      numberOfFrames: 2,
      pixelBytes: ramp,
      elements: [
        ...eightBits,
        { tag: '52009230', vr: 'SQ', items: [windowOf('50'), windowOf('70')] },
      ],
    })
    expect((await png(`${url}/frames/1/rendered`)).pixels).toEqual([0, 128, 255, 255])
    expect((await png(`${url}/frames/2/rendered`)).pixels).toEqual([255, 255, 0, 128])
  })

  test('PALETTE COLOR goes through its tables, also where they are bulk data', async () => {
    const entries = (give: (i: number) => number) =>
      Buffer.from(Uint16Array.from({ length: 1024 }, (_, i) => give(i) * 257).buffer)
    const table = (n: number, give: (i: number) => number) => [
      { tag: `0028110${n}`, vr: 'US', value: [1024, 0, 16] },
      { tag: `0028120${n}`, vr: 'OW', value: entries(give) },
    ]
    const { url } = await store(server, {
      rows: 1,
      columns: 2,
      pixelBytes: Buffer.from(Uint16Array.of(0, 1000).buffer),
      elements: imageWith(
        { tag: '00280004', vr: 'CS', value: 'PALETTE COLOR' },
        ...table(1, () => 255),
        ...table(2, (i) => (i === 1000 ? 9 : 0)),
        ...table(3, (i) => (i === 0 ? 7 : 1)),
      ),
    })
    expect((await png(`${url}/rendered`)).pixels).toEqual([255, 0, 7, 255, 9, 1])
  })

  test('Overlay Planes are drawn in white where they lie, each on its frames; on no thumbnail', async () => {
    const dark = Buffer.alloc(16, 10)
    const plane = (group: string, type: string, origin: number[], bits: number) => [
      { tag: `${group}0010`, vr: 'US', value: 2 },
      { tag: `${group}0011`, vr: 'US', value: 3 },
      { tag: `${group}0040`, vr: 'CS', value: type },
      { tag: `${group}0050`, vr: 'SS', value: origin },
      { tag: `${group}0100`, vr: 'US', value: 1 },
      { tag: `${group}0102`, vr: 'US', value: 0 },
      { tag: `${group}3000`, vr: 'OW', value: Buffer.from([bits & 0xff, bits >> 8]) },
    ]
    const { url } = await store(server, {
      rows: 2,
      columns: 4,
      numberOfFrames: 2,
      pixelBytes: dark,
      elements: [
        ...eightBits,
        { tag: '00281050', vr: 'DS', value: '128' },
        { tag: '00281051', vr: 'DS', value: '256' },
        // The two corners of 2 x 3, one pixel to the right.
        ...plane('6000', 'G', [1, 2], 0b100001),
        // Its first column lies outside, and it is for the second frame alone.
        ...plane('6002', 'G', [1, 0], 0b000011),
        { tag: '60020015', vr: 'IS', value: '1' },
        { tag: '60020051', vr: 'US', value: 2 },
        // A region of interest is no graphics.
        ...plane('6004', 'R', [1, 1], 0b111111),
      ],
    })
    const first = [10, 255, 10, 10, 10, 10, 10, 255]
    expect((await png(`${url}/frames/1/rendered`)).pixels).toEqual(first)
    const second = [255, 255, 10, 10, 10, 10, 10, 255]
    expect((await png(`${url}/frames/2/rendered`)).pixels).toEqual(second)
    const bare = await store(server, {
      rows: 2,
      columns: 4,
      numberOfFrames: 2,
      pixelBytes: dark,
      elements: [
        ...eightBits,
        { tag: '00281050', vr: 'DS', value: '128' },
        { tag: '00281051', vr: 'DS', value: '256' },
      ],
    })
    const [one, other] = await Promise.all([url, bare.url].map((of) => retrieve(`${of}/thumbnail`)))
    expect(one?.body.equals(other?.body as Buffer)).toBe(true)
  })

  test('viewport scales into its size and shows a region', async () => {
    expect(await png(`${grey.url}/rendered?viewport=2,2`)).toMatchObject({ width: 2, height: 1 })
    const region = await png(`${grey.url}/rendered?viewport=2,2,1,0,2,1`)
    expect(region).toMatchObject({ width: 2, height: 1, pixels: [50, 100] })
    const rest = await png(`${grey.url}/rendered?viewport=2,2,2,,,`)
    expect(rest.pixels).toEqual([100, 150, 20, 70])
  })

  test('quality makes a JPEG larger', async () => {
    const noise = await store(server, {
      rows: 64,
      columns: 64,
      pixelBytes: Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251)),
      elements: eightBits,
    })
    const bytes = async (quality: number) =>
      (await retrieve(`${noise.url}/rendered?quality=${quality}`)).body.length
    expect(await bytes(100)).toBeGreaterThan(2 * (await bytes(5)))
  })

  test.each([
    'quality=0',
    'quality=101',
    'quality=a',
    'quality=1.5',
    'window=1,2',
    'window=1,2,cubic',
    'window=1,0,linear',
    'window=a,2,linear',
    'window=1,2,linear,3',
    'viewport=1',
    'viewport=0,5',
    'viewport=a,5',
    'viewport=99999,5',
    'viewport=5,5,1,1',
    'viewport=5,5,1,1,0,0',
    'viewport=,5',
    'annotation=all',
    'iccprofile=maybe',
  ])('WA-S5: ?%s is 400 that names the parameter', async (parameters) => {
    const { status, body } = await retrieve(`${grey.url}/rendered?${parameters}`)
    expect(status).toBe(400)
    expect(JSON.parse(body.toString()).detail).toContain(parameters.split('=')[0])
  })

  test('several frames in one instance are an animated GIF, each frame is had alone, and a list as parts', async () => {
    const gif = await retrieve(`${frames.url}/rendered`)
    expect(gif.type).toBe('image/gif')
    expect(gif.body.toString('latin1').split('\x21\xf9\x04').length - 1).toBe(3)
    expect(gif.body.at(-1)).toBe(0x3b)
    const still = await retrieve(`${frames.url}/rendered`, 'image/jpeg')
    expect(still.status).toBe(406)
    expect(JSON.parse(still.body.toString())).toMatchObject({
      available: ['image/gif'],
      detail: expect.stringContaining('3 frames, each of which is a picture at /frames/{number}'),
    })
    expect((await png(`${frames.url}/frames/2/rendered`)).pixels).toHaveLength(24)
    const { type, body } = await retrieve(`${frames.url}/frames/1,3/rendered`, 'image/png')
    expect(type).toMatch(/^multipart\/related; type="image\/png"/)
    expect(partsOf(type, body).map((part) => part.headers['content-location'])).toEqual([
      `${frames.url}/frames/1/rendered`,
      `${frames.url}/frames/3/rendered`,
    ])
  })

  test('a study and a series are a part for each frame of each image; what is no image is left out', async () => {
    const studyInstanceUID = '1.2.826.80.1'
    const first = await store(server, {
      studyInstanceUID,
      ...size,
      pixelBytes: pixels,
      elements: image,
    })
    await store(server, { studyInstanceUID, pixelBytes: null, without: ['00280010', '00280011'] })
    const series = first.url.slice(0, first.url.indexOf('/instances'))
    for (const resource of [first.study, series]) {
      for (const accept of ['image/jpeg', 'multipart/related; type="image/jpeg"', '*/*']) {
        const { type, body } = await retrieve(`${resource}/rendered`, accept)
        expect(partsOf(type, body).map((part) => part.headers['content-type'])).toEqual(
          Array(3).fill('image/jpeg'),
        )
      }
    }
  })

  test('an unknown resource is 404, and a path without a UID 400 (WA-S3, WA-S5)', async () => {
    for (const path of ['/rendered', '/thumbnail', '/series/1.2.3/rendered']) {
      expect((await retrieve(`${server.dicomWeb}/studies/1.2.3${path}`)).status).toBe(404)
    }
    expect((await retrieve(`${server.dicomWeb}/studies/x/thumbnail`)).status).toBe(400)
    expect((await retrieve(`${frames.url}/frames/4/rendered`)).status).toBe(404)
    expect((await retrieve(`${frames.url}/frames/0/rendered`)).status).toBe(400)
  })
})

describe('Thumbnail (PS3.18 10.4.1.1.4; WA-R7)', () => {
  test('of every level is one JPEG', async () => {
    const series = frames.url.slice(0, frames.url.indexOf('/instances'))
    for (const resource of [frames.study, series, frames.url, `${frames.url}/frames/2`]) {
      const { status, type, body } = await retrieve(`${resource}/thumbnail`)
      expect(status).toBe(200)
      expect(type).toBe('image/jpeg')
      expect(body.toString('hex').startsWith('ffd8ff')).toBe(true)
    }
    expect((await retrieve(`${frames.url}/thumbnail`, 'image/png')).status).toBe(406)
    expect((await retrieve(`${frames.url}/thumbnail?viewport=9,9,0,0,1,1`)).status).toBe(400)
    expect((await retrieve(`${frames.url}/thumbnail?viewport=9,9`)).status).toBe(200)
  })

  test('a series without an image is 404', async () => {
    const { url } = await store(server, { pixelBytes: null })
    expect((await retrieve(`${url.slice(0, url.indexOf('/instances'))}/thumbnail`)).status).toBe(
      404,
    )
  })
})

describe('Documents (PS3.18 Table 8.7.4-1)', () => {
  const code = (meaning: string) => [
    { tag: '00080100', vr: 'SH', value: 'C' },
    { tag: '00080104', vr: 'LO', value: meaning },
  ]
  const item = (type: string, name: string, value: object[]) => [
    { tag: '0040A040', vr: 'CS', value: type },
    { tag: '0040A043', vr: 'SQ', items: [code(name)] },
    ...(value as []),
  ]

  test('a Structured Report is HTML, or plain text', async () => {
    const { url } = await store(server, {
      sopClassUID: '1.2.840.10008.5.1.4.1.1.88.11',
      pixelBytes: null,
      elements: [
        { tag: '0040A040', vr: 'CS', value: 'CONTAINER' },
        { tag: '0040A043', vr: 'SQ', items: [code('Report')] },
        {
          tag: '0040A730',
          vr: 'SQ',
          items: [
            item('TEXT', 'Finding', [{ tag: '0040A160', vr: 'UT', value: 'a <b> & c ' }]),
            item('NUM', 'Length', [
              {
                tag: '0040A300',
                vr: 'SQ',
                items: [
                  [
                    { tag: '0040A30A', vr: 'DS', value: '1.5' },
                    { tag: '004008EA', vr: 'SQ', items: [code('mm')] },
                  ],
                ],
              },
            ]),
          ],
        },
      ],
    })
    const html = await retrieve(`${url}/rendered`)
    expect(html.type).toBe('text/html; charset=utf-8')
    expect(html.body.toString()).toContain(
      '<li>Finding: a &lt;b&gt; &amp; c</li><li>Length: 1.5 mm</li>',
    )
    const plain = await retrieve(`${url}/rendered`, 'text/plain')
    expect(plain.body.toString()).toBe('Report\n  Finding: a <b> & c\n  Length: 1.5 mm')
    const xml = await retrieve(`${url}/rendered`, 'text/xml')
    expect(xml.type).toBe('text/xml; charset=utf-8')
    expect(xml.body.toString()).toMatch(/<Value number="1">a &lt;b&gt; &amp; c ?<\/Value>/)
    expect((await retrieve(`${url}/rendered`, 'image/jpeg')).status).toBe(406)
  })

  test('an encapsulated document is what it was, without its padding', async () => {
    const document = Buffer.from(`%PDF-1.7 ${'x'.repeat(2000)}`)
    const { url } = await store(server, {
      pixelBytes: null,
      elements: [
        { tag: '00420011', vr: 'OB', value: Buffer.concat([document, Buffer.alloc(1)]) },
        { tag: '00420012', vr: 'LO', value: 'application/pdf' },
        { tag: '00420015', vr: 'UL', value: document.length },
      ],
    })
    const { type, body } = await retrieve(`${url}/rendered`, 'application/pdf')
    expect(type).toBe('application/pdf')
    expect(body.equals(document)).toBe(true)
    expect((await retrieve(`${url}/rendered`, 'text/html')).status).toBe(406)
  })
})

test('no answer but metadata, instances and documents says who it is about (P10)', async () => {
  for (const path of ['/frames/9', '/rendered?quality=x', '/thumbnail?viewport=x', '/frames/x']) {
    await call(`${grey.url}${path}`)
    await call(`${grey.url}${path}`, { headers: { accept: 'text/css' } })
    await call(`${grey.url}${path}`, { headers: { accept: 'application/dicom, image/png' } })
  }
  expectNoPatientData(server.log)
})
