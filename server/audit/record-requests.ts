import type { Context, MiddlewareHandler } from 'hono'
import type { AuditOutcome } from '../../db/audit.ts'
import type { AuditAction } from '../../db/schema.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { type Route, routesOf } from '../http/routes-of.ts'
import { actionOf } from './actions.ts'
import type { Audit, Happened } from './audit.ts'

/** Reads of which it is enough to know how many there were in a minute. */
const folded: readonly AuditAction[] = ['search', 'follow', 'denied']
/** What is in the log before whoever did it hears that it is done. */
const awaited: readonly AuditAction[] = ['sign-in', 'delete', 'configure']

/**
 * Records who asked for what, when the answer begins: reads of studies and series one by one, those of single instances,
 * searches and refusals folded by the minute. Deletions, settings and sign-ins are written before they are answered.
 * Transfers are recorded at their end (see `recordTransfer`).
 *
 * Nothing of a request is recorded but its UIDs: no query, no header, no name of anything.
 */
export function recordRequests(audit: Audit): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    await next()
    const event = eventOf(c)
    if (event === undefined) return
    if (folded.includes(event.action) || event.sopInstanceUID !== undefined || isLive(c)) {
      audit.recordFolded(event)
      return
    }
    audit.record(event)
    if (awaited.includes(event.action) && event.outcome === 0) await audit.write()
  }
}

function eventOf(c: Context<AppEnv>): Happened | undefined {
  const route = routesOf(c).at(-1)
  if (route === undefined) return undefined
  const { name, action: usual, isOfMany } = namedBy(route)
  const isDenied = c.get('isDenied') === true
  if (usual === undefined && !isDenied) return undefined
  if (usual === 'store' && (c.get('transferID') !== undefined || c.res.status < 400)) {
    return undefined
  }
  const { status } = c.res
  const actor = c.get('identity')?.name ?? c.get('signedIn')
  // Nobody was signed in.
  if (usual === 'sign-out' && actor === undefined) return undefined
  // What is done on the page to a study: which of the things that can be done.
  const done = isOfMany && status < 400 ? actionIn(c.req.path) : undefined
  const isDeletion = usual === 'act' && done === 'delete'
  return {
    action: isDenied || usual === undefined ? 'denied' : isDeletion ? 'delete' : usual,
    actor: clean(actor),
    source: clean(c.env?.address),
    ...uidsOf(c),
    outcome: isDenied ? 4 : outcomeOf(status),
    what: done === undefined ? name : name.replace(':action', done),
  }
}

const names = new WeakMap<Route, ReturnType<typeof nameOf>>()

/** What is always the same of a route. */
function namedBy(route: Route): ReturnType<typeof nameOf> {
  const before = names.get(route)
  if (before !== undefined) return before
  const named = nameOf(route)
  names.set(route, named)
  return named
}

function nameOf({ method, path }: Route) {
  const name = `${method} ${path}`
  return { name, action: actionOf(name), isOfMany: path.endsWith('/actions/:action') }
}

function actionIn(path: string): string | undefined {
  return /\/actions\/([a-z-]{1,20})$/.exec(path)?.[1]
}

function outcomeOf(status: number): AuditOutcome {
  if (status < 400) return 0
  return status < 500 ? 4 : 8
}

const inPath =
  /\/stud(?:y|ies)\/([\d.]+)(?=\/|$)(?:\/series\/([\d.]+)(?=\/|$)(?:\/instances\/([\d.]+)(?=\/|$))?)?/
const inQuery = /[?&](?:StudyInstanceUID|0020000D)=([\d.]+)(?=&|$)/

function uidsOf(
  c: Context<AppEnv>,
): Pick<Happened, 'studyInstanceUID' | 'seriesInstanceUID' | 'sopInstanceUID'> {
  const { url } = c.req
  const start = url.indexOf('?')
  const path = start < 0 ? url : url.slice(0, start)
  const found = inPath.exec(path) ?? (start < 0 ? null : inQuery.exec(url.slice(start)))
  if (found === null) return {}
  const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = found.slice(1).map(uidOrNothing)
  return { studyInstanceUID, seriesInstanceUID, sopInstanceUID }
}

/** What is no UID may be anything, the number of a patient too. */
function uidOrNothing(text: string | undefined): string | undefined {
  return text !== undefined && isUID(text) ? text : undefined
}

/** The stream of a page that is open: it is asked for again after each break. */
function isLive(c: Context<AppEnv>): boolean {
  return c.req.path.startsWith('/live/')
}

const plain = /^[!-~]{1,200}$/

/** What a provider of tokens or a proxy made up is neither too long, nor what Postgres refuses. */
function clean(text: string | undefined): string | undefined {
  if (text === undefined || plain.test(text)) return text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.slice(0, 200).replace(/[\u0000-\u001f\u007f\ud800-\udfff]/g, '?')
}
