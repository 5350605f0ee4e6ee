import { describe, expect, test } from 'vitest'
import { type SearchLevel, searchAttributes } from '../../db/search-attributes.ts'
import { parseParameters } from '../../server/qido/parameters.ts'

const parse = (query: string, level: SearchLevel = 'instance') =>
  parseParameters(level, new URLSearchParams(query))

/** The conditions, with keywords for attributes. */
function conditionsOf(query: string, level?: SearchLevel) {
  return parse(query, level).conditions.map((condition) => {
    if (!('attribute' in condition)) return condition
    const { attribute, ...rest } = condition
    return {
      [attribute.keyword]: 'date' in rest ? { ...rest, date: rest.date.keyword } : rest,
    }
  })
}

describe('Keys of a search (PS3.18 8.3.4.1, PS3.4 C.2.2.2)', () => {
  test.each<[id: string, query: string, conditions: object[]]>([
    ['nothing', '', []],
    ['QI-P1: a keyword', 'PatientID=P1', [{ PatientID: { anyOf: ['P1'] } }]],
    ['QI-P1: a tag', '00100020=P1', [{ PatientID: { anyOf: ['P1'] } }]],
    ['QI-P1: a tag in lower case', '0020000e=1.2', [{ SeriesInstanceUID: { anyOf: ['1.2'] } }]],
    ['QI-P4: percent-encoding', 'PatientID=P%201%26', [{ PatientID: { anyOf: ['P 1&'] } }]],
    ['padding, which is left out', 'PatientID=%20P1%20', [{ PatientID: { anyOf: ['P1'] } }]],
    ['an empty value, which is universal', 'PatientID=', []],
    ['asterisks alone, which are universal', 'PatientID=**', []],
    [
      'a list of UIDs',
      'StudyInstanceUID=1.2,1.3',
      [{ StudyInstanceUID: { anyOf: ['1.2', '1.3'] } }],
    ],
    [
      'a list with backslashes',
      'SOPClassUID=1.2\\1.3',
      [{ SOPClassUID: { anyOf: ['1.2', '1.3'] } }],
    ],
    ['a list of codes', 'Modality=CT,MR', [{ Modality: { anyOf: ['CT', 'MR'] } }]],
    ['a comma in a text', 'StudyDescription=a,b', [{ StudyDescription: { anyOf: ['a,b'] } }]],
    ['a list of texts', 'AccessionNumber=a\\b', [{ AccessionNumber: { anyOf: ['a', 'b'] } }]],
    ['a number in another form', 'InstanceNumber=007', [{ InstanceNumber: { anyOf: ['7'] } }]],
    ['a date', 'StudyDate=20240229', [{ StudyDate: { anyOf: ['20240229'] } }]],
    [
      'a range of dates',
      'StudyDate=20240101-20240131',
      [{ StudyDate: { range: { from: '20240101', to: '20240131' } } }],
    ],
    ['dates from', 'StudyDate=20240101-', [{ StudyDate: { range: { from: '20240101' } } }]],
    ['dates until', 'StudyDate=-20240131', [{ StudyDate: { range: { to: '20240131' } } }]],
    ['a time, by meaning', 'StudyTime=2230', [{ StudyTime: { anyOf: ['223000.000000'] } }]],
    [
      'a range of times, to the end of what it names',
      'StudyTime=10-1130',
      [{ StudyTime: { range: { from: '100000.000000', to: '113059.999999' } } }],
    ],
    [
      'ranges of date and time, which are one period',
      'StudyTime=1000-1800&StudyDate=20240101-20240103',
      [
        {
          StudyTime: {
            date: 'StudyDate',
            instants: {
              from: ['20240101', '100000.000000'],
              to: ['20240103', '180059.999999'],
            },
          },
        },
      ],
    ],
    [
      'a date and a range of times, which are two',
      'StudyTime=10-&StudyDate=20240101',
      [{ StudyTime: { range: { from: '100000.000000' } } }, { StudyDate: { anyOf: ['20240101'] } }],
    ],
    ['a name', 'PatientName=Doe%5EJ*', [{ PatientName: { anyOf: ['Doe^J*'] } }]],
    [
      'QI-P9: a name by its words',
      'PatientName=Jane%20Do*&fuzzymatching=true',
      [{ PatientName: { words: ['Jane', 'Do'] } }],
    ],
    [
      'QI-P10: an empty value',
      'AccessionNumber=""&emptyvaluematching=true',
      [{ AccessionNumber: { isEmpty: true } }],
    ],
    ['two quotation marks', 'AccessionNumber=""', [{ AccessionNumber: { anyOf: ['""'] } }]],
    ['modalities', 'ModalitiesInStudy=CT,PT', [{ ModalitiesInStudy: { anyOf: ['CT', 'PT'] } }]],
    [
      'QI-P11: all of the modalities',
      'ModalitiesInStudy=CT%5CPT&multiplevaluematching=true',
      [{ ModalitiesInStudy: { allOf: ['CT', 'PT'] } }],
    ],
    [
      'QI-P2: keys of one item, by keyword and tag',
      'RequestAttributesSequence.ScheduledProcedureStepID=S1&00400275.00401001=R1',
      [{ item: { ScheduledProcedureStepID: ['S1'], RequestedProcedureID: ['R1'] } }],
    ],
    [
      'QI-P10: an item without a value',
      'emptyvaluematching=true&00400275.00400009=""&00400275.00401001=R1',
      [{ item: { ScheduledProcedureStepID: null, RequestedProcedureID: ['R1'] } }],
    ],
    ['Specific Character Set, which is never matched', 'SpecificCharacterSet=ISO_IR%20192', []],
    ['content negotiation', 'accept=application/json&charset=utf-8', []],
  ])('%s: %s', (_id, query, conditions) => {
    expect(conditionsOf(query)).toEqual(conditions)
  })

  test.each([
    ['', 1000, 0],
    ['limit=5&offset=7', 5, 7],
    ['limit=0', 0, 0],
    ['limit=10001', 10_000, 0],
    [`limit=${'9'.repeat(40)}`, 10_000, 0],
    [`offset=${'9'.repeat(40)}`, 1000, Number.MAX_SAFE_INTEGER],
  ])('QI-P7, QI-P8: "%s" is a page of %i from %i on', (query, limit, offset) => {
    expect(parse(query)).toMatchObject({ limit, offset })
  })

  test.each([
    ['limit', 'limit=-1'],
    ['limit', 'limit='],
    ['limit', 'limit=1e3'],
    ['offset', 'offset=1&offset=1'],
    ['PatientID', 'PatientID=a&PatientID=a'],
    ['00100020', 'PatientID=a&00100020=a'],
    ['PatientID', 'PatientID=a%00'],
    ['StudyDate', 'StudyDate=20230229'],
    ['StudyDate', 'StudyDate=-'],
    ['StudyDate', 'StudyDate=20230101-20230102-'],
    ['StudyDate', 'StudyDate=2023*'],
    ['StudyTime', 'StudyTime=2460'],
    ['StudyTime', 'StudyTime=10:15'],
    ['StudyInstanceUID', 'StudyInstanceUID=1.02'],
    ['StudyInstanceUID', 'StudyInstanceUID=1.2,'],
    ['StudyInstanceUID', 'StudyInstanceUID=1.2*'],
    ['InstanceNumber', 'InstanceNumber=x'],
    ['Rows', 'Rows=5*'],
    ['Modality', 'Modality=CT,'],
    ['PatientName', `PatientName=${'a%5C'.repeat(21)}`],
    ['PatientName', `PatientName=${'a%20'.repeat(21)}&fuzzymatching=true`],
    ['AccessionNumber', `AccessionNumber=${Array.from({ length: 21 }, () => 'a*').join('%5C')}`],
    ['TimezoneOffsetFromUTC', 'TimezoneOffsetFromUTC=CET'],
    // Attributes of DICOM that no row holds: to ignore them would widen the result. (QI-P12)
    ['Manufacturer', 'Manufacturer=x'],
    ['00080070', '00080070=x'],
    ['RequestAttributesSequence', 'RequestAttributesSequence=x'],
    ['RequestAttributesSequence.AccessionNumber', 'RequestAttributesSequence.AccessionNumber=x'],
    // QI-P5: private attributes, with or without their creator.
    ['00231001', '00231001=x'],
    ['00230010', '00230010=Acme&00231001=x'],
    ['fuzzymatching', 'fuzzymatching=TRUE'],
    ['emptyvaluematching', 'emptyvaluematching=1'],
    ['multiplevaluematching', 'multiplevaluematching='],
    ['fuzzymatching', 'fuzzymatching=true&fuzzymatching=true'],
    ['includefield', 'includefield=all,PatientID'],
    ['includefield', 'includefield=all&includefield=PatientID'],
    ['includefield', 'includefield=Patient ID'],
    ['includefield', 'includefield=PatientID.00100010'],
    ['includefield', `includefield=${Array.from({ length: 201 }, (_, i) => `0071${1000 + i}`)}`],
  ])('QI-S6, QI-P13: names "%s" in the 400 to %s, and no value', (name, query) => {
    expect(() => parse(query)).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining(`"${name}"`) }),
    )
  })

  test('never repeats what may be a value where a name belongs', () => {
    expect(parse('Doe^Jane=1').warnings).toEqual(['A parameter is not known and has been ignored'])
  })

  test.each([
    ['study', 'SeriesInstanceUID=1.2'],
    ['study', 'Modality=CT'],
    ['series', 'SOPInstanceUID=1.2'],
  ] as const)('refuses an attribute of a lower level than a %s: %s', (level, query) => {
    expect(() => parse(query, level)).toThrow(expect.objectContaining({ status: 400 }))
  })

  test('every required key is matched, at its level (Table 10.6.1-5)', () => {
    const required = {
      study:
        'StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName PatientID StudyInstanceUID StudyID',
      series:
        'Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence.ScheduledProcedureStepID RequestAttributesSequence.RequestedProcedureID',
      instance: 'SOPClassUID SOPInstanceUID InstanceNumber',
    }
    for (const [level, keywords] of Object.entries(required)) {
      for (const keyword of keywords.split(' ')) {
        expect(searchAttributes.find((one) => one.keyword === keyword)?.level, keyword).toBe(level)
      }
    }
  })

  test('QI-P12: an unknown word is ignored, with a warning; keywords are case-sensitive (QI-P1)', () => {
    const { conditions, warnings } = parse('foo=1&patientid=2')
    expect(conditions).toEqual([])
    expect(warnings).toEqual([
      'The foo parameter is not known and has been ignored',
      'The patientid parameter is not known and has been ignored',
    ])
  })
})

describe('Fields to be included (PS3.18 8.3.4.3)', () => {
  const fields = (query: string, level: SearchLevel) =>
    parse(query, level).fields.map((field) => field.join('.'))

  test.each<[id: string, level: SearchLevel, query: string, expected: string[]]>([
    [
      'QI-P6: a list and a repetition',
      'instance',
      'includefield=00080070,PatientAge&includefield=SliceThickness',
      ['00080070', '00101010', '00180050'],
    ],
    [
      'QI-P2: in a sequence',
      'series',
      'includefield=RequestAttributesSequence.00400007',
      ['00400275.00400007', '00400275.00400009', '00400275.00401001'],
    ],
    ['what rows hold anyway', 'study', 'includefield=StudyDescription,00081190', []],
    [
      'QI-A3: nothing of a lower level',
      'study',
      'includefield=Manufacturer,Modality,00280010,PatientAge',
      ['00101010'],
    ],
    [
      'QI-A3: nothing of an instance',
      'series',
      'includefield=Manufacturer,ImageType',
      ['00080070'],
    ],
    [
      'an empty value of a key that is not matched',
      'instance',
      'Manufacturer=&00280004=*',
      ['00080070', '00280004'],
    ],
    ['a private attribute', 'instance', 'includefield=00231001', ['00231001']],
    ['all, which is what rows hold', 'instance', 'includefield=all', []],
  ])('%s', (_id, level, query, expected) => {
    expect(fields(query, level)).toEqual(expected)
  })

  test.each([
    ['', false, false],
    ['PatientID=1', true, false],
    ['PatientID=', true, false],
    ['includefield=PatientName,Modality', true, true],
    ['includefield=all', true, true],
    ['InstanceNumber=1', false, false],
  ])('QI-A1, QI-A5: "%s" tells of the study: %s, of the series: %s', (query, study, series) => {
    expect(parse(query).tells).toMatchObject({ study, series })
  })

  test('an unknown keyword is left out, with a warning', () => {
    const { warnings } = parse('includefield=PatientShoeSize')
    expect(warnings).toEqual([
      'The attribute PatientShoeSize is not known and has not been included',
    ])
  })

  test('a name of which a later part is no word is refused, and is said in no header', () => {
    for (const name of ['Unknown.Pr\ufffdcedure', 'Unknown.a"b', 'Unknown.a\r\nSet-Cookie: b'])
      expect(() => parse(`includefield=${encodeURIComponent(name)}`)).toThrow(
        /it names no attribute/,
      )
  })
})
