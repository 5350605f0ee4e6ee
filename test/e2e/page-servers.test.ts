import { describe, expect, test } from 'vitest'
import { hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

describe.skipIf(!hasBrowser())('two servers on one database', () => {
  test('show the same, live, whichever of them a study came to', async () => {
    await using first = await startServer()
    // The embedded Postgres of the first is an external one for the second.
    const databaseURL = /ready .*database="?(postgresql:[^\s"]+)/.exec(first.log)?.[1]
    await using second = await startServer({
      databaseURL: first.databaseURL ?? databaseURL,
      dataDir: first.dataDir,
      env: { STOWAGE_STORE_DIR: first.storeDir },
    })
    const browser = await startBrowser()
    try {
      await using one = await openPage(browser, first.url)
      await using two = await openPage(browser, second.url)
      const pages = [one.page, two.page]
      for (const [index, page] of pages.entries()) {
        await page.goto([first.url, second.url][index] as string)
        await expect
          .poll(() => page.locator('#live-state').innerText(), { timeout: 20_000 })
          .toBe('Live')
      }
      for (const server of [first, second]) {
        const studyInstanceUID = uniqueUID()
        const file = dicomFile({ studyInstanceUID, seriesInstanceUID: uniqueUID() })
        expect((await stow(`${server.dicomWeb}/studies`, [file])).status).toBe(200)
        const row = `#study-${studyInstanceUID.replaceAll('.', '-')}`
        for (const page of pages) await page.locator(row).waitFor({ timeout: 10_000 })
      }
    } finally {
      await browser.close()
    }
  })
})
