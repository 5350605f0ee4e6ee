import { describe, expect, test } from 'vitest'
import { elementHeader, textElement } from '../../server/dicom/element-writer.ts'
import { reEncode } from '../../server/dicom/re-encode.ts'
import { vrCode } from '../../server/dicom/vr.ts'
import {
  type DicomElement,
  type DicomFileOptions,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { metadataOf, readInstance } from '../support/dicom-reading.ts'

async function* inChunks(file: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}

async function reEncoded(
  file: Uint8Array,
  size = 1000,
  replacements = {},
  target = explicitLittleEndian,
): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of reEncode(inChunks(file, size), target, replacements)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Metadata without the places of bulk data, which are others in another file. */
function modelOf(file: Uint8Array): unknown {
  const model = metadataOf(readInstance(file))
  const text = JSON.stringify(model).replaceAll(/(bulkdata\/[^/]+)\/\d+-(\d+)/g, '$1/$2')
  return JSON.parse(text)
}

/** Every way to write a number, at the root and in items, known and private. */
const elements: DicomElement[] = [
  { tag: '00081140', vr: 'SQ', items: [[{ tag: '00081150', vr: 'UI', value: '1.2.3' }], []] },
  { tag: '00090010', vr: 'LO', value: 'ACME' },
  { tag: '00181149', vr: 'IS', value: ['1', '2'] },
  { tag: '00189461', vr: 'FL', value: [1.5, -2.25] },
  { tag: '00209165', vr: 'AT', value: '00189461' },
  { tag: '00280009', vr: 'AT', value: ['00181063', '00181065'] },
  { tag: '00280106', vr: 'US', value: 0x1234 },
  { tag: '00283002', vr: 'US', value: [256, 0, 16] },
  { tag: '00420010', vr: 'ST', value: 'odd' },
  {
    tag: '00400275',
    vr: 'SQ',
    undefinedLength: true,
    items: [
      [
        { tag: '00400007', vr: 'LO', value: 'Head' },
        {
          tag: '00400008',
          vr: 'SQ',
          undefinedLength: true,
          items: [[{ tag: '00080100', vr: 'SH', value: 'C' }]],
        },
      ],
    ],
  },
  { tag: '00720074', vr: 'FD', value: [Math.PI] },
  { tag: '00720078', vr: 'UL', value: [1, 0xfffffffe] },
]

const pixels = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 251))

describe('A file encoded anew (PS3.18 8.7.3; WA-N12)', () => {
  test.each<[string, DicomFileOptions]>([
    ['implicit VR', { transferSyntaxUID: implicitLittleEndian }],
    ['big endian', { transferSyntaxUID: explicitBigEndian }],
    ['deflated', { transferSyntaxUID: deflatedLittleEndian }],
  ])(
    '%s becomes Explicit VR Little Endian with the same elements, in any chunking',
    async (_, options) => {
      const swap = options.transferSyntaxUID === explicitBigEndian
      const pixelBytes = swap ? Buffer.from(pixels).swap16() : pixels
      const uid = '1.2.826.5'
      const file = dicomFile({ ...options, sopInstanceUID: uid, elements, pixelBytes })
      const expected = dicomFile({ sopInstanceUID: uid, elements, pixelBytes: pixels })
      for (const size of [1, 7, 100_000]) {
        const outcome = await reEncoded(file, size)
        expect(readInstance(outcome).transferSyntaxUID).toBe(explicitLittleEndian)
        expect(modelOf(outcome)).toEqual(modelOf(expected))
        expect(outcome.subarray(-pixels.length)).toEqual(pixels)
      }
    },
  )

  test('a value too long for its explicit VR becomes UN, whole', async () => {
    const long = '1\\'.repeat(40_000)
    const file = dicomFile({
      transferSyntaxUID: implicitLittleEndian,
      elements: [
        { tag: '00186030', vr: 'UL', value: Buffer.alloc(0) },
        { tag: '30060050', vr: 'DS', value: long },
      ],
    })
    const outcome = await reEncoded(file)
    const at = outcome.indexOf(Buffer.from('06305000554e0000', 'hex'))
    expect(at).toBeGreaterThan(0)
    expect(outcome.readUInt32LE(at + 8)).toBe(long.length)
    expect(outcome.toString('latin1', at + 12, at + 12 + long.length)).toBe(long)
  })

  test('private elements of implicit VR are UN with their bytes; a private sequence of undefined length is a sequence', async () => {
    const file = dicomFile({
      transferSyntaxUID: implicitLittleEndian,
      elements: [
        { tag: '00090010', vr: 'LO', value: 'ACME' },
        { tag: '00091001', vr: 'UN', value: Buffer.from('abcd') },
        {
          tag: '00091002',
          vr: 'SQ',
          undefinedLength: true,
          items: [[{ tag: '00080100', vr: 'SH', value: 'C1' }]],
        },
      ],
    })
    expect(modelOf(await reEncoded(file))).toMatchObject({
      '00091001': { vr: 'UN', InlineBinary: Buffer.from('abcd').toString('base64') },
      '00091002': { vr: 'SQ', Value: [{ '00080100': { vr: 'SH', Value: ['C1'] } }] },
    })
  })

  test('US or SS follows Pixel Representation (JS-23)', async () => {
    const file = (pixelRepresentation: number) =>
      dicomFile({
        transferSyntaxUID: implicitLittleEndian,
        elements: [
          { tag: '00280103', vr: 'US', value: pixelRepresentation },
          { tag: '00280120', vr: 'US', value: 0xfff0 },
        ],
      })
    expect(modelOf(await reEncoded(file(1)))).toMatchObject({
      '00280120': { vr: 'SS', Value: [-16] },
    })
    expect(modelOf(await reEncoded(file(0)))).toMatchObject({
      '00280120': { vr: 'US', Value: [65520] },
    })
  })

  test('fragments give way to pixels, and elements to others, new ones in their place', async () => {
    const file = dicomFile({
      transferSyntaxUID: jpegBaseline,
      pixelBytes: [Buffer.from('one '), Buffer.from('two ')],
      elements: [{ tag: '7FE00001', vr: 'OV', value: Buffer.alloc(8) }],
    })
    async function* pixelData() {
      yield elementHeader(0x7fe00010, vrCode('OW'), 6)
      yield Buffer.from('pixels')
    }
    const outcome = await reEncoded(file, 50, {
      elements: new Map<number, Uint8Array>([
        [0x00280004, textElement(0x00280004, 'CS', 'RGB')],
        [0x7fe00001, Buffer.alloc(0)],
      ]),
      pixelData: pixelData(),
    })
    const model = modelOf(outcome) as Record<string, unknown>
    expect(model['00280004']).toEqual({ vr: 'CS', Value: ['RGB'] })
    expect(model['7FE00001']).toBeUndefined()
    expect(Object.keys(model).filter((tag) => tag.startsWith('7FE'))).toEqual(['7FE00010'])
    expect(outcome.toString('latin1').endsWith('pixels')).toBe(true)
  })

  test('File Meta Information stays but for its syntax and its length', async () => {
    const file = dicomFile({
      transferSyntaxUID: implicitLittleEndian,
      meta: [{ tag: '00020016', vr: 'AE', value: 'SENDER' }],
    })
    file.fill(7, 0, 128)
    const outcome = await reEncoded(file)
    expect(outcome.subarray(0, 132)).toEqual(
      Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]),
    )
    expect(outcome.toString('latin1')).toContain('SENDER')
    const end = 144 + outcome.readUInt32LE(140)
    expect(outcome.readUInt16LE(end)).toBe(8)
  })

  test('a reader that stops lets go of the file', async () => {
    let isClosed = false
    async function* chunks() {
      try {
        yield* inChunks(
          dicomFile({ transferSyntaxUID: implicitLittleEndian, pixelBytes: 500_000 }),
          5000,
        )
      } finally {
        isClosed = true
      }
    }
    for await (const piece of reEncode(chunks(), explicitLittleEndian))
      if (piece.length > 1000) break
    expect(isClosed).toBe(true)
  })
})
