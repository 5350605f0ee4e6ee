import { accessSync, constants } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** The system's browser: there is none to download. Undefined: none here, and such tests are skipped. */
export const chromiumPath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
  .concat(process.env.CHROMIUM ?? [])
  .findLast(isExecutable)

/** For `test.skipIf`: says why, once, where the tests are skipped. */
export function hasBrowser(): boolean {
  if (chromiumPath !== undefined) return true
  console.warn('Tests of the page are skipped: there is no Chromium; set CHROMIUM to its path')
  return false
}

/**
 * Starts the browser.
 * @param hosts Names that lead to this machine, for what depends on the name of the server.
 */
export async function startBrowser(hosts: string[] = []): Promise<Browser> {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(',')
  return chromium.launch({
    executablePath: chromiumPath as string,
    args: [
      // Root has no sandbox; the only pages that are opened are our own.
      '--no-sandbox',
      '--disable-dev-shm-usage',
      ...(rules === '' ? [] : [`--host-resolver-rules=${rules}`]),
    ],
  })
}

export interface WatchedPage extends AsyncDisposable {
  page: Page
  /** What went wrong so far. */
  complaints: string[]
}

/**
 * Opens an empty page which, when it is disposed, fails the test if anything went wrong in it: an error on the console, in
 * a script, of the Content-Security-Policy; a request that failed, or to another origin.
 *
 * @param origin     Of the server.
 * @param allowed    Complaints that the test provokes.
 */
export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
  allowed: RegExp[] = [],
): Promise<WatchedPage> {
  const context = await browser.newContext({ serviceWorkers: 'block', ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  function complain(text: string): void {
    if (!allowed.some((pattern) => pattern.test(text))) complaints.push(text)
  }
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complain(message.text())
  })
  page.on('pageerror', (error) => complain(`script: ${error.message}`))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) complain(`foreign request: ${request.url()}`)
  })
  page.on('requestfailed', (request) => {
    const { pathname } = new URL(request.url())
    const reason = request.failure()?.errorText
    // A page that is left breaks off its live stream, and what of it is on its way. What the server breaks off, or does
    // not answer, has another reason.
    const isOfPage = /\/live\/|\/thumbnail$|\/assets\//.test(pathname)
    if (!isOfPage || reason !== 'net::ERR_ABORTED') complain(`${pathname}: ${reason}`)
  })
  if (options.javaScriptEnabled !== false) {
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)
      })
    })
  }
  return {
    page,
    complaints,
    async [Symbol.asyncDispose]() {
      await context.close()
      if (complaints.length > 0) throw new Error(`The page complains:\n${complaints.join('\n')}`)
    },
  }
}

/** What is not accessible on the page as it is now (WCAG 2.2 AA): rule, element and how to mend it. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    // For pages without frames, as ours are: else it opens a page of its own each time, and takes twice as long.
    .setLegacyMode(true)
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze()
  return violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`),
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
