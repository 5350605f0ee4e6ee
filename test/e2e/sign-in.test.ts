import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessibilityFaults, hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { Issuer, oidcClient } from '../support/issuer.ts'
import { runtime, type StowageServer, startServer } from '../support/server.ts'

const password = 'correct horse battery staple'

// The markup is the same under every runtime; what signs in is tested under each by access.test.ts.
describe.skipIf(!hasBrowser() || runtime !== 'node')('signing in, in a browser', () => {
  let server: StowageServer
  let browser: Browser
  const studyInstanceUID = uniqueUID()

  beforeAll(async () => {
    server = await startServer()
    browser = await startBrowser()
    const answer = await fetch(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom' },
      body: dicomFile({ studyInstanceUID }) as Uint8Array<ArrayBuffer>,
    })
    expect(answer.status).toBe(200)
    const setting = spawn(process.execPath, ['bin/stowage.mjs', 'password', 'ann'], {
      env: server.env,
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    setting.stdin.end(`${password}\n`)
    expect((await once(setting, 'close'))[0]).toBe(0)
    await server.until(async () => (await fetch(`${server.url}/api/transfers`)).status === 401)
  })

  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  })

  test('leads to the page that was asked for, live, and out again', async () => {
    await using watched = await openPage(browser, server.url, {}, [/401/])
    const { page } = watched
    await page.goto(`${server.url}/studies/${studyInstanceUID}`)
    expect(await page.title()).toContain('Sign in')
    expect(await accessibilityFaults(page)).toEqual([])
    await signIn(page, 'a wrong password')
    expect(await page.getByRole('alert').innerText()).toContain('do not belong together')
    await signIn(page, password)
    await page.waitForURL(`${server.url}/studies/${studyInstanceUID}`)
    await expect.poll(() => page.locator('#live-state').innerText()).toBe('Live')
    expect(await accessibilityFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(`${server.url}/login`)
    await page.goto(`${server.url}/transfers`)
    expect(await page.title()).toContain('Sign in')
  })

  test('is asked for again when the session is over in the middle of a page', async () => {
    await using watched = await openPage(browser, server.url, {}, [/401|htmx/])
    const { page } = watched
    await page.goto(server.url)
    await signIn(page, password)
    await page.waitForURL(`${server.url}/`)
    await page.locator('#live-state', { hasText: 'Live' }).waitFor()
    await using sql = await server.connect()
    await sql`delete from sessions`
    await sql`select pg_notify('stowage_access', '')`
    // A page that stays open says so, and asks for nothing more.
    await page.locator('#live-state', { hasText: 'Signed out' }).waitFor({ timeout: 20_000 })
    const notice = page.locator('#stale')
    expect(await notice.innerText()).toBe('You are signed out: sign in to go on.')
    expect(await accessibilityFaults(page)).toEqual([])
    await notice.getByRole('link', { name: 'sign in' }).click()
    await page.waitForURL(`${server.url}/login?next=%2F`)
    await page.goto(`${server.url}/transfers?x=1`)
    // From the root of the page, or as its stream knows it, where that notices first.
    await page.waitForURL(/\/login\?next=\.?%2Ftransfers%3Fx%3D1$/)
  })
})

describe.skipIf(!hasBrowser())('signing in through a provider, in a browser', () => {
  test('leads there and back to the page that was asked for, live, and out again', async () => {
    const issuer = await new Issuer().start()
    await using server = await startServer({
      env: {
        STOWAGE_OIDC_ISSUER: issuer.url,
        STOWAGE_OIDC_CLIENT_ID: oidcClient.clientID,
        STOWAGE_OIDC_CLIENT_SECRET: oidcClient.clientSecret,
      },
    })
    const browser = await startBrowser()
    try {
      await using watched = await openPage(browser, server.url, {}, [
        new RegExp(`foreign request: ${issuer.url}/authorize`),
      ])
      const { page } = watched
      await page.goto(`${server.url}/transfers?x=1`)
      expect(await accessibilityFaults(page)).toEqual([])
      await page.getByRole('link', { name: 'Sign in through 127.0.0.1' }).click()
      await page.waitForURL(`${server.url}/transfers?x=1`)
      await expect.poll(() => page.locator('#live-state').innerText()).toBe('Live')
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL(`${server.url}/login`)
      await page.goto(`${server.url}/transfers`)
      expect(await page.title()).toContain('Sign in')
    } finally {
      await browser.close()
      await issuer.stop()
    }
  })
})

async function signIn(page: Page, secret: string): Promise<void> {
  await page.getByLabel('Name').fill('ann')
  await page.getByLabel('Password').fill(secret)
  await page.getByRole('button', { name: 'Sign in' }).click()
}
