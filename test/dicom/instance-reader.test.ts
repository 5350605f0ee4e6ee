import { describe, expect, test } from 'vitest'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import { transferSyntaxes } from '../../server/dicom/transfer-syntaxes.ts'
import {
  deflatedLittleEndian,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import { metadataOf, metadataText, readInstance, refusalOf } from '../support/dicom-reading.ts'

const studyInstanceUID = '1.2.3'
const seriesInstanceUID = '1.2.3.4'
const sopInstanceUID = '1.2.3.4.5'
const uids = { studyInstanceUID, seriesInstanceUID, sopInstanceUID }

describe('the facts of an instance', () => {
  test('are its identity, its transfer syntax and its attributes', () => {
    const file = dicomFile({ ...uids, patientID: 'P7', patientName: 'Doe^Jane=', seriesNumber: 3 })
    const { metadata: _, ...facts } = readInstance(file)
    expect(facts).toEqual({
      ...uids,
      transferSyntaxUID: explicitLittleEndian,
      sopClassUID: '1.2.840.10008.5.1.4.1.1.2',
      attributes: {
        studyDate: '20260314',
        studyTime: '101500',
        accessionNumber: 'A1',
        modality: 'CT',
        studyDescription: 'Head',
        patientName: 'Doe^Jane=',
        patientID: 'P7',
        seriesNumber: '3',
        instanceNumber: '1',
        rows: '16',
        columns: '16',
        bitsAllocated: '16',
      },
      warnings: [],
    })
  })

  test.each([
    implicitLittleEndian,
    explicitLittleEndian,
    explicitBigEndian,
    deflatedLittleEndian,
    jpegBaseline,
  ])('are the same in transfer syntax %s', (transferSyntaxUID) => {
    const elements = [
      { tag: '00189810', vr: 'US', value: 500 },
      {
        tag: '00400275',
        vr: 'SQ',
        undefinedLength: true,
        items: [[{ tag: '00400007', vr: 'LO', value: 'Thorax' }], []],
      },
    ]
    const expected = readInstance(dicomFile({ ...uids, elements }))
    const instance = readInstance(dicomFile({ ...uids, elements, transferSyntaxUID }))
    expect({ ...instance, metadata: null }).toEqual({
      ...expected,
      transferSyntaxUID,
      metadata: null,
    })
    const { '7FE00010': pixelData, ...others } = metadataOf(instance)
    const { '7FE00010': _, ...expectedOthers } = metadataOf(expected)
    expect(others).toEqual(expectedOthers)
    expect(pixelData?.BulkDataURI).toMatch(/^bulkdata\/7FE00010\/\d+-\d+$/)
  })

  test('leave out attributes that are missing or empty, and those of items', () => {
    const file = dicomFile({
      without: ['00080050'],
      elements: [
        { tag: '00100020', vr: 'LO' },
        { tag: '00081140', vr: 'SQ', items: [[{ tag: '00200010', vr: 'SH', value: 'inner' }]] },
      ],
    })
    const { attributes } = readInstance(file)
    expect(attributes.accessionNumber).toBeUndefined()
    expect(attributes.patientID).toBeUndefined()
    expect(attributes.studyID).toBeUndefined()
  })

  test('hold decoded text, several values joined by a backslash', () => {
    const file = dicomFile({
      specificCharacterSet: 'ISO_IR 192',
      elements: [
        { tag: '00100010', vr: 'PN', value: Buffer.from('Wáng^Xiǎo=王^小 ') },
        { tag: '00100020', vr: 'LO', value: ' P1 \\P2' },
      ],
    })
    const { attributes } = readInstance(file)
    expect(attributes.patientName).toBe('Wáng^Xiǎo=王^小')
    expect(attributes.patientID).toBe('P1 \\P2')
  })

  test('come with warnings that never hold the value (DV-19, P10)', () => {
    const file = dicomFile({
      studyDate: '20260230',
      patientID: 'x'.repeat(65),
      elements: [
        { tag: '00080030', vr: 'TM', value: '2561' },
        { tag: '00100030', vr: 'DA', value: '1970-01-01' },
        { tag: '00200011', vr: 'IS', value: '1.5' },
        { tag: '00080060', vr: 'CS', value: 'ct' },
      ],
    })
    expect(readInstance(file).warnings).toEqual([
      { keyword: 'StudyDate', reason: 'is not a date' },
      { keyword: 'StudyTime', reason: 'is not a time' },
      { keyword: 'Modality', reason: 'is not a code string' },
      { keyword: 'PatientID', reason: 'has more than 64 characters' },
      { keyword: 'PatientBirthDate', reason: 'is not a date' },
      { keyword: 'SeriesNumber', reason: 'is not an integer' },
    ])
  })
})

describe('the identity (PS3.5 9.1)', () => {
  const tags = {
    SOPClassUID: '00080016',
    SOPInstanceUID: '00080018',
    StudyInstanceUID: '0020000D',
    SeriesInstanceUID: '0020000E',
  }
  const noMetaUIDs = ['00020002', '00020003']

  test.each(Object.entries(tags))('%s missing is 0x0120 (DV-09)', (keyword, tag) => {
    expect(refusalOf(dicomFile({ without: [tag] }))).toMatchObject({
      name: 'MissingAttributeError',
      failureReason: 0x0120,
      message: expect.stringContaining(keyword),
    })
  })

  test.each(Object.entries(tags))('%s empty is 0x0121 (DV-10)', (_, tag) => {
    for (const value of ['', '\0\0', '  ']) {
      const file = dicomFile({ elements: [{ tag, vr: 'UI', value }] })
      expect(refusalOf(file)).toMatchObject({ failureReason: 0x0121 })
    }
  })

  test.each(Object.entries(tags))(
    '%s against the syntax is 0x0106, or 0x0117 (DV-11)',
    (keyword, tag) => {
      for (const value of ['1.2.a', '1.02', '1', ' 1.2']) {
        const file = dicomFile({ elements: [{ tag, vr: 'UI', value }] })
        expect(refusalOf(file)).toMatchObject({
          name: 'InvalidUIDError',
          failureReason: keyword === 'SOPInstanceUID' ? 0x0117 : 0x0106,
        })
      }
    },
  )

  test('65 characters are too many (DV-12)', () => {
    expect(refusalOf(dicomFile({ studyInstanceUID: `1.${'2'.repeat(62)}` }))).toBeUndefined()
    const long = `1.${'2'.repeat(63)}`
    expect(refusalOf(dicomFile({ studyInstanceUID: long }))?.failureReason).toBe(0x0106)
    expect(refusalOf(dicomFile({ sopInstanceUID: long }))?.failureReason).toBe(0x0117)
  })

  test.each(Object.values(tags))('%s with several values is 0xA900 (DV-13)', (tag) => {
    const file = dicomFile({ elements: [{ tag, vr: 'UI', value: '1.2\\1.3' }] })
    expect(refusalOf(file)).toMatchObject({ name: 'SeveralUIDsError', failureReason: 0xa900 })
  })

  test('padding by NUL or spaces is no fault (VA-2)', () => {
    const elements = [{ tag: '0020000D', vr: 'UI', value: '1.2.3   \0' }]
    expect(readInstance(dicomFile({ elements })).studyInstanceUID).toBe('1.2.3')
  })

  test('another class or instance in the File Meta Information is 0xA900 (DV-08)', () => {
    for (const tag of noMetaUIDs) {
      const file = dicomFile({ ...uids, meta: [{ tag, vr: 'UI', value: '1.2.9' }] })
      expect(refusalOf(file)).toMatchObject({
        name: 'FileMetaMismatchError',
        failureReason: 0xa900,
        identity: uids,
      })
    }
  })

  test('nothing in the File Meta Information contradicts nothing', () => {
    expect(refusalOf(dicomFile({ without: noMetaUIDs }))).toBeUndefined()
  })

  test('a DICOMDIR is 0x0122 (DV-23)', () => {
    const sopClassUID = '1.2.840.10008.1.3.10'
    const without = ['00020002']
    expect(refusalOf(dicomFile({ sopClassUID }))?.failureReason).toBe(0x0122)
    expect(refusalOf(dicomFile({ sopClassUID, without }))?.failureReason).toBe(0x0122)
  })

  test('is there for the report when the file is refused', () => {
    const cut = dicomFile(uids).subarray(0, -1)
    expect(refusalOf(cut)).toMatchObject({ name: 'TruncatedError', identity: uids })
    const noStudy = refusalOf(dicomFile({ ...uids, without: ['0020000D'] }))
    expect(noStudy?.identity).toEqual({
      sopClassUID: '1.2.840.10008.5.1.4.1.1.2',
      seriesInstanceUID,
      sopInstanceUID,
    })
  })

  test('comes from the File Meta Information while the data set has not told it', () => {
    const file = dicomFile({ ...uids, transferSyntaxUID: '1.2.840.113619.5.2' })
    expect(refusalOf(file)?.identity).toEqual({
      sopClassUID: '1.2.840.10008.5.1.4.1.1.2',
      sopInstanceUID,
    })
  })

  test('shows nothing that does not look like a UID (P10)', () => {
    const elements = [{ tag: '00080018', vr: 'UI', value: 'DOE^JANE' }]
    expect(refusalOf(dicomFile({ elements, without: noMetaUIDs }))).toMatchObject({
      message: expect.not.stringContaining('DOE'),
      identity: expect.not.objectContaining({ sopInstanceUID: expect.anything() }),
    })
  })
})

describe('a file that is none (PS3.10 7.1)', () => {
  test.each([
    ['is empty', Buffer.alloc(0)],
    ['is shorter than a preamble', Buffer.alloc(100)],
    ['has no "DICM" (DV-01)', Buffer.alloc(4096)],
    ['begins with the data set (DV-02)', dicomFile().subarray(132)],
  ])('%s', (_, file) => {
    expect(refusalOf(file)).toMatchObject({ name: 'NotDicomError', failureReason: 0xc000 })
  })
})

describe('the File Meta Information (PS3.10 7.1; DV-03)', () => {
  test('without a transfer syntax is 0xC000', () => {
    expect(refusalOf(dicomFile({ without: ['00020010'] }))).toMatchObject({
      name: 'FileMetaError',
      failureReason: 0xc000,
    })
    const meta = [{ tag: '00020010', vr: 'UI', value: '' }]
    expect(refusalOf(dicomFile({ meta }))?.failureReason).toBe(0xc000)
  })

  test('missing altogether is 0xC000', () => {
    const file = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), dicomFile().subarray(330)])
    expect(refusalOf(file)).toMatchObject({ name: 'FileMetaError', failureReason: 0xc000 })
  })

  test('may have no group length, or a wrong one', () => {
    expect(refusalOf(dicomFile({ without: ['00020000'] }))).toBeUndefined()
    for (const wrong of [0, 8, 10_000, 0xfffffff0]) {
      const file = dicomFile()
      file.writeUInt32LE(wrong, 140)
      expect(refusalOf(file)).toBeUndefined()
    }
  })

  test('may have private elements', () => {
    const meta = [
      { tag: '00020100', vr: 'UI', value: '1.2.3' },
      { tag: '00020102', vr: 'OB', value: Buffer.alloc(5000) },
    ]
    expect(refusalOf(dicomFile({ meta }))).toBeUndefined()
  })

  test('is cut: 0xC000', () => {
    const file = dicomFile()
    expect(refusalOf(file.subarray(0, 150))).toMatchObject({ name: 'FileMetaError' })
  })

  test('has a limit', () => {
    const meta = [{ tag: '00020102', vr: 'OB', value: Buffer.alloc(5000) }]
    expect(refusalOf(dicomFile({ meta }), { fileMetaBytes: 4000 })).toMatchObject({
      name: 'FileMetaTooLargeError',
      failureReason: 0xa700,
    })
  })
})

describe('the transfer syntax (DV-05)', () => {
  test.each([
    '1.2.840.113619.5.2',
    '1.2.840.10008.1.2.4.94',
    '1.2.840.10008.1.2.4.95',
    '1.2.840.10008.1.2.6.1',
    '1.2.840.10008.1.2.7.1',
    '1.2.3.4',
    'x',
  ])('%s is 0xC122', (transferSyntaxUID) => {
    expect(refusalOf(dicomFile({ transferSyntaxUID }))).toMatchObject({
      name: 'UnsupportedTransferSyntaxError',
      failureReason: 0xc122,
    })
  })

  test('of every kind that files are stored in is taken', () => {
    expect(transferSyntaxes.size).toBe(53)
    for (const transferSyntaxUID of transferSyntaxes.keys()) {
      const file = dicomFile({ transferSyntaxUID })
      expect(readInstance(file).transferSyntaxUID).toBe(transferSyntaxUID)
    }
  })
})

describe('a reader that has thrown', () => {
  test('throws the same again', () => {
    const reader = new InstanceReader()
    expect(() => reader.push(Buffer.alloc(200))).toThrow('no "DICM"')
    expect(() => reader.push(dicomFile())).toThrow('no "DICM"')
    expect(() => reader.end()).toThrow('no "DICM"')
  })
})

describe('readers that follow one another', () => {
  const file = (number: number, description: string) =>
    dicomFile({
      ...uids,
      studyDescription: description,
      elements: [{ tag: '00204000', vr: 'LT', value: `${number} `.repeat(300) }],
    })

  test('leave what the ones before them gave', () => {
    const texts = Array.from({ length: 60 }, (_, number) =>
      metadataText(readInstance(file(number, 'A'))),
    )
    const instances = texts.map((_, number) => readInstance(file(number, 'A')))
    expect(instances.map(metadataText)).toEqual(texts)
    expect(new Set(texts).size).toBe(60)
  })

  test('read on while others begin and end', () => {
    const files = [file(1, 'A'), file(2, 'B'), file(3, 'A')]
    const readers = files.map(() => new InstanceReader())
    for (let at = 0; at < 5000; at += 100) {
      for (const [index, reader] of readers.entries()) {
        reader.push(files[index]?.subarray(at, at + 100) ?? Buffer.alloc(0))
      }
      readInstance(file(at, 'C'))
    }
    const instances = readers.map((reader) => reader.end())
    expect(instances.map(metadataText)).toEqual(files.map((one) => metadataText(readInstance(one))))
  })

  test('decode equal bytes anew when their character set is another', () => {
    const named = (specificCharacterSet: string) =>
      readInstance(dicomFile({ specificCharacterSet, patientName: 'M\xfcller' }))
    expect(named('ISO_IR 100').attributes.patientName).toBe('M\u00FCller')
    expect(named('ISO_IR 144').attributes.patientName).toBe('M\u045Cller')
    expect(named('ISO_IR 100').attributes.patientName).toBe('M\u00FCller')
  })

  test('warn of equal values each', () => {
    for (let count = 0; count < 2; count++) {
      const { warnings } = readInstance(dicomFile({ studyDate: '20261301' }))
      expect(warnings).toEqual([{ keyword: 'StudyDate', reason: 'is not a date' }])
    }
  })

  test('have nothing more to read after their end', () => {
    const reader = new InstanceReader()
    reader.push(file(1, 'A'))
    reader.end()
    expect(() => reader.push(Buffer.alloc(8))).toThrow('the reader has ended')
    expect(() => reader.end()).toThrow('the reader has ended')
  })
})
