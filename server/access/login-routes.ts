import { type Context, Hono } from 'hono'
import { findPasswordDigest, forgiveSignIns, openSession } from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { paths } from '../../web/paths.ts'
import type { AppEnv } from '../http/env.ts'
import { isName } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { readText } from '../http/read-text.ts'
import { readSessionCookie, sessionCookie } from '../http/session-cookie.ts'
import { type Credentials, sessionSeconds } from './credentials.ts'
import type { OidcSignIn } from './oidc-sign-in.ts'
import { isPassword, passwordLengths, SignInBusyError } from './passwords.ts'
import { digestOf, newSecret } from './secrets.ts'
import {
  addressOf,
  answer,
  beginSession,
  endSession,
  isSecure,
  leadTo,
  refuseTooMany,
  safePath,
} from './sign-in.tsx'

export interface LoginDeps {
  db: Database
  credentials: Credentials
  oidcSignIn?: OidcSignIn | undefined
}

/** A name, a password and a path, each letter of which may take nine bytes. */
const formLimits = { requestBytes: 16_384, inflateRatio: 10, idleMs: 10_000 }

/**
 * `/login` and `/logout`: a session for a name and a password.
 *
 * A wrong name and a wrong password are answered alike, and take as long. Attempts are counted by address before they
 * are judged. A session is made anew at each sign-in, and the one that the browser had ends, so nobody can lay one in
 * wait (session fixation).
 */
export function loginRoutes({ db, credentials, oidcSignIn }: LoginDeps): Hono<AppEnv> {
  const provider = oidcSignIn?.provider
  return new Hono<AppEnv>()
    .get('/login', async (c) => {
      const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
      const identity = secret === undefined ? undefined : await credentials.ofSession(secret)
      return answer(c, 200, {
        next: safePath(c.req.query('next')),
        userName: identity?.name.slice(5),
        provider,
      })
    })
    .post('/login', async (c) => {
      const form = await readForm(c)
      const next = safePath(form.get('next') ?? undefined)
      const name = form.get('name') ?? ''
      const password = (form.get('password') ?? '').slice(0, passwordLengths.most + 1)
      const refusal = await refuseTooMany(c, db, { next, provider })
      if (refusal !== undefined) return refusal
      const passwordDigest = isName(name) ? await findPasswordDigest(db, name) : undefined
      const isGood = await isPassword(password, passwordDigest).catch((error) => {
        if (!(error instanceof SignInBusyError)) throw error
        throw new HttpProblem(503, 'Too many sign in at this moment; try again', {
          headers: { 'retry-after': '5' },
        })
      })
      const secret = newSecret()
      const isOpen =
        isGood &&
        passwordDigest !== undefined &&
        (await openSession(db, {
          digest: digestOf(secret),
          userName: name,
          passwordDigest,
          seconds: sessionSeconds,
        }))
      if (!isOpen) {
        return answer(c, 401, {
          ...{ next, provider },
          failure: 'This name and this password do not belong together',
        })
      }
      await forgiveSignIns(db, addressOf(c))
      c.set('signedIn', `user:${name}`)
      return beginSession(c, db, secret, next)
    })
    .post('/logout', async (c) => {
      const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
      const identity = secret === undefined ? undefined : await credentials.ofSession(secret)
      if (identity !== undefined) c.set('signedIn', identity.name)
      await endSession(c, db)
      return leadTo(c, paths.login(), sessionCookie(undefined, isSecure(c), 0))
    })
}

/** @throws {HttpProblem} 413, 415 */
async function readForm(c: Context<AppEnv>): Promise<URLSearchParams> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw new HttpProblem(415, 'Cannot sign in: send the form of /login')
  }
  return new URLSearchParams(await readText(c.req.raw, formLimits))
}
