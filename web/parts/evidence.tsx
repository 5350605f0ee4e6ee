/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import type { KeptEvidence, SeriesVerdict } from '../../db/evidence.ts'
import type { EvidenceSource, Verdict } from '../../db/schema.ts'
import { type May, mayAll } from '../may.ts'
import { paths } from '../paths.ts'
import { Instant } from './instant.tsx'
import { MayLink } from './may-link.tsx'
import { countOf, countText } from './quantity.tsx'
import { Badge, type Sign } from './state-badge.tsx'

/** What is said of a study, and what of it is missing. */
export interface EvidenceView {
  studyInstanceUID: string
  verdict: Verdict
  instanceCount: number
  expectedInstanceCount: number | null
  /** Statements, the first of them; those about the study before those about its series. */
  evidence: KeptEvidence[]
  /** More statements than these are kept. */
  isCut: boolean
  series: SeriesVerdict[]
  /** SOP Instance UIDs, the first of them. */
  missing: string[]
  /** Missing by name, up to `missingCounted`. */
  missingCount: number
}

/** As many missing instances as are counted one by one; so many means "or more". */
export const missingCounted = 10_000

/** Rows that are shown before the rest is folded away. */
const shownStatements = 12

/** Why the study is held to be whole, or not: who says what, and whether that is what is here. */
export function Evidence({ view, may = mayAll }: { view: EvidenceView; may?: May }) {
  const { evidence, isCut } = view
  const first = evidence.slice(0, shownStatements)
  const rest = evidence.slice(shownStatements)
  return (
    <>
      <p>{verdictWords(view)}</p>
      {first.length > 0 && (
        <StatementTable
          view={view}
          may={may}
          statements={first}
          caption={captionOf(evidence.length, isCut)}
        />
      )}
      {rest.length > 0 && (
        <details class="more">
          <summary>{countOf(rest.length, 'more statement')}</summary>
          <StatementTable view={view} may={may} statements={rest} caption="The others" />
        </details>
      )}
      <Missing view={view} />
    </>
  )
}

function captionOf(count: number, isCut: boolean): string {
  return isCut ? `The first ${countText(count)} statements` : countOf(count, 'statement')
}

/** The verdict and why, in a sentence or two. */
export function verdictWords(view: EvidenceView): string {
  const { verdict, instanceCount, expectedInstanceCount: expected, evidence } = view
  const here = `${countOf(instanceCount, 'instance')} ${instanceCount === 1 ? 'is' : 'are'} here`
  switch (verdict) {
    case 'unknown':
      return evidence.length === 0
        ? `Nobody has said how many instances there are, so nobody can say whether these are all: ${here}.`
        : `Nothing that was said tells how many instances there are in all: ${here}.`
    case 'complete':
      return `${here}, as many as ${countOf(expected ?? instanceCount, 'instance')} that it should hold; nothing that is named is missing.`
    case 'partial':
      return expected === null || expected <= instanceCount
        ? `${here}; some that are named are missing.`
        : `${countText(instanceCount)} of ${countOf(expected, 'instance')} ${instanceCount === 1 ? 'is' : 'are'} here; ${countText(expected - instanceCount)} missing.`
    case 'conflict':
      return `${here}, and what is said does not agree with it or with itself. All of it is shown; Stowage does not choose.`
  }
}

interface StatementTableProps {
  view: EvidenceView
  may: May
  statements: KeptEvidence[]
  caption: string
}

function StatementTable({ view, may, statements, caption }: StatementTableProps) {
  return (
    <table class="evidence">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Who</th>
          <th scope="col">Says</th>
          <th scope="col">Of</th>
          <th scope="col">So</th>
          <th scope="col">When (UTC)</th>
        </tr>
      </thead>
      <tbody>
        {statements.map((one) => (
          <tr>
            <td>
              {sourceWords[one.source]}
              <small>
                <Origin of={one} may={may} />
              </small>
            </td>
            <td>
              {saidWords(one)}
              {one.detail !== null && <small>{one.detail}</small>}
            </td>
            <td data-label="Of">
              {one.seriesInstanceUID === null ? (
                'the study'
              ) : (
                <>
                  series{' '}
                  <a class="uid" href={paths.series(view.studyInstanceUID, one.seriesInstanceUID)}>
                    {one.seriesInstanceUID}
                  </a>
                </>
              )}
            </td>
            <td>
              <Badge {...standingOf(one, view)} />
            </td>
            <td class="instant" data-label="When">
              <Instant at={one.claimedAt} />
              {one.askedAt !== null && one.askedAt.getTime() - one.claimedAt.getTime() > 1000 && (
                <small>
                  asked again <Instant at={one.askedAt} />
                </small>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

export const sourceWords: Record<EvidenceSource, string> = {
  declared: 'Declared',
  tags: 'Attributes of instances',
  references: 'An object that refers to others',
  'commitment-request': 'A commitment request',
  peer: 'The source that is asked',
}

function Origin({ of: { source, origin, claimedBy }, may }: { of: KeptEvidence; may: May }): Child {
  if (source === 'commitment-request') {
    return (
      <MayLink
        may={may}
        route="GET /commitments/:transaction"
        class="uid"
        href={paths.commitment(origin)}
      >
        {origin}
      </MayLink>
    )
  }
  const words = [origin, claimedBy && `by ${claimedBy}`].filter(Boolean).join(' ')
  return <span class={source === 'references' ? 'uid' : ''}>{words}</span>
}

function saidWords({ extent, instanceCount, isList }: KeptEvidence): string {
  if (instanceCount === null) return 'nothing'
  if (extent === 'some') return `names ${countOf(instanceCount, 'instance')}`
  return `${countOf(instanceCount, 'instance')} in all${isList ? ', by name' : ''}`
}

/** What a statement says beside what is here. */
export function standingOf(statement: KeptEvidence, view: EvidenceView): Sign {
  const { seriesInstanceUID, extent, instanceCount: said, missingCount } = statement
  if (said === null) return { icon: 'question', word: 'No answer', tone: 'neutral' }
  const here =
    seriesInstanceUID === null
      ? view.instanceCount
      : (view.series.find((one) => one.seriesInstanceUID === seriesInstanceUID)?.received ?? 0)
  if (extent === 'all' && here > said) {
    return { icon: 'warning', word: `${countText(here - said)} more here`, tone: 'danger' }
  }
  const missing = extent === 'all' ? Math.max(said - here, missingCount) : missingCount
  if (missing > 0) return { icon: 'part', word: `${countText(missing)} missing`, tone: 'waiting' }
  return extent === 'all'
    ? { icon: 'tick', word: 'Agrees', tone: 'success' }
    : { icon: 'tick', word: 'All of them here', tone: 'neutral' }
}

/** What is missing, as far as it is known. */
function Missing({ view }: { view: EvidenceView }) {
  const { studyInstanceUID, instanceCount, expectedInstanceCount, missing, missingCount } = view
  const fewer = Math.max(0, (expectedInstanceCount ?? 0) - instanceCount)
  if (fewer === 0 && missingCount === 0) return null
  if (missingCount === 0) {
    return <p class="muted">Nobody has said which {fewer === 1 ? 'one is' : 'ones are'} missing.</p>
  }
  const shown = missing.length
  return (
    <>
      <h3>Missing</h3>
      <ul class="uids">
        {missing.map((uid) => (
          <li class="uid">{uid}</li>
        ))}
      </ul>
      <p>
        <a href={paths.missing(studyInstanceUID)}>
          {shown < missingCount
            ? `All ${missingCountText(missingCount)} that are missing, and what is known of them`
            : 'What is known of what is missing'}
        </a>
      </p>
    </>
  )
}

export function missingCountText(count: number): string {
  return count >= missingCounted ? `${countText(missingCounted)} or more` : countText(count)
}
