/** @jsxImportSource hono/jsx */
import { Hono } from 'hono'
import type { Theme } from '../../web/layout.tsx'
import { LivePartial, type LiveRegion } from '../../web/parts/live-message.tsx'
import { ShellStatus } from '../../web/parts/shell-status.tsx'
import { paths } from '../../web/paths.ts'
import { pageOfProblem, textOf } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { insistOnOwnPage } from '../http/same-origin.ts'
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
import { studyActionPages } from './study-action-pages.tsx'
import { readForm, studyPages } from './study-pages.tsx'

export interface AdminDeps extends Omit<PageDeps, 'changed' | 'stream'> {
  live: LiveHub
  wake(): void
}

/** Open streams of one server: each costs a socket and a few KB. */
const liveStreams = 1000
const themeSeconds = 365 * 24 * 3600

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
      const view = views.of(name, async () => {
        const [regions, signs] = await Promise.all([look(), shell.signs()])
        const around: LiveRegion = {
          id: 'shell-status',
          content: <ShellStatus status={signs} current={page} />,
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
      c.res = await pageOfProblem(c.req.raw, c.res)
    })
    .post(paths.theme, async (c) => {
      insistOnOwnPage(c)
      const theme = (await readForm(c)).get('theme') as Theme | null
      const cookie = theme === 'light' || theme === 'dark' ? theme : 'auto'
      c.header(
        'set-cookie',
        `theme=${cookie}; Path=/; Max-Age=${themeSeconds}; SameSite=Lax; HttpOnly`,
      )
      return c.redirect(backTo(c.req.header('referer'), c.get('baseURL')), 303)
    })
    .get('/assets/:name{.+}', (c) => {
      const asset = assets.get(c.req.param('name'))
      if (asset === undefined) throw new HttpProblem(404, 'There is no such asset')
      return answerAsset(asset, c.req.header('if-none-match'))
    })
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

/** The page that a form was on, if it is one of ours. */
function backTo(referer: string | undefined, baseURL: string): string {
  const page = URL.canParse(referer ?? '') ? new URL(referer as string) : undefined
  if (page === undefined || page.origin !== new URL(baseURL).origin) return paths.studies
  return page.pathname + page.search
}
