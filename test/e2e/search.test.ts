import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dicomFile, jpegBaseline, uniqueUID } from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { type StowAnswer, stow } from '../support/stow.ts'
import { call, type Dataset } from './dicomweb.ts'
import { a, a1, a2, a3, b, b1 } from './two-studies.ts'

let server: StowageServer
let studies: string

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_TRUST_PROXY: '1' } })
  studies = `${server.dicomWeb}/studies`
  for (const files of [[a1, a2, a3], [b1]]) {
    expect((await stow(studies, files)).status).toBeLessThan(300)
  }
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const get = (path: string, headers: Record<string, string> = {}): Promise<StowAnswer> =>
  call(`${server.dicomWeb}${path}`, { headers })

const studyA = (): Dataset => ({
  '00080020': { vr: 'DA', Value: ['20260102'] },
  '00080030': { vr: 'TM', Value: ['101500'] },
  '00080050': { vr: 'SH', Value: ['ACC-1'] },
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00080061': { vr: 'CS', Value: ['CT', 'SR'] },
  '00080090': { vr: 'PN', Value: [{ Alphabetic: 'Ref^Doc' }] },
  '00080201': { vr: 'SH', Value: ['+0100'] },
  '00081030': { vr: 'LO', Value: ['Head'] },
  '00081190': { vr: 'UR', Value: [`${studies}/${a.uid}`] },
  '00100010': {
    vr: 'PN',
    Value: [{ Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }],
  },
  '00100020': { vr: 'LO', Value: ['PAT 1'] },
  '00100030': { vr: 'DA', Value: ['19700131'] },
  '00100040': { vr: 'CS', Value: ['F'] },
  '0020000D': { vr: 'UI', Value: [a.uid] },
  '00200010': { vr: 'SH', Value: ['S1'] },
  '00201206': { vr: 'IS', Value: [2] },
  '00201208': { vr: 'IS', Value: [3] },
})

/** What it does not say is there all the same, empty. */
const studyB = (): Dataset => ({
  '00080020': { vr: 'DA', Value: ['20260304'] },
  '00080030': { vr: 'TM' },
  '00080050': { vr: 'SH' },
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00080061': { vr: 'CS', Value: ['CT'] },
  '00080090': { vr: 'PN' },
  '00081190': { vr: 'UR', Value: [`${studies}/${b.uid}`] },
  '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Doe^Jane' }] },
  '00100020': { vr: 'LO', Value: ['P2'] },
  '00100030': { vr: 'DA' },
  '00100040': { vr: 'CS' },
  '0020000D': { vr: 'UI', Value: [b.uid] },
  '00200010': { vr: 'SH' },
  '00201206': { vr: 'IS', Value: [1] },
  '00201208': { vr: 'IS', Value: [1] },
})

const timezoneA = { '00080201': { vr: 'SH', Value: ['+0100'] } }

const seriesA = (): Dataset => ({
  ...timezoneA,
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00080060': { vr: 'CS', Value: ['CT'] },
  '0008103E': { vr: 'LO', Value: ['Thorax'] },
  '00081190': { vr: 'UR', Value: [`${studies}/${a.uid}/series/${a.series}`] },
  '00180015': { vr: 'CS', Value: ['CHEST'] },
  '0020000D': { vr: 'UI', Value: [a.uid] },
  '0020000E': { vr: 'UI', Value: [a.series] },
  '00200011': { vr: 'IS', Value: [1] },
  '00201209': { vr: 'IS', Value: [2] },
  '00400244': { vr: 'DA', Value: ['20260102'] },
  '00400245': { vr: 'TM', Value: ['1014'] },
  '00400275': {
    vr: 'SQ',
    Value: [
      {
        '00400009': { vr: 'SH', Value: ['SPS-1'] },
        '00401001': { vr: 'SH', Value: ['RP-1'] },
      },
      { '00400009': { vr: 'SH' }, '00401001': { vr: 'SH', Value: ['RP-2'] } },
    ],
  },
})

const otherSeriesA = (): Dataset => ({
  ...timezoneA,
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00080060': { vr: 'CS', Value: ['SR'] },
  '00081190': { vr: 'UR', Value: [`${studies}/${a.uid}/series/${a.other}`] },
  '0020000D': { vr: 'UI', Value: [a.uid] },
  '0020000E': { vr: 'UI', Value: [a.other] },
  '00200011': { vr: 'IS', Value: [2] },
  '00201209': { vr: 'IS', Value: [1] },
})

const seriesB = (): Dataset => ({
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00080060': { vr: 'CS', Value: ['CT'] },
  '00081190': { vr: 'UR', Value: [`${studies}/${b.uid}/series/${b.series}`] },
  '0020000D': { vr: 'UI', Value: [b.uid] },
  '0020000E': { vr: 'UI', Value: [b.series] },
  '00200011': { vr: 'IS', Value: [1] },
  '00201209': { vr: 'IS', Value: [1] },
})

const instance = (series: Dataset, uid: string, changes: Dataset = {}): Dataset => ({
  ...(series['00080201'] === undefined ? {} : timezoneA),
  '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
  '00080018': { vr: 'UI', Value: [uid] },
  '00080056': { vr: 'CS', Value: ['ONLINE'] },
  '00081190': { vr: 'UR', Value: [`${series['00081190']?.Value?.[0]}/instances/${uid}`] },
  '00083002': { vr: 'UI', Value: ['1.2.840.10008.1.2.1'] },
  '0020000D': series['0020000D'] as Dataset[string],
  '0020000E': series['0020000E'] as Dataset[string],
  '00200013': { vr: 'IS', Value: [1] },
  '00280010': { vr: 'US', Value: [16] },
  '00280011': { vr: 'US', Value: [16] },
  '00280100': { vr: 'US', Value: [16] },
  ...changes,
})

const instanceA1 = (): Dataset => instance(seriesA(), '1.2.826.10.1.1.1')
const instanceA2 = (): Dataset =>
  instance(seriesA(), '1.2.826.10.1.1.2', {
    '00083002': { vr: 'UI', Value: [jpegBaseline] },
    '00200013': { vr: 'IS', Value: [2] },
    '00280008': { vr: 'IS', Value: [3] },
  })
const instanceA3 = (): Dataset => {
  const {
    '00280010': _rows,
    '00280011': _columns,
    '00280100': _bits,
    ...rest
  } = instance(otherSeriesA(), '1.2.826.10.1.2.1', {
    '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.88.11'] },
    '00200013': { vr: 'IS' },
  })
  return rest
}
const instanceB1 = (): Dataset => instance(seriesB(), '1.2.826.20.1.1.1')

describe('Search (PS3.18 10.6; Tables 10.6.3-3 to 10.6.3-5)', () => {
  test.each<[id: string, path: string, expected: () => Dataset[]]>([
    ['QI-R1', '/studies', () => [studyB(), studyA()]],
    ['QI-R2', `/studies/${a.uid}/series`, () => [seriesA(), otherSeriesA()]],
    [
      'QI-R3, QI-A4',
      `/studies/${a.uid}/instances`,
      () => [
        { ...seriesA(), ...instanceA1() },
        { ...seriesA(), ...instanceA2() },
        { ...otherSeriesA(), ...instanceA3() },
      ],
    ],
    ['QI-R4', `/studies/${a.uid}/series/${a.series}/instances`, () => [instanceA1(), instanceA2()]],
    [
      'QI-R5, QI-A4',
      '/series',
      () => [
        { ...studyB(), ...seriesB() },
        { ...studyA(), ...seriesA() },
        { ...studyA(), ...otherSeriesA() },
      ],
    ],
    [
      'QI-R6, QI-A4',
      '/instances',
      () => [
        { ...studyB(), ...seriesB(), ...instanceB1() },
        { ...studyA(), ...seriesA(), ...instanceA1() },
        { ...studyA(), ...seriesA(), ...instanceA2() },
        { ...studyA(), ...otherSeriesA(), ...instanceA3() },
      ],
    ],
  ])(
    '%s: %s answers with every required attribute, and the same twice (QI-A7, QI-A8, QI-A9, QI-A10)',
    async (_id, path, expected) => {
      const answer = await get(path)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('application/dicom+json')
      expect(answer.headers.get('warning')).toBeNull()
      expect(answer.body).toEqual(expected())
      for (const result of answer.body) {
        // JS-01: keys ascend.
        expect(Object.keys(result)).toEqual(Object.keys(result).sort())
      }
      expect((await get(path)).body).toEqual(answer.body)
    },
  )

  const studyUIDs = (answer: StowAnswer): string[] =>
    answer.body.map((result: Dataset) => result['0020000D']?.Value?.[0]).sort()

  test.each([
    ['StudyInstanceUID', `/studies?StudyInstanceUID=${a.uid}`, [a.uid]],
    ['its tag', `/studies?0020000D=${a.uid}`, [a.uid]],
    ['its tag in lower case', `/studies?0020000d=${b.uid}`, [b.uid]],
    ['a list of UIDs', `/studies?StudyInstanceUID=${a.uid},1.2.3,${b.uid}`, [a.uid, b.uid]],
    ['PatientID', '/studies?PatientID=PAT%201', [a.uid]],
    ['PatientID with a plus for the space', '/studies?00100020=PAT+1', [a.uid]],
    ['StudyDate', '/studies?StudyDate=20260304', [b.uid]],
    ['two keys', `/studies?StudyDate=20260304&PatientID=P2`, [b.uid]],
    ['nothing, by an empty value', '/studies?PatientID=', [a.uid, b.uid]],
    ['nothing, by an asterisk', '/studies?PatientID=*', [a.uid, b.uid]],
    ['an unknown word (QI-P12)', '/studies?nonsense=1', [a.uid, b.uid]],
    ['SeriesInstanceUID', `/series?SeriesInstanceUID=${a.other}`, [a.uid]],
    ['SOPInstanceUID', '/instances?SOPInstanceUID=1.2.826.20.1.1.1', [b.uid]],
    ['PatientID among instances', '/instances?PatientID=P2', [b.uid]],
    ['includefield, all that there is', '/studies?includefield=all&PatientID=P2', [b.uid]],
  ])('QI-P1 to QI-P4: matches %s', async (_name, path, expected) => {
    const answer = await get(path)
    expect(answer.status).toBe(200)
    expect(studyUIDs(answer)).toEqual(expected)
  })

  test.each([
    ['a Patient ID in another case', '/studies?PatientID=pat%201'],
    ['a UID that is not there', '/studies?StudyInstanceUID=1.2.3'],
    ['two keys of two studies', `/studies?StudyDate=20260304&StudyInstanceUID=${a.uid}`],
    ['a study in the path that is not there (QI-S9)', '/studies/1.2.3/series'],
    ['a series of another study', `/studies/${a.uid}/series/${b.series}/instances`],
    ['a query that contradicts the path', `/studies/${a.uid}/series?StudyInstanceUID=${b.uid}`],
    ['an offset beyond the end (QI-P8)', '/studies?offset=2'],
    ['an offset beyond all numbers', '/studies?offset=99999999999999999999'],
    ['a limit of 0 (QI-P7)', '/studies?limit=0'],
  ])('QI-S2: answers 204 to %s', async (_name, path) => {
    const answer = await get(path)
    expect(answer.status).toBe(204)
    expect(answer.body).toBe('')
  })

  test('QI-P7, QI-P8, QI-S3: limit and offset cut the list, and Warning says how many are left', async () => {
    const all = (await get('/instances')).body
    const first = await get('/instances?limit=1')
    expect(first.body).toEqual(all.slice(0, 1))
    expect(first.headers.get('warning')).toBe(
      `299 ${server.dicomWeb} "There are 3 additional results that can be requested"`,
    )
    const middle = await get('/instances?limit=2&offset=1')
    expect(middle.body).toEqual(all.slice(1, 3))
    expect(middle.headers.get('warning')).toContain('There are 1 additional results')
    const last = await get('/instances?offset=2&limit=2')
    expect(last.body).toEqual(all.slice(2))
    expect(last.headers.get('warning')).toBeNull()
    const large = await get('/instances?limit=99999999999999')
    expect(large.body).toEqual(all)
  })

  test('QI-S5: several warnings come together', async () => {
    const answer = await get('/studies?nonsense=1&limit=1')
    expect(answer.headers.get('warning')).toMatch(
      /^299 \S+ "The nonsense parameter .*", 299 \S+ "There are 1 additional /,
    )
  })

  test.each([
    ['limit', '/studies?limit=x'],
    ['limit', '/studies?limit=-1'],
    ['limit', '/studies?limit=1.5'],
    ['limit', '/studies?limit=1&limit=2'],
    ['fuzzymatching', '/studies?fuzzymatching=true&fuzzymatching=true'],
    ['offset', '/studies?offset='],
    ['fuzzymatching', '/studies?fuzzymatching=yes'],
    ['StudyDate', '/studies?StudyDate=2026-01-02'],
    ['StudyDate', '/studies?StudyDate=20260231'],
    ['StudyTime', '/studies?StudyTime=25'],
    ['StudyInstanceUID', '/studies?StudyInstanceUID=abc'],
    ['StudyInstanceUID', '/studies?StudyInstanceUID=1.2.3,'],
    ['00100020', '/studies?PatientID=1&00100020=2'],
    ['PatientID', '/studies?PatientID=P%00'],
    ['Manufacturer', '/series?Manufacturer=Doe'],
    ['00101010', '/studies?00101010=Doe'],
    ['20010010', '/instances?20010010=Acme%201.0&20011003=Doe'],
    ['includefield', '/studies?includefield=all,PatientID'],
    ['SOPInstanceUID', '/studies?SOPInstanceUID=1.2.3'],
  ])(
    'QI-S6, QI-P3, QI-P5, QI-P13: answers 400 that names "%s" to %s, without its value',
    async (parameter, path) => {
      const answer = await get(path)
      expect(answer.status).toBe(400)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(answer.body.detail).toContain(`"${parameter}"`)
      expect(answer.body.detail).not.toMatch(/Doe|PAT/)
    },
  )

  test.each(['/studies/abc/series', '/studies/1.2/series/1.02/instances'])(
    'answers 400 to %s',
    async (path) => {
      expect((await get(path)).status).toBe(400)
    },
  )

  test.each([
    ['application/dicom+json', 200],
    ['application/json', 200],
    ['*/*', 200],
    ['text/html, application/*;q=0.1', 200],
    ['multipart/related; type="application/dicom+xml"', 200],
    ['application/dicom+json;q=0, application/json;q=0', 406],
    ['multipart/related; type="application/dicom"', 406],
    ['text/html', 406],
    ['application/dicom+json;charset=utf-8', 200],
    ['application/dicom+json;charset=iso-8859-1', 406],
    ['application/dicom+json, image/png', 400],
  ])('QI-S8, WA-N6, WA-N17: Accept: %s is %i', async (accept, status) => {
    expect((await get('/studies', { accept })).status).toBe(status)
  })
})

describe('Matching (PS3.4 C.2.2.2)', () => {
  const found = async (path: string): Promise<unknown[]> => {
    const answer = await get(path)
    expect([200, 204]).toContain(answer.status)
    return answer.status === 204 ? [] : uidsOf(answer.body)
  }
  const uidsOf = (results: Dataset[]) =>
    results.map(
      (result) => (result['00080018'] ?? result['0020000E'] ?? result['0020000D'])?.Value?.[0],
    )

  test.each<[kind: string, path: string, expected: string[]]>([
    ['a date range', '/studies?StudyDate=20260101-20260131', [a.uid]],
    ['dates from', '/studies?StudyDate=20260103-', [b.uid]],
    ['dates until', '/studies?StudyDate=-20260102', [a.uid]],
    ['a time by its meaning', '/studies?StudyTime=1015', [a.uid]],
    ['a time range', '/studies?StudyTime=10-1015', [a.uid]],
    ['a time range that ends before', '/studies?StudyTime=-1014', []],
    // Separately, 10:15 on 2 January would lie in neither; as one period it does.
    [
      'date and time as one period',
      '/studies?StudyDate=20260101-20260103&StudyTime=2300-0100',
      [a.uid],
    ],
    ['that period, begun too late', '/studies?StudyDate=20260102-20260103&StudyTime=1016-2359', []],
    ['wildcards', '/studies?AccessionNumber=A*-?', [a.uid]],
    ['wildcards, one character too many', '/studies?AccessionNumber=ACC-1?', []],
    ['a text in another case', '/studies?AccessionNumber=acc-1', []],
    ['a percent sign, which is no wildcard', '/studies?AccessionNumber=%25', []],
    ['a modality of one of the series', '/studies?ModalitiesInStudy=SR', [a.uid]],
    ['one of several modalities', '/studies?ModalitiesInStudy=SR,MR', [a.uid]],
    ['a pattern of modalities', '/studies?ModalitiesInStudy=S?', [a.uid]],
    [
      'all of several modalities (QI-P11)',
      '/studies?ModalitiesInStudy=CT%5CSR&multiplevaluematching=true',
      [a.uid],
    ],
    ['a referring physician', '/studies?ReferringPhysicianName=ref^DOC', [a.uid]],
    ['a Study ID', '/studies?StudyID=S1', [a.uid]],
    [
      'a Study Description, which is not required',
      '/studies?StudyDescription=*ea*&StudyID=S1',
      [a.uid],
    ],
    [
      'an attribute without a value (QI-P10)',
      '/studies?AccessionNumber=%22%22&emptyvaluematching=true',
      [b.uid],
    ],
    ['names without regard to case', '/studies?PatientName=YAMADA^tarou', [a.uid]],
    ['the beginning of a name', '/studies?PatientName=yama*', [a.uid]],
    ['a name with empty components at the end', '/studies?PatientName=Yamada^Tarou^^', [a.uid]],
    ['a family name alone, which is not the whole name', '/studies?PatientName=Yamada', []],
    ['the ideographic group of a name', '/studies?PatientName=山田*', [a.uid]],
    ['the phonetic group of a name', '/studies?PatientName=やまだ^たろう', [a.uid]],
    ['groups of a name, each by itself', '/studies?PatientName=Yam*==やまだ*', [a.uid]],
    ['groups of a name, in the wrong place', '/studies?PatientName=山田*=Yam*', []],
    [
      'words of a name in any order (QI-P9)',
      '/studies?PatientName=tar yam&fuzzymatching=true',
      [a.uid],
    ],
    ['words of a name, one of them another', '/studies?PatientName=tar doe&fuzzymatching=true', []],
    ['accents or none', '/studies?PatientName=DÖE^Jané', [b.uid]],
    ['a modality', '/series?Modality=SR', [a.other]],
    ['a Series Number', '/series?SeriesNumber=2', [a.other]],
    [
      'the date of a procedure step',
      '/series?PerformedProcedureStepStartDate=20260101-',
      [a.series],
    ],
    ['the time of a procedure step', '/series?PerformedProcedureStepStartTime=101400', [a.series]],
    [
      'an item of a sequence (QI-P2)',
      '/series?RequestAttributesSequence.ScheduledProcedureStepID=SPS-1',
      [a.series],
    ],
    ['an item by tags', '/series?00400275.00401001=RP-2', [a.series]],
    ['an item by a wildcard', '/series?00400275.00401001=RP*', [a.series]],
    ['one and the same item', '/series?00400275.00400009=SPS-1&00400275.00401001=RP-1', [a.series]],
    ['values of two items', '/series?00400275.00400009=SPS-1&00400275.00401001=RP-2', []],
    [
      'values of two items, with a wildcard',
      '/series?00400275.00400009=SPS*&00400275.00401001=RP-2',
      [],
    ],
    ['a SOP Class', '/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.88.11', ['1.2.826.10.1.2.1']],
    ['an Instance Number', `/studies/${a.uid}/instances?InstanceNumber=2`, ['1.2.826.10.1.1.2']],
    ['a key of the study among instances', '/instances?PatientName=doe*', ['1.2.826.20.1.1.1']],
    ['a key of the series among instances', '/instances?Modality=SR', ['1.2.826.10.1.2.1']],
    ['a number that is not required', '/instances?NumberOfFrames=3', ['1.2.826.10.1.1.2']],
  ])('%s: %s', async (_kind, path, expected) => {
    expect(await found(path)).toEqual(expected)
  })

  test('QI-A1, QI-A2, QI-A5: keys and fields of a higher level are told, and all that there is', async () => {
    const byKey = await get(`/studies/${a.uid}/series?PatientID=PAT%201`)
    expect(byKey.body[0]).toEqual({ ...studyA(), ...seriesA() })
    const byField = await get(
      `/studies/${a.uid}/series/${a.series}/instances?includefield=Modality`,
    )
    expect(byField.body[0]).toEqual({ ...seriesA(), ...instanceA1() })
    const all = await get(`/studies/${a.uid}/series/${a.series}/instances?includefield=all`)
    expect(all.body[0]).toEqual({ ...studyA(), ...seriesA(), ...instanceA1() })
  })

  test('other attributes are told from the metadata, at their level and above (QI-A3, QI-A6)', async () => {
    const asked = 'PatientAge,00080070,SliceThickness,20011003,7FE00010,00400275.00400007'
    const fields = {
      '00080070': { vr: 'LO', Value: ['Maker'] },
      '00101010': { vr: 'AS', Value: ['055Y'] },
      '00180050': { vr: 'DS', Value: [1.5] },
      '20010010': { vr: 'LO', Value: ['Acme 1.0'] },
      '20011003': { vr: 'LO', Value: ['private'] },
      '00400275': {
        vr: 'SQ',
        Value: [
          {
            '00400007': { vr: 'LO', Value: ['Step one'] },
            '00400009': { vr: 'SH', Value: ['SPS-1'] },
            '00401001': { vr: 'SH', Value: ['RP-1'] },
          },
          { '00400009': { vr: 'SH' }, '00401001': { vr: 'SH', Value: ['RP-2'] } },
        ],
      },
    }
    const { '00101010': age, '00080070': maker, '00400275': request } = fields
    const [study] = (await get(`/studies?PatientID=PAT%201&includefield=${asked}`)).body
    expect(study).toEqual({ ...studyA(), '00101010': age })
    const [series] = (await get(`/studies/${a.uid}/series?includefield=${asked}`)).body
    expect(series).toMatchObject({ '00101010': age, '00080070': maker, '00400275': request })
    expect(series).not.toHaveProperty('00180050')
    const path = `/studies/${a.uid}/series/${a.series}/instances?InstanceNumber=1`
    const answer = await fetch(`${server.dicomWeb}${path}&includefield=${asked}`)
    const text = await answer.text()
    const [one] = JSON.parse(text) as [Dataset]
    expect(one).toMatchObject({ ...instanceA1(), ...fields })
    const uri = (one['7FE00010'] as unknown as { BulkDataURI: string }).BulkDataURI
    expect(Buffer.from(await (await fetch(uri)).arrayBuffer()).length).toBeGreaterThan(4999)
    // JS-01: ascending, as text has it; an object would put 20011003 first.
    const tags = [...text.matchAll(/"([0-9A-F]{8})":\{"vr"/g)].map((match) => match[1])
    const nested = ['00400007', '00400009', '00401001']
    const root = tags.filter((tag) => !nested.includes(tag as string))
    expect(root).toEqual([...root].sort())
  })

  test('QI-S1: results come as parts of XML', async () => {
    const accept = 'multipart/related; type="application/dicom+xml"'
    const answer = await fetch(`${server.dicomWeb}/studies`, { headers: { accept } })
    const type = answer.headers.get('content-type')
    expect(type).toMatch(/^multipart\/related; type="application\/dicom\+xml"; boundary=/)
    const parts = partsOf(type, Buffer.from(await answer.arrayBuffer()))
    expect(parts.map((part) => part.headers['content-type'])).toEqual([
      'application/dicom+xml',
      'application/dicom+xml',
    ])
    const text = parts[1]?.bytes.toString() as string
    expect(text).toContain('keyword="PatientID"><Value number="1">PAT 1</Value>')
    expect(text).toContain('<Ideographic><FamilyName>山田</FamilyName>')
  })

  test('HEAD answers as GET does, without the results', async () => {
    const url = `${server.dicomWeb}/studies?limit=1`
    const [head, whole] = [await fetch(url, { method: 'HEAD' }), await fetch(url)]
    expect(await head.text()).toBe('')
    expect(head.status).toBe(200)
    for (const name of ['content-type', 'warning', 'vary']) {
      expect(head.headers.get(name)).toBe(whole.headers.get(name))
    }
  })

  test.each([
    ['UTF-8, ISO-8859-1;q=0.5', 200],
    ['*', 200],
    ['ISO-8859-1', 406],
    ['utf-8;q=0', 406],
  ])('QI-P15: Accept-Charset: %s is %i', async (charset, status) => {
    expect((await get('/studies', { 'accept-charset': charset })).status).toBe(status)
  })

  test.each([
    ['accept=application/json', '*/*', 200],
    ['accept=application/dicom%2Bjson', '*/*', 200],
    ['accept=application/dicom%2Bjson', 'multipart/related; type="application/dicom+xml"', 406],
    // As people write it.
    ['accept=application/dicom+json', '*/*', 200],
    ['accept=text/html', '*/*', 406],
    ['accept=*/*', '*/*', 400],
    ['accept=application/*', '*/*', 400],
    ['charset=utf-8', '*/*', 200],
    ['charset=latin1', '*/*', 406],
  ])('QI-P14, WA-N8: the parameter %s, with Accept: %s, is %i', async (query, accept, status) => {
    expect((await get(`/studies?${query}`, { accept })).status).toBe(status)
  })

  // The study `a` is of 2 January 2026, 10:15, at +0100; of `b` no zone is known.
  test.each<[string, string, string[]]>([
    ['the same moment', 'StudyDate=20260102&StudyTime=1115&TimezoneOffsetFromUTC=%2B0200', [a.uid]],
    ['the same clock', 'StudyTime=1015&TimezoneOffsetFromUTC=%2B0200', []],
    ['a range of times', 'StudyTime=1100-1130&TimezoneOffsetFromUTC=%2B0200', [a.uid]],
    ['another day', 'StudyDate=20260101&TimezoneOffsetFromUTC=-1000', [a.uid]],
    ['the day where it was made', 'StudyDate=20260102&TimezoneOffsetFromUTC=-1000', []],
    ['a range of days', 'StudyDate=20251231-20260101&TimezoneOffsetFromUTC=-1000', [a.uid]],
    [
      'a period',
      'StudyDate=20260101-20260102&StudyTime=2314-2316&TimezoneOffsetFromUTC=-1000',
      [a.uid],
    ],
    [
      'a period that begins later',
      'StudyDate=20260101-20260102&StudyTime=2316-2359&TimezoneOffsetFromUTC=-1000',
      [],
    ],
    ['half hours', 'StudyTime=1445&TimezoneOffsetFromUTC=%2B0530', [a.uid]],
    ['what has no zone', 'StudyDate=20260304&TimezoneOffsetFromUTC=-1000', [b.uid]],
    ['no time at all', 'PatientID=P2&TimezoneOffsetFromUTC=-1000', [b.uid]],
  ])('Timezone Offset From UTC: %s', async (_what, query, expected) => {
    const answer = await get(`/studies?${query}`)
    expect(answer.status).toBe(expected.length === 0 ? 204 : 200)
    expect(answer.headers.get('warning')).toBeNull()
    expect(answer.status === 204 ? [] : uidsOf(answer.body)).toEqual(expected)
  })

  test('QI-S3: more results than are held at once, or counted, come as one array, or as one multipart', async () => {
    const study = '1.2.826.30.1'
    const files = Array.from({ length: 1203 }, (_, index) =>
      dicomFile({
        studyInstanceUID: study,
        seriesInstanceUID: `${study}.1`,
        sopInstanceUID: `${study}.1.${10_000 + index}`,
        studyDate: '20250606',
        pixelBytes: 2,
        rows: 1,
        columns: 1,
      }),
    )
    expect((await stow(studies, files)).status).toBe(200)
    const path = `/studies/${study}/instances`
    const expected = files.map((_, index) => `${study}.1.${10_000 + index}`)
    const byDefault = await get(path)
    expect(uidsOf(byDefault.body)).toEqual(expected.slice(0, 1000))
    expect(byDefault.headers.get('warning')).toContain('There are 203 additional results')
    const one = await get(`${path}?limit=1`)
    expect(one.headers.get('warning')).toMatch(
      /"There are 1000 additional results that can be requested, and more after those"$/,
    )
    expect(await found(`${path}?limit=5000`)).toEqual(expected)
    expect(await found(`${path}?offset=900&limit=150`)).toEqual(expected.slice(900, 1050))
    const withField = await get(`${path}?limit=5000&includefield=PatientAge,ImageType`)
    expect(uidsOf(withField.body)).toEqual(expected)
    const answer = await fetch(`${server.dicomWeb}${path}?limit=5000`, {
      headers: { accept: 'multipart/related; type="application/dicom+xml"' },
    })
    const body = Buffer.from(await answer.arrayBuffer())
    expect(partsOf(answer.headers.get('content-type'), body)).toHaveLength(1203)
  })

  test('QI-P7, QI-S3: in a study and in a series Warning counts what is left of just that', async () => {
    const studyInstanceUID = uniqueUID()
    const files = [1, 1, 1, 2, 3].map((series) =>
      dicomFile({ studyInstanceUID, seriesInstanceUID: `${studyInstanceUID}.${series}` }),
    )
    expect((await stow(studies, files)).status).toBe(200)
    const left = async (path: string) => {
      const answer = await get(`/studies/${studyInstanceUID}${path}?limit=1`)
      expect(answer.body).toHaveLength(1)
      return answer.headers.get('warning')?.match(/There are (\d+) additional/)?.[1]
    }
    expect(await left('/series')).toBe('2')
    expect(await left('/instances')).toBe('4')
    expect(await left(`/series/${studyInstanceUID}.1/instances`)).toBe('2')
    expect(await left(`/series/${studyInstanceUID}.2/instances`)).toBeUndefined()
  })
})
