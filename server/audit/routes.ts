import { type Context, Hono } from 'hono'
import {
  type AuditCursor,
  type AuditFilter,
  type ListedAuditEvent,
  listAuditEvents,
  parseAuditCursor,
} from '../../db/audit.ts'
import type { Database } from '../../db/database.ts'
import { csvLine } from '../csv.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOf } from '../http/stream.ts'
import { describeError, type Log } from '../log.ts'
import { eventNames } from './actions.ts'
import type { Audit } from './audit.ts'
import { readFilter } from './filter.ts'

export interface AuditRoutesDeps {
  db: Database
  log: Log
  audit: Pick<Audit, 'write'>
}

const byDefault = 100
const atMost = 1000

/**
 * `GET /api/audit`: the audit log from the oldest event on. As JSON, so many at a time; as `text/csv` or
 * `application/x-ndjson`, by Accept or `format`, all of it, as it is read.
 */
export function auditRoutes({ db, log, audit }: AuditRoutesDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/audit', async (c) => {
    const query = new URL(c.req.url).searchParams
    const filter = readFilter(query)
    const beyond = cursorOf(query.get('after'))
    const limit = limitOf(query.get('limit'))
    const form = formOf(c, query.get('format'))
    await audit.write()
    if (form === 'json') {
      const found = await listAuditEvents(db, filter, {
        beyond,
        limit: Math.min(limit ?? byDefault, atMost),
        newestFirst: false,
      })
      return c.json({ events: found.map(toJSON), next: found.at(-1)?.cursor ?? beyond }, 200, {
        'cache-control': 'no-store',
      })
    }
    const { type, head, lineOf } = exports[form]
    const failed = (error: unknown) => {
      log.error('an answer was broken off', {
        request: c.get('requestID'),
        path: c.req.routePath,
        error: describeError(error),
      })
    }
    const body = streamOf(linesOf(db, filter, beyond, limit, head, lineOf), failed)
    return new Response(body, {
      headers: {
        'content-type': type,
        'content-disposition': `attachment; filename="audit.${form}"`,
        'cache-control': 'no-store',
      },
    })
  })
}

async function* linesOf(
  db: Database,
  filter: AuditFilter,
  begin: AuditCursor | undefined,
  limit = Number.POSITIVE_INFINITY,
  head: string,
  lineOf: (event: ListedAuditEvent) => string,
): AsyncGenerator<Uint8Array, void, void> {
  const encoder = new TextEncoder()
  if (head !== '') yield encoder.encode(head)
  let beyond = begin
  for (let left = limit; left > 0; ) {
    const page = { beyond, limit: Math.min(left, atMost), newestFirst: false }
    const events = await listAuditEvents(db, filter, page)
    if (events.length > 0) yield encoder.encode(events.map((one) => lineOf(one)).join(''))
    if (events.length < page.limit) return
    beyond = events.at(-1)?.cursor
    left -= events.length
  }
}

/** With the words of PS3.15 beside ours, and without what is not known. */
function toJSON(event: ListedAuditEvent): Record<string, unknown> {
  const { at, action, auditKey: _, cursor, ...rest } = event
  const { eventID, eventType, eventActionCode } = eventNames[action]
  const known = Object.entries(rest).filter(([, value]) => value !== null)
  return {
    cursor,
    at: at.toISOString(),
    action,
    eventID: eventID.join(' '),
    ...(eventType === undefined ? {} : { eventType: eventType.join(' ') }),
    eventActionCode,
    ...Object.fromEntries(known),
  }
}

const columns = [
  'at',
  'action',
  'eventID',
  'eventType',
  'eventActionCode',
  'outcome',
  'actor',
  'source',
  'studyInstanceUID',
  'seriesInstanceUID',
  'sopInstanceUID',
  'transferID',
  'what',
  'eventCount',
  'instanceCount',
  'cursor',
] as const

const exports = {
  ndjson: {
    type: 'application/x-ndjson',
    head: '',
    lineOf: (event: ListedAuditEvent) => `${JSON.stringify(toJSON(event))}\n`,
  },
  csv: {
    type: 'text/csv; charset=utf-8; header=present',
    head: csvLine(columns),
    lineOf(event: ListedAuditEvent) {
      const said = toJSON(event)
      return csvLine(columns.map((name) => said[name]))
    },
  },
} as const

function formOf(c: Context<AppEnv>, asked: string | null): 'json' | keyof typeof exports {
  if (asked === 'json' || asked === 'ndjson' || asked === 'csv') return asked
  if (asked !== null) {
    throw new HttpProblem(
      400,
      'Cannot read the audit log: "format" is none of json, ndjson and csv',
    )
  }
  const accept = c.req.header('accept') ?? ''
  if (accept.includes('ndjson')) return 'ndjson'
  return accept.includes('text/csv') ? 'csv' : 'json'
}

/** @throws {HttpProblem} 400 */
function limitOf(text: string | null): number | undefined {
  if (text === null) return undefined
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new HttpProblem(400, 'Cannot read the audit log: "limit" is no whole number above 0')
}

/** @throws {HttpProblem} 400 */
function cursorOf(text: string | null): AuditCursor | undefined {
  if (text === null) return undefined
  const cursor = parseAuditCursor(text)
  if (cursor !== undefined) return cursor
  throw new HttpProblem(400, 'Cannot read the audit log: "after" is no cursor of an event')
}
