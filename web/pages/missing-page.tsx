/** @jsxImportSource hono/jsx */
import type { MissingInstance } from '../../db/study-safety.ts'
import { Layout, type Shell } from '../layout.tsx'
import { type May, mayAll } from '../may.ts'
import { missingCountText, sourceWords } from '../parts/evidence.tsx'
import { Instant } from '../parts/instant.tsx'
import { MayLink } from '../parts/may-link.tsx'
import { countText } from '../parts/quantity.tsx'
import { Reason } from '../parts/reason.tsx'
import { paths } from '../paths.ts'

interface MissingPageProps {
  shell?: Shell | undefined
  studyInstanceUID: string
  missing: MissingInstance[]
  /** Of all pages. */
  missingCount: number
  /** Missing by number: more than those that are named, perhaps. */
  fewer: number
  hasMore: boolean
  isFirst: boolean
}

/** What is named somewhere and is not here, with all that is known of it. */
export function MissingPage(props: MissingPageProps) {
  const { shell, studyInstanceUID, missing, missingCount, fewer, hasMore, isFirst } = props
  const last = missing.at(-1)
  return (
    <Layout title="Missing" current="studies" shell={shell}>
      <p class="back">
        <a href={paths.study(studyInstanceUID)} data-back>
          The study
        </a>
      </p>
      <h1>What is missing</h1>
      <p>{sentenceOf(missingCount, fewer)}</p>
      {missing.length > 0 && (
        <table class="missing">
          <caption>
            {isFirst && !hasMore
              ? `All ${countText(missing.length)}, by UID`
              : `${countText(missing.length)} of ${missingCountText(missingCount)}, by UID`}
          </caption>
          <thead>
            <tr>
              <th scope="col">SOP Instance UID</th>
              <th scope="col">Named by</th>
              <th scope="col">What is known of it</th>
            </tr>
          </thead>
          <tbody>
            {missing.map((one) => (
              <tr>
                <td>
                  <span class="uid">{one.sopInstanceUID}</span>
                  {one.seriesInstanceUID !== null && (
                    <small>
                      of series <span class="uid">{one.seriesInstanceUID}</span>
                    </small>
                  )}
                </td>
                <td>{one.sources.map((source) => sourceWords[source]).join(', ')}</td>
                <td>
                  <Known of={one} may={shell?.may ?? mayAll} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <nav class="paging" aria-label="Pages of the list">
        {!isFirst && <a href={paths.missing(studyInstanceUID)}>First</a>}
        {hasMore && last && <a href={paths.missing(studyInstanceUID, last.sopInstanceUID)}>Next</a>}
      </nav>
    </Layout>
  )
}

function sentenceOf(named: number, fewer: number): string {
  if (named === 0 && fewer === 0) return 'Nothing that is known of is missing.'
  if (named === 0) {
    return `${countText(fewer)} missing by number; nobody has said which.`
  }
  const text = `${missingCountText(named)} missing by name.`
  return fewer > named ? `${text} ${countText(fewer - named)} more by number alone.` : text
}

function Known({ of: one, may }: { of: MissingInstance; may: May }) {
  const { deletedAt, refusedAt, failureReason, transferID } = one
  if (deletedAt === null && failureReason === null) {
    return <span class="muted">Nothing of it has come.</span>
  }
  return (
    <>
      {failureReason !== null && refusedAt !== null && (
        <span class="line">
          Came and was refused: <Reason reason={failureReason} />,{' '}
          <MayLink
            may={may}
            route="GET /transfers/:transfer"
            href={paths.transfer(transferID as string)}
          >
            <Instant at={refusedAt} />
          </MayLink>
        </span>
      )}
      {deletedAt !== null && (
        <span class="line">
          Was here, and was deleted: <Instant at={deletedAt} />
        </span>
      )}
    </>
  )
}
