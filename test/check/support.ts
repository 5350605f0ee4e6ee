import { open, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type CheckResult, check } from '../../server/check/check.ts'
import type { Finding } from '../../server/check/finding.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

export interface Checked extends CheckResult {
  findings: Finding[]
  problems: string[]
}

/** Checks an archive, and collects what is reported. */
export async function checked(
  archive: TestIntake,
  isQuick = false,
  isDeep = false,
): Promise<Checked> {
  const findings: Finding[] = []
  const options = { isQuick, isDeep, leaseMs: 30_000 }
  const result = await check(archive.db, archive.store, options, (one) => findings.push(one))
  expect(result.findingCount).toBe(findings.length)
  return { ...result, findings, problems: findings.map(({ problem }) => problem).sort() }
}

/** Two patients; the first has two studies, of which the first has two series. One transfer a study. */
export async function filledArchive(segmentBytes?: number) {
  const archive = await testIntake(
    segmentBytes === undefined ? nothingHeld : { ...nothingHeld, segmentBytes },
  )
  const studies: Study[] = []
  for (const [patientID, modalities] of [
    ['P1', ['CT', 'SR']],
    ['P1', ['MR']],
    ['P2', ['CT']],
  ] as const) {
    const studyInstanceUID = uniqueUID()
    const instances = modalities.flatMap((modality) => {
      const seriesInstanceUID = uniqueUID()
      return [1, 2, 3].map((instanceNumber) => ({
        seriesInstanceUID,
        sopInstanceUID: uniqueUID(),
        patientID,
        modality,
        instanceNumber,
      }))
    })
    const files = instances.map((one) => dicomFile({ ...one, studyInstanceUID }))
    expect((await archive.send(files)).state).toBe('committed')
    studies.push({ studyInstanceUID, instances, files })
  }
  const [first, second, third] = studies as [Study, Study, Study]
  return Object.assign(archive, { first, second, third })
}

export interface Study {
  studyInstanceUID: string
  instances: { seriesInstanceUID: string; sopInstanceUID: string }[]
  files: Buffer[]
}

/** Where an instance lies. */
export async function placeOf({ db, folder }: TestIntake, sopInstanceUID: string | undefined) {
  const [row] = await db.sql`
    select g.segment_id, i.segment_offset, i.byte_length, i.metadata_length
    from instances i
    join segments g using (segment_key)
    where i.sop_instance_uid = ${sopInstanceUID as string}`
  const segmentID = row?.segment_id as string
  return {
    segmentID,
    path: join(folder, segmentID.slice(-2), `${segmentID}.segment`),
    offset: row?.segment_offset as number,
    byteLength: row?.byte_length as number,
    metadataLength: row?.metadata_length as number,
  }
}

export async function overwrite(path: string, position: number, text: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(text, position)
  await file.close()
}

export async function age(path: string, minutes: number): Promise<void> {
  const at = new Date(Date.now() - minutes * 60_000)
  await utimes(path, at, at)
}

export type FilledArchive = Awaited<ReturnType<typeof filledArchive>>
