import { expect, test } from 'vitest'
import { putEvidence } from '../../db/evidence.ts'
import { aStudy } from '../support/study.ts'
import { testApp } from '../web/app.ts'

const creator = { vr: 'LO', Value: ['STOWAGE 1.0'] }

test('a search tells whether a study or series is whole, if it is asked for by includefield (P5)', async () => {
  await using app = await testApp()
  const study = aStudy(1)
  await app.send(study.files)
  const search = async (path: string) => {
    const answer = await app.app.request(`/dicom-web/${path}`)
    return { answer, results: (await answer.json()) as Record<string, unknown>[] }
  }
  const asked = 'includefield=StowageCompleteness'
  const ofStudy = `studies/${study.studyInstanceUID}`

  const unknown = (await search(`studies?${asked}`)).results[0]
  expect(unknown).toMatchObject({
    '710100F0': creator,
    '7101F001': { vr: 'CS', Value: ['UNKNOWN'] },
  })
  // Nobody said how many: that is not 0.
  expect(unknown).not.toHaveProperty('7101F002')

  const { seriesInstanceUID } = study
  await putEvidence(app.db, study.studyInstanceUID, {
    source: 'declared',
    origin: '',
    extent: 'all',
    claims: [{ instanceCount: 3 }, { seriesInstanceUID, instanceCount: 1 }],
  })
  const partial = { vr: 'CS', Value: ['PARTIAL'] }
  const complete = { vr: 'CS', Value: ['COMPLETE'] }
  for (const path of [`studies?${asked}`, `studies?${asked}&PatientID=${study.patientID}`]) {
    const [result] = (await search(path)).results
    expect(result).toMatchObject({ '7101F001': partial, '7101F002': { vr: 'IS', Value: [3] } })
  }
  for (const path of [`series?${asked}`, `${ofStudy}/series?${asked}&includefield=Manufacturer`]) {
    const [result] = (await search(path)).results
    expect(result).toMatchObject({ '7101F001': complete, '7101F002': { vr: 'IS', Value: [1] } })
  }

  for (const path of ['studies', 'studies?includefield=all', `${ofStudy}/series`]) {
    const [result] = (await search(path)).results
    expect(Object.keys(result as object).filter((tag) => tag.startsWith('7101'))).toEqual([])
  }
  const { answer, results } = await search(`instances?${asked}`)
  expect(answer.headers.get('warning')).toContain('StowageCompleteness is not known')
  expect(results[0]).not.toHaveProperty('7101F001')
})

test('in XML its attributes are named by their creator (JS-22)', async () => {
  await using app = await testApp()
  const study = aStudy(1)
  await app.send(study.files)
  const answer = await app.app.request('/dicom-web/studies?includefield=StowageCompleteness', {
    headers: { accept: 'multipart/related; type="application/dicom+xml"' },
  })
  const text = await answer.text()
  expect(text).toMatch(
    /tag="71010001" vr="CS" privateCreator="STOWAGE 1.0"><Value number="1">UNKNOWN</,
  )
})
