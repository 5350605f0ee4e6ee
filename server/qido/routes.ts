import { type Context, Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import {
  countMatches,
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
  const { keys: given, page } = parseSearch(level, new URL(c.req.url).searchParams)
  const keys = { ...given, ...pathKeys(c) }
  const results = await find(db, level, keys, page, `${c.get('baseURL')}/dicom-web/studies`)
  if (results.length === 0) return new Response(null, { status: 204 })
  const headers = new Headers({
    'content-type': 'application/dicom+json',
    'cache-control': 'no-store',
  })
  if (results.length === page.limit) {
    const remaining = (await countMatches(db, level, keys)) - page.offset - results.length
    if (remaining > 0) {
      // PS3.18 8.3.4.4.1, with the text in quotes, as RFC 7234 5.5 wants it. (QI-S3)
      const text = `There are ${remaining} additional results that can be requested`
      headers.set('warning', `299 ${c.get('baseURL')}/dicom-web "${text}"`)
    }
  }
  return new Response(JSON.stringify(results), { headers })
}

async function find(
  db: Database,
  level: Level,
  keys: SearchKeys,
  page: { limit: number; offset: number },
  studiesURL: string,
): Promise<Result[]> {
  if (page.limit === 0) return []
  if (level === 'study') {
    return (await searchStudies(db, keys, page)).map((study) => studyResult(study, studiesURL))
  }
  // A series or instance found across studies tells whose it is. (QI-A4)
  const tellsStudy = keys.studyInstanceUID === undefined
  const studyOf = (study: Study) => (tellsStudy ? studyResult(study, studiesURL) : {})
  if (level === 'series') {
    const rows = await searchSeries(db, keys, page)
    return rows.map(({ series, study }) =>
      ordered({ ...studyOf(study), ...seriesResult(series, study, studiesURL) }),
    )
  }
  const tellsSeries = keys.seriesInstanceUID === undefined
  const rows = await searchInstances(db, keys, page)
  return rows.map((row) =>
    ordered({
      ...studyOf(row.study),
      ...(tellsSeries ? seriesResult(row.series, row.study, studiesURL) : {}),
      ...instanceResult(row, studiesURL),
    }),
  )
}

/** What the path says holds, whatever the query says. */
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
