/** @jsxImportSource hono/jsx */
import type { ListedStudy, StateCounts, StudyOrder } from '../../db/study-list.ts'
import { Layout, type Shell } from '../layout.tsx'
import { type May, mayAll } from '../may.ts'
import type { LiveRegion } from '../parts/live-message.tsx'
import { countText } from '../parts/quantity.tsx'
import { StudyRow } from '../parts/study-row.tsx'
import { paths } from '../paths.ts'
import { chipRegions, type SearchFields, StudySearch } from './study-search.tsx'

export interface StudyList {
  studies: ListedStudy[]
  /** How many match in all, and whether that is only where counting stopped. */
  total: number
  isTotalBounded: boolean
  order: StudyOrder
  /** Query strings of the pages before and after this one. */
  newer?: string | undefined
  older?: string | undefined
  /** Something is searched for, or filtered by. */
  isFiltered: boolean
}

interface StudiesPageProps {
  shell?: Shell | undefined
  /** Where senders send to: `https://…/dicom-web/studies` */
  studiesURL: string
  list: StudyList
  fields: SearchFields
  counts: StateCounts
  /** What there is to say of the search: what is wrong with it, and where. */
  problem?: string | undefined
  /** The address of the live stream: of this list, or of these rows. */
  live?: string | undefined
}

export function StudiesPage(props: StudiesPageProps) {
  const { shell, studiesURL, list, fields, counts, problem, live } = props
  const may = shell?.may ?? mayAll
  return (
    <Layout title="Studies" current="studies" shell={shell} live={live}>
      <h1>Studies</h1>
      <StudySearch fields={fields} counts={counts} studiesURL={studiesURL} problem={problem} />
      <p>
        <a id="newer" class="pill" href={paths.studies} hidden>
          New studies: show
        </a>
      </p>
      <p id="arriving">
        <Arriving count={counts.arriving} may={may} />
      </p>
      <section id="list" aria-label="Studies">
        <StudyTable list={list} fields={fields} />
      </section>
      {list.total === 0 && !list.isFiltered && counts.arriving === 0 && (
        <FirstUse studiesURL={studiesURL} may={may} />
      )}
    </Layout>
  )
}

/** What is on its way and in no list yet: a study has a row when its first transfer is committed. */
function Arriving({ count, may }: { count: number; may: May }) {
  if (count === 0) return null
  return (
    <>
      {count === 1 ? '1 study is' : `${countText(count)} studies are`} arriving for the first time
      {may('GET /transfers') && (
        <>
          : see <a href={paths.transfers}>Transfers</a>
        </>
      )}
      .
    </>
  )
}

/** The counts around the list, which change while studies come and settle. */
export function countRegions(counts: StateCounts, may: May = mayAll): LiveRegion[] {
  return [
    ...chipRegions(counts),
    { id: 'arriving', content: <Arriving count={counts.arriving} may={may} /> },
  ]
}

/** What changes by itself: each row, and the list when it is another one. */
export function studyRegions(
  list: StudyList,
  fields: SearchFields,
  isWhole: boolean,
): LiveRegion[] {
  const rows: LiveRegion[] = list.studies.map((study) => ({
    id: `study-${study.studyInstanceUID.replaceAll('.', '-')}`,
    isWhole: true,
    content: <StudyRow study={study} />,
  }))
  if (!isWhole) return rows
  const sign = `${captionOf(list)} ${list.studies.map((study) => study.studyKey).join()}`
  const content = <StudyTable list={list} fields={fields} />
  return [{ id: 'list', isList: true, sign, content }, ...rows]
}

interface StudyTableProps {
  list: StudyList
  fields: SearchFields
}

export function StudyTable({ list, fields }: StudyTableProps) {
  const { studies, isFiltered, order } = list
  if (studies.length === 0) {
    return isFiltered ? <NoMatch /> : <p class="muted">Nothing received yet.</p>
  }
  return (
    <>
      <table class="studies">
        <caption>{captionOf(list)}</caption>
        <thead>
          <tr>
            <th scope="col">State</th>
            <SortHeader name="patient" current={order} fields={fields}>
              Patient
            </SortHeader>
            <SortHeader name="date" current={order} fields={fields}>
              Study
            </SortHeader>
            <th scope="col" class="accession">
              Accession
            </th>
            <th scope="col" class="number">
              Series / instances
            </th>
            <th scope="col">Completeness</th>
            <SortHeader name="received" current={order} fields={fields}>
              Last received
            </SortHeader>
          </tr>
        </thead>
        <tbody>
          {studies.map((study) => (
            <StudyRow study={study} />
          ))}
        </tbody>
      </table>
      <Paging list={list} fields={fields} />
    </>
  )
}

interface SortHeaderProps {
  name: StudyOrder
  current: StudyOrder
  fields: SearchFields
  children: string
}

/** A link; with a text search, which no address may hold, a button. */
function SortHeader({ name, current, fields, children }: SortHeaderProps) {
  const sort = { 'aria-sort': name === 'patient' ? 'ascending' : 'descending' } as const
  return (
    <th scope="col" {...(name === current ? sort : {})}>
      {name === current ? (
        children
      ) : fields.hasText ? (
        <button class="link" type="submit" form="search" name="sort" value={name}>
          {children}
        </button>
      ) : (
        <a href={`${paths.studies}?${fields.query({ sort: name })}`}>{children}</a>
      )}
    </th>
  )
}

const ends: Record<StudyOrder, string> = { received: 'Newest', date: 'Latest', patient: 'First' }

/** Says what is shown, so that nobody takes a page for the whole. */
export function captionOf(
  list: Pick<StudyList, 'studies' | 'total' | 'isTotalBounded' | 'newer' | 'older' | 'order'>,
): string {
  const { studies, total, isTotalBounded, newer, older, order } = list
  const shown = countText(studies.length)
  const all = isTotalBounded ? `more than ${countText(total)}` : countText(total)
  if (newer === undefined && older === undefined) {
    return studies.length === 1 ? 'The one study' : `All ${shown}`
  }
  return newer === undefined ? `${ends[order]} ${shown} of ${all}` : `${shown} of ${all}`
}

function Paging({ list: { newer, older, order }, fields }: StudyTableProps) {
  if (newer === undefined && older === undefined) return null
  const [back, on] = order === 'received' ? ['Newer', 'Older'] : ['Back', 'Next']
  return (
    <nav class="paging" aria-label="Pages of the list">
      {newer !== undefined && <PageLink place={newer} word={back as string} fields={fields} />}
      {older !== undefined && <PageLink place={older} word={on as string} fields={fields} />}
    </nav>
  )
}

interface PageLinkProps {
  place: string
  word: string
  fields: SearchFields
}

function PageLink({ place, word, fields }: PageLinkProps) {
  if (!fields.hasText) {
    return (
      <a href={`${paths.studies}?${fields.query(Object.fromEntries(new URLSearchParams(place)))}`}>
        {word}
      </a>
    )
  }
  return (
    <button class="link" type="submit" form="search" name="place" value={place}>
      {word}
    </button>
  )
}

function NoMatch() {
  return (
    <p class="empty">
      No study matches. <a href={paths.studies}>Clear the search</a>
    </p>
  )
}

/** How to begin. The style sheet hides it as soon as the live table shows a study. */
function FirstUse({ studiesURL, may }: { studiesURL: string; may: May }) {
  return (
    <section id="first-use">
      <h2>Send the first study</h2>
      <p>
        Send to <code>{studiesURL}</code>, for example one file:
      </p>
      <pre>
        <code>curl -H 'Content-Type: application/dicom' --data-binary @image.dcm {studiesURL}</code>
      </pre>
      {may('GET /upload') && (
        <p>
          Or <a href={paths.upload}>upload files</a> from this browser.
        </p>
      )}
      {may('POST /api/demo') && (
        <form method="post" action={paths.demo}>
          <p>
            Nothing at hand? <button type="submit">Send demonstration studies</button> Made up, of
            nobody; they arrive within a minute.
          </p>
        </form>
      )}
    </section>
  )
}
