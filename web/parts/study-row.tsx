/** @jsxImportSource hono/jsx */
import type { Study } from '../../db/instances.ts'
import { elementID, paths } from '../paths.ts'
import { dateText, personName } from './dicom-text.ts'
import { Instant } from './instant.tsx'
import { bytesText, countText } from './quantity.tsx'

interface StudyRowProps {
  study: Study
}

/** One study in the list. The link in it is stretched over the row by the style sheet. */
export function StudyRow({ study }: StudyRowProps) {
  const { studyInstanceUID, studyDescription, accessionNumber } = study
  return (
    <tr id={elementID('study', studyInstanceUID)} class="linked">
      <td>
        <PatientName study={study} />
        <small>{patientFacts(study)}</small>
      </td>
      <td>
        <a href={paths.study(studyInstanceUID)}>
          {studyDescription ?? <span class="muted">No description</span>}
        </a>
        <small>{studyFacts(study)}</small>
      </td>
      <td class="accession" data-label="Accession">
        {accessionNumber ?? <None />}
      </td>
      <td class="number" data-label="Series / instances">
        {countText(study.seriesCount)} / {countText(study.instanceCount)}
      </td>
      <td class="number size" data-label="Size">
        {bytesText(study.byteLength)}
      </td>
      <td class="instant" data-label="Last received">
        <Instant at={study.lastReceivedAt} />
      </td>
    </tr>
  )
}

export function PatientName({ study }: StudyRowProps) {
  const name = personName(study.patientName ?? '')
  return name === '' ? <span class="muted">No name</span> : <span class="name">{name}</span>
}

/** `P-1 · 1970-01-31 · F` */
export function patientFacts({ patientID, patientBirthDate, patientSex }: Study): string {
  return joined([patientID, patientBirthDate && dateText(patientBirthDate), patientSex])
}

/** `2026-03-01 · CT, SR` */
export function studyFacts({ studyDate, modalitiesInStudy }: Study): string {
  return joined([studyDate && dateText(studyDate), modalitiesInStudy.join(', ')])
}

function joined(facts: (string | null)[]): string {
  return facts.filter(Boolean).join(' · ')
}

function None() {
  return (
    <span class="muted">
      <span aria-hidden="true">–</span>
      <span class="unseen">none</span>
    </span>
  )
}
