import type { Context, MiddlewareHandler } from 'hono'
import type { Shell } from '../../web/layout.tsx'
import { locationFrom, paths, placeOf } from '../../web/paths.ts'
import { pageOfProblem, wantsPage } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import type { Identity, Role } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { type Route, routesOf } from '../http/routes-of.ts'
import { isForeign } from '../http/same-origin.ts'
import { readSessionCookie } from '../http/session-cookie.ts'
import type { Credentials } from './credentials.ts'
import { refuseOtherName } from './own-names.ts'
import { type Rule, ruleOf, SAFE_METHODS } from './rules.ts'
import { isStream, whileGood } from './while-good.ts'

/** Who asks, and how he showed it. */
type Visitor =
  | { kind: 'nobody' }
  /** A token was shown, and it is not good. */
  | { kind: 'refused' }
  | { kind: 'token' | 'session'; identity: Identity }

/**
 * Lets a request through to its route if whoever asks may use it, by the table of rules.
 *
 * Everything is decided by the head of the request: whoever may not send gets his answer before the body is read,
 * and before `100 Continue`. Where no credentials were ever made, everybody may do everything; such a server listens
 * on the loopback address (see `refuseOpenDoor`).
 *
 * What changes something must not come from a page of another site, unless a token was shown: cookies, and the
 * loopback address, are rights that a browser lends to whoever asks.
 *
 * @param shellOf What stands around a page, also around one that says no.
 * @param names Under which others than `localhost` the server is asked while it is open on the loopback address; undefined: it
 *   listens elsewhere, and any name may lead to it.
 */
export function gate(
  credentials: Credentials,
  shellOf: (c: Context<AppEnv>) => Promise<Shell>,
  names?: readonly string[],
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const problem = await judge(c, credentials, names)
    if (problem === undefined) {
      await next()
      const identity = c.get('identity')
      if (identity !== undefined && isStream(c.res)) {
        c.res = whileGood(c.res, (end) => credentials.follow(identity, end))
      }
      // A session is no Authorization, so caches on the way would think it is for all. (RFC 9111 3.5)
      if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
      return
    }
    c.set('isDenied', true)
    if (problem instanceof Response) return problem
    return pageOfProblem(c.req.raw, problem.toResponse(), () => shellOf(c))
  }
}

async function judge(
  c: Context<AppEnv>,
  credentials: Credentials,
  names: readonly string[] | undefined,
): Promise<HttpProblem | Response | undefined> {
  const rules = rulesOf(c)
  if (credentials.isGuarded) c.set('may', () => false)
  // Nothing is there: 404 or 405, for everybody. A page that says so stands among those that he may see.
  if (rules.length === 0) {
    if (credentials.isGuarded && wantsPage(c.req.raw)) await identify(c, credentials)
    return undefined
  }
  const isSafe = SAFE_METHODS.includes(c.req.method)
  // Also where the database does not answer: /healthz is one of these.
  const isForAnyone = rules.every((rule) => rule?.who === 'anyone')
  if (isForAnyone || !credentials.isGuarded) {
    if (!isSafe && isForeign(c)) return foreign()
    if (isForAnyone || names === undefined) return undefined
    return refuseOtherName(hostnameOf(c.req.url), names)
  }
  const visitor = await identify(c, credentials)
  if (!isSafe && visitor.kind !== 'token' && isForeign(c)) return foreign()
  if (!('identity' in visitor)) return askForCredentials(c, visitor.kind === 'refused')
  const { roles } = visitor.identity
  if (rules.every((rule) => isAllowed(rule, roles))) return undefined
  // Whoever may only send has his home there.
  if (
    c.req.path === '/' &&
    c.req.method === 'GET' &&
    wantsPage(c.req.raw) &&
    c.get('may')?.('GET /upload')
  ) {
    return leadTo(c, paths.upload)
  }
  return forbidden(rules)
}

/** Finds out who asks, and what he may do. */
async function identify(c: Context<AppEnv>, credentials: Credentials): Promise<Visitor> {
  const visitor = await visitorOf(c, credentials)
  if ('identity' in visitor) {
    const { identity } = visitor
    c.set('identity', identity)
    c.set('may', (route) => isAllowed(ruleOf(route), identity.roles))
  }
  return visitor
}

function isAllowed(rule: Rule | undefined, roles: readonly Role[]): boolean {
  return rule?.who === 'anyone' || (rule?.who.some((role) => roles.includes(role)) ?? false)
}

function leadTo(c: Context<AppEnv>, path: string): Response {
  return new Response(null, {
    status: 303,
    headers: { location: locationFrom(c.req.raw, path), 'cache-control': 'no-store' },
  })
}

/** Without its port. Of a URL that was parsed before: to parse it again takes 2 µs. */
function hostnameOf(url: string): string {
  return /^https?:\/\/(\[[^\]]*\]|[^:/]*)/.exec(url)?.[1] ?? ''
}

/** Of every handler that this request may reach; undefined where nobody has decided yet. */
function rulesOf(c: Context<AppEnv>): (Rule | undefined)[] {
  return routesOf(c).map(ruleOfRoute)
}

const rules = new WeakMap<Route, Rule>()

function ruleOfRoute(route: Route): Rule | undefined {
  const before = rules.get(route)
  if (before !== undefined) return before
  const rule = ruleOf(`${route.method} ${route.path}`)
  if (rule !== undefined) rules.set(route, rule)
  return rule
}

async function visitorOf(c: Context<AppEnv>, credentials: Credentials): Promise<Visitor> {
  const { headers } = c.req.raw
  // RFC 6750 2.1; the name of a scheme is the same in any case (RFC 9110 11.1). What a proxy asked for, as Basic, is
  // not meant for us.
  const shown = /^bearer(?: +(.*))?$/i.exec(headers.get('authorization') ?? '')
  if (shown !== null) {
    const token = /^[\w.~+/-]+=*$/.exec(shown[1] ?? '')?.[0]
    const identity = token === undefined ? undefined : await credentials.ofToken(token)
    // Not the cookie then: who shows a token means it.
    return identity === undefined ? { kind: 'refused' } : { kind: 'token', identity }
  }
  const secret = readSessionCookie(headers, c.get('baseURL').startsWith('https:'))
  const identity = secret === undefined ? undefined : await credentials.ofSession(secret)
  return identity === undefined ? { kind: 'nobody' } : { kind: 'session', identity }
}

/** A browser is led to the page where people sign in; all others are told how. (RFC 9110 15.5.2, RFC 6750 3) */
function askForCredentials(c: Context<AppEnv>, wasShown: boolean): HttpProblem | Response {
  const isOfHtmx = c.req.header('hx-request') === 'true'
  if (!wasShown && !isOfHtmx && wantsPage(c.req.raw)) {
    return leadTo(c, loginOf(c))
  }
  const challenge = 'Bearer realm="Stowage"'
  return new HttpProblem(
    401,
    wasShown
      ? 'The token is not known here, has expired, or was revoked'
      : 'This needs credentials: sign in at /login, or send the header "Authorization: Bearer ..." with a token that "stowage token create" made',
    {
      headers: {
        'www-authenticate': wasShown ? `${challenge}, error="invalid_token"` : challenge,
        // A part of a page cannot be replaced by another page: the whole goes there.
        ...(isOfHtmx ? { 'hx-redirect': loginOf(c) } : {}),
      },
    },
  )
}

/**
 * Where to sign in, from the root of the page, and to go on then: what was asked for, or the page from which something was
 * to be done, as the browser sees it.
 */
function loginOf(c: Context<AppEnv>): string {
  const isPage = c.req.method === 'GET' && c.req.header('hx-request') !== 'true'
  if (isPage) return paths.login(placeOf(c.req.raw).self)
  const page = c.req.header('hx-current-url') ?? c.req.header('referer') ?? ''
  if (!URL.canParse(page)) return paths.login(paths.studies)
  const { pathname, search } = new URL(page)
  return paths.login(pathname + search)
}

function forbidden(rules: (Rule | undefined)[]): HttpProblem {
  const lists = rules.map((rule) => (rule === undefined || rule.who === 'anyone' ? [] : rule.who))
  const who = [...new Set(lists.flat())].join(', ')
  return new HttpProblem(
    403,
    who === '' ? 'Nobody may do this' : `Your credentials do not allow this: it takes ${who}`,
    {
      headers: { 'www-authenticate': 'Bearer realm="Stowage", error="insufficient_scope"' },
    },
  )
}

function foreign(): HttpProblem {
  return new HttpProblem(403, 'This was sent by a page of another site, and nothing was done')
}
