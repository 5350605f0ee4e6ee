import { describe, expect, test } from 'vitest'
import { dcm2json, whyNoReaders } from '../support/dicom-corpus.ts'
import {
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
} from '../support/dicom-file.ts'
import { metadataOf, readInstance } from '../support/dicom-reading.ts'

const missing = whyNoReaders()

describe.skipIf(missing !== undefined)('the files that tests make', () => {
  test.each([explicitLittleEndian, implicitLittleEndian, explicitBigEndian, deflatedLittleEndian])(
    'are read by dcmtk as by us: %s',
    (transferSyntaxUID) => {
      const file = dicomFile({
        transferSyntaxUID,
        pixelBytes: null,
        elements: [
          { tag: '00280009', vr: 'AT', value: '00181063' },
          { tag: '00186020', vr: 'SL', value: [1, -2] },
          { tag: '00189810', vr: 'US', value: 7 },
          { tag: '00281201', vr: 'OW', value: Buffer.from([0, 1, 0, 1]) },
          {
            tag: '00400275',
            vr: 'SQ',
            undefinedLength: true,
            items: [[{ tag: '00400007', vr: 'LO', value: 'a\\b' }], []],
          },
        ],
      })
      expect(metadataOf(readInstance(file))).toEqual(dcm2json(file))
    },
  )
})
