import { type Context, Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import {
  countMatches,
  type Page,
  type SearchKeys,
  type Study,
  searchInstances,
  searchSeries,
  searchStudies,
} from '../../db/instances.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { negotiate, parseAccept } from '../multipart/accept.ts'
import { type Level, parseSearch } from './parameters.ts'
import { instanceResult, ordered, type Result, seriesResult, studyResult } from './results.ts'

/** QIDO-RS: the Search transaction. (PS3.18 10.6) */
export function qidoRoutes({ db }: { db: Database }): Hono<AppEnv> {
  const answer = (c: Context<AppEnv>, level: Level) => search(c, level, db)
  return new Hono<AppEnv>()
    .get('/studies', (c) => answer(c, 'study'))
    .get('/series', (c) => answer(c, 'series'))
    .get('/instances', (c) => answer(c, 'instance'))
    .get('/studies/:study/series', (c) => answer(c, 'series'))
    .get('/studies/:study/instances', (c) => answer(c, 'instance'))
    .get('/studies/:study/series/:series/instances', (c) => answer(c, 'instance'))
}

async function search(c: Context<AppEnv>, level: Level, db: Database): Promise<Response> {
  const accept = c.req.query('accept') ?? c.req.header('accept')
  const offer = { type: 'application/dicom+json', aliases: ['application/json'] }
  if (negotiate(parseAccept(accept), [offer]) === undefined) {
    throw new HttpProblem(406, 'Cannot answer a search but in application/dicom+json; accept that')
  }
  const { keys: given, page, warnings } = parseSearch(level, new URL(c.req.url).searchParams)
  const scope = pathKeys(c)
  const keys = within(scope, given)
  const studiesURL = `${c.get('baseURL')}/dicom-web/studies`
  const isEmpty = keys === undefined || page.limit === 0
  const results = isEmpty
    ? []
    : await find(db, level, { keys, page, tells: told(scope, given), studiesURL })
  if (keys !== undefined && results.length > 0 && results.length === page.limit) {
    const remaining = (await countMatches(db, level, keys)) - page.offset - results.length
    if (remaining > 0) {
      warnings.push(`There are ${remaining} additional results that can be requested`)
    }
  }
  const headers = new Headers({ 'cache-control': 'no-store' })
  // PS3.18 8.3.4.4.1, with the text in quotes, as RFC 7234 5.5 wants it. (QI-S3 to QI-S5)
  for (const text of warnings)
    headers.append('warning', `299 ${c.get('baseURL')}/dicom-web "${text}"`)
  if (results.length === 0) return new Response(null, { status: 204, headers })
  headers.set('content-type', 'application/dicom+json')
  return new Response(JSON.stringify(results), { headers })
}

interface Find {
  keys: SearchKeys
  page: Page
  /** Whether a series or an instance tells what its parents say. */
  tells: { study: boolean; series: boolean }
  studiesURL: string
}

async function find(
  db: Database,
  level: Level,
  { keys, page, tells, studiesURL }: Find,
): Promise<Result[]> {
  if (level === 'study') {
    return (await searchStudies(db, keys, page)).map((study) => studyResult(study, studiesURL))
  }
  const studyOf = (study: Study) => (tells.study ? studyResult(study, studiesURL) : {})
  if (level === 'series') {
    const rows = await searchSeries(db, keys, page)
    return rows.map(({ series, study }) =>
      ordered({ ...studyOf(study), ...seriesResult(series, study, studiesURL) }),
    )
  }
  const rows = await searchInstances(db, keys, page)
  return rows.map((row) =>
    ordered({
      ...studyOf(row.study),
      ...(tells.series ? seriesResult(row.series, row.study, studiesURL) : {}),
      ...instanceResult(row, studiesURL),
    }),
  )
}

/**
 * Parents are told of wherever the path does not name them (QI-A4), and where they were searched by (QI-A1).
 */
function told(scope: SearchKeys, given: SearchKeys): { study: boolean; series: boolean } {
  const isByStudy = given.patientID !== undefined || given.studyDate !== undefined
  return {
    study: scope.studyInstanceUID === undefined || isByStudy,
    series: scope.seriesInstanceUID === undefined,
  }
}

/** What is given, inside of what the path says. Undefined: nothing can match both. */
function within(scope: SearchKeys, given: SearchKeys): SearchKeys | undefined {
  for (const name of ['studyInstanceUID', 'seriesInstanceUID'] as const) {
    const uid = scope[name]?.[0]
    if (uid !== undefined && given[name]?.includes(uid) === false) return undefined
  }
  return { ...given, ...scope }
}

function pathKeys(c: Context<AppEnv>): SearchKeys {
  const { study, series } = c.req.param() as { study?: string; series?: string }
  for (const uid of [study, series]) {
    if (uid !== undefined && !isUID(uid)) {
      throw new HttpProblem(400, 'Cannot search here: the path has no valid UID')
    }
  }
  return {
    ...(study === undefined ? {} : { studyInstanceUID: [study] }),
    ...(series === undefined ? {} : { seriesInstanceUID: [series] }),
  }
}
