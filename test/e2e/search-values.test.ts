import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DicomFileOptions,
  dicomFile,
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  jpegBaseline,
  uniqueUID,
} from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { type StowAnswer, stow } from '../support/stow.ts'
import { call, type Dataset } from './dicomweb.ts'

let server: StowageServer

beforeAll(async () => {
  server = await startServer()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const get = (path: string): Promise<StowAnswer> => call(`${server.dicomWeb}${path}`)

/** Stores instances, each in a study and a series of its own unless it says another. @returns The UIDs of the first one. */
async function store(...list: DicomFileOptions[]) {
  const files = list.map((options) => ({
    studyInstanceUID: uniqueUID(),
    seriesInstanceUID: uniqueUID(),
    sopInstanceUID: uniqueUID(),
    ...options,
  }))
  const answer = await stow(`${server.dicomWeb}/studies`, files.map(dicomFile))
  expect(answer.status).toBeLessThan(300)
  return files
}

/** The UIDs of what is found, sorted. */
async function found(path: string): Promise<string[]> {
  const answer = await get(path)
  expect([200, 204]).toContain(answer.status)
  const uidOf = (result: Dataset) =>
    (result['00080018'] ?? result['0020000E'] ?? result['0020000D'])?.Value?.[0] as string
  return answer.status === 204 ? [] : (answer.body as Dataset[]).map(uidOf).sort()
}

describe('Available Transfer Syntax UID (PS3.18 10.6.3.3, 8.7.3)', () => {
  test('names what can be retrieved: never Implicit VR or big endian (WA-N12)', async () => {
    const studyInstanceUID = uniqueUID()
    const syntaxes = [
      implicitLittleEndian,
      explicitBigEndian,
      explicitLittleEndian,
      jpegBaseline,
    ] as const
    const [implicit, big, explicit, jpeg] = (
      await store(
        ...syntaxes.map((transferSyntaxUID) => ({
          studyInstanceUID,
          transferSyntaxUID,
          ...(transferSyntaxUID === jpegBaseline ? { pixelBytes: [Buffer.alloc(100, 1)] } : {}),
        })),
      )
    ).map(({ sopInstanceUID }) => sopInstanceUID) as [string, string, string, string]
    const path = `/studies/${studyInstanceUID}/instances`
    const told = ((await get(path)).body as Dataset[]).map((result) => [
      result['00080018']?.Value?.[0],
      result['00083002']?.Value,
    ])
    expect(Object.fromEntries(told)).toEqual({
      [implicit]: [explicitLittleEndian],
      [big]: [explicitLittleEndian],
      [explicit]: [explicitLittleEndian],
      [jpeg]: [jpegBaseline],
    })
    const by = (syntax: string) => found(`${path}?AvailableTransferSyntaxUID=${syntax}`)
    expect(await by(explicitLittleEndian)).toEqual([implicit, big, explicit].sort())
    expect(await by(jpegBaseline)).toEqual([jpeg])
    expect(await by(implicitLittleEndian)).toEqual([])
    expect(await by(explicitBigEndian)).toEqual([])
  })
})

describe('Series Number and Instance Number (IS; PS3.5 6.2, PS3.4 C.2.2.2.1)', () => {
  test('match as the integers they are, whatever zeros, spaces or sign they have', async () => {
    const studyInstanceUID = uniqueUID()
    const numbers = ['0003', ' 3 ', '+3', '3', '-03', '30', 'A3', '']
    const files = await store(
      ...numbers.map((value) => ({
        studyInstanceUID,
        elements: ['00200011', '00200013'].map((tag) => ({ tag, vr: 'IS', value })),
      })),
    )
    const uids = (name: 'seriesInstanceUID' | 'sopInstanceUID', ...places: number[]) =>
      places.map((place) => files[place]?.[name]).sort()
    const study = `/studies/${studyInstanceUID}`
    for (const value of ['3', '0003', '%2B3', '000000000003']) {
      const [series, instances] = [
        `series?SeriesNumber=${value}`,
        `instances?InstanceNumber=${value}`,
      ]
      for (const path of [study, '']) {
        expect(await found(`${path}/${series}`)).toEqual(uids('seriesInstanceUID', 0, 1, 2, 3))
        expect(await found(`${path}/${instances}`)).toEqual(uids('sopInstanceUID', 0, 1, 2, 3))
      }
      expect(await found(`${study}/series/${files[0]?.seriesInstanceUID}/${instances}`)).toEqual(
        uids('sopInstanceUID', 0),
      )
    }
    expect(await found(`/series?SeriesNumber=-3,30`)).toEqual(uids('seriesInstanceUID', 4, 5))
    // What is no integer has a value all the same.
    for (const path of [study, '']) {
      expect(await found(`${path}/series?SeriesNumber=%22%22&emptyvaluematching=true`)).toEqual(
        uids('seriesInstanceUID', 7),
      )
      expect(
        await found(`${path}/instances?InstanceNumber=%22%22&emptyvaluematching=true`),
      ).toEqual(uids('sopInstanceUID', 7))
    }
  })
})

describe('Items of Request Attributes Sequence', () => {
  const request = (...items: [scheduled: string | undefined, requested: string | undefined][]) => ({
    elements: [
      {
        tag: '00400275',
        vr: 'SQ',
        items: items.map(([scheduled, requested], index) => [
          { tag: '00400007', vr: 'LO', value: `Step ${index}` },
          ...(scheduled === undefined ? [] : [{ tag: '00400009', vr: 'SH', value: scheduled }]),
          ...(requested === undefined ? [] : [{ tag: '00401001', vr: 'SH', value: requested }]),
        ]),
      },
    ],
  })

  test('an empty value matches an item without a value, and all keys the same item (QI-P10; PS3.4 C.2.2.2.6)', async () => {
    const [missing, empty, full] = (
      await store(
        request(['S1', 'RP1'], [undefined, 'RP3']),
        request(['', 'RP3']),
        request(['S3', 'RP3'], ['S4', undefined]),
        {},
      )
    ).map(({ seriesInstanceUID }) => seriesInstanceUID) as [string, string, string]
    const by = (scheduled: string, requested: string, way = 'emptyvaluematching=true') =>
      found(
        `/series?${way}&00400275.00400009=${encodeURIComponent(scheduled)}` +
          `&RequestAttributesSequence.RequestedProcedureID=${encodeURIComponent(requested)}`,
      )
    expect(await by('""', 'RP3')).toEqual([missing, empty].sort())
    expect(await by('""', 'RP*')).toEqual([missing, empty].sort())
    expect(await by('""', 'RP1')).toEqual([])
    expect(await by('""', '')).toEqual([missing, empty].sort())
    expect(await by('S4', '""')).toEqual([full])
    expect(await by('S3', '""')).toEqual([])
    // Without the word it is a value like any other.
    expect(await by('""', 'RP3', 'emptyvaluematching=false')).toEqual([])
  })

  test('have what is required of them beside what is asked for, empty if they have no value (PS3.18 Table 10.6.3-4)', async () => {
    const [{ studyInstanceUID } = { studyInstanceUID: '' }] = await store(
      request(['S5', undefined], [undefined, 'RP5'], [undefined, undefined]),
    )
    const required = [
      { '00400009': { vr: 'SH', Value: ['S5'] }, '00401001': { vr: 'SH' } },
      { '00400009': { vr: 'SH' }, '00401001': { vr: 'SH', Value: ['RP5'] } },
      { '00400009': { vr: 'SH' }, '00401001': { vr: 'SH' } },
    ]
    const withStep = required.map((item, index) => ({
      '00400007': { vr: 'LO', Value: [`Step ${index}`] },
      ...item,
    }))
    for (const [field, items] of [
      ['RequestAttributesSequence.00400007', withStep],
      ['RequestAttributesSequence', withStep],
      ['00400275.00321060', required],
    ] as const) {
      for (const level of ['series', 'instances']) {
        const { body } = await get(`/studies/${studyInstanceUID}/${level}?includefield=${field}`)
        expect(body[0]['00400275']).toEqual({ vr: 'SQ', Value: items })
      }
    }
  })
})

describe('The wildcard of a name (PS3.4 C.2.2.2.4)', () => {
  test('is the empty run, too, and empty components make no difference', async () => {
    const names = [
      'Roe',
      'Roe^^',
      'Roe^Jane',
      'Roeder^Jane',
      'Roe^Jane^Q',
      'Roe^^Q',
      'Roe=R^J=',
      'X=Roe',
    ]
    const files = await store(...names.map((patientName) => ({ patientName })))
    const by = async (value: string) => {
      const uids = await found(`/studies?PatientName=${encodeURIComponent(value)}`)
      return files.flatMap((file) =>
        uids.includes(file.studyInstanceUID) ? [file.patientName] : [],
      )
    }
    const without = ['Roe', 'Roe^^', 'Roe=R^J=', 'X=Roe']
    const all = names.filter((name) => name !== 'Roeder^Jane')
    expect(await by('Roe^')).toEqual(without)
    expect(await by('Roe^*')).toEqual(all)
    expect(await by('roe^ * ')).toEqual(all)
    expect(await by('Roe^^*')).toEqual([...without.slice(0, 2), 'Roe^^Q', ...without.slice(2)])
    expect(await by('Roe^*^*')).toEqual(all)
    expect(await by('Roe^*^')).toEqual(all)
    expect(await by('Roe*^*')).toEqual(names)
    expect(await by('Roe^J*^*')).toEqual(['Roe^Jane', 'Roe^Jane^Q'])
    expect(await by('Roe^*=R^*')).toEqual(['Roe=R^J='])
    expect(await by('=Roe^*')).toEqual(['X=Roe'])
    expect(await by('^*')).toEqual([])
    expect(await by('Roe^?*')).toEqual(['Roe^Jane', 'Roe^Jane^Q', 'Roe^^Q'])
  })
})

describe('Several values where the standard lets an attribute have one (JS-19)', () => {
  test('are told apart, as metadata have them', async () => {
    const [{ studyInstanceUID } = { studyInstanceUID: '' }] = await store({
      modality: 'CT\\PT',
      patientID: 'a "b"\\ c',
      accessionNumber: '\\A2',
      elements: [
        { tag: '00080090', vr: 'PN', value: 'A^B \\C^D==E\\=' },
        { tag: '0008103E', vr: 'LO', value: 'one\\two\\' },
        { tag: '00200011', vr: 'IS', value: '1\\2' },
      ],
    })
    const tags = ['00080050', '00080060', '00080090', '0008103E', '00100020']
    const path = `/studies/${studyInstanceUID}`
    const [result] = (await get(`${path}/instances?includefield=all`)).body
    const [metadata] = (await get(`${path}/metadata`)).body
    const only = (dataset: Dataset) => Object.fromEntries(tags.map((tag) => [tag, dataset[tag]]))
    expect(metadata['00080090'].Value).toHaveLength(3)
    expect(only(result)).toEqual(only(metadata))
    expect(result['00200011'].Value.map(Number)).toEqual([1, 2])
    const [study] = (await get(`/studies?StudyInstanceUID=${studyInstanceUID}`)).body
    expect(study['00080061'].Value).toEqual(['CT', 'PT'])
    // They are matched as the one text that they came in.
    expect(await found('/studies?ModalitiesInStudy=*PT')).toEqual([studyInstanceUID])
    expect(await found('/studies?ReferringPhysicianName=*c^d*')).toEqual([studyInstanceUID])
  })
})
