/** @jsxImportSource hono/jsx */
import { Buffer } from 'node:buffer'
import { type Context, Hono } from 'hono'
import {
  closeSession,
  countSignIn,
  findPasswordDigest,
  forgiveSignIns,
  openSession,
} from '../../db/access.ts'
import type { Database } from '../../db/database.ts'
import { LoginPage } from '../../web/pages/login-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import { readBody } from '../http/body.ts'
import type { AppEnv } from '../http/env.ts'
import { isName } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { readSessionCookie, sessionCookie } from '../http/session-cookie.ts'
import { type Credentials, sessionSeconds } from './credentials.ts'
import { isPassword, passwordLengths, SignInBusyError } from './passwords.ts'
import { digestOf, newSecret } from './secrets.ts'

/** RFC 9110 15.5.2: a 401 has to say how. It makes no browser ask. */
const challenge = 'Bearer realm="Stowage"'

export interface LoginDeps {
  db: Database
  credentials: Credentials
}

/** Failed attempts of one address in so many seconds, over all servers; the next is answered 429. */
const attemptsAtMost = 10
const windowSeconds = 15 * 60

/** A name, a password and a path, each letter of which may take nine bytes. */
const formLimits = { requestBytes: 16_384, inflateRatio: 10, idleMs: 10_000 }

/**
 * `/login` and `/logout`: a session for a name and a password.
 *
 * A wrong name and a wrong password are answered alike, and take as long. Attempts are counted by address before they
 * are judged. A session is made anew at each sign-in, and the one that the browser had ends, so nobody can lay one in
 * wait (session fixation).
 */
export function loginRoutes({ db, credentials }: LoginDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/login', async (c) => {
      const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
      const identity = secret === undefined ? undefined : await credentials.ofSession(secret)
      return answer(200, { next: safePath(c.req.query('next')), userName: identity?.name.slice(5) })
    })
    .post('/login', async (c) => {
      const form = await readForm(c)
      const next = safePath(form.get('next') ?? undefined)
      const name = form.get('name') ?? ''
      const password = (form.get('password') ?? '').slice(0, passwordLengths.most + 1)
      const address = groupOf(c.env?.address)
      const { attempts, secondsLeft } = await countSignIn(db, address, windowSeconds)
      if (attempts > attemptsAtMost) return answerTooMany(next, secondsLeft)
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
        return answer(401, { next, failure: 'This name and this password do not belong together' })
      }
      await forgiveSignIns(db, address)
      await endSession(c, db)
      c.set('signedIn', `user:${name}`)
      return leadTo(c, next, sessionCookie(secret, isSecure(c), sessionSeconds))
    })
    .post('/logout', async (c) => {
      const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
      const identity = secret === undefined ? undefined : await credentials.ofSession(secret)
      if (identity !== undefined) c.set('signedIn', identity.name)
      await endSession(c, db)
      return leadTo(c, paths.login(), sessionCookie(undefined, isSecure(c), 0))
    })
}

async function endSession(c: Context<AppEnv>, db: Database): Promise<void> {
  const secret = readSessionCookie(c.req.raw.headers, isSecure(c))
  if (secret !== undefined) await closeSession(db, digestOf(secret))
}

function isSecure(c: Context<AppEnv>): boolean {
  return c.get('baseURL').startsWith('https:')
}

/** The path of a page of ours; anything else, like `//evil.example`, is the first page. */
function safePath(path: string | undefined): string {
  const isOurs = path !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(path)
  return isOurs ? path : paths.studies
}

/** One customer of a provider has a whole /64 of IPv6 to call from. */
function groupOf(address: string | undefined): string {
  const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? 'unknown'
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head.split(':').filter((group) => group !== '')
  const zeros = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length
  return `${[...groups, ...Array(Math.max(0, zeros)).fill('0')].slice(0, 4).join(':')}::/64`
}

function leadTo(c: Context<AppEnv>, path: string, cookie: string): Response {
  return new Response(null, {
    status: 303,
    headers: {
      location: `${c.get('baseURL')}${path}`,
      'set-cookie': cookie,
      'cache-control': 'no-store',
    },
  })
}

function answer(
  status: 200 | 401 | 429,
  said: { next: string; userName?: string | undefined; failure?: string },
): Response {
  const shell = { theme: 'auto', version: '', now: new Date() } as const
  const response = htmlResponse(<LoginPage shell={shell} {...said} />, status)
  if (status === 401) response.headers.set('www-authenticate', challenge)
  return response
}

function answerTooMany(next: string, seconds: number): Response {
  const minutes = Math.ceil(seconds / 60)
  const failure = `Too many attempts from your address; try again in ${minutes} min`
  const response = answer(429, { next, failure })
  response.headers.set('retry-after', String(seconds))
  return response
}

/** @throws {HttpProblem} 413, 415 */
async function readForm(c: Context<AppEnv>): Promise<URLSearchParams> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw new HttpProblem(415, 'Cannot sign in: send the form of /login')
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of readBody(c.req.raw, formLimits, () => {})) chunks.push(chunk)
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}
