import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DicomError } from '../../server/dicom/errors.ts'
import {
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { metadataOf, readInstance } from '../support/dicom-reading.ts'

const files = [
  explicitLittleEndian,
  implicitLittleEndian,
  explicitBigEndian,
  deflatedLittleEndian,
  jpegBaseline,
].map((transferSyntaxUID) =>
  dicomFile({
    transferSyntaxUID,
    rows: 4,
    columns: 4,
    specificCharacterSet: '\\ISO 2022 IR 87',
    elements: [
      { tag: '00081140', vr: 'SQ', items: [[{ tag: '00081155', vr: 'UI', value: '1.2.3' }], []] },
      { tag: '00091001', vr: 'UN', value: Buffer.from('some bytes') },
      { tag: '00102000', vr: 'LO', value: '\x1b$B;3ED\x1b(B' },
      {
        tag: '00400275',
        vr: 'SQ',
        undefinedLength: true,
        items: [[{ tag: '00400007', vr: 'FD', value: [1.5, 2] }]],
      },
    ],
  }),
)

/** Where to write, and what: bytes that lengths, tags and VRs are made of are more likely. */
const mutation = fc.record({
  at: fc.nat(),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 4 }),
    fc.constantFrom(
      Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xfe, 0xff, 0x00, 0xe0),
      Uint8Array.of(0xfe, 0xff, 0xdd, 0xe0),
      Uint8Array.of(0xfe, 0xff, 0x0d, 0xe0),
      Uint8Array.of(0x53, 0x51),
      Uint8Array.of(0x55, 0x4e),
      Uint8Array.of(0, 0, 0, 0),
      Uint8Array.of(0x1b, 0x24),
    ),
  ),
})

test('a damaged file gives valid JSON or a DicomError, whole or in pieces, and never takes long', () => {
  fc.assert(
    fc.property(
      fc.nat(files.length - 1),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(), { nil: undefined }),
      fc.integer({ min: 1, max: 500 }),
      (which, mutations, cut, chunkBytes) => {
        let file = Buffer.from(files[which] as Buffer)
        // The preamble says nothing: what is written there is lost work.
        for (const { at, bytes } of mutations) file.set(bytes, 128 + (at % (file.length - 132)))
        if (cut !== undefined) file = file.subarray(0, 128 + (cut % (file.length - 128)))
        const start = performance.now()
        const whole = outcome(file, file.length)
        expect(outcome(file, chunkBytes)).toBe(whole)
        expect(performance.now() - start).toBeLessThan(2000)
      },
    ),
    { numRuns: 3000 },
  )
})

test('bytes after a valid head give valid JSON or a DicomError', () => {
  const heads = files.slice(0, 3).map((file) => file.subarray(0, 144 + file.readUInt32LE(140)))
  fc.assert(
    fc.property(fc.nat(2), fc.uint8Array({ maxLength: 400 }), (which, bytes) => {
      outcome(Buffer.concat([heads[which] as Buffer, bytes]), 100)
    }),
    { numRuns: 2000 },
  )
})

/** What the reader says; anything but a DicomError is thrown on, and so fails the test. */
function outcome(file: Uint8Array, chunkBytes: number): string {
  try {
    return JSON.stringify(metadataOf(readInstance(file, chunkBytes)))
  } catch (error) {
    if (!(error instanceof DicomError)) throw error
    return error.message
  }
}
