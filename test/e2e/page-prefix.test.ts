import { describe, expect, test } from 'vitest'
import { hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { startPrefixProxy } from '../support/prefix-proxy.ts'
import { startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

describe.skipIf(!hasBrowser())('the page below a path of a proxy', () => {
  test('is live, leads on, acts, uploads and comes back, and the server need not be told', async () => {
    await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '600' } })
    await using proxy = await startPrefixProxy(server.url, '/stowage')
    const browser = await startBrowser()
    try {
      // The icon is loaded last, and this test leaves pages before.
      const left = [/\/mark\.svg: net::ERR_ABORTED$/]
      await using watched = await openPage(browser, proxy.origin, {}, left)
      const { page } = watched
      const home = `${proxy.origin}/stowage/`
      await page.goto(home)
      await page.locator('#live-state[data-live=on]').waitFor()
      const studyInstanceUID = uniqueUID()
      await stow(`${server.dicomWeb}/studies`, [
        dicomFile({ studyInstanceUID, patientName: 'Prefix^Pia' }),
      ])

      await page.getByText('Prefix, Pia').waitFor()
      await page.locator('tr.linked a[data-row]').click()
      await page.waitForURL(`${home}studies/${studyInstanceUID}`)
      await page.locator('#live-state[data-live=on]').waitFor()
      await page.getByRole('button', { name: 'Settle now' }).click()
      await page.getByText('It settles now').waitFor()
      expect(page.url()).toBe(`${home}studies/${studyInstanceUID}`)
      await page.keyboard.press('Escape')
      await page.waitForURL(home)

      await page.getByRole('button', { name: 'Dark' }).click()
      await page.locator('html[data-theme=dark]').waitFor()
      expect(page.url()).toBe(home)

      await page.goto(`${home}?state=stable`)
      await page.locator('a.skip').focus()
      await page.keyboard.press('Enter')
      await page.waitForURL(`${home}?state=stable#main`)
      await page.getByText('Prefix, Pia').waitFor()

      for (const name of ['transfers', 'problems', 'feed', 'webhooks', 'health', 'upload']) {
        await page.keyboard.press('g')
        await page.keyboard.press(name[0] as string)
        await page.waitForURL(home + name)
        await page.waitForLoadState('load')
      }
      const another = uniqueUID()
      await page.setInputFiles('#files', {
        name: 'another.dcm',
        mimeType: 'application/dicom',
        buffer: Buffer.from(
          dicomFile({ studyInstanceUID: another, seriesInstanceUID: uniqueUID() }),
        ),
      })
      await page.getByRole('button', { name: 'Upload' }).click()
      await page.getByRole('link', { name: another }).click()
      await page.waitForURL(`${home}studies/${another}`)
    } finally {
      await browser.close()
    }
  })
})
