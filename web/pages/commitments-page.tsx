/** @jsxImportSource hono/jsx */
import { Layout, type Shell } from '../layout.tsx'
import { CommitmentTable, type ListedCommitment } from '../parts/commitment-table.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { countOf, countText } from '../parts/quantity.tsx'
import { paths } from '../paths.ts'

export const commitmentFilters = ['waiting', 'failed'] as const
export type CommitmentFilter = (typeof commitmentFilters)[number]

export interface CommitmentList {
  commitments: ListedCommitment[]
  /** Those that wait for their result, or those of which something failed. */
  only: CommitmentFilter | undefined
  /** Of this study alone. */
  studyInstanceUID: string | undefined
  /** The key that the next page is older than. */
  older: number | undefined
  isNewest: boolean
}

interface CommitmentsPageProps {
  shell?: Shell | undefined
  list: CommitmentList
  /** Where a request is sent to. */
  requestsURL: string
}

const filterWords: Record<CommitmentFilter, string> = {
  waiting: 'Waiting',
  failed: 'With failures',
}

/** Who asked for storage commitment, and what became of it. */
export function CommitmentsPage({ shell, list, requestsURL }: CommitmentsPageProps) {
  const { studyInstanceUID, isNewest } = list
  return (
    <Layout
      title="Commitments"
      current="commitments"
      shell={shell}
      live={isNewest ? liveAddress(list) : undefined}
    >
      <h1>Commitments</h1>
      <p class="muted">
        A sender asks whether the archive vouches for instances, and may delete its own copies then.
        Committed means: their bytes were read again and are what came.
      </p>
      <nav class="chips" aria-label="Which requests">
        <Chip list={list} word="All" />
        {commitmentFilters.map((one) => (
          <Chip list={list} only={one} word={filterWords[one]} />
        ))}
      </nav>
      {studyInstanceUID !== undefined && (
        <p>
          Of study{' '}
          <a class="uid" href={paths.study(studyInstanceUID)}>
            {studyInstanceUID}
          </a>
          . <a href={paths.commitments}>Of all studies</a>
        </p>
      )}
      <section id="commitments">
        <List list={list} requestsURL={requestsURL} />
      </section>
    </Layout>
  )
}

export function commitmentsRegions(list: CommitmentList, requestsURL: string): LiveRegion[] {
  return [{ id: 'commitments', content: <List list={list} requestsURL={requestsURL} /> }]
}

function liveAddress({ only, studyInstanceUID }: CommitmentList): string {
  return `${paths.live('commitments')}${queryOf({ only, study: studyInstanceUID })}`
}

function queryOf(values: Record<string, string | undefined>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values))
    if (value !== undefined) query.set(name, value)
  return query.size === 0 ? '' : `?${query}`
}

interface ChipProps {
  list: CommitmentList
  only?: CommitmentFilter
  word: string
}

function Chip({ list, only, word }: ChipProps) {
  return (
    <a
      class="chip"
      href={`${paths.commitments}${queryOf({ only, study: list.studyInstanceUID })}`}
      {...(only === list.only ? { 'aria-current': 'true' as const } : {})}
    >
      {word}
    </a>
  )
}

function List({ list, requestsURL }: { list: CommitmentList; requestsURL: string }) {
  const { commitments, only, studyInstanceUID, older, isNewest } = list
  if (commitments.length === 0) {
    if (only === 'waiting') return <p class="empty">No request waits for its result.</p>
    if (only === 'failed') return <p class="empty">Nothing of any request failed.</p>
    if (!isNewest) return <p class="empty">There are no older ones.</p>
    if (studyInstanceUID !== undefined) {
      return <p class="empty">Nobody has asked for storage commitment of this study.</p>
    }
    return (
      <p class="empty">
        Nobody has asked for storage commitment yet. A sender does with{' '}
        <code>POST {requestsURL}/…</code>; the page of a study can, too.
      </p>
    )
  }
  const base = { only, study: studyInstanceUID }
  return (
    <>
      <CommitmentTable
        caption={
          isNewest && older === undefined
            ? countOf(commitments.length, 'request')
            : `${isNewest ? 'Newest ' : ''}${countText(commitments.length)} requests`
        }
        commitments={commitments}
      />
      <nav class="paging" aria-label="Pages of the list">
        {!isNewest && <a href={`${paths.commitments}${queryOf(base)}`}>Newest</a>}
        {older !== undefined && (
          <a href={`${paths.commitments}${queryOf({ ...base, before: String(older) })}`}>Older</a>
        )}
      </nav>
    </>
  )
}
