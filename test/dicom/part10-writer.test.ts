import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { decodeXml } from '../../server/dicom/xml-encoding.ts'
import { dcm2json, whyNoReaders } from '../support/dicom-corpus.ts'
import { type DicomJson, metadataOf, readInstance } from '../support/dicom-reading.ts'
import {
  dataSetOfJson,
  dataSetOfXml,
  fileOf,
  objectionOf,
  xmlOf,
} from '../support/metadata-file.ts'

const identity: DicomJson = {
  '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
  '00080018': { vr: 'UI', Value: ['1.2.3.4'] },
  '0020000D': { vr: 'UI', Value: ['1.2.3'] },
  '0020000E': { vr: 'UI', Value: ['1.2.3.5'] },
}

/** What comes back of some attributes, without the identity. */
function back(json: DicomJson | string): DicomJson {
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  const whole = text.replace(
    '{',
    `{${JSON.stringify(identity).slice(1, -1)}${text === '{}' ? '' : ','}`,
  )
  const found = metadataOf(readInstance(fileOf(dataSetOfJson(whole))))
  for (const tag of Object.keys(identity)) delete found[tag]
  return found
}

function refused(json: unknown) {
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  return objectionOf(() => fileOf(dataSetOfJson(text)))
}

const metadataError = (tag: string) => ['MetadataError', 0xc000, expect.stringContaining(tag)]
const valueError = (tag: string) => ['InvalidValueError', 0x0106, expect.stringContaining(tag)]

/** dcm2json ends at them. */
const notForDcmtk = 'JS-13: numbers that JSON has no form for'

/** Attributes that come back as they are. */
const faithful: [name: string, attributes: DicomJson][] = [
  ['JS-04: attributes without a value', { '00080050': { vr: 'SH' }, '00280010': { vr: 'US' } }],
  ['JS-05: an empty value among others', { '00080008': { vr: 'CS', Value: ['A', null, 'B'] } }],
  [
    'JS-06: sequences with items, an empty item, and none',
    {
      '00081115': { vr: 'SQ', Value: [{}, { '0020000E': { vr: 'UI', Value: ['1.2'] } }] },
      '00081140': { vr: 'SQ' },
      '00400275': {
        vr: 'SQ',
        Value: [{ '00400008': { vr: 'SQ', Value: [{ '00080100': { vr: 'SH', Value: ['X'] } }] } }],
      },
    },
  ],
  [
    'JS-07: names with groups and components',
    {
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
      '00081070': {
        vr: 'PN',
        Value: [
          { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' },
          null,
          { Ideographic: '金^希' },
        ],
      },
    },
  ],
  [
    'JS-08: InlineBinary of every binary VR',
    Object.fromEntries(
      ['OB', 'OW', 'OF', 'OL', 'OD', 'OV', 'UN'].map((vr, index) => [
        `0009100${index}`,
        { vr, InlineBinary: Buffer.from('01234567').toString('base64') },
      ]),
    ),
  ],
  ['JS-12: attribute tags', { '00280009': { vr: 'AT', Value: ['00181063', '7FE00010'] } }],
  [
    'JS-13: numbers at the ends of their ranges',
    {
      '00091001': { vr: 'US', Value: [0, 65535] },
      '00091002': { vr: 'SS', Value: [-32768, 32767] },
      '00091003': { vr: 'UL', Value: [4294967295] },
      '00091004': { vr: 'SL', Value: [-2147483648, 2147483647] },
      '00091005': { vr: 'FL', Value: [1.5, -0.25] },
      '00091006': { vr: 'FD', Value: [0.1, 1e300] },
    },
  ],
  [
    notForDcmtk,
    {
      '00091005': { vr: 'FL', Value: ['NaN', '-Infinity'] },
      '00091006': { vr: 'FD', Value: ['Infinity'] },
    },
  ],
  [
    'JS-15: integers of 64 bits, as numbers and as strings',
    {
      '00091001': { vr: 'SV', Value: [-1, '-9223372036854775808', '9223372036854775807'] },
      '00091002': { vr: 'UV', Value: [9007199254740991, '18446744073709551615'] },
    },
  ],
  ['JS-16: OV as base64', { '00091001': { vr: 'OV', InlineBinary: 'AQIDBAUGBwg=' } }],
  [
    'JS-17, JS-25: texts of odd and even length, with spaces in front where they count',
    {
      '00080060': { vr: 'CS', Value: ['CT'] },
      '00102000': { vr: 'LO', Value: ['odd'] },
      '00104000': { vr: 'LT', Value: ['  in front\r\nand below'] },
      '00200052': { vr: 'UI', Value: ['1.2.3'] },
    },
  ],
  ['JS-19: a backslash where it is text', { '00104000': { vr: 'LT', Value: ['a\\b'] } }],
  [
    'JS-22: private attributes with their creator',
    {
      '00091010': { vr: 'LO', Value: ['private'] },
      '00090010': { vr: 'LO', Value: ['ACME 1.0'] },
    },
  ],
]

describe('Metadata as a PS3.10 file (PS3.18 Annex F, PS3.19 A.1)', () => {
  test.each(faithful)('%s come back equal, from JSON and from XML', (_, attributes) => {
    expect(back(attributes)).toEqual(attributes)
    const xml = xmlOf({ ...identity, ...attributes })
    const fromXml = metadataOf(readInstance(fileOf(dataSetOfXml(xml))))
    expect(fromXml).toEqual({ ...identity, ...attributes })
  })

  test.skipIf(whyNoReaders() !== undefined)('dcmtk reads the files alike', () => {
    for (const [name, attributes] of faithful) {
      if (name === notForDcmtk) continue
      const file = fileOf(dataSetOfJson({ ...identity, ...attributes }))
      expect(dcm2json(file), name).toBeDefined()
      const { '00080005': _, ...ours } = metadataOf(readInstance(file))
      const { '00080005': __, ...theirs } = dcm2json(file) as DicomJson
      expect(Object.keys(theirs).sort()).toEqual(Object.keys(ours).sort())
    }
  })

  test('JS-01: tags come in any order and case, and are written in order', () => {
    const text = '{"00280011":{"vr":"US","Value":[2]},"0020000e":{"vr":"UI","Value":["1.2.3.5"]}}'
    const file = fileOf(dataSetOfJson(text))
    expect(file.indexOf(Buffer.from([0x20, 0, 0x0e, 0]))).toBeLessThan(
      file.indexOf(Buffer.from([0x28, 0, 0x11, 0])),
    )
  })

  test.each([[[]], [['']], [[null]], [[null, '']]])('JS-04: a Value of %j is no value', (Value) => {
    expect(back({ '00080050': { vr: 'SH', Value } })).toEqual({ '00080050': { vr: 'SH' } })
    expect(back({ '00280010': { vr: 'US', Value } })).toEqual({ '00280010': { vr: 'US' } })
  })

  test('JS-08: an InlineBinary in an array of one is taken', () => {
    const text = '{"00091001":{"vr":"OB","InlineBinary":["AQI="]}}'
    expect(back(text)).toEqual({ '00091001': { vr: 'OB', InlineBinary: 'AQI=' } })
  })

  test('JS-09: words are written as they are, little endian', () => {
    const file = fileOf(dataSetOfJson({ '00091001': { vr: 'OW', InlineBinary: 'AQIDBA==' } }))
    expect([...file.subarray(-4)]).toEqual([1, 2, 3, 4])
  })

  test('JS-14: digits of DS and IS are written as they stand, however many there are', () => {
    const text =
      '{"00181050":{"vr":"DS","Value":[1.50,0.30000000000000004,"1E-400",-0.0]},"00200013":{"vr":"IS","Value":["007"]}}'
    const file = fileOf(dataSetOfJson(text)).toString('latin1')
    expect(file).toContain('1.50\\0.30000000000000004\\1E-400\\-0.0')
    expect(file).toContain('007')
  })

  test('JS-13, JS-15: numbers may be strings, and whole numbers may be written as 12.0', () => {
    const text =
      '{"00280010":{"vr":"US","Value":["16"]},"00280011":{"vr":"US","Value":[16.0]},"00091001":{"vr":"UV","Value":[18446744073709551615]}}'
    expect(back(text)).toEqual({
      '00280010': { vr: 'US', Value: [16] },
      '00280011': { vr: 'US', Value: [16] },
      '00091001': { vr: 'UV', Value: ['18446744073709551615'] },
    })
  })

  test.each([undefined, [], ['ISO_IR 100'], ['', 'ISO 2022 IR 87']])(
    'JS-18: text beyond ASCII makes Specific Character Set ISO_IR 192, when it was %j',
    (was) => {
      const named: DicomJson =
        was === undefined ? {} : { '00080005': { vr: 'CS', ...(was[0] ? { Value: was } : {}) } }
      const text: DicomJson = { '00081030': { vr: 'LO', Value: ['Schädel'] } }
      const expected = { '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, ...text }
      expect(back({ ...named, ...text })).toEqual(expected)
      const inItem: DicomJson = { '00081115': { vr: 'SQ', Value: [{ ...named, ...text }] } }
      expect(back(inItem)['00081115']?.Value).toMatchObject([text])
    },
  )

  test('JS-18: plain ASCII needs no Specific Character Set, and gets none', () => {
    expect(back({ '00081030': { vr: 'LO', Value: ['Skull'] } })).not.toHaveProperty('00080005')
  })

  test('JS-20, JS-21, MB-10: group lengths and the groups before the data set are left out', () => {
    const text =
      '{"00000002":{"vr":"UI","Value":["1.2"]},"00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.4.50"]},"00080000":{"vr":"UL","Value":[5]},"00080060":{"vr":"CS","Value":["CT"]}}'
    expect(back(text)).toEqual({ '00080060': { vr: 'CS', Value: ['CT'] } })
    const file = fileOf(dataSetOfJson({ ...identity, ...JSON.parse(text) }))
    expect(readInstance(file).transferSyntaxUID).toBe('1.2.840.10008.1.2.1')
  })

  test('JS-22: XML gives private attributes the block of their creator, or a free one', () => {
    const xml = `<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">
      <DicomAttribute tag="00090011" vr="LO"><Value number="1">KNOWN</Value></DicomAttribute>
      <DicomAttribute tag="00090001" vr="LO" privateCreator="KNOWN"><Value number="1">a</Value></DicomAttribute>
      <DicomAttribute tag="00090001" vr="LO" privateCreator="NEW"><Value number="1">b</Value></DicomAttribute>
    </NativeDicomModel>`
    const file = fileOf([...dataSetOfJson(identity), ...dataSetOfXml(xml)])
    expect(metadataOf(readInstance(file))).toMatchObject({
      '00090010': { vr: 'LO', Value: ['NEW'] },
      '00090011': { vr: 'LO', Value: ['KNOWN'] },
      '00091001': { vr: 'LO', Value: ['b'] },
      '00091101': { vr: 'LO', Value: ['a'] },
    })
  })

  test('equal metadata give equal bytes, whatever their order', () => {
    const turned = Object.fromEntries(Object.entries(identity).reverse())
    expect(fileOf(dataSetOfJson(turned))).toEqual(fileOf(dataSetOfJson(identity)))
  })

  test('a value that its short form cannot hold is written as UN, and read as what it is', () => {
    const Value = Array.from({ length: 9000 }, (_, index) => index + 0.25)
    expect(back({ '00186060': { vr: 'FL', Value } })).toEqual({ '00186060': { vr: 'FL', Value } })
    // 64 KiB are one byte more than the short form holds, and no more than a value may have.
    const longest = { '00102000': { vr: 'LO', Value: ['x'.repeat(65_536)] } }
    expect(back(longest)).toEqual(longest)
  })

  test('DV-24: what was sent as UN stays UN, however long, and whatever its tag is', () => {
    const json = { '00080050': { vr: 'UN', InlineBinary: Buffer.alloc(70_000).toString('base64') } }
    const { '00080050': found } = back(json)
    expect(found).toEqual({ vr: 'UN', BulkDataURI: expect.stringContaining('-70000') })
  })
})

describe('Metadata that no file can be made of', () => {
  test.each<[string, unknown, unknown[]]>([
    ['JS-03: no vr', { '00080060': { Value: ['CT'] } }, metadataError('(0008,0060)')],
    [
      'JS-03: Value and InlineBinary',
      { '00091001': { vr: 'OB', Value: [1], InlineBinary: 'AQI=' } },
      metadataError('(0009,1001)'),
    ],
    [
      'JS-03: an InlineBinary and a BulkDataURI',
      { '00091001': { vr: 'OB', BulkDataURI: 'x', InlineBinary: 'AQI=' } },
      metadataError('(0009,1001)'),
    ],
    [
      'a Value that is no array',
      { '00080060': { vr: 'CS', Value: 'CT' } },
      metadataError('(0008,0060)'),
    ],
    ['an attribute that is no object', { '00080060': 'CT' }, metadataError('(0008,0060)')],
    [
      'JS-01: a keyword for a tag',
      { Modality: { vr: 'CS', Value: ['CT'] } },
      metadataError('a key'),
    ],
    [
      'JS-06: an item that is no object',
      { '00081115': { vr: 'SQ', Value: [1] } },
      metadataError('(0008,1115)'),
    ],
    [
      'JS-07: a name with another group',
      { '00100010': { vr: 'PN', Value: [{ Latin: 'A' }] } },
      metadataError('(0010,0010)'),
    ],
    [
      'JS-07: a name that is a string',
      { '00100010': { vr: 'PN', Value: ['A^B'] } },
      valueError('(0010,0010)'),
    ],
    [
      'JS-07: a name with an equals sign',
      { '00100010': { vr: 'PN', Value: [{ Alphabetic: 'A=B' }] } },
      valueError('(0010,0010)'),
    ],
    [
      'JS-08: an InlineBinary that is not base64',
      { '00091001': { vr: 'OB', InlineBinary: 'AQ' } },
      metadataError('base64'),
    ],
    [
      'JS-10: a BulkDataURI of PN',
      { '00100010': { vr: 'PN', BulkDataURI: 'x' } },
      metadataError('(0010,0010)'),
    ],
    [
      'JS-10: a BulkDataURI of SQ',
      { '00081115': { vr: 'SQ', BulkDataURI: 'x' } },
      metadataError('(0008,1115)'),
    ],
    [
      'JS-11: an InlineBinary of LO',
      { '00102000': { vr: 'LO', InlineBinary: 'AQI=' } },
      metadataError('(0010,2000)'),
    ],
    [
      'JS-11: an InlineBinary of US',
      { '00280010': { vr: 'US', InlineBinary: 'AQI=' } },
      metadataError('(0028,0010)'),
    ],
    [
      'JS-11: an InlineBinary of SQ',
      { '00081115': { vr: 'SQ', InlineBinary: 'AQI=' } },
      metadataError('(0008,1115)'),
    ],
    [
      'JS-08: a Value of OW',
      { '7FE00010': { vr: 'OW', Value: [1, 2] } },
      metadataError('(7FE0,0010)'),
    ],
    [
      'JS-12: a tag of six digits',
      { '00280009': { vr: 'AT', Value: ['181063'] } },
      valueError('(0028,0009)'),
    ],
    ['JS-13: 70000 as US', { '00280010': { vr: 'US', Value: [70000] } }, valueError('(0028,0010)')],
    ['JS-13: -1 as US', { '00280010': { vr: 'US', Value: [-1] } }, valueError('(0028,0010)')],
    ['JS-13: 1.5 as SL', { '00091001': { vr: 'SL', Value: [1.5] } }, valueError('(0009,1001)')],
    ['JS-13: 1e39 as FL', { '00091001': { vr: 'FL', Value: [1e39] } }, valueError('(0009,1001)')],
    ['JS-13: text as FD', { '00091001': { vr: 'FD', Value: ['much'] } }, valueError('(0009,1001)')],
    [
      'JS-05: an empty value among US',
      { '00091001': { vr: 'US', Value: [1, null] } },
      valueError('(0009,1001)'),
    ],
    [
      'JS-15: 2^64 as UV',
      '{"00091001":{"vr":"UV","Value":[18446744073709551616]}}',
      valueError('(0009,1001)'),
    ],
    ['a number as LO', { '00102000': { vr: 'LO', Value: [5] } }, valueError('(0010,2000)')],
    ['true as CS', '{"00080060":{"vr":"CS","Value":[true]}}', metadataError('(0008,0060)')],
    [
      'JS-19: a backslash in a LO',
      { '00102000': { vr: 'LO', Value: ['a\\b'] } },
      valueError('(0010,2000)'),
    ],
    [
      'several values of LT',
      { '00104000': { vr: 'LT', Value: ['a', 'b'] } },
      valueError('(0010,4000)'),
    ],
    ['CS beyond ASCII', { '00080060': { vr: 'CS', Value: ['Ä'] } }, valueError('(0008,0060)')],
    [
      'JS-26: a tag twice',
      '{"00080060":{"vr":"CS","Value":["CT"]},"00080060":{"vr":"CS","Value":["MR"]}}',
      ['RepeatedElementError', 0xc000, expect.stringContaining('(0008,0060)')],
    ],
    [
      'JS-26: a tag twice in two cases',
      '{"0020000d":{"vr":"UI"},"0020000D":{"vr":"UI"}}',
      ['RepeatedElementError', 0xc000, expect.stringContaining('(0020,000D)')],
    ],
    ['JS-27: an unknown VR', { '00080060': { vr: 'XX', Value: ['CT'] } }, metadataError('VR')],
    [
      'JS-23: a VR that is not definite',
      { '00280106': { vr: 'xs', Value: [1] } },
      metadataError('VR'),
    ],
    [
      'JS-25: a word and a half',
      { '00091001': { vr: 'OW', InlineBinary: 'AQID' } },
      ['BulkDataError', 0xc000, expect.stringContaining('OW')],
    ],
    ['an item delimiter', { FFFEE000: { vr: 'UN' } }, metadataError('(FFFE,E000)')],
  ])('%s is refused', (_, json, objection) => {
    expect(refused(json)).toEqual(objection)
  })

  test.each([
    ['SH', { '00080050': { vr: 'SH', Value: ['A'.repeat(70_000)] } }, '(0008,0050)'],
    ['LO', { '00102000': { vr: 'LO', Value: Array(35_000).fill('a') } }, '(0010,2000)'],
    ['UI', { '00080018': { vr: 'UI', Value: ['1'.repeat(65_537)] } }, '(0008,0018)'],
    ['UR', { '0040E010': { vr: 'UR', Value: ['x'.repeat(65_538)] } }, '(0040,E010)'],
    ['AT', { '00280009': { vr: 'AT', Value: Array(17_000).fill('00181063') } }, '(0028,0009)'],
    [
      'PN in an item',
      {
        '00081110': {
          vr: 'SQ',
          Value: [{ '00100010': { vr: 'PN', Value: [{ Alphabetic: 'é'.repeat(32_769) }] } }],
        },
      },
      '(0010,0010)',
    ],
  ])(
    'DV-24, JS-10: more than 64 KiB of %s, which may not become bulk data, is a limit that is passed',
    (_, json, tag) => {
      expect(refused(json)).toEqual(['ValueTooLongError', 0xa700, expect.stringContaining(tag)])
    },
  )

  test('sequences inside sequences are limited', () => {
    let json: DicomJson = {}
    for (let depth = 0; depth < 66; depth++) json = { '00081115': { vr: 'SQ', Value: [json] } }
    expect(refused(json)?.slice(0, 2)).toEqual(['NestingTooDeepError', 0xa700])
  })

  test('the metadata around what is wrong are read all the same', async () => {
    const { readInstanceJson } = await import('../../server/dicom/model-from-json.ts')
    const { dataSet, error } = readInstanceJson(
      '{"00080060":{"vr":"XX"},"00080018":{"vr":"UI","Value":["1.2.3"]}}',
    )
    expect(error?.name).toBe('MetadataError')
    expect(dataSet).toEqual([{ tag: 0x00080018, vr: 'UI', values: ['1.2.3'] }])
  })

  test.each([
    '{"00080060":{"vr":"CS","Value":["CT"]}',
    '{"00080060":{"vr":"CS" "Value":["CT"]}}',
    "{'00080060':{}}",
    '{"00080060":{"vr":"CS","Value":[01]}}',
    '{"00080060":{"vr":"CS","Value":["\\x"]}}',
    '{"00080060":{"vr":"CS","Value":["a\nb"]}}',
    '{"00080060":NaN}',
    '{},',
    '[]',
    `${'['.repeat(300)}`,
  ])('%s is no JSON object, and its message does not quote it', (text) => {
    expect(() => dataSetOfJson(text)).toThrow(expect.objectContaining({ status: 400 }))
    expect(() => dataSetOfJson(text)).not.toThrow(/CT|0008/)
  })

  test.each([
    ['<NativeDicomModel><DicomAttribute></NativeDicomModel>', 'well-formed'],
    ['<!DOCTYPE x [<!ENTITY a "b">]><NativeDicomModel/>', 'document type'],
    ['<Other/>', 'root'],
    ['', 'well-formed'],
    ['<NativeDicomModel>&secret;</NativeDicomModel>', 'well-formed'],
  ])('%s is no Native DICOM Model document', (xml, reason) => {
    expect(() => dataSetOfXml(xml)).toThrow(expect.objectContaining({ status: 400 }))
    expect(() => dataSetOfXml(xml)).toThrow(reason)
  })

  test('JS-28: XML is read in the encoding that it names, and not in another', () => {
    const xml = (name: string) =>
      `<?xml version="1.0" encoding="${name}"?><NativeDicomModel><DicomAttribute tag="00102000" vr="LO"><Value number="1">grün</Value></DicomAttribute></NativeDicomModel>`
    const read = (text: Uint8Array) => dataSetOfXml(decodeXml(text))[0]?.values
    expect(read(Buffer.from(xml('UTF-8')))).toEqual(['grün'])
    expect(read(Buffer.from(xml('ISO-8859-1'), 'latin1'))).toEqual(['grün'])
    for (const bytes of [Buffer.from(xml('UTF-8'), 'latin1'), Buffer.from(xml('unheard-of'))]) {
      expect(() => read(bytes)).toThrow(expect.objectContaining({ status: 400 }))
    }
  })

  test.each([
    ['<DicomAttribute vr="CS"/>', 'tag'],
    ['<DicomAttribute tag="00080060" vr="XX"/>', 'VR'],
    ['<DicomAttribute tag="00080060" vr="CS"><Value>CT</Value></DicomAttribute>', 'number'],
    ['<DicomAttribute tag="00080060" vr="CS">CT</DicomAttribute>', 'text'],
    ['<DicomAttribute tag="00080060" vr="CS"><Thing/></DicomAttribute>', 'element where'],
    [
      '<DicomAttribute tag="00080060" vr="CS"><Value number="1">A</Value><Value number="1">B</Value></DicomAttribute>',
      'two values',
    ],
    ['<DicomAttribute tag="00080060" vr="CS"><Item number="1"/></DicomAttribute>', 'its VR'],
    [
      '<DicomAttribute tag="00100010" vr="PN"><Value number="1">A</Value></DicomAttribute>',
      'its VR',
    ],
    ['<DicomAttribute tag="00091001" vr="OB"><BulkData uuid="1"/></DicomAttribute>', 'uri'],
    [
      '<DicomAttribute tag="00091001" vr="OB"><BulkData uri="x"/><InlineBinary>AQI=</InlineBinary></DicomAttribute>',
      'more than one',
    ],
  ])('%s is refused', (attribute, reason) => {
    const xml = `<NativeDicomModel xml:space="preserve">${attribute}</NativeDicomModel>`
    expect(objectionOf(() => dataSetOfXml(xml))).toEqual([
      'MetadataError',
      0xc000,
      expect.stringContaining(reason),
    ])
  })
})
