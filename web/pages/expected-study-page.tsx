/** @jsxImportSource hono/jsx */
import { Layout, type Shell } from '../layout.tsx'
import { Evidence, type EvidenceView } from '../parts/evidence.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

interface ExpectedStudyPageProps {
  shell?: Shell | undefined
  view: EvidenceView
}

/** A study of which nothing has come, but of which somebody spoke. */
export function ExpectedStudyPage({ shell, view }: ExpectedStudyPageProps) {
  return (
    <Layout title="Expected study" current="studies" shell={shell}>
      <p class="back">
        <a href={paths.studies} data-back>
          Studies
        </a>
      </p>
      <h1>Nothing of this study has come</h1>
      <p class="verdict">
        <Badge icon="hourglass" word="Expected" tone="special" />
        <span class="uid">{view.studyInstanceUID}</span>
      </p>
      <section aria-labelledby="evidence-title">
        <h2 id="evidence-title">Evidence</h2>
        <div id="study-evidence">
          <Evidence view={view} />
        </div>
      </section>
    </Layout>
  )
}
