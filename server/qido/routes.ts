import { type Context, Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { countedBeyond, type Search } from '../../db/search.ts'
import type { SearchLevel } from '../../db/search-attributes.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy, choose } from '../http/negotiation.ts'
import { HttpProblem } from '../http/problem.ts'
import { describeError, type Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { answerTypes, jsonAnswer, xmlAnswer } from './answer.ts'
import { KeptStudies } from './kept-studies.ts'
import { type Parameters, parseParameters } from './parameters.ts'
import { Patience } from './patience.ts'
import { beginResults, type Results, type ResultsDeps } from './results.ts'
import { Sharing } from './sharing.ts'

export interface QidoDeps {
  db: Database
  store: Store
  log: Log
}

/** QIDO-RS: the Search transaction. (PS3.18 10.6) */
export function qidoRoutes(deps: QidoDeps): Hono<AppEnv> {
  const own = { ...deps, kept: new KeptStudies(), sharing: new Sharing<Results>() }
  const answer = (c: Context<AppEnv>, level: SearchLevel) => search(c, level, own)
  return new Hono<AppEnv>()
    .get('/studies', (c) => answer(c, 'study'))
    .get('/series', (c) => answer(c, 'series'))
    .get('/instances', (c) => answer(c, 'instance'))
    .get('/studies/:study/series', (c) => answer(c, 'series'))
    .get('/studies/:study/instances', (c) => answer(c, 'instance'))
    .get('/studies/:study/series/:series/instances', (c) => answer(c, 'instance'))
}

async function search(
  c: Context<AppEnv>,
  level: SearchLevel,
  deps: QidoDeps & ResultsDeps & { sharing: Sharing<Results> },
): Promise<Response> {
  const { type } = choose(acceptedBy(c), answerTypes).offer
  const parameters = parseParameters(level, new URL(c.req.url).searchParams)
  const asked: Search = { level, ...pathOf(c), ...parameters, told: toldOf(c, parameters) }
  const studiesURL = `${c.get('baseURL')}/dicom-web/studies`
  const { signal } = c.req.raw
  // Nothing else makes a difference to the results. Worklists ask for the same again and again, and all of them at once.
  const key = `${studiesURL} ${c.req.url}`
  const results = await deps.sharing.run(key, signal, (signal) =>
    beginResults(
      { search: asked, fields: parameters.fields, studiesURL },
      deps,
      new Patience(signal),
    ),
  )
  const headers = new Headers({ 'cache-control': 'no-store', vary: 'Accept' })
  // PS3.18 8.3.4.4.1, with the text in quotes, as RFC 7234 5.5 wants it. (QI-S3 to QI-S5)
  for (const text of [...parameters.warnings, ...remaining(results.beyondCount)]) {
    headers.append('warning', `299 ${c.get('baseURL')}/dicom-web "${text}"`)
  }
  if (results.count === 0) return new Response(null, { status: 204, headers })
  const failed = (error: unknown) => {
    if (signal.aborted) return
    deps.log.error('an answer was broken off', {
      request: c.get('requestID'),
      path: c.req.routePath,
      error: describeError(error),
    })
  }
  const answer = type === 'multipart/related' ? xmlAnswer : jsonAnswer
  return answer(results, results.rest(new Patience(signal)), headers, failed)
}

function remaining(beyondCount: number): string[] {
  if (beyondCount === 0) return []
  // The sentence of PS3.18, whose number clients read; it is true where there are more, too.
  const sentence = (count: number) => `There are ${count} additional results that can be requested`
  return beyondCount > countedBeyond
    ? [`${sentence(countedBeyond)}, and more after those`]
    : [sentence(beyondCount)]
}

/** Parents are told of wherever the path does not name them (QI-A4), and where they were asked for (QI-A1, QI-A5). */
function toldOf(c: Context<AppEnv>, { tells }: Parameters): Search['told'] {
  const { study, series } = c.req.param() as { study?: string; series?: string }
  return {
    study: study === undefined || tells.study,
    series: series === undefined || tells.series,
    completeness: tells.completeness,
  }
}

/** @throws {HttpProblem} 400 */
function pathOf(c: Context<AppEnv>): Pick<Search, 'studyInstanceUID' | 'seriesInstanceUID'> {
  const { study, series } = c.req.param() as { study?: string; series?: string }
  for (const uid of [study, series]) {
    if (uid !== undefined && !isUID(uid)) {
      throw new HttpProblem(400, 'Cannot search here: the path has no valid UID')
    }
  }
  return { studyInstanceUID: study, seriesInstanceUID: series }
}
