import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DicomElement, dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { aStudy, type Study } from '../support/study.ts'
import { type TestApp, testApp } from '../web/app.ts'

let server: TestApp

beforeAll(async () => {
  server = await testApp()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function completenessOf({ studyInstanceUID }: { studyInstanceUID: string }) {
  const answer = await server.app.request(`/api/studies/${studyInstanceUID}`)
  return (await answer.json()).completeness
}

/** A study of one series whose files have these numbers. */
const withNumbers = (count: number, numbers: [tag: string, vr: string, value: number][]): Study =>
  aStudy(count, uniqueUID(), uniqueUID(), {
    elements: numbers.map(([tag, vr, value]) => ({
      tag,
      vr,
      value: vr === 'US' ? value : String(value),
    })),
  })

describe('what instances say of how many there are (number 4 of what others do)', () => {
  test.each([
    {
      rule: 'ImagesInAcquisition x NumberOfTemporalPositions',
      numbers: [
        ['00201002', 'IS', 2],
        ['00200105', 'IS', 2],
      ],
    },
    {
      rule: 'NumberOfSlices x NumberOfTimeSlices',
      numbers: [
        ['00540081', 'US', 4],
        ['00540101', 'US', 1],
      ],
    },
    { rule: 'CardiacNumberOfImages', numbers: [['00181090', 'IS', 4]] },
    { rule: 'NumberOfSeriesRelatedInstances', numbers: [['00201209', 'IS', 4]] },
  ] as { rule: string; numbers: [string, string, number][] }[])(
    '$rule',
    async ({ rule, numbers }) => {
      const study = withNumbers(4, numbers)
      await server.send(study.files.slice(0, 3))
      expect(await completenessOf(study)).toMatchObject({
        verdict: 'partial',
        expected: 4,
        series: [{ verdict: 'partial', received: 3, expected: 4 }],
        evidence: [{ source: 'tags', origin: rule, instanceCount: 4 }],
      })
      await server.send(study.files.slice(3))
      // The series is whole; whether there are others nobody said.
      expect(await completenessOf(study)).toMatchObject({
        verdict: 'unknown',
        series: [{ verdict: 'complete', received: 4, expected: 4 }],
      })
    },
  )

  test('NumberOfStudyRelatedInstances is said of the study', async () => {
    const study = withNumbers(2, [['00201208', 'IS', 2]])
    await server.send(study.files.slice(0, 1))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'partial', expected: 2 })
    await server.send(study.files.slice(1))
    expect(await completenessOf(study)).toMatchObject({ verdict: 'complete', expected: 2 })
  })

  test('one factor alone says nothing, nor do images of a file with many frames', async () => {
    for (const numbers of [
      [['00201002', 'IS', 2]],
      [
        ['00201002', 'IS', 2],
        ['00200105', 'IS', 2],
        ['00280008', 'IS', 4],
      ],
      [['00181090', 'IS', 0]],
    ] as [string, string, number][][]) {
      const study = withNumbers(1, numbers)
      await server.send(study.files)
      expect(await completenessOf(study)).toMatchObject({ verdict: 'unknown', evidence: [] })
    }
  })

  test('instances that say different numbers say nothing together, and that is shown', async () => {
    const study = withNumbers(1, [['00201209', 'IS', 1]])
    await server.send(study.files)
    expect((await completenessOf(study)).series).toMatchObject([{ verdict: 'complete' }])
    const other = dicomFile({
      studyInstanceUID: study.studyInstanceUID,
      seriesInstanceUID: study.seriesInstanceUID,
      patientID: study.patientID,
      elements: [{ tag: '00201209', vr: 'IS', value: '7' }],
    })
    await server.send([other])
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'unknown',
      evidence: [{ source: 'tags', detail: 'Its instances say different numbers' }],
    })
  })
})

describe('objects that refer to others', () => {
  const sop = (uid: string): DicomElement[] => [
    { tag: '00081150', vr: 'UI', value: '1.2.840.10008.5.1.4.1.1.2' },
    { tag: '00081155', vr: 'UI', value: uid },
  ]
  const series = (tag: string, uids: string[]): DicomElement[] => [
    { tag: '0020000E', vr: 'UI', value: uniqueUID() },
    { tag, vr: 'SQ', items: uids.map(sop) },
  ]
  /** An object of the study, in a series of its own. */
  const about = (study: Study, sopClassUID: string, elements: DicomElement[]): Uint8Array =>
    dicomFile({
      studyInstanceUID: study.studyInstanceUID,
      patientID: study.patientID,
      seriesInstanceUID: uniqueUID(),
      sopClassUID,
      elements,
      pixelBytes: null,
    })
  const evidenceSequence = (
    tag: string,
    studyInstanceUID: string,
    uids: string[],
  ): DicomElement => ({
    tag,
    vr: 'SQ',
    items: [
      [
        { tag: '0020000D', vr: 'UI', value: studyInstanceUID },
        { tag: '00081115', vr: 'SQ', items: [series('00081199', uids)] },
      ],
    ],
  })

  test.each([
    {
      name: 'a Key Object Selection',
      make: (study: Study) =>
        about(study, '1.2.840.10008.5.1.4.1.1.88.59', [
          evidenceSequence('0040A375', study.studyInstanceUID, study.uids),
        ]),
    },
    {
      name: 'an SR, in its pertinent other evidence',
      make: (study: Study) =>
        about(study, '1.2.840.10008.5.1.4.1.1.88.33', [
          evidenceSequence('0040A385', study.studyInstanceUID, study.uids),
        ]),
    },
    {
      name: 'a presentation state',
      make: (study: Study) =>
        about(study, '1.2.840.10008.5.1.4.1.1.11.1', [
          { tag: '00081115', vr: 'SQ', items: [series('00081140', study.uids)] },
        ]),
    },
    {
      name: 'a segmentation',
      make: (study: Study) =>
        about(study, '1.2.840.10008.5.1.4.1.1.66.4', [
          { tag: '00081115', vr: 'SQ', items: [series('0008114A', study.uids)] },
        ]),
    },
    {
      name: 'a structure set',
      make: (study: Study) =>
        about(study, '1.2.840.10008.5.1.4.1.1.481.3', [
          {
            tag: '30060010',
            vr: 'SQ',
            items: [
              [
                {
                  tag: '30060012',
                  vr: 'SQ',
                  items: [
                    [
                      { tag: '00081155', vr: 'UI', value: study.studyInstanceUID },
                      { tag: '30060014', vr: 'SQ', items: [series('30060016', study.uids)] },
                    ],
                  ],
                },
              ],
            ],
          },
        ]),
    },
  ])('$name names what is missing, and says nothing when all of it is here', async ({ make }) => {
    const study = aStudy(3)
    await server.send([...study.files.slice(0, 1), make(study)])
    const missing = study.uids.slice(1).sort()
    expect(await completenessOf(study)).toMatchObject({
      verdict: 'partial',
      received: 2,
      expected: 4,
      missing,
      evidence: [{ source: 'references', extent: 'some', instanceCount: 3, missingCount: 2 }],
    })
    await server.send(study.files.slice(1))
    // All that is named is here; that there are no others nobody said.
    expect(await completenessOf(study)).toMatchObject({ verdict: 'unknown', missing: [] })
  })

  test('of another study are not expected here', async () => {
    const study = aStudy(1)
    const other = evidenceSequence('0040A375', uniqueUID(), [uniqueUID()])
    await server.send([...study.files, about(study, '1.2.840.10008.5.1.4.1.1.88.59', [other])])
    expect(await completenessOf(study)).toMatchObject({ verdict: 'unknown', evidence: [] })
  })
})
