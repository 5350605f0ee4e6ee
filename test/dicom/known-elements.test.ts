import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Instance, InstanceReader } from '../../server/dicom/instance-reader.ts'
import { beforeAll, knownElement } from '../../server/dicom/known-elements.ts'
import {
  type DicomElement,
  type DicomFileOptions,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
} from '../support/dicom-file.ts'

function read(file: Uint8Array): Instance {
  const reader = new InstanceReader()
  reader.push(file)
  return reader.end()
}

function valueIn(file: Uint8Array, tag: string): unknown {
  const model = JSON.parse(Buffer.from(read(file).metadata).toString())
  return model[tag].Value ?? model[tag].InlineBinary
}

const uids = { sopInstanceUID: '1.2.1', studyInstanceUID: '1.2.2', seriesInstanceUID: '1.2.3' }

describe('a value of the same bytes as in the last file', () => {
  const of = (element: DicomElement, more: DicomFileOptions = {}) =>
    dicomFile({ ...uids, ...more, elements: [element] })

  test('is read in the character set of its own file', () => {
    const element = { tag: '00100010', vr: 'PN', value: Buffer.from([0x4d, 0xfc, 0x6c, 0xc8]) }
    const latin = of(element, { specificCharacterSet: 'ISO_IR 100' })
    const cyrillic = of(element, { specificCharacterSet: 'ISO_IR 144' })
    for (const [file, name] of [
      [latin, 'MülÈ'],
      [cyrillic, 'MќlШ'],
      [latin, 'MülÈ'],
    ] as const) {
      expect(valueIn(file, '00100010')).toEqual([{ Alphabetic: name }])
      expect(read(file).attributes.patientName).toBe(name)
    }
  })

  test('is read in the byte order of its own file', () => {
    const element = { tag: '00280010', vr: 'US' }
    const little = of({ ...element, value: Buffer.from([1, 2]) })
    const big = of(
      { ...element, value: Buffer.from([1, 2]) },
      { transferSyntaxUID: explicitBigEndian },
    )
    for (const [file, rows] of [
      [little, 0x201],
      [big, 0x102],
      [little, 0x201],
    ] as const) {
      expect(valueIn(file, '00280010')).toEqual([rows])
      expect(read(file).attributes.rows).toBe(String(rows))
    }
  })

  test('is read as the VR of its own file says', () => {
    const element = { tag: '00091001', value: Buffer.from([0xfe, 0xff]) }
    for (const [vr, value] of [
      ['US', [0xfffe]],
      ['SS', [-2]],
      ['OB', '/v8='],
      ['US', [0xfffe]],
    ] as const) {
      expect(valueIn(of({ ...element, vr }), '00091001')).toEqual(value)
    }
  })

  test('has the sign that Pixel Representation of its own file gives it', () => {
    const file = (pixelRepresentation: number) =>
      dicomFile({
        ...uids,
        transferSyntaxUID: implicitLittleEndian,
        elements: [
          { tag: '00280103', vr: 'US', value: pixelRepresentation },
          { tag: '00280106', vr: 'US', value: 0xfffe },
        ],
      })
    for (const [pixelRepresentation, smallest] of [
      [0, 0xfffe],
      [1, -2],
      [1, -2],
      [0, 0xfffe],
    ] as const) {
      expect(valueIn(file(pixelRepresentation), '00280106')).toEqual([smallest])
    }
  })

  test('is an attribute of the root at the root alone, wherever it came last', () => {
    const patientID = (value: string) => ({ tag: '00100020', vr: 'LO', value })
    const inItem = dicomFile({
      ...uids,
      without: ['00100020'],
      elements: [{ tag: '00101002', vr: 'SQ', items: [[patientID('ONE')]] }],
    })
    const atRoot = dicomFile({ ...uids, elements: [patientID('ONE')] })
    expect(read(inItem).attributes.patientID).toBeUndefined()
    expect(read(atRoot).attributes.patientID).toBe('ONE')
    expect(read(inItem).attributes.patientID).toBeUndefined()
    const both = dicomFile({
      ...uids,
      elements: [
        patientID('ONE'),
        { tag: '00101002', vr: 'SQ', items: [[patientID('TWO')], [patientID('ONE')]] },
      ],
    })
    expect(read(both).attributes.patientID).toBe('ONE')
  })

  test('is warned of again', () => {
    const file = of({ tag: '00080020', vr: 'DA', value: '20209999' })
    const warnings = [{ keyword: 'StudyDate', reason: expect.any(String) }]
    expect(read(file).warnings).toEqual(warnings)
    expect(read(file).warnings).toEqual(warnings)
  })

  test('too long to be remembered is read anew', () => {
    const text = (end: string) => 'x'.repeat(63) + end
    const file = (end: string) => of({ tag: '00081030', vr: 'LO', value: text(end) })
    for (const end of ['a', 'bc', 'bd', 'a', '\u001f\u001f\u001f']) {
      expect(read(file(end)).attributes.studyDescription).toBe(text(end))
      expect(valueIn(file(end), '00081030')).toEqual([text(end)])
    }
  })
})

const texts = ['', 'A', 'AB', 'B', 'A\\B', '1', '12', '20200101', ' A', 'Ä', '"', '1.5']
const elements = fc
  .subarray(
    ['LO 00081030', 'PN 00100010', 'LO 00100020', 'DA 00080020', 'DS 00180050', 'SH 00200010'],
    { minLength: 1 },
  )
  .chain((tags) =>
    fc.tuple(
      ...tags.map((tag) =>
        fc.constantFrom(...texts).map((text) => ({
          vr: tag.slice(0, 2),
          tag: tag.slice(3),
          value: Buffer.from(text, 'latin1'),
        })),
      ),
    ),
  )

const options = fc.record({
  elements: fc
    .tuple(elements, elements)
    .map(([ofRoot, ofItem]) => [
      { tag: '00080005', vr: 'CS', value: 'ISO_IR 100' },
      ...ofRoot,
      { tag: '00081140', vr: 'SQ', items: [ofItem, ofItem.slice(1)] },
    ]),
  transferSyntaxUID: fc.constantFrom(explicitLittleEndian, implicitLittleEndian, explicitBigEndian),
})

test('what a file says does not depend on those before it, beside it, or broken off', () => {
  /** Says something else of everything. */
  const other = dicomFile({
    ...uids,
    elements: ['00081030', '00100010', '00100020', '00080020', '00180050', '00200010'].map(
      (tag) => ({ tag, vr: 'LO', value: 'something else' }),
    ),
  })
  fc.assert(
    fc.property(
      fc.array(options, { minLength: 2, maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 300 })), { maxLength: 30 }),
      (ofFiles, steps) => {
        const files = ofFiles.map((of) => dicomFile({ ...uids, ...of }))
        const alone = files.map((file) => {
          read(other)
          return read(file)
        })
        // Some of each in turn; those that the steps do not end are left as they are.
        const readers = files.map((file) => ({ file, reader: new InstanceReader(), at: 0 }))
        for (const [index, bytes] of steps) {
          const one = readers[index % readers.length] as (typeof readers)[number]
          one.reader.push(one.file.subarray(one.at, one.at + bytes))
          one.at = Math.min(one.file.length, one.at + bytes)
        }
        for (const [index, file] of files.entries()) expect(read(file)).toEqual(alone[index])
        for (const [index, { file, reader, at }] of readers.entries()) {
          reader.push(file.subarray(at))
          expect(reader.end()).toEqual(alone[index])
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('what files invent is forgotten, also where a reader that is held up remembers what came before (P3)', () => {
  const lo = 0x4c4f
  const first = knownElement(0x00080005, lo, beforeAll)
  let last = first
  for (let tag = 0x00090000; tag < 0x00090000 + 20_000; tag++) last = knownElement(tag, lo, last)
  let count = 0
  for (let one: typeof first | undefined = first; one !== undefined; one = one.next) count++
  expect(count).toBeLessThanOrEqual(5001)
})
