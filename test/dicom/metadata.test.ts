import { describe, expect, test } from 'vitest'
import {
  type DicomElement,
  dataSet,
  dicomFile,
  explicitBigEndian,
  implicitLittleEndian,
} from '../support/dicom-file.ts'
import { jsonOf, metadataOf, metadataText, readInstance } from '../support/dicom-reading.ts'

const implicit = { transferSyntaxUID: implicitLittleEndian }
const bigEndian = { transferSyntaxUID: explicitBigEndian }

describe('DICOM JSON model (PS3.18 Annex F)', () => {
  test('keys are eight uppercase digits in ascending order (JS-01)', () => {
    const keys = Object.keys(metadataOf(readInstance(dicomFile())))
    expect(keys).toEqual([...keys].sort())
    for (const key of keys) expect(key).toMatch(/^[0-9A-F]{8}$/)
  })

  test('keys are put in order when the file has another, in items, too (JS-01)', () => {
    const items = [
      [
        { tag: '00400009', vr: 'SH', value: 'b' },
        { tag: '00400007', vr: 'LO', value: 'a' },
        { tag: '00080100', vr: 'SH', value: 'c' },
      ],
    ]
    const elements = [
      { tag: '00400275', vr: 'SQ', items },
      { tag: '00080008', vr: 'CS', value: 'X' },
      { tag: '00080005', vr: 'CS', value: 'ISO_IR 100' },
    ]
    const text = metadataText(readInstance(dicomFile({ elements, unsorted: true })))
    const model = JSON.parse(text)
    expect(Object.keys(model)).toEqual(Object.keys(model).sort())
    expect(text).toContain(
      '"00400275":{"vr":"SQ","Value":[{"00080100":{"vr":"SH","Value":["c"]},"00400007":{"vr":"LO","Value":["a"]},"00400009":{"vr":"SH","Value":["b"]}}]}',
    )
  })

  test.each(
    'AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV'.split(
      ' ',
    ),
  )('an empty %s has its vr alone (JS-04, JS-06)', (vr) => {
    expect(jsonOf({ tag: '00091010', vr })).toEqual({ vr })
  })

  test('an empty value among others is null (JS-05)', () => {
    expect(jsonOf({ tag: '00091010', vr: 'LO', value: 'A\\\\B' })?.Value).toEqual(['A', null, 'B'])
    expect(jsonOf({ tag: '00091010', vr: 'IS', value: '1\\ \\' })?.Value).toEqual([1, null, null])
    expect(jsonOf({ tag: '00091010', vr: 'PN', value: 'A\\' })?.Value).toEqual([
      { Alphabetic: 'A' },
      null,
    ])
  })

  test('an empty item is an empty object (JS-06)', () => {
    const items = [[], [{ tag: '00400007', vr: 'LO', value: 'x' }], []]
    for (const undefinedLength of [true, false]) {
      expect(jsonOf({ tag: '00400275', vr: 'SQ', items, undefinedLength })?.Value).toEqual([
        {},
        { '00400007': { vr: 'LO', Value: ['x'] } },
        {},
      ])
    }
  })

  test('a name has the component groups that are not empty (JS-07)', () => {
    const value = (text: string) => jsonOf({ tag: '00091010', vr: 'PN', value: text })?.Value
    expect(value('Doe^Jane^^Dr')).toEqual([{ Alphabetic: 'Doe^Jane^^Dr' }])
    expect(value('A=B=C')).toEqual([{ Alphabetic: 'A', Ideographic: 'B', Phonetic: 'C' }])
    expect(value('==C')).toEqual([{ Phonetic: 'C' }])
    expect(value('A==\\=B')).toEqual([{ Alphabetic: 'A' }, { Ideographic: 'B' }])
  })

  test('a name without a group is an empty value, and none where it is the only one (JS-04, JS-05, JS-07)', () => {
    const of = (text: string, options = {}) =>
      jsonOf({ tag: '00091010', vr: 'PN', value: text }, options)
    for (const text of ['=', '==', ' = ']) expect(of(text)).toEqual({ vr: 'PN' })
    const escaped = of('\x1b(B=\x1b(B', { specificCharacterSet: '\\ISO 2022 IR 87' })
    expect(escaped).toEqual({ vr: 'PN' })
    expect(of('A\\=\\==B')?.Value).toEqual([{ Alphabetic: 'A' }, null, { Phonetic: 'B' }])
    const among = of('\xe9\\==', { specificCharacterSet: 'ISO_IR 100' })
    expect(among?.Value).toEqual([{ Alphabetic: 'é' }, null])
  })

  test('bytes are one string of base64, in little endian (JS-08, JS-09)', () => {
    const value = Buffer.from('0102030405060708', 'hex')
    const swapped: Record<string, string> = {
      OB: '0102030405060708',
      UN: '0102030405060708',
      OW: '0201040306050807',
      OF: '0403020108070605',
      OL: '0403020108070605',
      OD: '0807060504030201',
      OV: '0807060504030201',
    }
    for (const [vr, expected] of Object.entries(swapped)) {
      const element = { tag: '00091010', vr, value }
      expect(jsonOf(element)).toEqual({ vr, InlineBinary: value.toString('base64') })
      const inline = jsonOf(element, bigEndian)?.InlineBinary ?? ''
      expect(Buffer.from(inline, 'base64').toString('hex')).toBe(expected)
    }
    for (const length of [1, 2, 3, 4, 5]) {
      const bytes = value.subarray(0, length)
      const json = jsonOf({ tag: '00091010', vr: 'OB', value: bytes })
      expect(json?.InlineBinary).toBe(bytes.toString('base64'))
    }
  })

  test('a tag is eight digits (JS-12)', () => {
    const element = { tag: '00280009', vr: 'AT', value: ['00181063', '0018106A'] }
    for (const options of [{}, implicit, bigEndian]) {
      expect(jsonOf(element, options)).toEqual({ vr: 'AT', Value: ['00181063', '0018106A'] })
    }
  })

  test.each([
    ['US', [0, 1, 65_535]],
    ['SS', [0, -1, 32_767, -32_768]],
    ['UL', [0, 4_294_967_295]],
    ['SL', [0, -1, 2_147_483_647, -2_147_483_648]],
    ['FL', [0, -1.5, 0.10000000149011612, 3.4028234663852886e38, 1e-45]],
    ['FD', [0, -1.5, 0.1, 1.7976931348623157e308, 5e-324, 4_294_967_296]],
  ])('%s are numbers (JS-13)', (vr, value) => {
    for (const options of [{}, bigEndian]) {
      const values = jsonOf({ tag: '00091010', vr, value }, options)?.Value as number[]
      expect(vr === 'FL' ? values.map(Math.fround) : values).toEqual(
        vr === 'FL' ? value.map(Math.fround) : value,
      )
    }
  })

  test('what is no JSON number is a string that Number() reads (JS-13)', () => {
    const value = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const vr of ['FL', 'FD']) {
      expect(jsonOf({ tag: '00091010', vr, value })?.Value).toEqual([
        'NaN',
        'Infinity',
        '-Infinity',
      ])
    }
  })

  test.each([
    ['1', '1'],
    ['-0.5', '-0.5'],
    ['1.50', '1.50'],
    ['1.000000', '1.000000'],
    [' 12 ', '12'],
    ['1e5', '1e5'],
    ['-1.25E-03', '-1.25E-03'],
    ['+7', '7'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['007', '7'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['9007199254740993', '"9007199254740993"'],
    ['1234567890.123456', '1234567890.123456'],
    ['0.12345678901234567', '"0.12345678901234567"'],
    ['1E400', '"1E400"'],
    ['1e-400', '"1e-400"'],
    ['abc', '"abc"'],
    ['1,5', '"1,5"'],
    ['-', '"-"'],
    ['1e', '"1e"'],
    ['000012', '12'],
    ['-0012', '-12'],
    ['-00', '0'],
    ['007.50', '7.5'],
    ['0x10', '"0x10"'],
    ['NaN', '"NaN"'],
  ])('DS and IS %j are %s: a number if no digit is lost (JS-14)', (text, json) => {
    for (const vr of ['DS', 'IS']) {
      const file = dicomFile({ elements: [{ tag: '00091010', vr, value: text }] })
      expect(metadataText(readInstance(file))).toContain(
        `"00091010":{"vr":"${vr}","Value":[${json}]}`,
      )
    }
  })

  test('64 bits are a number while a double holds them (JS-15)', () => {
    const value = [0n, -1n, 2n ** 53n - 1n, -(2n ** 53n), 2n ** 63n - 1n]
    for (const options of [{}, bigEndian]) {
      expect(jsonOf({ tag: '00091010', vr: 'SV', value }, options)?.Value).toEqual([
        0,
        -1,
        9_007_199_254_740_991,
        '-9007199254740992',
        '9223372036854775807',
      ])
      expect(
        jsonOf({ tag: '00091010', vr: 'UV', value: [2n ** 64n - 1n] }, options)?.Value,
      ).toEqual(['18446744073709551615'])
    }
  })

  test('padding goes, significant spaces stay (JS-17)', () => {
    const value = (vr: string, text: string) => jsonOf({ tag: '00091010', vr, value: text })?.Value
    expect(value('UI', '1.2\0')).toEqual(['1.2'])
    expect(value('CS', ' A \\B ')).toEqual(['A', 'B'])
    expect(value('LO', 'A \\B  ')).toEqual(['A', 'B'])
    expect(value('LT', '  a  ')).toEqual(['  a'])
    expect(value('UT', '  a\r\n b')).toEqual(['  a\r\n b'])
  })

  test('text is UTF-8, and Specific Character Set says so (JS-18)', () => {
    const elements = [
      { tag: '00100010', vr: 'PN', value: Buffer.from('J\xe9r\xf4me', 'latin1') },
      { tag: '00102000', vr: 'LO', value: Buffer.from('\xe9\\b\xe9 ', 'latin1') },
      { tag: '00104000', vr: 'LT', value: Buffer.from('\xe9\\b', 'latin1') },
    ]
    const model = metadataOf(
      readInstance(dicomFile({ specificCharacterSet: 'ISO_IR 100', elements })),
    )
    expect(model).toMatchObject({
      '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
      '00100010': { Value: [{ Alphabetic: 'Jérôme' }] },
      '00102000': { Value: ['é', 'bé'] },
      '00104000': { Value: ['é\\b'] },
    })
  })

  test('an item may have its own character set; what is around it keeps the other (JS-18)', () => {
    const cyrillic = Buffer.from('\xbb\xee\xda ', 'latin1')
    const inner = [
      { tag: '00080005', vr: 'CS', value: 'ISO_IR 144' },
      { tag: '00400007', vr: 'LO', value: cyrillic },
    ]
    const items = [inner, [{ tag: '00400007', vr: 'LO', value: cyrillic }]]
    const elements = [
      { tag: '00400275', vr: 'SQ', items },
      { tag: '00402400', vr: 'LT', value: cyrillic },
    ]
    expect(
      metadataOf(readInstance(dicomFile({ specificCharacterSet: 'ISO_IR 100', elements }))),
    ).toMatchObject({
      '00400275': {
        Value: [
          { '00080005': { vr: 'CS', Value: ['ISO_IR 192'] }, '00400007': { Value: ['Люк'] } },
          { '00400007': { Value: ['»îÚ'] } },
        ],
      },
      '00402400': { Value: ['»îÚ'] },
    })
  })

  test('a backslash separates values or is text, by VR (JS-19)', () => {
    const value = (vr: string) => jsonOf({ tag: '00091010', vr, value: 'a\\b' })?.Value
    for (const vr of ['LO', 'SH', 'UC', 'CS', 'AE']) expect(value(vr)).toEqual(['a', 'b'])
    for (const vr of ['LT', 'ST', 'UT', 'UR']) expect(value(vr)).toEqual(['a\\b'])
  })

  test('quotes and control characters are escaped; NUL becomes U+FFFD, which Postgres can keep', () => {
    const element = { tag: '00091010', vr: 'LT', value: 'a"b\tc\x01d\0e\x7f.' }
    expect(jsonOf(element)?.Value).toEqual(['a"b\tc\x01d\uFFFDe\x7f.'])
    const accented = { ...element, value: Buffer.from('é"\0\t\\x') }
    expect(jsonOf(accented, { specificCharacterSet: 'ISO_IR 192' })?.Value).toEqual([
      'é"\uFFFD\t\\x',
    ])
  })

  test('undecodable text becomes U+FFFD (DV-20)', () => {
    const value = Buffer.from('J\xe9r ', 'latin1')
    for (const vr of ['LO', 'LT', 'UR', 'CS', 'DS']) {
      expect(jsonOf({ tag: '00091010', vr, value })?.Value).toEqual(['J\uFFFDr'])
    }
  })

  test('group lengths and group 0002 are left out (JS-20, JS-21)', () => {
    const elements = [
      { tag: '00080000', vr: 'UL', value: 4 },
      { tag: '00090000', vr: 'UL', value: 4 },
      { tag: '00400275', vr: 'SQ', items: [[{ tag: '00400000', vr: 'UL', value: 4 }]] },
    ]
    const model = metadataOf(readInstance(dicomFile({ elements })))
    expect(Object.keys(model).filter((key) => /^0002|0000$/.test(key))).toEqual([])
    expect(model['00400275']?.Value).toEqual([{}])
  })

  test('private elements keep their block and their creator (JS-22)', () => {
    const elements = [
      { tag: '00090010', vr: 'LO', value: 'ACME' },
      { tag: '00091002', vr: 'SH', value: 'x' },
    ]
    expect(metadataOf(readInstance(dicomFile({ elements })))).toMatchObject({
      '00090010': { vr: 'LO', Value: ['ACME'] },
      '00091002': { vr: 'SH', Value: ['x'] },
    })
    expect(metadataOf(readInstance(dicomFile({ elements, ...implicit })))).toMatchObject({
      '00090010': { vr: 'LO', Value: ['ACME'] },
      '00091002': { vr: 'UN', InlineBinary: Buffer.from('x ').toString('base64') },
    })
  })

  test('US or SS follows Pixel Representation, also that of the data set around (JS-23)', () => {
    const least = { tag: '00280106', vr: 'SS', value: -2 }
    const signed = { tag: '00280103', vr: 'US', value: 1 }
    expect(jsonOf(least, { ...implicit, elements: [signed] })).toEqual({ vr: 'SS', Value: [-2] })
    expect(jsonOf(least, implicit)).toEqual({ vr: 'US', Value: [65_534] })
    const nested = {
      tag: '00283000',
      vr: 'SQ',
      items: [[{ tag: '00283002', vr: 'SS', value: [4, -2, 16] }]],
    }
    expect(jsonOf(nested, { ...implicit, elements: [signed] })?.Value).toEqual([
      { '00283002': { vr: 'SS', Value: [4, -2, 16] } },
    ])
  })

  test('OB or OW is OW in Implicit VR (JS-23; PS3.5 A.1)', () => {
    const model = metadataOf(readInstance(dicomFile(implicit)))
    expect(model['7FE00010']?.vr).toBe('OW')
    const element = { tag: '60023000', vr: 'OW', value: Buffer.from([1, 2]) }
    expect(jsonOf(element, implicit)).toEqual({ vr: 'OW', InlineBinary: 'AQI=' })
  })

  test('odd lengths are read (JS-25, DV-21)', () => {
    const elements = [
      { tag: '00091010', vr: 'LO', value: Buffer.from('abc') },
      { tag: '00091011', vr: 'US', value: Buffer.from([1, 0, 9]) },
    ]
    expect(metadataOf(readInstance(dicomFile({ elements })))).toMatchObject({
      '00091010': { vr: 'LO', Value: ['abc'] },
      '00091011': { vr: 'US', Value: [1] },
    })
  })
})

describe('UN (PS3.5 6.2.2; JS-24)', () => {
  const un = (tag: string, value: Buffer | undefined): DicomElement =>
    value === undefined ? { tag, vr: 'UN' } : { tag, vr: 'UN', value }

  test('with a known tag is read as what it is', () => {
    expect(jsonOf(un('00081030', Buffer.from('Head')))).toEqual({ vr: 'LO', Value: ['Head'] })
    expect(jsonOf(un('00280009', Buffer.from('18006310', 'hex')))).toEqual({
      vr: 'AT',
      Value: ['00181063'],
    })
    expect(jsonOf(un('00081030', undefined))).toEqual({ vr: 'LO' })
  })

  test('with a known tag is little endian even in a big endian file', () => {
    const value = Buffer.from([1, 0, 0, 0])
    expect(jsonOf(un('00186022', value), bigEndian)).toEqual({ vr: 'SL', Value: [1] })
  })

  test('with a private tag or a value that does not fit stays bytes', () => {
    expect(jsonOf(un('00091010', Buffer.from('ab')))).toEqual({ vr: 'UN', InlineBinary: 'YWI=' })
    expect(jsonOf(un('00280009', Buffer.from('abc')))).toEqual({ vr: 'UN', InlineBinary: 'YWJj' })
    expect(jsonOf(un('00081140', Buffer.from('no sequence.')))?.vr).toBe('UN')
    expect(jsonOf(un('00081140', Buffer.from('abcd')))?.vr).toBe('UN')
  })

  const item = Buffer.concat([
    Buffer.from('feff00e0ffffffff', 'hex'),
    ...dataSet([{ tag: '00081155', vr: 'UI', value: '1.2.3' }], implicitLittleEndian),
    Buffer.from('feff0de000000000', 'hex'),
  ])
  const items = [{ '00081155': { vr: 'UI', Value: ['1.2.3'] } }]

  test('that holds a known sequence is one, in Implicit VR, also in a big endian file', () => {
    for (const options of [{}, bigEndian]) {
      expect(jsonOf(un('00081140', item), options)).toEqual({ vr: 'SQ', Value: items })
    }
  })

  test('of undefined length is a sequence in Implicit VR, private or not', () => {
    const value = Buffer.concat([item, Buffer.from('feffdde000000000', 'hex')])
    for (const tag of ['00081140', '00091010']) {
      for (const options of [{}, bigEndian]) {
        const element = { tag, vr: 'UN', value, claimedLength: 0xffffffff }
        expect(jsonOf(element, options)).toEqual({ vr: 'SQ', Value: items })
      }
    }
  })
})

test('items in Implicit VR inside an Explicit VR file are read', () => {
  const inner = dataSet([{ tag: '00081155', vr: 'UI', value: '1.2.3' }], implicitLittleEndian)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(Buffer.concat(inner).length)
  const value = Buffer.concat([Buffer.from('feff00e0', 'hex'), length, ...inner])
  const file = dicomFile({ elements: [{ tag: '00081140', vr: 'OB', value }] })
  file.write('SQ', file.indexOf('\x08\x00\x40\x11OB', 0, 'latin1') + 4)
  expect(metadataOf(readInstance(file))['00081140']).toEqual({
    vr: 'SQ',
    Value: [{ '00081155': { vr: 'UI', Value: ['1.2.3'] } }],
  })
})
