/** @jsxImportSource hono/jsx */
import type { FailureCount } from '../../db/commitment-list.ts'
import type { Commitment } from '../../db/commitments.ts'
import { type May, mayAll } from '../may.ts'
import { elementID, paths } from '../paths.ts'
import { CommitmentReason } from './commitment-reason.tsx'
import { Ago, durationText } from './instant.tsx'
import { MayLink } from './may-link.tsx'
import { bytesText, countText } from './quantity.tsx'
import { Badge, type Sign } from './state-badge.tsx'

export interface ListedCommitment {
  commitment: Commitment
  /** By reason; empty where nothing failed, or there are too many to be counted for a list. */
  failures: FailureCount[]
}

/** How a commitment request stands. (PS3.4 J) */
export function commitmentSign(commitment: Commitment): Sign {
  const { state, failedCount } = commitment
  if (state === 'waiting') return { icon: 'hourglass', word: 'Waiting', tone: 'working' }
  if (failedCount > 0) {
    return { icon: 'cross', word: `${countText(failedCount)} failed`, tone: 'danger' }
  }
  return { icon: 'seal', word: 'Committed', tone: 'success' }
}

interface CommitmentTableProps {
  caption: string
  commitments: ListedCommitment[]
  may?: May
}

/** Requests, the newest first. */
export function CommitmentTable({ caption, commitments, may = mayAll }: CommitmentTableProps) {
  return (
    <table class="commitments">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Transaction</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col">Failed because</th>
          <th scope="col">Requested</th>
        </tr>
      </thead>
      <tbody>
        {commitments.map((one) => (
          <CommitmentRow {...one} may={may} />
        ))}
      </tbody>
    </table>
  )
}

function CommitmentRow({ commitment, failures, may }: ListedCommitment & { may: May }) {
  const { transactionUID, instanceCount, committedCount, byteLength, state } = commitment
  const { requester, requesterProduct, requestedAt, finishedAt } = commitment
  return (
    <tr id={elementID('commitment', transactionUID)} class="linked">
      <td>
        <Badge {...commitmentSign(commitment)} />
        {state === 'discarded' && <small>result not kept any more</small>}
      </td>
      <td>
        <MayLink
          may={may}
          route="GET /commitments/:transaction"
          class="uid"
          href={paths.commitment(transactionUID)}
          isRow
        >
          {transactionUID}
        </MayLink>
        <small>{[requester, requesterProduct].filter(Boolean).join(' · ')}</small>
      </td>
      <td class="number" data-label="Instances">
        {state === 'waiting'
          ? countText(instanceCount)
          : `${countText(committedCount)} of ${countText(instanceCount)}`}
        <small class="size">{bytesText(byteLength)}</small>
      </td>
      <td>
        {failures.map(({ failureReason, count }) => (
          <span class="line">
            {countText(count)} × <CommitmentReason reason={failureReason} />
          </span>
        ))}
      </td>
      <td class="instant" data-label="Requested">
        <Ago at={requestedAt} />
        {finishedAt !== null && (
          <small>took {durationText(finishedAt.getTime() - requestedAt.getTime())}</small>
        )}
      </td>
    </tr>
  )
}
