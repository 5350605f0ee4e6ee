/** @jsxImportSource hono/jsx */
import type { Refusal } from '../../db/study-life.ts'
import { Layout, type Shell } from '../layout.tsx'
import { mayAll } from '../may.ts'
import { Evidence, type EvidenceView } from '../parts/evidence.tsx'
import { FindingTable } from '../parts/finding-table.tsx'
import { countText } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

/** What is known of a study of which nothing is here: one of both at least. */
export interface ExpectedStudyView {
  studyInstanceUID: string
  /** What somebody said of it. */
  expected?: EvidenceView | undefined
  /** What came of it, the newest first. */
  refusals: Refusal[]
  hasMoreRefusals: boolean
}

interface ExpectedStudyPageProps {
  shell?: Shell | undefined
  view: ExpectedStudyView
}

/** A study of which nothing is here, but of which somebody spoke, or which was refused. */
export function ExpectedStudyPage({ shell, view }: ExpectedStudyPageProps) {
  const { studyInstanceUID, expected, refusals, hasMoreRefusals } = view
  const isRefused = refusals.length > 0
  const may = shell?.may ?? mayAll
  const shown = countText(refusals.length)
  return (
    <Layout title={isRefused ? 'Refused study' : 'Expected study'} current="studies" shell={shell}>
      <p class="back">
        <a href={paths.studies} data-back>
          Studies
        </a>
      </p>
      <h1>{isRefused ? 'Nothing of this study is stored' : 'Nothing of this study has come'}</h1>
      <p class="verdict">
        {isRefused ? (
          <Badge icon="cross" word="Refused" tone="danger" />
        ) : (
          <Badge icon="hourglass" word="Expected" tone="special" />
        )}
        <span class="uid">{studyInstanceUID}</span>
      </p>
      {isRefused && (
        <section aria-labelledby="refused-title">
          <h2 id="refused-title">What was refused</h2>
          <FindingTable
            caption={hasMoreRefusals ? `Newest ${shown}` : `${shown} in all`}
            findings={refusals.map((one) => ({ ...one, reason: one.failureReason }))}
            withTransfer={may('GET /transfers/:transfer')}
          />
        </section>
      )}
      {expected && (
        <section aria-labelledby="evidence-title">
          <h2 id="evidence-title">Evidence</h2>
          <div id="study-evidence">
            <Evidence view={expected} may={may} />
          </div>
        </section>
      )}
    </Layout>
  )
}
