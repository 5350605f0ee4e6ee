/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import type { Change } from '../../db/changes.ts'
import type { ChangeType } from '../../db/schema.ts'
import type { Arrival } from '../../db/study-life.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import type { May } from '../may.ts'
import { paths } from '../paths.ts'
import type { ListedCommitment } from './commitment-table.tsx'
import { Icon, type IconName } from './icon.tsx'
import { durationText, Instant, Until } from './instant.tsx'
import { MayLink } from './may-link.tsx'
import { countOf, countText } from './quantity.tsx'

interface StudyTimelineProps {
  study: ListedStudy
  changes: Change[]
  arrivals: Arrival[]
  commitments: ListedCommitment[]
  may: May
}

interface Step {
  at: Date
  icon: IconName
  what: Child
}

/** What happened to a study, the newest first, with what will happen on top. */
export function StudyTimeline(props: StudyTimelineProps) {
  const { study, changes, arrivals, commitments, may } = props
  const steps: Step[] = [
    ...changes.map(({ type, at, details }) => ({
      at,
      icon: icons[type],
      what: wordsOf(type, details ?? {}, may),
    })),
    ...arrivals.map((one) => arrivalStep(one, may)),
    ...commitments.map((one) => requestStep(one, may)),
  ].sort((a, b) => b.at.getTime() - a.at.getTime())
  return (
    <ol class="timeline">
      {study.settlesAt !== null && (
        <li data-future>
          <Icon name="hourglass" />
          <span>
            {study.state === 'receiving' ? (
              'Becomes stable when its quiet time is over, after what is on its way'
            ) : (
              <>
                Becomes stable <Until at={study.settlesAt} /> unless more arrives
              </>
            )}
          </span>
        </li>
      )}
      {steps.map(({ at, icon, what }) => (
        <li>
          <Icon name={icon} />
          <span>{what}</span>
          <Instant at={at} />
        </li>
      ))}
    </ol>
  )
}

const icons: Record<ChangeType, IconName> = {
  new: 'plus',
  'instances-added': 'arriving',
  reopened: 'again',
  stable: 'tick',
  deleted: 'cross',
  complete: 'tick',
  incomplete: 'part',
  committed: 'seal',
  damaged: 'broken',
  'transfer-ended': 'arriving',
}

function wordsOf(type: ChangeType, details: Record<string, unknown>, may: May): Child {
  const number = (name: string) => Number(details[name] ?? 0)
  switch (type) {
    case 'new':
      return 'First instance'
    case 'instances-added':
      return `${countOf(number('addedInstanceCount'), 'instance')} added`
    case 'reopened':
      return `Reopened: another stable event will follow (generation ${number('generation')})`
    case 'stable':
      return `Stable with ${countOf(number('instanceCount'), 'instance')} (generation ${number('generation')})`
    case 'deleted':
      return 'Something of it was deleted'
    case 'complete':
      return 'Complete, by the evidence'
    case 'incomplete':
      return incompleteWords(details)
    case 'committed':
      return <CommittedWords details={details} may={may} />
    case 'damaged':
      return details.isDamaged === false
        ? 'Bytes that were damaged are right again'
        : 'Bytes were found that are not what came'
    case 'transfer-ended':
      return 'A transfer to it ended'
  }
}

/** What a commitment request came to: as its result says, and how much of the study that makes. */
function CommittedWords({ details, may }: { details: Record<string, unknown>; may: May }) {
  const committed = Number(details.committedCount ?? 0)
  const failed = Number(details.failedCount ?? 0)
  const text = `Storage of ${countOf(committed, 'instance')} committed`
  const transaction = details.transactionUID
  return (
    <>
      {typeof transaction === 'string' ? (
        <MayLink
          may={may}
          route="GET /commitments/:transaction"
          href={paths.commitment(transaction)}
        >
          {text}
        </MayLink>
      ) : (
        text
      )}
      {failed > 0 && `, ${countText(failed)} failed`}
    </>
  )
}

function incompleteWords({
  verdict,
  instanceCount,
  expectedInstanceCount,
}: Record<string, unknown>) {
  if (verdict === 'partial') {
    return `Partial, by the evidence: ${instanceCount} of ${expectedInstanceCount}`
  }
  return verdict === 'conflict'
    ? 'In conflict: the evidence disagrees'
    : 'Nobody says any more what it holds'
}

function requestStep({ commitment }: ListedCommitment, may: May): Step {
  const { transactionUID, instanceCount, requestedAt } = commitment
  return {
    at: requestedAt,
    icon: 'hourglass',
    what: (
      <MayLink
        may={may}
        route="GET /commitments/:transaction"
        href={paths.commitment(transactionUID)}
      >
        Commitment of {countOf(instanceCount, 'instance')} requested
      </MayLink>
    ),
  }
}

function arrivalStep({ at, until, instanceCount, transferID }: Arrival, may: May): Step {
  const took = until.getTime() - at.getTime()
  const what = `${countOf(instanceCount, 'instance')} stored`
  return {
    at,
    icon: 'arriving',
    what: (
      <>
        {transferID === null ? (
          what
        ) : (
          <MayLink may={may} route="GET /transfers/:transfer" href={paths.transfer(transferID)}>
            {what}
          </MayLink>
        )}
        {took >= 50 && <> in {durationText(took)}</>}
      </>
    ),
  }
}
