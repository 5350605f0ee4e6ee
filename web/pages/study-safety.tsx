/** @jsxImportSource hono/jsx */
import { CommitmentTable } from '../parts/commitment-table.tsx'
import { AllowResend, DeletionTable } from '../parts/deletion-table.tsx'
import { FindingTable } from '../parts/finding-table.tsx'
import { Integrity } from '../parts/integrity.tsx'
import { countOf, countText } from '../parts/quantity.tsx'
import { paths } from '../paths.ts'
import { mayOf, type StudyView } from './study-page.tsx'

/** Whether its storage was committed, and by which requests. */
export function Commitments({ view }: { view: StudyView }) {
  const { study, commitments, hasMoreCommitments } = view
  const { studyInstanceUID, instanceCount, damagedInstanceCount: damaged } = study
  const { committedInstanceCount: committed } = study
  return (
    <>
      <p>
        {committedWords(committed, instanceCount)}
        {committed > 0 &&
          damaged > 0 &&
          ` Since then ${countText(damaged)} ${damaged === 1 ? 'was' : 'were'} found damaged, so the study as a whole is not safe any more.`}
      </p>
      {commitments.length > 0 && (
        <CommitmentTable
          caption={
            hasMoreCommitments
              ? `Newest ${countText(commitments.length)} requests that name it`
              : `${countOf(commitments.length, 'request')} that ${commitments.length === 1 ? 'names' : 'name'} it`
          }
          commitments={commitments}
          may={mayOf(view)}
        />
      )}
      {hasMoreCommitments && mayOf(view)('GET /commitments') && (
        <p>
          <a href={paths.commitmentsOf(studyInstanceUID)}>All requests that name it</a>
        </p>
      )}
    </>
  )
}

function committedWords(committed: number, all: number): string {
  if (committed === 0) return 'The storage of none of it was committed.'
  return committed >= all
    ? `The storage of all ${countOf(all, 'instance')} was committed.`
    : `The storage of ${countText(committed)} of ${countOf(all, 'instance')} was committed.`
}

export function IntegrityOf({ view }: { view: StudyView }) {
  return <Integrity view={{ ...view.study, integrity: view.integrity, damaged: view.damaged }} />
}

/** What was refused, warned of, or deleted. */
export function Findings({ view }: { view: StudyView }) {
  const { study, refusals, warnings, deletions, refusedAgainCount } = view
  const parts = [
    refusals.length > 0 && 'refused',
    warnings.length > 0 && 'warned of',
    deletions.length > 0 && 'deleted',
  ].filter(Boolean)
  return (
    <>
      {parts.length > 0 && <h2>What was {parts.join(', ')}</h2>}
      {refusals.length > 0 && (
        <FindingTable
          caption={captionOf(refusals.length, study.refusalCount, 'refused instance')}
          findings={refusals.map((one) => ({ ...one, reason: one.failureReason }))}
        />
      )}
      {warnings.length > 0 && (
        <FindingTable
          caption={captionOf(warnings.length, study.warningCount, 'warning')}
          findings={warnings.map((one) => ({ ...one, reason: one.warningReason }))}
        />
      )}
      {deletions.length > 0 && (
        <>
          <DeletionTable deletions={deletions} />
          <AllowResend
            studyInstanceUID={study.studyInstanceUID}
            refusedCount={refusedAgainCount}
            may={mayOf(view)}
          />
        </>
      )}
    </>
  )
}

function captionOf(shown: number, total: number, what: string): string {
  return shown < total
    ? `Newest ${countText(shown)} of ${countOf(total, what)}`
    : countOf(shown, what)
}
