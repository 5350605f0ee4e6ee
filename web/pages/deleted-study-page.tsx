/** @jsxImportSource hono/jsx */
import type { Deletion } from '../../db/deletions.ts'
import { Layout, type Shell } from '../layout.tsx'
import { mayAll } from '../may.ts'
import { AllowResend, DeletionTable } from '../parts/deletion-table.tsx'
import { Done } from '../parts/done.tsx'
import { Instant } from '../parts/instant.tsx'
import { bytesText, countOf } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

interface DeletedStudyPageProps {
  shell?: Shell | undefined
  studyInstanceUID: string
  /** The newest first; there is at least one. */
  deletions: Deletion[]
  /** Instances of it that are refused if they come again. */
  refusedCount: number
  done?: string | undefined
}

/** What is left of a study that was deleted: who did it, when, why, and what may come again. */
export function DeletedStudyPage(props: DeletedStudyPageProps) {
  const { shell, studyInstanceUID, deletions, refusedCount, done } = props
  const last = deletions[0] as Deletion
  return (
    <Layout title="Deleted study" current="studies" shell={shell}>
      <p class="back">
        <a href={paths.studies} data-back>
          Studies
        </a>
      </p>
      <h1>This study was deleted</h1>
      <Done said={done} />
      <p class="verdict">
        <Badge icon="cross" word="Deleted" tone="neutral" />
        <span>
          {countOf(last.instanceCount, 'instance')} of{' '}
          {countOf(last.seriesCount, 'series', 'series')} ({bytesText(last.byteLength)}), at{' '}
          <Instant at={last.deletedAt} /> (UTC)
          {last.sender !== null && ` from ${last.sender}`}.
        </span>
      </p>
      <dl class="facts">
        <div>
          <dt>Why</dt>
          <dd>{last.reason ?? 'no reason was given'}</dd>
        </div>
        {last.committedInstanceCount > 0 && (
          <div>
            <dt>Committed before</dt>
            <dd>{countOf(last.committedInstanceCount, 'instance')}: it was deleted all the same</dd>
          </div>
        )}
        <div>
          <dt>Study Instance UID</dt>
          <dd class="uid">{studyInstanceUID}</dd>
        </div>
      </dl>
      <h2>If it is sent again</h2>
      <AllowResend
        studyInstanceUID={studyInstanceUID}
        refusedCount={refusedCount}
        may={shell?.may ?? mayAll}
      />
      {deletions.length > 1 && (
        <>
          <h2>All that was deleted of it</h2>
          <DeletionTable deletions={deletions} />
        </>
      )}
    </Layout>
  )
}
