/** @jsxImportSource hono/jsx */
import { Layout, type Shell } from '../layout.tsx'
import { PatientFacts, PatientName, studyFacts } from '../parts/study-row.tsx'
import { paths } from '../paths.ts'
import type { Ask, StudyActionView } from '../study-actions/view.tsx'

interface StudyActionPageProps {
  shell?: Shell | undefined
  action: Required<Pick<StudyActionView, 'ask'>>
  ask: Ask
}

/** Asks before an action: of what, how many, and what is lost. */
export function StudyActionPage({ shell, action, ask }: StudyActionPageProps) {
  const { study, target } = ask
  const part = target.sopInstanceUID ?? target.seriesInstanceUID
  return (
    <Layout title="Action" current="studies" shell={shell}>
      <p class="back">
        <a href={paths.study(study.studyInstanceUID)}>The study</a>
      </p>
      <h1>{action.ask.title(ask)}</h1>
      <p class="patient">
        <PatientName study={study} /> <PatientFacts study={study} />
      </p>
      <p>
        {study.studyDescription ?? <span class="muted">No description</span>}
        <small>{studyFacts(study)}</small>
      </p>
      {part !== undefined && (
        <p>
          {target.level === 'series' ? 'Series' : 'Instance'} <span class="uid">{part}</span>
        </p>
      )}
      {action.ask.view(ask)}
    </Layout>
  )
}
