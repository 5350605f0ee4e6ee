/** @jsxImportSource hono/jsx */
import type { FailureCount, LostSince } from '../../db/commitment-list.ts'
import type { Commitment, CommitmentOfStudy, Reference } from '../../db/commitments.ts'
import { Layout, type Shell } from '../layout.tsx'
import { CommitmentReason, commitmentReasonMeaning } from '../parts/commitment-reason.tsx'
import { commitmentSign } from '../parts/commitment-table.tsx'
import { durationText, Instant } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

export interface CommitmentView {
  commitment: Commitment
  /** The first of them. */
  studies: CommitmentOfStudy[]
  reasons: FailureCount[]
  /** What became of its committed instances; undefined where nobody knows. */
  lost: LostSince | undefined
  /** A page of the failed instances, in the order of the request. */
  failures: Reference[]
  /** The next page begins after this place. */
  next: number | undefined
  isFirst: boolean
}

interface CommitmentPageProps {
  shell?: Shell | undefined
  view: CommitmentView
}

/** One request for storage commitment: how it stands, what failed, and why. */
export function CommitmentPage({ shell, view }: CommitmentPageProps) {
  const { transactionUID, state } = view.commitment
  return (
    <Layout
      title="Commitment"
      current="commitments"
      shell={shell}
      live={state === 'waiting' ? paths.live(`commitment/${transactionUID}`) : undefined}
    >
      <p class="back">
        <a href={paths.commitments} data-back>
          Commitments
        </a>
      </p>
      <h1>Storage commitment</h1>
      <div id="commitment">
        <Body view={view} />
      </div>
    </Layout>
  )
}

export function commitmentRegions(view: CommitmentView): LiveRegion[] {
  return [{ id: 'commitment', content: <Body view={view} /> }]
}

function Body({ view }: { view: CommitmentView }) {
  const { commitment, studies, reasons, failures, lost } = view
  const lostWords = lost && lostSentence(lost)
  return (
    <>
      <p class="verdict">
        <Badge {...commitmentSign(commitment)} />
        <span>{sentenceOf(view)}</span>
      </p>
      {lostWords && (
        <p class="notice" data-tone="danger">
          {lostWords}
        </p>
      )}
      {commitment.state === 'waiting' && (
        <p>
          <progress
            max={Math.max(1, commitment.instanceCount)}
            value={commitment.checkedCount}
            aria-label="Instances read again"
          />
        </p>
      )}
      <Facts commitment={commitment} />
      {studies.length > 0 && <StudyTable studies={studies} />}
      {reasons.length > 0 && <ReasonTable reasons={reasons} />}
      {failures.length > 0 && <FailureTable view={view} />}
    </>
  )
}

function sentenceOf({ commitment, lost }: CommitmentView): string {
  const { state, instanceCount, checkedCount, committedCount, failedCount, finishedAt } = commitment
  if (state === 'waiting' || finishedAt === null) {
    return `${countText(checkedCount)} of ${countOf(instanceCount, 'instance')} read again so far.`
  }
  const committed = `committed on ${finishedAt.toISOString().slice(0, 10)}.`
  const gone =
    state === 'discarded' ? ' The result in detail is not kept any more: it was too long ago.' : ''
  if (failedCount === 0) {
    const isHere = lost !== undefined && lost.deletedCount + lost.damagedCount === 0
    const all =
      instanceCount === 1
        ? 'The one instance was'
        : `All ${countText(instanceCount)} instances were`
    const advice = instanceCount === 1 ? 'It is still here' : 'They are still here'
    return `${all} ${committed}${isHere ? ` ${advice}: the sender may delete its own.` : ''}${gone}`
  }
  const failed = `${countText(failedCount)} of ${countOf(instanceCount, 'instance')} failed: the sender should keep ${failedCount === 1 ? 'it' : 'them'}.`
  return committedCount === 0
    ? `${failed}${gone}`
    : `${failed} ${countText(committedCount)} ${committedCount === 1 ? 'was' : 'were'} ${committed}${gone}`
}

/** A commitment is a promise of that day: who reads it later must not delete the last copy. */
function lostSentence({ deletedCount, damagedCount }: LostSince): string | undefined {
  const lost = [
    ...(deletedCount > 0 ? [`${countOf(deletedCount, 'instance')} deleted`] : []),
    ...(damagedCount > 0 ? [`${countOf(damagedCount, 'instance')} found damaged`] : []),
  ]
  if (lost.length === 0) return undefined
  return `Since then ${lost.join(' and ')} here: the sender should keep its own.`
}

function Facts({ commitment }: { commitment: Commitment }) {
  const { transactionUID, requester, requesterProduct, requestedAt, finishedAt, byteLength } =
    commitment
  const facts: [string, unknown][] = [
    ['Requested by', [requester, requesterProduct].filter(Boolean).join(' · ')],
    ['Requested (UTC)', <Instant at={requestedAt} />],
    [
      'Finished (UTC)',
      finishedAt && (
        <>
          <Instant at={finishedAt} />, after{' '}
          {durationText(finishedAt.getTime() - requestedAt.getTime())}
        </>
      ),
    ],
    ['Bytes to read again', bytesText(byteLength)],
    ['Transaction UID', <span class="uid">{transactionUID}</span>],
  ]
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

function StudyTable({ studies }: { studies: CommitmentOfStudy[] }) {
  return (
    <table>
      <caption>{countOf(studies.length, 'study', 'studies')}</caption>
      <thead>
        <tr>
          <th scope="col">Study</th>
          <th scope="col" class="number">
            Committed
          </th>
          <th scope="col" class="number">
            Failed
          </th>
        </tr>
      </thead>
      <tbody>
        {studies.map(({ studyInstanceUID, committedCount, failedCount }) => (
          <tr class="linked">
            <td>
              <a class="uid" href={paths.study(studyInstanceUID)} data-row>
                {studyInstanceUID}
              </a>
            </td>
            <td class="number" data-label="Committed">
              {countText(committedCount)}
            </td>
            <td class="number" data-label="Failed">
              {countText(failedCount)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function ReasonTable({ reasons }: { reasons: FailureCount[] }) {
  return (
    <table>
      <caption>Why it failed</caption>
      <thead>
        <tr>
          <th scope="col">Failure Reason</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col">What it means, and what to do</th>
        </tr>
      </thead>
      <tbody>
        {reasons.map(({ failureReason, count }) => (
          <tr>
            <td>
              <CommitmentReason reason={failureReason} />
            </td>
            <td class="number" data-label="Instances">
              {countText(count)}
            </td>
            <td>{commitmentReasonMeaning(failureReason)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function FailureTable({ view }: { view: CommitmentView }) {
  const { commitment, failures, next, isFirst } = view
  const { transactionUID, failedCount } = commitment
  return (
    <>
      <table class="failures">
        <caption>
          {isFirst && next === undefined
            ? `${countOf(failures.length, 'instance')} not committed`
            : `${countText(failures.length)} of ${countText(failedCount)} instances not committed`}
        </caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              Place
            </th>
            <th scope="col">Instance</th>
            <th scope="col">Failure Reason</th>
          </tr>
        </thead>
        <tbody>
          {failures.map((one) => (
            <tr>
              <td class="number" data-label="Place">
                {countText(one.position + 1)}
              </td>
              <td>
                <span class="uid">{one.sopInstanceUID}</span>
                {one.studyInstanceUID !== null && (
                  <small>
                    of study{' '}
                    <a class="uid" href={paths.study(one.studyInstanceUID)}>
                      {one.studyInstanceUID}
                    </a>
                  </small>
                )}
              </td>
              <td>
                <CommitmentReason reason={one.failureReason as number} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <nav class="paging" aria-label="Pages of the list">
        {!isFirst && <a href={paths.commitment(transactionUID)}>First</a>}
        {next !== undefined && (
          <a href={`${paths.commitment(transactionUID)}?after=${next}`}>Next</a>
        )}
      </nav>
    </>
  )
}
