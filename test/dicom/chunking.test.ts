import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import {
  type DicomElement,
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { metadataText, readInstance } from '../support/dicom-reading.ts'

/** A bit of everything: sequences of both lengths, private and UN elements, bulk data, text, padding. */
const elements: DicomElement[] = [
  { tag: '00080005', vr: 'CS', value: 'ISO_IR 100' },
  {
    tag: '00081140',
    vr: 'SQ',
    items: [
      [{ tag: '00081155', vr: 'UI', value: '1.2.3' }],
      [],
      [{ tag: '00081199', vr: 'SQ', undefinedLength: true, items: [[], []] }],
    ],
  },
  { tag: '00090010', vr: 'LO', value: 'ACME' },
  { tag: '00091001', vr: 'UN', value: Buffer.from('some bytes') },
  { tag: '00091002', vr: 'OB', value: Buffer.alloc(1500, 'x') },
  { tag: '00102000', vr: 'UN', value: Buffer.from('allergic') },
  { tag: '00104000', vr: 'LT', value: 'caf\xe9' },
  { tag: '00280030', vr: 'DS', value: '0.5\\0.25' },
  {
    tag: '00400275',
    vr: 'SQ',
    undefinedLength: true,
    items: [[{ tag: '00400007', vr: 'LO', value: 'a' }]],
  },
  { tag: 'FFFCFFFC', vr: 'OB', value: Buffer.alloc(6) },
]

const syntaxes = [
  explicitLittleEndian,
  implicitLittleEndian,
  explicitBigEndian,
  deflatedLittleEndian,
  jpegBaseline,
]
const files = syntaxes.map((transferSyntaxUID): [string, Buffer] => [
  transferSyntaxUID,
  Buffer.concat([
    dicomFile({
      transferSyntaxUID,
      elements,
      pixelBytes: Buffer.alloc(300, 7),
      sopInstanceUID: '1.2.3',
    }),
    Buffer.alloc(11),
  ]),
])

describe.each(files)('a file in %s reads the same', (_, file) => {
  const whole = facts(readInstance(file, file.length))

  test('in chunks of every size from one byte on', () => {
    for (let size = 1; size <= 64; size++) expect(facts(readInstance(file, size))).toBe(whole)
    for (const size of [100, 127, 128, 129, 131, 132, 133, 300, 1000]) {
      expect(facts(readInstance(file, size))).toBe(whole)
    }
  })

  test('cut in two at every byte', () => {
    for (let at = 0; at <= file.length; at++) {
      const reader = new InstanceReader()
      reader.push(file.subarray(0, at))
      reader.push(file.subarray(at))
      expect(facts(reader.end())).toBe(whole)
    }
  })

  test('cut anywhere, any number of times, empty chunks among them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(file.length), { maxLength: 30 }), (cuts) => {
        const reader = new InstanceReader()
        let last = 0
        for (const cut of [...cuts.sort((a, b) => a - b), file.length]) {
          reader.push(file.subarray(last, cut))
          last = cut
        }
        return facts(reader.end()) === whole
      }),
      { numRuns: 200 },
    )
  })

  test('when the caller writes over each chunk after it was taken', () => {
    const reader = new InstanceReader()
    const chunk = Buffer.alloc(37)
    for (let at = 0; at < file.length; at += chunk.length) {
      const count = file.copy(chunk, 0, at)
      reader.push(chunk.subarray(0, count))
      chunk.fill(0xaa)
    }
    expect(facts(reader.end())).toBe(whole)
  })
})

function facts(instance: ReturnType<typeof readInstance>): string {
  return JSON.stringify({ ...instance, metadata: metadataText(instance) })
}
