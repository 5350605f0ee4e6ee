import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import {
  type DicomElement,
  type DicomFileOptions,
  dataSet,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { metadataOf, readInstance, refusalOf } from '../support/dicom-reading.ts'

const sequence: DicomElement = {
  tag: '00400275',
  vr: 'SQ',
  items: [[{ tag: '00400007', vr: 'LO', value: 'Thorax' }]],
}

describe('a truncated file (DV-04)', () => {
  const layouts: [name: string, options: DicomFileOptions][] = [
    ['explicit', { elements: [sequence] }],
    ['implicit', { transferSyntaxUID: implicitLittleEndian, elements: [sequence] }],
    ['big endian', { transferSyntaxUID: explicitBigEndian, elements: [sequence] }],
    ['encapsulated', { transferSyntaxUID: jpegBaseline, elements: [sequence] }],
    ['undefined lengths', { elements: [{ ...sequence, undefinedLength: true }] }],
    ['deflated', { transferSyntaxUID: deflatedLittleEndian, elements: [sequence] }],
  ]

  test.each(layouts)('is refused wherever it is cut inside an element: %s', (name, options) => {
    const file = dicomFile({ ...options, rows: 4, columns: 4 })
    expect(refusalOf(file)).toBeUndefined()
    const taken: number[] = []
    for (let length = 0; length < file.length; length++) {
      const refusal = refusalOf(file.subarray(0, length))
      if (refusal === undefined) taken.push(length)
      else expect([0xc000, 0x0120]).toContain(refusal.failureReason)
    }
    // Once it has its identity, a file cut between two elements of the root cannot be told from a shorter one;
    // nor in big endian, where most tags begin with a zero, from a padded one.
    expect(taken.length).toBeLessThan(name === 'deflated' ? 1 : name === 'big endian' ? 28 : 14)
    for (const length of taken) {
      expect(metadataOf(readInstance(file.subarray(0, length)))).not.toHaveProperty('7FE00010')
    }
  })

  test('is refused when its pixel data lacks one byte', () => {
    for (const transferSyntaxUID of [undefined, implicitLittleEndian, jpegBaseline]) {
      const options = transferSyntaxUID === undefined ? {} : { transferSyntaxUID }
      expect(
        refusalOf(dicomFile({ ...options, pixelBytes: 100_000 }).subarray(0, -1)),
      ).toMatchObject({
        name: 'TruncatedError',
        failureReason: 0xc000,
      })
    }
  })
})

describe('a length that lies (DV-04, DV-24)', () => {
  test('of 4 GiB is refused without memory for it', () => {
    for (const vr of ['UT', 'OB', 'UN']) {
      const elements = [{ tag: '00091010', vr, value: 'x', claimedLength: 0xfffffffe }]
      expect(refusalOf(dicomFile({ elements }))).toMatchObject({ name: 'TruncatedError' })
    }
    const elements = [{ tag: '00081050', vr: 'PN', value: 'x', claimedLength: 0xfffffffe }]
    const file = dicomFile({ elements, transferSyntaxUID: implicitLittleEndian })
    expect(refusalOf(file)).toMatchObject({ name: 'ValueTooLongError', failureReason: 0xa700 })
  })

  test('of an element beyond its item is refused at once', () => {
    const items = [[{ tag: '00400007', vr: 'LO', value: 'Thorax', claimedLength: 8 }]]
    expect(refusalOf(dicomFile({ elements: [{ ...sequence, items }] }))).toMatchObject({
      name: 'LengthError',
      failureReason: 0xc000,
    })
  })

  test('of a sequence that ends inside its item is refused', () => {
    for (const claimedLength of [4, 8, 12, 18]) {
      expect(refusalOf(dicomFile({ elements: [{ ...sequence, claimedLength }] }))).toBeDefined()
    }
  })

  test('of a sequence of undefined length inside an item of defined length', () => {
    const inner = { ...sequence, claimedLength: 0xffffffff }
    const elements = [{ tag: '00081140', vr: 'SQ', items: [[inner]] }]
    expect(refusalOf(dicomFile({ elements }))).toMatchObject({ name: 'LengthError' })
  })

  test('that is undefined where the VR does not allow it is refused', () => {
    const elements = [{ tag: '00080119', vr: 'UC', value: 'xx', claimedLength: 0xffffffff }]
    expect(refusalOf(dicomFile({ elements }))).toMatchObject({ name: 'LengthError' })
  })
})

describe('what stands where it cannot', () => {
  test('an item or a delimiter at the root', () => {
    for (const tag of ['FFFEE000', 'FFFEE00D', 'FFFEE0DD']) {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt16LE(0xfffe, 0)
      bytes.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
      expect(refusalOf(Buffer.concat([dicomFile(), bytes]))).toMatchObject({
        name: 'StructureError',
      })
    }
  })

  test('a delimiter that claims to have a value', () => {
    const file = dicomFile({ elements: [{ ...sequence, undefinedLength: true }] })
    for (const delimiter of ['feff0de0', 'feffdde0']) {
      const damaged = Buffer.from(file)
      damaged.writeUInt32LE(2, file.indexOf(delimiter, 0, 'hex') + 4)
      expect(refusalOf(damaged)).toMatchObject({ name: 'LengthError', failureReason: 0xc000 })
    }
  })

  test('an element between items', () => {
    const stray = dataSet([{ tag: '00080005', vr: 'CS', value: 'AB' }])
    const elements = [{ tag: '00081140', vr: 'OB', value: Buffer.concat(stray) }]
    const file = dicomFile({ elements })
    file.write('SQ', file.indexOf('\x08\x00\x40\x11OB', 0, 'latin1') + 4)
    expect(refusalOf(file)).toMatchObject({ name: 'StructureError' })
  })

  test('an explicit VR that is none (JS-27)', () => {
    for (const vr of ['??', 'XX', 'ox', '\0\0']) {
      const elements = [{ tag: '00181030', vr, value: 'x ' }]
      expect(refusalOf(dicomFile({ elements }))).toMatchObject({
        name: 'UnknownVRError',
        failureReason: 0xc000,
      })
    }
  })

  test('a tag that was there before, near or far (JS-26)', () => {
    const again = { tag: '00100020', vr: 'LO', value: 'P9' }
    const twice = [{ tag: '00181030', vr: 'LO', value: 'a' }, again, again]
    expect(refusalOf(dicomFile({ elements: twice }))).toMatchObject({
      name: 'RepeatedElementError',
      failureReason: 0xc000,
    })
    const tail = Buffer.concat(dataSet([again]))
    expect(refusalOf(Buffer.concat([dicomFile(), tail]))?.name).toBe('RepeatedElementError')
    const elements = [{ ...sequence, items: [[again, again]] }]
    expect(refusalOf(dicomFile({ elements }))?.name).toBe('RepeatedElementError')
  })

  test('bytes after the data set, unless they are zeros', () => {
    for (const count of [1, 2, 7, 8, 9, 100, 70_000]) {
      expect(refusalOf(Buffer.concat([dicomFile(), Buffer.alloc(count)]))).toBeUndefined()
    }
    for (const tail of ['\r\n', '\0\0\0\0\0\0\0\0\0x', 'garbage that is long enough']) {
      expect(refusalOf(Buffer.concat([dicomFile(), Buffer.from(tail)]))?.failureReason).toBe(0xc000)
    }
  })
})

describe('a deflated data set (PS3.5 A.5)', () => {
  const deflated = { transferSyntaxUID: deflatedLittleEndian }

  test('that does not inflate is refused', () => {
    const file = dicomFile(deflated)
    file.fill(0xff, file.length - 60)
    expect(refusalOf(file)?.failureReason).toBe(0xc000)
  })

  test('may be followed by zeros, or by the trailer of gzip with the right size', () => {
    const file = dicomFile(deflated)
    expect(refusalOf(Buffer.concat([file, Buffer.alloc(1)]))).toBeUndefined()
    expect(refusalOf(Buffer.concat([file, Buffer.from('1234567')]))?.name).toBe('StructureError')
    expect(refusalOf(Buffer.concat([file, Buffer.from('12345678')]))?.name).toBe('StructureError')
    const trailer = Buffer.alloc(8, 0x55)
    trailer.writeUInt32LE(inflatedBytes(file), 4)
    expect(refusalOf(Buffer.concat([file, trailer]))).toBeUndefined()
  })

  test('that is a bomb is refused, by size or by ratio (DV-24)', () => {
    const bomb = dicomFile({ ...deflated, pixelBytes: 40_000_000 })
    expect(bomb.length).toBeLessThan(50_000)
    expect(refusalOf(bomb)).toMatchObject({
      name: 'InflatedTooLargeError',
      failureReason: 0xa700,
    })
    expect(refusalOf(bomb, { inflateRatio: 2000 })).toBeUndefined()
    expect(refusalOf(bomb, { inflateRatio: 2000, inflatedBytes: 1_000_000 })).toBeDefined()
  })

  test('that is small may be as empty as it likes', () => {
    expect(refusalOf(dicomFile({ ...deflated, pixelBytes: 8_000_000 }))).toBeUndefined()
  })
})

describe('the limits (DV-24)', () => {
  test('nesting', () => {
    expect(refusalOf(nested(64))).toBeUndefined()
    expect(refusalOf(nested(65))).toMatchObject({
      name: 'NestingTooDeepError',
      failureReason: 0xa700,
      message: 'Cannot read instance: sequences are nested deeper than 64 in (0008,1140)',
    })
    expect(refusalOf(nested(3), { sequenceDepth: 2 })?.name).toBe('NestingTooDeepError')
  })

  test('elements, items among them', () => {
    const items = Array.from({ length: 100 }, () => [])
    const file = dicomFile({ elements: [{ ...sequence, items }] })
    expect(refusalOf(file, { elementCount: 120 })).toBeUndefined()
    expect(refusalOf(file, { elementCount: 119 })).toMatchObject({
      name: 'TooManyElementsError',
      failureReason: 0xa700,
    })
  })

  test('bytes of metadata', () => {
    expect(refusalOf(dicomFile(), { metadataBytes: 500 })).toMatchObject({
      name: 'MetadataTooLargeError',
      failureReason: 0xa700,
    })
  })

  test('one value that cannot become bulk data', () => {
    const transferSyntaxUID = implicitLittleEndian
    const long = (length: number) => dicomFile({ transferSyntaxUID, patientID: 'x'.repeat(length) })
    expect(refusalOf(long(65_536))).toBeUndefined()
    expect(refusalOf(long(65_538))).toMatchObject({
      name: 'ValueTooLongError',
      failureReason: 0xa700,
    })
  })

  test('say their number', () => {
    expect(() => readInstance(nested(9), 1000, { sequenceDepth: 5 })).toThrow(
      expect.objectContaining({ limit: 5 }),
    )
  })
})

test('the memory held does not grow with the file (P3)', () => {
  const reader = new InstanceReader()
  const head = dicomFile({ pixelBytes: null })
  reader.push(head)
  const header = Buffer.from('e07f10004f5700000000000c', 'hex')
  reader.push(header)
  const chunk = Buffer.alloc(2 ** 20)
  const before = process.memoryUsage().arrayBuffers
  for (let count = 0; count < 192; count++) reader.push(chunk)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
  const pixelData = metadataOf(reader.end())['7FE00010']
  expect(pixelData?.BulkDataURI).toBe(`bulkdata/7FE00010/${head.length + 12}-${192 * 2 ** 20}`)
})

function nested(depth: number): Buffer {
  let element: DicomElement = { tag: '00081140', vr: 'SQ', items: [] }
  for (let count = 1; count < depth; count++) {
    element = { tag: '00081140', vr: 'SQ', items: [[element]], undefinedLength: count % 2 === 0 }
  }
  return dicomFile({ elements: [element] })
}

/** Bytes of the data set that `dicomFile` deflated. */
function inflatedBytes(file: Buffer): number {
  return inflateRawSync(file.subarray(144 + file.readUInt32LE(140))).length
}
