/** @jsxImportSource hono/jsx */
import { Layout } from '../layout.tsx'
import { paths } from '../paths.ts'
import type { Visit } from '../preferences.ts'

interface ProblemPageProps {
  visit: Visit
  title: string
  status: number
  /** What is wrong and what to do. */
  detail: string
  /** Under which the log has more. */
  reference?: string | undefined
}

export function ProblemPage({ visit, title, status, detail, reference }: ProblemPageProps) {
  return (
    <Layout title={title} visit={visit}>
      <h1>{title}</h1>
      <p class="notice" data-tone="danger" role="alert">
        {detail}
      </p>
      <p class="muted">
        Status {status}
        {reference === undefined ? '' : `, reference ${reference}`}
      </p>
      <p>
        <a href={paths.studies}>Studies</a> · <a href={paths.upload}>Upload</a>
      </p>
    </Layout>
  )
}
