import { Buffer } from 'node:buffer'
import { type Context, Hono } from 'hono'
import { forgiveSignIns, openIssuedSession } from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { paths } from '../../web/paths.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { pendingCookie, readPendingCookie } from '../http/session-cookie.ts'
import { sessionSeconds } from './credentials.ts'
import type { OidcSignIn, PendingSignIn } from './oidc-sign-in.ts'
import { digestOf, newSecret } from './secrets.ts'
import { addressOf, answer, beginSession, isSecure, refuseTooMany, safePath } from './sign-in.tsx'
import { SignInRefusedError } from './sign-in-refused.ts'

/** Seconds that somebody may take at the provider. */
const pendingSeconds = 600

/** Longest path to go on at; a longer one is forgotten, as browsers take cookies of 4 KB. */
const nextCharacters = 1500

type Pending = PendingSignIn & { next: string }

/**
 * `/login/oidc` leads to the provider, and `/login/oidc/callback` is where it leads back to.
 *
 * What has to come back the same is in a cookie, so that any server may finish what another one began, and so that nobody
 * can be signed in by a link that another one got (RFC 9700 4.7).
 */
export function oidcRoutes({
  db,
  oidcSignIn,
}: {
  db: Database
  oidcSignIn?: OidcSignIn | undefined
}): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/login/oidc', async (c) => {
      const signIn = insistOn(oidcSignIn)
      const asked = safePath(c.req.query('next'))
      const next = asked.length > nextCharacters ? paths.studies : asked
      const { location, pending } = await signIn.begin(redirectURIOf(c))
      return redirect(location, [keep(c, { ...pending, next })])
    })
    .get('/login/oidc/callback', async (c) => {
      const signIn = insistOn(oidcSignIn)
      const { provider } = signIn
      const kept = readPending(c)
      const said = { next: kept?.next ?? paths.studies, provider }
      if (kept === undefined) {
        const failure =
          'This was not begun in this browser, or took longer than ten minutes; try again'
        return answer(c, 401, { ...said, failure })
      }
      const refusal = await refuseTooMany(c, db, said)
      if (refusal !== undefined) return refusal
      const returned = new URL(redirectURIOf(c))
      returned.search = new URL(c.req.url).search
      let who: Awaited<ReturnType<OidcSignIn['finish']>>
      try {
        who = await signIn.finish(returned, kept)
      } catch (error) {
        if (!(error instanceof SignInRefusedError)) throw error
        return forgetting(c, answer(c, 401, { ...said, failure: error.message }))
      }
      await forgiveSignIns(db, addressOf(c))
      const { userName, roles } = who
      if (roles.length === 0) {
        const failure = 'The provider knows you, and gives you no role in Stowage'
        return forgetting(c, answer(c, 403, { ...said, failure }))
      }
      c.set('signedIn', userName)
      const secret = newSecret()
      await openIssuedSession(db, {
        digest: digestOf(secret),
        userName,
        roles,
        seconds: sessionSeconds,
      })
      // The way back begins at the provider, and a path from the root of the page at this one.
      return forgetting(c, await beginSession(c, db, secret, kept.next))
    })
}

function insistOn(oidcSignIn: OidcSignIn | undefined): OidcSignIn {
  if (oidcSignIn !== undefined) return oidcSignIn
  throw new HttpProblem(
    404,
    'Nobody signs in through a provider here: STOWAGE_OIDC_CLIENT_ID is not set',
  )
}

function redirectURIOf(c: Context<AppEnv>): string {
  return `${c.get('baseURL')}/login/oidc/callback`
}

function redirect(location: string, cookies: string[]): Response {
  const headers = new Headers({ location, 'cache-control': 'no-store' })
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  return new Response(null, { status: 303, headers })
}

/** A pending sign-in is good for one attempt. */
function forgetting(c: Context<AppEnv>, response: Response): Response {
  response.headers.append('set-cookie', pendingCookie(undefined, isSecure(c), 0))
  return response
}

function keep(c: Context<AppEnv>, pending: Pending): string {
  const text = Buffer.from(JSON.stringify(pending)).toString('base64url')
  return pendingCookie(text, isSecure(c), pendingSeconds)
}

function readPending(c: Context<AppEnv>): Pending | undefined {
  const text = readPendingCookie(c.req.raw.headers, isSecure(c))
  if (text === undefined) return undefined
  try {
    const { state, nonce, verifier, next } = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (![state, nonce, verifier, next].every((one) => typeof one === 'string')) return undefined
    return { state, nonce, verifier, next: safePath(next) }
  } catch {
    return undefined
  }
}
