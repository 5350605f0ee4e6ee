import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { forgetPassword } from '../../db/access.ts'
import { OidcSignIn } from '../../server/access/oidc-sign-in.ts'
import { Issuer, oidcClient } from '../support/issuer.ts'
import type { TestApp } from '../web/app.ts'
import { giveUser, testApp } from './archive.ts'

let issuer: Issuer
let archive: TestApp

beforeAll(async () => {
  issuer = await new Issuer().start()
  archive = await testApp({ oidcSignIn: signInAt(issuer) })
  await giveUser(archive, 'ann', ['admin'])
  await archive.credentials.refresh()
})

afterEach(() => {
  Object.assign(issuer, { isAway: false, refusal: undefined, claims: { roles: ['operator'] } })
  issuer.userInfo = {}
})

afterAll(async () => {
  await issuer.stop()
  await archive[Symbol.asyncDispose]()
})

function signInAt({ url }: Issuer, changes: Partial<typeof oidcClient> = {}): OidcSignIn {
  return new OidcSignIn({
    ...{ issuer: url, rolesClaim: 'roles', scope: 'openid' },
    ...oidcClient,
    ...changes,
  })
}

let caller = 0

/** A browser of its own, with its cookies. */
class Browser {
  readonly cookies = new Map<string, string>()
  readonly address = `10.1.0.${++caller}`
  readonly app: TestApp['app']

  constructor({ app }: TestApp = archive) {
    this.app = app
  }

  async get(path: string): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await this.app.request(
      path,
      { headers: { accept: 'text/html', cookie } },
      { address: this.address },
    )
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) as unknown as [string, string, string]
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return answer
  }

  /** To the provider; returns where it leads back to. */
  async ask(next = './transfers'): Promise<string> {
    const begun = await this.get(`/login/oidc?next=${encodeURIComponent(next)}`)
    expect(begun.status).toBe(303)
    const answer = await fetch(begun.headers.get('location') ?? '', { redirect: 'manual' })
    return answer.headers.get('location') ?? ''
  }

  async signIn(next?: string): Promise<Response> {
    return this.get(await this.ask(next))
  }
}

describe('signing in through a provider (OpenID Connect Core 1.0, 3.1)', () => {
  test('leads to the page that was asked for, with the roles that the provider gives', async () => {
    const browser = new Browser()
    expect(await (await browser.get('/login')).text()).toContain('Sign in through 127.0.0.1')
    const answer = await browser.signIn('./transfers?x=1')
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')).toBe('../../transfers?x=1')
    expect([...browser.cookies.keys()]).toEqual(['stowage_session'])
    expect((await browser.get('/transfers')).status).toBe(200)
    expect(await (await browser.get('/login')).text()).toContain('You are signed in as user-1')
    // An operator, and no more.
    expect((await browser.app.request('/api/quiet-rules', { method: 'PUT' })).status).toBe(401)
  })

  test('takes roles from the UserInfo where the ID Token has none', async () => {
    issuer.claims = {}
    issuer.userInfo = { roles: ['stowage-reader'] }
    const browser = new Browser()
    expect((await browser.signIn('./')).status).toBe(303)
    expect((await browser.get('/')).status).toBe(200)
    expect((await browser.get('/webhooks')).status).toBe(403)
  })

  test('gives other roles to all sessions when the provider does, at the next sign-in', async () => {
    const [before, after] = [new Browser(), new Browser()]
    await before.signIn('./')
    expect((await before.get('/webhooks')).status).toBe(200)
    issuer.claims = { roles: ['reader'] }
    await after.signIn('./')
    expect((await after.get('/webhooks')).status).toBe(403)
    await archive.credentials.refresh()
    expect((await before.get('/webhooks')).status).toBe(403)
  })

  test('is no way in for somebody without a role', async () => {
    issuer.claims = { roles: ['cook'] }
    const browser = new Browser()
    const answer = await browser.signIn()
    expect(answer.status).toBe(403)
    expect(await answer.text()).toContain('gives you no role in Stowage')
    expect([...browser.cookies]).toEqual([])
  })

  test('ends everywhere with "stowage password oidc:SUBJECT --remove"', async () => {
    const browser = new Browser()
    await browser.signIn('./')
    expect((await browser.get('/')).status).toBe(200)
    expect(await forgetPassword(archive.db, 'oidc:user-1')).toBe(true)
    await archive.credentials.refresh()
    expect((await browser.get('/')).status).toBe(303)
  })

  test('says so when the provider lets nobody in', async () => {
    issuer.refusal = 'access_denied'
    const answer = await new Browser().signIn()
    expect(answer.status).toBe(401)
    expect(await answer.text()).toContain('The provider did not let you in')
  })

  test('shows nothing of what a forged refusal says', async () => {
    const browser = new Browser()
    const back = new URL(await browser.ask())
    back.searchParams.delete('code')
    back.searchParams.set('error', '<b>call 555</b>')
    const text = await (await browser.get(back.href)).text()
    expect(text).toContain('something unreadable')
    expect(text).not.toContain('555')
  })

  test.each<[string, (back: URL, browser: Browser) => void | Promise<void>]>([
    ['with another state', (back) => back.searchParams.set('state', 'x')],
    ['with a code that nobody gave', (back) => back.searchParams.set('code', 'x')],
    [
      'with the code of another browser',
      async (back) => {
        const stolen = new URL(await new Browser().ask()).searchParams.get('code') ?? ''
        back.searchParams.set('code', stolen)
      },
    ],
    ['in a browser that did not begin it', (_, browser) => browser.cookies.clear()],
    [
      'with a cookie that is none',
      (_, browser) => void browser.cookies.set('stowage_login', 'e30'),
    ],
  ])('refuses what comes back %s', async (_, spoil) => {
    const browser = new Browser()
    const back = new URL(await browser.ask())
    await spoil(back, browser)
    const answer = await browser.get(back.href)
    expect(answer.status).toBe(401)
    expect(browser.cookies.has('stowage_session')).toBe(false)
    expect((await browser.get('/')).status).toBe(303)
  })

  test('is good for one attempt: what led in once does not again', async () => {
    const browser = new Browser()
    const back = await browser.ask()
    const pending = browser.cookies.get('stowage_login') as string
    expect((await browser.get(back)).status).toBe(303)
    browser.cookies.set('stowage_login', pending)
    expect((await browser.get(back)).status).toBe(401)
  })

  test('refuses an ID Token for another client, or of a key that nobody published', async () => {
    issuer.claims = { roles: ['admin'], aud: 'another' }
    expect((await new Browser().signIn()).status).toBe(401)
  })

  test('is 503 while the provider is away, and goes on without a restart', async () => {
    const later = await new Issuer().start()
    later.isAway = true
    await using other = await testApp({ oidcSignIn: signInAt(later) })
    const browser = new Browser(other)
    const away = await browser.get('/login/oidc')
    expect(away.status).toBe(503)
    expect(away.headers.get('retry-after')).toBe('5')
    later.isAway = false
    await expect
      .poll(async () => (await browser.get('/login/oidc')).status, { timeout: 5000, interval: 200 })
      .toBe(303)
    await later.stop()
  })

  test('is 401 when the provider does not know our secret', async () => {
    await using other = await testApp({ oidcSignIn: signInAt(issuer, { clientSecret: 'wrong' }) })
    const answer = await new Browser(other).signIn()
    expect(answer.status).toBe(401)
    expect(await answer.text()).toContain('invalid_grant')
  })

  test('shows its secret in the form where the provider takes it there', async () => {
    const other = await new Issuer().start()
    other.clientAuthMethods = ['private_key_jwt', 'client_secret_post']
    await using app = await testApp({ oidcSignIn: signInAt(other) })
    expect((await new Browser(app).signIn()).status).toBe(303)
    await other.stop()
  })

  test('leads nobody to another site, whatever the address says', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example']) {
      const answer = await new Browser().signIn(next)
      expect(answer.headers.get('location')).toBe('../../')
    }
  })

  test('is not there unless it was set up', async () => {
    await using other = await testApp()
    expect((await other.app.request('/login/oidc')).status).toBe(404)
    expect(await (await other.app.request('/login')).text()).not.toContain('Sign in through')
  })
})
