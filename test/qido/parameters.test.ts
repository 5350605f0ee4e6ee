import { describe, expect, test } from 'vitest'
import { type Level, parseSearch } from '../../server/qido/parameters.ts'

const parse = (query: string, level: Level = 'instance') =>
  parseSearch(level, new URLSearchParams(query))

describe('Parameters of a search (PS3.18 8.3.4, 10.6.1.2)', () => {
  test.each([
    ['', {}],
    ['PatientID=P1', { patientID: 'P1' }],
    ['00100020=P%201', { patientID: 'P 1' }],
    ['PatientID=', {}],
    ['PatientID=**', {}],
    ['StudyDate=20240229', { studyDate: '20240229' }],
    ['StudyInstanceUID=1.2,1.3', { studyInstanceUID: ['1.2', '1.3'] }],
    ['0020000e=1.2\\1.3', { seriesInstanceUID: ['1.2', '1.3'] }],
    ['SOPInstanceUID=1.2&PatientID=x', { sopInstanceUID: ['1.2'], patientID: 'x' }],
    // An unknown word is ignored (QI-P12); keywords are case-sensitive (QI-P1).
    ['foo=1&patientid=2&orderby=x&includefield=all&includefield=00080060', {}],
    ['accept=application/json&charset=utf-8', {}],
  ])('%s matches by %j', (query, keys) => {
    expect(parse(query).keys).toEqual(keys)
  })

  test.each([
    ['', { limit: 1000, offset: 0 }],
    ['limit=5&offset=7', { limit: 5, offset: 7 }],
    ['limit=0', { limit: 0, offset: 0 }],
    // Above the maximum: clamped (QI-P7).
    ['limit=10001', { limit: 10_000, offset: 0 }],
    [`limit=${'9'.repeat(40)}`, { limit: 10_000, offset: 0 }],
    [`offset=${'9'.repeat(40)}`, { limit: 1000, offset: Number.MAX_SAFE_INTEGER }],
  ])('%s is the page %j', (query, page) => {
    expect(parse(query).page).toEqual(page)
  })

  test.each([
    ['limit', 'limit=-1'],
    ['limit', 'limit='],
    ['limit', 'limit=1e3'],
    ['offset', 'offset=1&offset=1'],
    ['PatientID', 'PatientID=a&PatientID=a'],
    ['00100020', 'PatientID=a&00100020=a'],
    ['PatientID', 'PatientID=Doe*'],
    ['PatientID', 'PatientID=Do?'],
    ['PatientID', 'PatientID=a%00'],
    ['StudyDate', 'StudyDate=20230229'],
    ['StudyDate', 'StudyDate=20230101-'],
    ['StudyInstanceUID', 'StudyInstanceUID=1.02'],
    ['StudyInstanceUID', 'StudyInstanceUID=1.2,'],
    // Attributes of DICOM that are not matched here: to ignore them would widen the result.
    ['PatientName', 'PatientName=Doe'],
    ['ModalitiesInStudy', 'ModalitiesInStudy=CT'],
    ['00080060', '00080060=CT'],
    ['00400275.00401001', '00400275.00401001=x'],
    ['fuzzymatching', 'fuzzymatching=TRUE'],
  ])('names "%s" in the 400 to %s, and no value', (name, query) => {
    expect(() => parse(query)).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining(`"${name}"`) }),
    )
    expect(() => parse(query)).not.toThrow(/Do[e?]/)
  })

  test('refuses an attribute of a lower level than is searched for (QI-A3)', () => {
    expect(() => parse('SOPInstanceUID=1.2', 'series')).toThrow('no attribute of a series')
    expect(() => parse('SeriesInstanceUID=1.2', 'study')).toThrow('no attribute of a study')
    expect(parse('SeriesInstanceUID=1.2', 'series').keys).toEqual({ seriesInstanceUID: ['1.2'] })
  })

  test('does not repeat a name that is no name', () => {
    expect(() => parse('00100010.%22Doe%22=1')).toThrow('Cannot search by a parameter: ')
  })

  test('warns of what is asked for and not done (QI-S4)', () => {
    expect(parse('fuzzymatching=true&emptyvaluematching=false').warnings).toEqual([
      'The fuzzymatching parameter is not supported. Only literal matching has been performed.',
    ])
  })
})
