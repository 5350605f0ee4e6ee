/** @jsxImportSource hono/jsx */
import { Hono } from 'hono'
import { listAuditEvents, parseAuditCursor } from '../../db/audit.ts'
import { AuditPage } from '../../web/pages/audit-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import { readFilter } from '../audit/filter.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { PageDeps } from './deps.ts'

const eventsOnPage = 100
const fields = ['action', 'actor', 'source', 'study', 'from', 'until'] as const

/** Who did what, the newest first. */
export function auditPage({ db, shell }: PageDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().get(paths.audit, async (c) => {
    const query = new URL(c.req.url).searchParams
    const place = query.get('beyond')
    const beyond = place === null ? undefined : parseAuditCursor(place)
    if (place !== null && beyond === undefined) {
      throw new HttpProblem(400, 'Cannot find this place in the audit log: begin with the newest')
    }
    const page = { beyond, limit: eventsOnPage + 1, newestFirst: true }
    const [found, around] = await Promise.all([
      listAuditEvents(db, readFilter(query), page),
      shell.read(c),
    ])
    const events = found.slice(0, eventsOnPage)
    const asked = Object.fromEntries(
      fields.map((name) => [name, query.get(name)?.trim() ?? '']),
    ) as Record<(typeof fields)[number], string>
    return htmlResponse(
      <AuditPage
        shell={around}
        list={{
          events,
          asked,
          older: found.length > eventsOnPage ? events.at(-1)?.cursor : undefined,
          isNewest: beyond === undefined,
        }}
      />,
    )
  })
}
