/** @jsxImportSource hono/jsx */
import type { Study } from '../../db/instances.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import { elementID, paths } from '../paths.ts'
import { Commitment, Completeness } from './completeness.tsx'
import { dateText, personName } from './dicom-text.ts'
import { Ago, Until } from './instant.tsx'
import { bytesText, countOf, countText } from './quantity.tsx'
import { Badge, StudyBadge } from './state-badge.tsx'

interface StudyRowProps {
  study: ListedStudy
}

/** One study in the list. The link in it is stretched over the row by the style sheet. */
export function StudyRow({ study }: StudyRowProps) {
  const { studyInstanceUID, studyDescription, accessionNumber } = study
  return (
    <tr id={elementID('study', studyInstanceUID)} class="linked" data-state={study.state}>
      <td class="state">
        <StudyBadge state={study.state} />
        <small>
          <Settling study={study} />
        </small>
      </td>
      <td>
        <PatientName study={study} />
        <PatientFacts study={study} />
      </td>
      <td>
        <a href={paths.study(studyInstanceUID)} data-row>
          {studyDescription ?? <span class="muted">No description</span>}
        </a>
        <small>
          <Day value={study.studyDate} />
          {study.studyDate && study.modalitiesInStudy.length > 0 && ' · '}
          {study.modalitiesInStudy.join(', ')}
        </small>
      </td>
      <td class="accession" data-label="Accession">
        {accessionNumber ?? <None />}
      </td>
      <td class="number" data-label="Series / instances">
        {countText(study.seriesCount)} / {countText(study.instanceCount)}
        <small class="size">{bytesText(study.byteLength)}</small>
      </td>
      <td class="whole" data-label="Completeness">
        <Completeness of={study} />
        <Commitment of={study} />
        <Problems study={study} />
      </td>
      <td class="instant" data-label="Last received">
        <Ago at={study.lastReceivedAt} />
      </td>
    </tr>
  )
}

/** When it becomes stable, or since when it is. */
export function Settling({
  study,
}: {
  study: Pick<ListedStudy, 'state' | 'settlesAt' | 'settledAt'>
}) {
  const { state, settlesAt, settledAt } = study
  if (state === 'receiving') return <>on its way</>
  if (settlesAt !== null) {
    return (
      <>
        settles <Until at={settlesAt} />
      </>
    )
  }
  if (settledAt === null) return null
  return (
    <>
      since <Ago at={settledAt} />
    </>
  )
}

function Problems({ study }: StudyRowProps) {
  const { refusalCount, warningCount, damagedInstanceCount } = study
  return (
    <>
      {damagedInstanceCount > 0 && (
        <Badge icon="broken" word={`${countText(damagedInstanceCount)} damaged`} tone="danger" />
      )}
      {refusalCount > 0 && (
        <Badge icon="cross" word={`${countText(refusalCount)} refused`} tone="danger" />
      )}
      {warningCount > 0 && (
        <Badge icon="warning" word={countOf(warningCount, 'warning')} tone="waiting" />
      )}
    </>
  )
}

export function PatientName({ study }: { study: Study }) {
  const name = personName(study.patientName ?? '')
  return name === '' ? (
    <span class="muted">No name</span>
  ) : (
    <span class="name" data-patient>
      {name}
    </span>
  )
}

/** `P-1 · 1970-01-31 · F` */
export function PatientFacts({ study }: { study: Study }) {
  const { patientID, patientBirthDate, patientSex } = study
  return (
    <small data-patient>
      {patientID}
      {patientID && patientBirthDate && ' · '}
      <Day value={patientBirthDate} />
      {(patientID || patientBirthDate) && patientSex && ' · '}
      {patientSex}
    </small>
  )
}

/** A date, in one piece. */
function Day({ value }: { value: string | null }) {
  if (value === null) return null
  const text = dateText(value)
  // What is no date may be long.
  return <span class={text.length > 10 ? undefined : 'nowrap'}>{text}</span>
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
