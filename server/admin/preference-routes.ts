import { type Context, Hono } from 'hono'
import { paths } from '../../web/paths.ts'
import type { AppEnv } from '../http/env.ts'
import { readForm } from './study-pages.tsx'

const keptSeconds = 365 * 24 * 3600

/** What a reader chooses for all pages: light or dark, and whether patients are hidden. */
export function preferenceRoutes(): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .post(paths.theme, async (c) => {
      const theme = (await readForm(c)).get('theme')
      return remember(c, 'theme', theme === 'light' || theme === 'dark' ? theme : 'auto')
    })
    .post(paths.privacy, async (c) => {
      const isHidden = (await readForm(c)).get('patients') === 'hidden'
      return remember(c, 'patients', isHidden ? 'hidden' : 'shown')
    })
}

function remember(c: Context<AppEnv>, name: string, value: string): Response {
  c.header('set-cookie', `${name}=${value}; Path=/; Max-Age=${keptSeconds}; SameSite=Lax; HttpOnly`)
  return c.redirect(backTo(c.req.header('referer'), c.get('baseURL')), 303)
}

/** The page that a form was on, if it is one of ours. */
function backTo(referer: string | undefined, baseURL: string): string {
  const page = URL.canParse(referer ?? '') ? new URL(referer as string) : undefined
  if (page === undefined || page.origin !== new URL(baseURL).origin) return './'
  return page.pathname + page.search
}
