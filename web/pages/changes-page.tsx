/** @jsxImportSource hono/jsx */
import type { Change } from '../../db/changes.ts'
import type { ChangeType } from '../../db/schema.ts'
import { Layout, type Shell } from '../layout.tsx'
import { type May, mayAll } from '../may.ts'
import { Instant } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { MayLink } from '../parts/may-link.tsx'
import { countText } from '../parts/quantity.tsx'
import { paths } from '../paths.ts'

export interface ChangeList {
  /** The newest first. */
  changes: Change[]
  type: ChangeType | undefined
  /** The number from which on there are older ones. */
  older: number | undefined
  isNewest: boolean
  /** The last number that was given. */
  last: number
}

interface ChangesPageProps {
  shell?: Shell | undefined
  list: ChangeList
}

const types = [
  'new',
  'instances-added',
  'stable',
  'reopened',
  'complete',
  'incomplete',
  'committed',
  'deleted',
  'damaged',
  'transfer-ended',
] as const

/** The feed, as those who read it see it. */
export function ChangesPage({ shell, list }: ChangesPageProps) {
  const { type, isNewest } = list
  const live = `${paths.live('changes')}${type === undefined ? '' : `?type=${type}`}`
  return (
    <Layout title="Changes" current="changes" shell={shell} live={isNewest ? live : undefined}>
      <h1>Changes</h1>
      <p>
        What consumers are told, in order and without gaps, at <code>/api/changes</code>.
      </p>
      <nav class="chips" aria-label="Type">
        <Chip current={type} />
        {types.map((one) => (
          <Chip type={one} current={type} />
        ))}
      </nav>
      <section id="feed">
        <Feed list={list} may={shell?.may ?? mayAll} />
      </section>
    </Layout>
  )
}

export function changeRegions(list: ChangeList, may: May = mayAll): LiveRegion[] {
  return [{ id: 'feed', content: <Feed list={list} may={may} /> }]
}

function addressOf(type: ChangeType | undefined, upTo?: number): string {
  const query = new URLSearchParams()
  if (type !== undefined) query.set('type', type)
  if (upTo !== undefined) query.set('upTo', String(upTo))
  return query.size === 0 ? paths.changes : `${paths.changes}?${query}`
}

function Chip({ type, current }: { type?: ChangeType; current: ChangeType | undefined }) {
  return (
    <a
      class="chip"
      href={addressOf(type)}
      {...(type === current ? { 'aria-current': 'true' as const } : {})}
    >
      {type ?? 'all'}
    </a>
  )
}

function Feed({ list, may }: { list: ChangeList; may: May }) {
  const { changes, type, older, isNewest, last } = list
  if (changes.length === 0) return <p class="empty">Nothing has happened yet.</p>
  return (
    <>
      <table class="changes">
        <caption>The last number is {countText(last)}</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              Number
            </th>
            <th scope="col">Type</th>
            <th scope="col">Level</th>
            <th scope="col">Of</th>
            <th scope="col">When (UTC)</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((one) => (
            <tr id={`change-${one.seq}`}>
              <td class="number" data-label="Number">
                {countText(one.seq)}
              </td>
              <td>{one.type}</td>
              <td data-label="Level">{one.level}</td>
              <td>
                <Subject of={one} may={may} />
              </td>
              <td class="instant" data-label="When">
                <Instant at={one.at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <nav class="paging" aria-label="Pages of the list">
        {!isNewest && <a href={addressOf(type)}>Newest</a>}
        {older !== undefined && <a href={addressOf(type, older)}>Older</a>}
      </nav>
    </>
  )
}

type Subjected = Pick<Change, 'level' | 'studyInstanceUID' | 'seriesInstanceUID' | 'transferID'>

/** What a change is about, as a link where there is a page of it. */
export function Subject({ of, may = mayAll }: { of: Subjected; may?: May }) {
  const { level, studyInstanceUID, seriesInstanceUID, transferID } = of
  if (transferID !== null) {
    return (
      <MayLink
        may={may}
        route="GET /transfers/:transfer"
        class="uid"
        href={paths.transfer(transferID)}
      >
        {transferID}
      </MayLink>
    )
  }
  if (studyInstanceUID === null) return <span class="muted">{level}</span>
  if (level === 'series' && seriesInstanceUID !== null) {
    return (
      <a class="uid" href={paths.series(studyInstanceUID, seriesInstanceUID)}>
        {seriesInstanceUID}
      </a>
    )
  }
  return (
    <a class="uid" href={paths.study(studyInstanceUID)}>
      {studyInstanceUID}
    </a>
  )
}
