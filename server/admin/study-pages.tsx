/** @jsxImportSource hono/jsx */
import { type Context, Hono } from 'hono'
import { countedStudies, countStudies } from '../../db/listing.ts'
import {
  countMatches,
  countStates,
  findStudyKeys,
  type ListedStudy,
  matchesCounted,
  readListedStudies,
  studiesUnderWay,
} from '../../db/study-list.ts'
import {
  countRegions,
  StudiesPage,
  type StudyList,
  studyRegions,
} from '../../web/pages/studies-page.tsx'
import { locationFrom, paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { readText, smallBody } from '../http/read-text.ts'
import { Patience } from '../qido/patience.ts'
import type { PageDeps } from './deps.ts'
import { memo } from './memo.ts'
import { type StudySearch, searchOfForm, searchOfQuery } from './study-search.ts'

const studiesOnPage = 50
const formBytes = 16 * 1024

/** The list of studies, its search, and its live streams. */
export function studyPages(deps: PageDeps): Hono<AppEnv> {
  const { db, intake } = deps
  const underWayNow = memo(200, () => studiesUnderWay(db, intake.untoldStudies))
  // A live view looks because something changed, and may not look again for long: nothing remembered will do.
  const freshCounts = async () => countStates(db, await underWayNow())
  const countsNow = memo(1000, freshCounts)
  const totalNow = memo(2000, () => countStudies(db))

  async function answer(c: Context<AppEnv>, search: StudySearch): Promise<Response> {
    const [shell, counts, list] = await Promise.all([
      deps.shell.read(c),
      countsNow(),
      readList(c.req.raw.signal, search),
    ])
    const { fields, problem } = search
    return htmlResponse(
      <StudiesPage
        shell={shell}
        studiesURL={`${c.get('baseURL')}/dicom-web/studies`}
        list={list}
        fields={fields}
        counts={counts}
        problem={problem}
        live={liveOf(search, list)}
      />,
      problem === undefined ? 200 : 400,
    )
  }

  async function readList(signal: AbortSignal, search: StudySearch): Promise<StudyList> {
    const { filter, order, place, isFiltered, problem } = search
    if (problem !== undefined) {
      return { studies: [], total: 0, isTotalBounded: false, order, isFiltered: true }
    }
    const patience = new Patience(signal)
    const underWay = await underWayNow()
    const [total, most] = isFiltered
      ? [await patience.with(countMatches(db, filter, underWay)), matchesCounted]
      : [await totalNow(), countedStudies]
    const query = { filter, order, place, limit: studiesOnPage, underWay }
    const isFew = isFiltered && total <= matchesCounted
    const keys = await patience.with(findStudyKeys(db, query, isFew))
    const hasMore = keys.length > studiesOnPage
    // Too few newer ones to fill a page: then the page that is wanted is the first.
    if ('after' in place && !hasMore) return readList(signal, { ...search, place: { from: 0 } })
    const shown = keys.slice(0, studiesOnPage)
    if ('after' in place) shown.reverse()
    const studies = await readListedStudies(db, shown, underWay)
    return {
      studies,
      total: Math.min(total, most),
      isTotalBounded: total > most,
      order,
      isFiltered,
      ...neighbours(search, studies, hasMore),
    }
  }

  return new Hono<AppEnv>()
    .get('/', (c) => answer(c, searchOfQuery(new URL(c.req.url).searchParams)))
    .post('/', async (c) => {
      const search = searchOfForm(await readForm(c))
      // Filters alone are an address, which can be shared; text, which may be a name, never is.
      if (!search.fields.hasText) return c.redirect(locationFrom(c.req.raw, addressOf(search)), 303)
      return answer(c, search)
    })
    .get(paths.live('studies'), (c) => {
      const search = searchOfQuery(new URL(c.req.url).searchParams)
      return deps.stream(c, 'studies', `studies ${search.fields.query({})}`, async () => {
        const [list, counts] = await Promise.all([
          readList(new AbortController().signal, search),
          freshCounts(),
        ])
        return [...studyRegions(list, search.fields, true), ...countRegions(counts, c.get('may'))]
      })
    })
    .get(paths.live('rows'), (c) => {
      const keys = keysOf(c.req.query('keys') ?? '')
      const { fields } = searchOfQuery(new URLSearchParams())
      return deps.stream(c, 'studies', `rows ${keys.join()}`, async () => {
        const [studies, counts] = await Promise.all([
          readListedStudies(db, keys, await underWayNow()),
          freshCounts(),
        ])
        return [
          ...studyRegions(rowsAlone(studies), fields, false),
          ...countRegions(counts, c.get('may')),
        ]
      })
    })
}

function rowsAlone(studies: ListedStudy[]): StudyList {
  return {
    studies,
    total: studies.length,
    isTotalBounded: false,
    order: 'received',
    isFiltered: true,
  }
}

/** Only the first page by time takes new studies; another one stands still, but its rows change. */
function liveOf({ fields, order, place }: StudySearch, { studies, newer }: StudyList) {
  const isFirst =
    !fields.hasText && order === 'received' && newer === undefined && !('before' in place)
  if (isFirst) {
    const query = fields.query({})
    return `${paths.live('studies')}${query && `?${query}`}`
  }
  const keys = studies.map(({ studyKey }) => studyKey).join()
  return keys === '' ? undefined : `${paths.live('rows')}?keys=${keys}`
}

/** Places of the pages around this one. */
function neighbours({ place, order }: StudySearch, studies: ListedStudy[], hasMore: boolean) {
  const places: { newer?: string; older?: string } = {}
  if (order !== 'received') {
    const from = 'from' in place ? place.from : 0
    if (from > 0) places.newer = `skip=${Math.max(0, from - studiesOnPage)}`
    if (hasMore) places.older = `skip=${from + studiesOnPage}`
    return places
  }
  const first = studies[0]
  const last = studies.at(-1)
  const isForward = 'after' in place
  if ((isForward || 'before' in place) && first) places.newer = `after=${first.cursor}`
  if ((isForward || hasMore) && last) places.older = `before=${last.cursor}`
  return places
}

function addressOf({ fields }: StudySearch): string {
  const query = fields.query({})
  return query === '' ? paths.studies : `${paths.studies}?${query}`
}

/** @throws {HttpProblem} 400, 413 */
export async function readForm(
  c: Context<AppEnv>,
  mostBytes = formBytes,
): Promise<URLSearchParams> {
  const type = c.req.header('content-type')?.split(';')[0]
  if (type !== 'application/x-www-form-urlencoded') {
    throw new HttpProblem(415, 'A form is sent as application/x-www-form-urlencoded')
  }
  if (Number(c.req.header('content-length') ?? mostBytes + 1) > mostBytes) {
    throw new HttpProblem(413, `A form has ${mostBytes} bytes at most, and says how many`)
  }
  return new URLSearchParams(await readText(c.req.raw, { ...smallBody, requestBytes: mostBytes }))
}

function keysOf(text: string): number[] {
  const keys = text.split(',').map((one) => (/^\d{1,15}$/.test(one) ? Number(one) : 0))
  if (keys.length <= studiesOnPage && keys.every((key) => key > 0)) return keys
  throw new HttpProblem(400, 'Cannot show these rows: "keys" is no list of numbers')
}
