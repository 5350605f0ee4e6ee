/** @jsxImportSource hono/jsx */
import { Layout, type Shell } from '../layout.tsx'
import { mayAll } from '../may.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../preferences.ts'

interface ProblemPageProps {
  shell?: Shell | undefined
  /** Where there is no shell. */
  visit: Visit
  title: string
  status: number
  /** What is wrong and what to do. */
  detail: string
  /** Under which the log has more. */
  reference?: string | undefined
}

export function ProblemPage(props: ProblemPageProps) {
  const { shell, visit, title, status, detail, reference } = props
  const may = shell?.may ?? mayAll
  const ways = [
    ...(may('GET /') ? [<a href={paths.studies}>Studies</a>] : []),
    ...(may('GET /upload') ? [<a href={paths.upload}>Upload</a>] : []),
  ]
  return (
    <Layout title={title} shell={shell} visit={visit}>
      <h1>{title}</h1>
      <p class="notice" data-tone="danger" role="alert">
        {detail}
      </p>
      <p class="muted">
        Status {status}
        {reference === undefined ? '' : `, reference ${reference}`}
      </p>
      <p>
        {ways.map((way, index) => (
          <>
            {index > 0 && ' · '}
            {way}
          </>
        ))}
      </p>
    </Layout>
  )
}
