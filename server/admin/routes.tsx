/** @jsxImportSource hono/jsx */
import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { listSeries, parseStudyCursor, type StudyCursor } from '../../db/listing.ts'
import { StudiesPage } from '../../web/pages/studies-page.tsx'
import { StudyPage } from '../../web/pages/study-page.tsx'
import { TransferPage } from '../../web/pages/transfer-page.tsx'
import { htmlResponse, pageOfProblem } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Intake } from '../intake/intake.ts'
import type { LiveHub } from '../live/live-hub.ts'
import { LiveView } from '../live/live-view.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { apiRoutes, readStudy, readTransfer } from './api.ts'
import { answerAsset, readAssets } from './assets.ts'
import { healthRoutes } from './health.ts'
import { streamLive } from './live-stream.ts'
import { readLiveRegions, readStudyList, readTransfers } from './overview.tsx'

export interface AdminDeps {
  db: Database
  store: Store
  intake: Pick<Intake, 'untoldStudies'>
  live: LiveHub
  log: Log
}

/** Open streams of one server: each costs a socket and a few KB. */
const liveStreams = 1000
const seriesOnPage = 500

/** The page for the people who run Stowage, `/api`, and what machines ask. */
export function adminRoutes(deps: AdminDeps): Hono<AppEnv> {
  const { db, live, log } = deps
  const assets = readAssets()
  const view = new LiveView({ live, log, look: () => readLiveRegions(db) })
  return new Hono<AppEnv>()
    .use(async (c, next) => {
      await next()
      c.res = await pageOfProblem(c.req.raw, c.res)
    })
    .get('/', async (c) => {
      const studiesURL = `${c.get('baseURL')}/dicom-web/studies`
      const before = cursorOf(c.req.query('before'))
      const after = cursorOf(c.req.query('after'))
      const [list, transfers] = await Promise.all([
        readStudyList(db, before ? { before } : { after }),
        readTransfers(db),
      ])
      // Only the first page moves; one that is further down stands still under the reader.
      const isFirst = !list.hasNewer
      return htmlResponse(
        <StudiesPage studiesURL={studiesURL} list={list} {...(isFirst ? { transfers } : {})} />,
      )
    })
    .get('/studies/:study', async (c) => {
      const study = await readStudy(db, c.req.param('study'))
      const series = await listSeries(db, study, seriesOnPage)
      return htmlResponse(<StudyPage study={study} series={series} />)
    })
    .get('/transfers/:transfer', async (c) =>
      htmlResponse(<TransferPage transfer={await readTransfer(db, c.req.param('transfer'))} />),
    )
    .get('/live', (c) => {
      if (view.watcherCount >= liveStreams) {
        throw new HttpProblem(503, `Cannot go live: ${liveStreams} pages are live already`)
      }
      return streamLive(c.req.raw, view, log)
    })
    .get('/assets/:name{.+}', (c) => {
      const asset = assets.get(c.req.param('name'))
      if (asset === undefined) throw new HttpProblem(404, 'There is no such asset')
      return answerAsset(asset, c.req.header('if-none-match'))
    })
    .route('/api', apiRoutes(deps))
    .route('/', healthRoutes(deps))
}

function cursorOf(text: string | undefined): StudyCursor | undefined {
  if (text === undefined) return undefined
  const cursor = parseStudyCursor(text)
  if (cursor === undefined) {
    throw new HttpProblem(400, 'Cannot find this place in the list: begin with the newest')
  }
  return cursor
}
