import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setPassword } from '../../db/access.ts'
import { digestPassword } from '../../server/access/passwords.ts'
import { newToken } from '../../server/access/secrets.ts'
import type { TestApp } from '../web/app.ts'
import { giveUser, password, testApp } from './archive.ts'

let archive: TestApp

beforeAll(async () => {
  archive = await testApp()
  await giveUser(archive, 'ann', ['admin'])
  await archive.credentials.refresh()
})

afterAll(() => archive[Symbol.asyncDispose]())

let caller = 0

/** Posts the form, each time from another address unless one is given. */
function signIn(
  name: string,
  secret: string,
  options: { next?: string; headers?: Record<string, string>; address?: string } = {},
): Promise<Response> {
  const { next = '/', headers = {}, address = `10.0.0.${++caller}` } = options
  return Promise.resolve(
    archive.app.request(
      '/login',
      {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams({ name, password: secret, next }).toString(),
      },
      { address },
    ),
  )
}

function cookieOf(answer: Response): string {
  return (answer.headers.get('set-cookie') ?? '').split(';')[0] as string
}

describe('signing in', () => {
  test('leads a browser to the page that it wanted, with a cookie that scripts cannot read', async () => {
    const asked = await archive.app.request('/transfers?x=1', { headers: { accept: 'text/html' } })
    expect(asked.status).toBe(303)
    expect(asked.headers.get('location')).toBe('./login?next=.%2Ftransfers%3Fx%3D1')
    const answer = await signIn('ann', password, { next: './transfers?x=1' })
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).toBe('./transfers?x=1')
    expect(answer.headers.get('set-cookie')).toMatch(
      /^stowage_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/,
    )
    const page = await archive.app.request('/transfers', { headers: { cookie: cookieOf(answer) } })
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('Sign out')
  })

  test('is where the whole page goes when a part of it was asked for, or an action, without a session', async () => {
    const current = 'http://localhost/below/studies/1.2.3'
    const part = await archive.app.request('/live/study/1.2.3', {
      headers: { accept: 'text/html', 'hx-request': 'true', 'hx-current-url': current },
    })
    expect([part.status, part.headers.get('hx-redirect')]).toEqual([
      401,
      'login?next=%2Fbelow%2Fstudies%2F1.2.3',
    ])
    const action = await archive.app.request('/studies/1.2.3/actions/settle', {
      method: 'POST',
      headers: { accept: 'text/html', referer: current },
    })
    expect([action.status, action.headers.get('location')]).toEqual([
      303,
      '../../../login?next=%2Fbelow%2Fstudies%2F1.2.3',
    ])
  })

  test.each([
    '//evil.example',
    './/evil.example',
    'https://evil.example',
    '/\\evil.example',
    './\\evil.example',
    '\\evil.example',
    'javascript:alert(1)',
    '/a\r\nb: c',
  ])('never leads to another server: %j', async (next) => {
    const answer = await signIn('ann', password, { next })
    expect(answer.headers.get('location')).toBe('./')
  })

  test('is asked for in the theme that was chosen', async () => {
    const headers = { cookie: 'theme=dark' }
    const page = await archive.app.request('/login', { headers })
    expect(await page.text()).toContain('<html lang="en" data-theme="dark">')
    const problem = await archive.app.request('/login', { headers, method: 'PUT' })
    expect(problem.status).toBe(405)
  })

  test('answers a wrong name as a wrong password, to the letter', async () => {
    const wrongName = await signIn('bob', password)
    const wrongPassword = await signIn('ann', 'wrong')
    expect([wrongName.status, wrongPassword.status]).toEqual([401, 401])
    const still = (html: string) => html.replace(/server-now" content="[^"]*"/, '')
    expect(still(await wrongName.text())).toBe(still(await wrongPassword.text()))
    expect(wrongName.headers.get('set-cookie')).toBeNull()
  })

  test.each(['', '\0', "' or 1=1 --", 'x'.repeat(5000), 'ann\0'])(
    'takes any name, and knows none like it: %j',
    async (name) => {
      const answer = await signIn(name, password)
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
    },
  )

  test('is refused with 429 after ten failures of an address, and of its whole IPv6 network', async () => {
    const addresses = Array.from({ length: 11 }, (_, n) => `2001:db8:1:2::${n + 1}`)
    const statuses: number[] = []
    for (const address of addresses) statuses.push((await signIn('ann', 'no', { address })).status)
    expect(statuses).toEqual([...Array(10).fill(401), 429])
    // Also with the right password, else it would be told.
    const right = await signIn('ann', password, { address: '2001:db8:1:2::ffff' })
    expect(right.status).toBe(429)
    expect(Number(right.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await signIn('ann', password, { address: '2001:db8:1:3::1' })).status).toBe(303)
  })

  test('makes another session each time, and ends the one before', async () => {
    const first = cookieOf(await signIn('ann', password))
    const second = cookieOf(await signIn('ann', password, { headers: { cookie: first } }))
    expect(second).not.toBe(first)
    await expect.poll(() => statusWith(first)).toBe(401)
    expect(await statusWith(second)).toBe(200)
  })
})

describe('a session', () => {
  test('counts beside what a proxy asked for, but not beside a token', async () => {
    const cookie = cookieOf(await signIn('ann', password))
    const statusOf = async (authorization: string) => {
      const headers = { cookie, authorization }
      return (await archive.app.request('/api/transfers', { headers })).status
    }
    expect(await statusOf('Basic YTpi')).toBe(200)
    for (const shown of ['Bearer', 'bearer x', 'Bearer a b', `Bearer ${newToken()}`]) {
      expect([shown, await statusOf(shown)]).toEqual([shown, 401])
    }
  })

  test('ends when its user signs out', async () => {
    const cookie = cookieOf(await signIn('ann', password))
    const answer = await archive.app.request('/logout', { method: 'POST', headers: { cookie } })
    expect(answer.headers.get('set-cookie')).toContain('Max-Age=0')
    await expect.poll(() => statusWith(cookie)).toBe(401)
  })

  test('ends when the password is changed', async () => {
    await giveUser(archive, 'carl', ['operator'])
    const cookie = cookieOf(await signIn('carl', password))
    expect(await statusWith(cookie)).toBe(200)
    const passwordDigest = await digestPassword('another one, as long')
    await setPassword(archive.db, { name: 'carl', roles: ['operator'], passwordDigest })
    await expect.poll(() => statusWith(cookie)).toBe(401)
  })

  test('is over after a time without use, and at the latest after its whole time', async () => {
    const cookies = [await signIn('ann', password), await signIn('ann', password)].map(cookieOf)
    await archive.db.sql`update sessions set last_used_at = now() - interval '3 hours'`
    await archive.credentials.refresh()
    expect(await statusWith(cookies[0] as string)).toBe(401)
    await archive.db.sql`
      update sessions set last_used_at = now(), expires_at = now() - interval '1 second'`
    await archive.credentials.refresh()
    expect(await statusWith(cookies[1] as string)).toBe(401)
  })

  test.each([
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'http://localhost' }, 204],
  ])('lends its rights to no page of another site: %o is answered %d', async (headers, status) => {
    const cookie = cookieOf(await signIn('ann', password))
    const answer = await archive.app.request('/api/quiet-rules', {
      method: 'PUT',
      headers: { cookie, 'content-type': 'application/json', ...headers } as Record<string, string>,
      body: JSON.stringify({ rules: [{ quietSeconds: 60 }] }),
    })
    if (status === 403) expect(answer.status).toBe(403)
    else expect(answer.status).toBeLessThan(300)
  })

  test('behind TLS has a cookie that only this host can set, and the others do not count', async () => {
    const secure = await archive.app.request('https://localhost/login', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ name: 'ann', password }).toString(),
    })
    const cookie = cookieOf(secure)
    expect(secure.headers.get('set-cookie')).toMatch(/^__Host-stowage=.*; Secure; /)
    expect(secure.headers.get('strict-transport-security')).toBe('max-age=31536000')
    const url = 'https://localhost/api/transfers'
    const good = await archive.app.request(url, { headers: { cookie } })
    expect(good.status).toBe(200)
    const planted = cookie.replace('__Host-stowage', 'stowage_session')
    const bad = await archive.app.request(url, { headers: { cookie: planted } })
    expect(bad.status).toBe(401)
  })
})

async function statusWith(cookie: string): Promise<number> {
  return (await archive.app.request('/api/transfers', { headers: { cookie } })).status
}
