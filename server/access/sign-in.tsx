/** @jsxImportSource hono/jsx */
import type { Context } from 'hono'
import { closeSession, countSignIn } from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { LoginPage } from '../../web/pages/login-page.tsx'
import { locationFrom, paths } from '../../web/paths.ts'
import { visitOf } from '../../web/preferences.ts'
import { htmlResponse } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import { networkOf } from '../http/overload.ts'
import { readSessionCookie, sessionCookie } from '../http/session-cookie.ts'
import { sessionSeconds } from './credentials.ts'
import { digestOf } from './secrets.ts'

// What signing in with a password and through a provider have in common.

/** RFC 9110 15.5.2: a 401 has to say how. It makes no browser ask. */
const challenge = 'Bearer realm="Stowage"'

/** Failed attempts of one address in so many seconds, over all servers; the next is answered 429. */
const attemptsAtMost = 10
const windowSeconds = 15 * 60

/** What the page of /login says, beside the form. */
export interface Said {
  /** Where to go on. */
  next: string
  userName?: string | undefined
  failure?: string
  /** Host name of the provider, where there is one. */
  provider?: string | undefined
}

/**
 * Counts an attempt before it is judged.
 *
 * @returns an answer, if there were too many.
 */
export async function refuseTooMany(
  c: Context<AppEnv>,
  db: Database,
  said: Said,
): Promise<Response | undefined> {
  const { attempts, secondsLeft } = await countSignIn(db, addressOf(c), windowSeconds)
  return attempts > attemptsAtMost ? answerTooMany(c, said, secondsLeft) : undefined
}

/** Leads the browser on with its new session; the one that it had ends, so nobody can lay one in wait. */
export async function beginSession(
  c: Context<AppEnv>,
  db: Database,
  secret: string,
  next: string,
): Promise<Response> {
  await endSession(c, db)
  return leadTo(c, next, sessionCookie(secret, isSecure(c), sessionSeconds))
}

export function addressOf(c: Context<AppEnv>): string {
  return networkOf(c.env?.address)
}

export async function endSession(c: Context<AppEnv>, db: Database): Promise<void> {
  const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
  if (secret !== undefined) await closeSession(db, digestOf(secret))
}

export function isSecure(c: Context<AppEnv>): boolean {
  return c.get('baseURL').startsWith('https:')
}

/**
 * The path of a page of ours: from the root of the page (`./transfers`), or as the browser sees it (`/transfers`). Anything
 * else, like `//evil.example` or `javascript:`, is the first page.
 */
export function safePath(path: string | undefined): string {
  const isOurs = path !== undefined && /^\.?\/(?![/\\])[\x21-\x7e]*$/.test(path)
  return isOurs ? path : paths.studies
}

export function leadTo(c: Context<AppEnv>, path: string, cookie: string): Response {
  return new Response(null, {
    status: 303,
    headers: {
      location: path.startsWith('/') ? path : locationFrom(c.req.raw, path),
      'set-cookie': cookie,
      'cache-control': 'no-store',
    },
  })
}

export function answer(
  c: Context<AppEnv>,
  status: 200 | 401 | 403 | 429 | 503,
  said: Said,
): Response {
  // What a provider put into the address is not for links of ours.
  const self = paths.login(said.next)
  const shell = { ...visitOf(c.req.raw), self, version: '', now: new Date() }
  const response = htmlResponse(<LoginPage shell={shell} {...said} />, status)
  if (status === 401) response.headers.set('www-authenticate', challenge)
  return response
}

function answerTooMany(c: Context<AppEnv>, said: Said, seconds: number): Response {
  const minutes = Math.ceil(seconds / 60)
  const failure = `Too many attempts from your address; try again in ${minutes} min`
  const response = answer(c, 429, { ...said, failure })
  response.headers.set('retry-after', String(seconds))
  return response
}
