/** @jsxImportSource hono/jsx */
import { Hono } from 'hono'
import { mayAll } from '../../web/may.ts'
import { LivePartial, type LiveRegion } from '../../web/parts/live-message.tsx'
import { ShellStatus } from '../../web/parts/shell-status.tsx'
import { pageOfProblem, textOf } from '../../web/respond.tsx'
import { takesCoding } from '../http/content-coding.ts'
import type { AppEnv } from '../http/env.ts'
import { gzipPage } from '../http/gzip.ts'
import { HttpProblem } from '../http/problem.ts'
import type { LiveHub } from '../live/live-hub.ts'
import { LiveViews } from '../live/live-views.ts'
import { activityPages } from './activity-pages.tsx'
import { apiRoutes } from './api.ts'
import { answerAsset, readAssets } from './assets.ts'
import { auditPage } from './audit-page.tsx'
import { commitmentPages } from './commitment-pages.tsx'
import type { PageDeps } from './deps.ts'
import { feedPages } from './feed-pages.tsx'
import { healthRoutes } from './health.ts'
import { healthPage } from './health-page.tsx'
import { streamLive, type Told } from './live-stream.ts'
import { oneStudyPages } from './one-study-pages.tsx'
import { preferenceRoutes } from './preference-routes.ts'
import { studyActionPages } from './study-action-pages.tsx'
import { studyPages } from './study-pages.tsx'

export interface AdminDeps extends Omit<PageDeps, 'changed' | 'stream'> {
  live: LiveHub
  wake(): void
}

/** Open streams of one server: each costs a socket and a few KB. */
const liveStreams = 1000

/** The page for the people who run Stowage, `/api`, and what machines ask. */
export function adminRoutes(deps: AdminDeps): Hono<AppEnv> {
  const { live, log, shell } = deps
  const assets = readAssets()
  const views = new LiveViews<Told>({ live, log, signOf: ({ sign }) => sign })
  const pages: PageDeps = {
    ...deps,
    changed() {
      shell.forget()
      live.changed()
      deps.wake()
    },
    async stream(c, page, name, look) {
      if (views.watcherCount >= liveStreams) {
        throw new HttpProblem(503, `Cannot go live: ${liveStreams} pages are live already`)
      }
      // What is offered depends on the role: who may the same shares a look, too.
      const roles = c.get('identity')?.roles.toSorted().join() ?? ''
      const may = c.get('may') ?? mayAll
      const view = views.of(`${roles} ${name}`, async () => {
        const [regions, signs] = await Promise.all([look(), shell.signs()])
        const around: LiveRegion = {
          id: 'shell-status',
          content: <ShellStatus status={signs} current={page} may={may} />,
        }
        return new Map(
          [...regions, around].map((region) => {
            const html = textOf(<LivePartial region={region} />)
            return [region.id, { html, sign: region.sign ?? html }]
          }),
        )
      })
      return streamLive(c.req.raw, view, log)
    },
  }
  return new Hono<AppEnv>()
    .use(async (c, next) => {
      await next()
      const page = await pageOfProblem(c.req.raw, c.res, () => shell.read(c))
      c.res = await gzipPage(c.req.raw, page)
    })
    .get('/assets/:name{.+}', (c) => {
      const asset = assets.get(c.req.param('name'))
      if (asset === undefined) throw new HttpProblem(404, 'There is no such asset')
      const isZipped = takesCoding(c.req.header('accept-encoding'), 'gzip')
      return answerAsset(asset, c.req.header('if-none-match'), isZipped)
    })
    .route('/', preferenceRoutes())
    .route('/', studyPages(pages))
    .route('/', oneStudyPages(pages))
    .route('/', studyActionPages(pages))
    .route('/', commitmentPages(pages))
    .route('/', activityPages(pages))
    .route('/', feedPages(pages))
    .route('/', healthPage(pages))
    .route('/', auditPage(pages))
    .route('/api', apiRoutes(deps))
    .route('/', healthRoutes(deps))
}
