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
import { beginResults } from './results.ts'

export interface QidoDeps {
  db: Database
  store: Store
  log: Log
}

/** QIDO-RS: the Search transaction. (PS3.18 10.6) */
export function qidoRoutes(deps: QidoDeps): Hono<AppEnv> {
  const kept = new KeptStudies()
  const answer = (c: Context<AppEnv>, level: SearchLevel) => search(c, level, { ...deps, kept })
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
  deps: QidoDeps & { kept: KeptStudies },
): Promise<Response> {
  const { type } = choose(acceptedBy(c), answerTypes).offer
  const parameters = parseParameters(level, new URL(c.req.url).searchParams)
  const asked: Search = { level, ...pathOf(c), ...parameters, told: toldOf(c, parameters) }
  const patience = new Patience(c.req.raw.signal)
  const studiesURL = `${c.get('baseURL')}/dicom-web/studies`
  const { count, beyondCount, blocks, hasOneBlock } = await beginResults(
    { search: asked, fields: parameters.fields, studiesURL },
    { ...deps, patience },
  )
  const headers = new Headers({ 'cache-control': 'no-store', vary: 'Accept' })
  // PS3.18 8.3.4.4.1, with the text in quotes, as RFC 7234 5.5 wants it. (QI-S3 to QI-S5)
  for (const text of [...parameters.warnings, ...remaining(beyondCount)]) {
    headers.append('warning', `299 ${c.get('baseURL')}/dicom-web "${text}"`)
  }
  if (count === 0) return new Response(null, { status: 204, headers })
  const failed = (error: unknown) => {
    if (c.req.raw.signal.aborted) return
    deps.log.error('an answer was broken off', {
      request: c.get('requestID'),
      path: c.req.routePath,
      error: describeError(error),
    })
  }
  return type === 'multipart/related'
    ? xmlAnswer(blocks, headers, failed)
    : jsonAnswer(blocks, hasOneBlock, headers, failed)
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
