import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessibilityFaults, hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { externalDatabaseURL, runtime, type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

// The markup is the same under every runtime and with every Postgres; what is sent, and how, is not.
const isLookedAt = runtime === 'node' && externalDatabaseURL === undefined

/** More than a page of the list has. */
const othersCount = 51
const firstLoadBytes = 150_000

const wanted = {
  studyInstanceUID: uniqueUID(),
  seriesInstanceUID: uniqueUID(),
  sopInstanceUID: uniqueUID(),
  patientName: 'Garcia^Ines',
  patientID: 'WAYS-7',
  accessionNumber: 'ACC-7',
  studyDescription: 'Knee left',
  modality: 'MR',
  studyDate: '20260214',
  elements: [{ tag: '00080090', vr: 'PN', value: 'Moreau^Luc' }],
}

describe.skipIf(!hasBrowser())('the ways through the page', () => {
  let server: StowageServer
  let browser: Browser
  let transfer: string
  let transactionUID: string

  beforeAll(async () => {
    server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '600' } })
    browser = await startBrowser()
    const others = Array.from({ length: othersCount }, (_, index) =>
      dicomFile({
        studyInstanceUID: uniqueUID(),
        seriesInstanceUID: uniqueUID(),
        patientName: `Other^Number${index}`,
        patientID: `O-${index}`,
        modality: 'CT',
        studyDate: '20250101',
      }),
    )
    expect((await stow(`${server.dicomWeb}/studies`, others)).status).toBe(200)
    const answer = await stow(`${server.dicomWeb}/studies`, [dicomFile(wanted)])
    expect([200, 202]).toContain(answer.status)
    const study = `${server.url}/api/studies/${wanted.studyInstanceUID}`
    await fetch(`${study}/settle`, { method: 'POST' })
    await fetch(`${study}/evidence`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ instanceCount: 1 }),
    })
    await server.until(async () => ((await (await fetch(study)).json()) as Said).state === 'stable')
    transactionUID = uniqueUID()
    const { sopInstanceUID } = wanted
    await fetch(`${server.dicomWeb}/commitment-requests/${transactionUID}`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom+json' },
      body: JSON.stringify({
        '00081199': {
          vr: 'SQ',
          Value: [
            {
              '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
              '00081155': { vr: 'UI', Value: [sopInstanceUID] },
            },
          ],
        },
      }),
    })
    const refused = await stow(`${server.dicomWeb}/studies`, [Buffer.from('no dicom')])
    transfer = /\/transfers\/[\w-]+/.exec(refused.headers.get('link') ?? '')?.[0] as string
  })

  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  })

  const today = new Date().toISOString().slice(0, 10)

  test.runIf(isLookedAt)(
    'find a study by each field of the search, with no text in an address',
    async () => {
      await using watched = await openPage(browser, server.url)
      const { page } = watched
      const addresses: string[] = []
      page.on('request', (one) => addresses.push(decodeURIComponent(one.url())))
      const searches: [label: string, value: string][] = [
        ['Patient name', 'garcia'],
        ['Patient name', 'GAR*^in?s'],
        ['Patient ID', 'WAYS-7'],
        ['Accession', 'ACC-7'],
        ['Modality', 'mr'],
        ['Study date from', '2026-02-14'],
        ['Description', 'Knee'],
        ['Referred by', 'moreau'],
        ['Study Instance UID', wanted.studyInstanceUID],
        ['Completeness', 'complete'],
      ]
      for (const [label, value] of searches) {
        await page.goto(server.url)
        await fill(page, label, value)
        await page.getByRole('button', { name: 'Search', exact: true }).click()
        expect([label, value, await caption(page)]).toEqual([label, value, 'The one study'])
        expect(await page.locator('tr.linked').innerText()).toContain('Garcia, Ines')
        const isAddress = !/[?]./.test(page.url()) === /name|ID|Acc|Desc|UID|Ref/.test(label)
        expect([label, page.url(), isAddress]).toEqual([label, page.url(), true])
      }
      expect(addresses.join('\n')).not.toMatch(/garcia|gar\*|ways-7|acc-7|knee|moreau/i)
      for (const [label, value, found] of [
        ['to', '2025-12-31', `Newest 50 of ${othersCount}`],
        ['Received from (UTC)', today, `Newest 50 of ${othersCount + 1}`],
        ['until', '2020-01-01', 'No study matches'],
        ['Commitment', 'none', /Newest 50 of 5[12]/],
      ] as const) {
        await page.goto(server.url)
        await fill(page, label, value)
        await page.getByRole('button', { name: 'Search', exact: true }).click()
        await page.getByText(found).waitFor()
      }
      await page.goto(server.url)
      await page.getByRole('button', { name: /^Stable/ }).click()
      expect(await caption(page)).toBe('The one study')
      expect(page.url()).toContain('?state=stable')
    },
  )

  test.runIf(isLookedAt)('say what is wrong with a search, and keep what was typed', async () => {
    await using watched = await openPage(browser, server.url, {}, [/400 \(Bad Request\)/])
    const { page } = watched
    await page.goto(server.url)
    await fill(page, 'Study Instance UID', '1.2.x')
    await page.getByRole('button', { name: 'Search', exact: true }).click()
    await page.getByRole('alert').getByText('its value is no UID').waitFor()
    expect(await page.getByLabel('Study Instance UID').inputValue()).toBe('1.2.x')
    expect(await accessibilityFaults(page)).toEqual([])
  })

  test('begin at every view, each of less than 150 KB on a first load, live or not', async () => {
    const weights: Record<string, number> = {}
    for (const [path, heading] of views()) {
      await using watched = await openPage(browser, server.url)
      const { page } = watched
      const network = await page.context().newCDPSession(page)
      await network.send('Network.enable')
      await network.send('Network.setCacheDisabled', { cacheDisabled: true })
      // By request: as it comes, for streams have no end, and with its head when it has ended.
      const bytes = new Map<string, number>()
      network.on('Network.dataReceived', ({ requestId, encodedDataLength }) => {
        bytes.set(requestId, (bytes.get(requestId) ?? 0) + encodedDataLength)
      })
      network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
        bytes.set(requestId, encodedDataLength)
      })
      await page.goto(server.url + path)
      expect([path, (await page.locator('h1').innerText()).startsWith(heading)]).toEqual([
        path,
        true,
      ])
      const live = page.locator('#live-state')
      if ((await live.count()) > 0) await expect.poll(() => live.innerText()).toBe('Live')
      await page.waitForFunction(() => [...document.images].every((image) => image.complete))
      weights[path] = [...bytes.values()].reduce((sum, one) => sum + one, 0)
      if (path.includes('/series/'))
        expect([path, ...(await accessibilityFaults(page))]).toEqual([path])
    }
    // Something was counted, and the first message of the list's stream with it.
    expect(Math.min(...Object.values(weights))).toBeGreaterThan(10_000)
    const heavy = Object.entries(weights).filter(([, bytes]) => bytes >= firstLoadBytes)
    expect(heavy).toEqual([])
  })

  test.runIf(isLookedAt)(
    'hide who the patients are on all pages or on none, and remember it',
    async () => {
      await using watched = await openPage(browser, server.url)
      const { page } = watched
      const shown: string[] = []
      const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = wanted
      const study = `/studies/${studyInstanceUID}`
      const paths = [
        '/',
        study,
        `${study}/actions/delete`,
        `${study}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`,
      ]
      const read = async () => {
        shown.length = 0
        for (const path of paths) {
          await page.goto(server.url + path)
          const text = await page.locator('body').innerText()
          const tree = await page.locator('body').ariaSnapshot()
          shown.push(/Garcia/.test(text + tree) && /WAYS-7/.test(text + tree) ? 'shown' : 'hidden')
          if (/Garcia|WAYS-7/.test(text + tree)) expect(shown.at(-1)).toBe('shown')
        }
        return shown
      }
      expect(await read()).toEqual(paths.map(() => 'shown'))
      await page.goto(server.url + study)
      const choice = page.getByRole('button', { name: 'Hide patients' })
      await choice.click()
      await page.locator('html[data-patients=hidden]').waitFor()
      expect(page.url()).toBe(server.url + study)
      expect(await read()).toEqual(paths.map(() => 'hidden'))
      expect(await accessibilityFaults(page)).toEqual([])
      await page.goto(server.url)
      await isLive(page)
      // Also what comes by the stream.
      const row = page.locator(`#study-${studyInstanceUID.replaceAll('.', '-')}`)
      const before = await row.locator('.number').innerText()
      await stow(`${server.dicomWeb}/studies`, [
        dicomFile({ ...wanted, sopInstanceUID: uniqueUID(), instanceNumber: 2 }),
      ])
      await expect.poll(() => row.locator('.number').innerText()).not.toBe(before)
      expect(await row.innerText()).not.toMatch(/Garcia|WAYS-7/)
      await page.goto(`${server.url}${study}`)
      await choice.click()
      await page.locator('html:not([data-patients])').waitFor()
      expect(await read()).toEqual(paths.map(() => 'shown'))
    },
  )

  test.runIf(isLookedAt)(
    'keep the problems up to date, row by row, under the focus of a reader',
    async () => {
      await using watched = await openPage(browser, server.url)
      const { page } = watched
      await page.goto(`${server.url}/problems`)
      await isLive(page)
      const row = page.locator('#refusal-49152')
      const count = row.locator('[data-label=Instances]')
      const link = row.getByRole('link')
      await link.focus()
      const before = Number(await count.innerText())
      await stow(`${server.dicomWeb}/studies`, [Buffer.from('no dicom either')])
      await expect.poll(async () => Number(await count.innerText())).toBe(before + 1)
      expect(await link.evaluate((element) => element === document.activeElement)).toBe(true)
      expect(await accessibilityFaults(page)).toEqual([])
      await page.keyboard.press('Enter')
      await page.waitForURL(`${server.url}/problems/refusal/49152`)
      await isLive(page)
      const rows = page.locator('#instances tbody tr')
      const listed = await rows.count()
      await stow(`${server.dicomWeb}/studies`, [Buffer.from('nor this')])
      await expect.poll(() => rows.count()).toBe(listed + 1)
    },
  )

  test.runIf(isLookedAt)(
    'change the row of a series where it is, under the focus of a reader',
    async () => {
      await using watched = await openPage(browser, server.url)
      const { page } = watched
      const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
      const another = () => dicomFile({ studyInstanceUID, seriesInstanceUID })
      await stow(`${server.dicomWeb}/studies`, [another()])
      await page.goto(`${server.url}/studies/${studyInstanceUID}`)
      await isLive(page)
      const row = page.locator(`#series-${seriesInstanceUID.replaceAll('.', '-')}`)
      const link = row.getByRole('link')
      await link.focus()
      await row.evaluate((element) => Object.assign(element, { isTheSame: true }))
      await stow(`${server.dicomWeb}/studies`, [another()])
      await expect.poll(() => row.innerText()).toContain('2 received')
      expect(await row.evaluate((element) => 'isTheSame' in element)).toBe(true)
      expect(await link.evaluate((element) => element === document.activeElement)).toBe(true)
      await stow(`${server.dicomWeb}/studies`, [
        dicomFile({ studyInstanceUID, seriesInstanceUID: uniqueUID() }),
      ])
      await expect.poll(() => page.locator('#study-series tbody tr').count()).toBe(2)
    },
  )

  test.runIf(isLookedAt)('page and search without JavaScript, too', async () => {
    await using watched = await openPage(browser, server.url, { javaScriptEnabled: false })
    const { page } = watched
    await page.goto(server.url)
    expect(await page.locator('tr.linked').count()).toBe(50)
    await page.getByRole('link', { name: 'Older' }).click()
    await page.waitForURL(/before=/)
    expect(await page.locator('tr.linked').count()).toBeGreaterThan(1)
    await page.getByRole('link', { name: 'Newer' }).click()
    expect(await page.locator('tr.linked').count()).toBe(50)
    await page.getByLabel('Patient name').fill('other^number1')
    await page.getByRole('button', { name: 'Search', exact: true }).click()
    expect(await caption(page)).toBe('All 11')
    expect(page.url()).toBe(`${server.url}/`)
  })

  function views(): [path: string, heading: string][] {
    const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = wanted
    const study = `/studies/${studyInstanceUID}`
    const series = `${study}/series/${seriesInstanceUID}`
    return [
      ['/', 'Studies'],
      ['/?state=stable&verdict=complete&ModalitiesInStudy=MR', 'Studies'],
      ['/?sort=patient&skip=50', 'Studies'],
      [study, 'Knee left'],
      [series, 'Series'],
      [`${series}/instances/${sopInstanceUID}`, 'Instance'],
      [`${study}/missing`, 'What is missing'],
      [`${study}/actions/delete`, 'Delete'],
      [`${study}/actions/commit`, 'Request storage commitment'],
      [`${study}/actions/declare`, 'Declare'],
      ['/transfers', 'Transfers'],
      [transfer, 'Transfer'],
      ['/problems', 'Problems'],
      ['/problems/refusal/49152', 'Cannot understand (C000)'],
      ['/commitments', 'Commitments'],
      [`/commitments/${transactionUID}`, 'Storage commitment'],
      ['/feed', 'Changes'],
      ['/webhooks', 'Webhooks'],
      ['/upload', 'Upload'],
      ['/health', 'Health'],
      ['/login', 'Sign in'],
    ]
  }
})

interface Said {
  state: string
}

async function isLive(page: Page): Promise<void> {
  await expect.poll(() => page.locator('#live-state').innerText(), { timeout: 20_000 }).toBe('Live')
}

async function fill(page: Page, label: string, value: string): Promise<void> {
  const field = page.locator('#search').getByLabel(label, { exact: true })
  if (!(await field.isVisible())) await page.getByText('More fields').click()
  const isChoice = (await field.evaluate((element) => element.tagName)) === 'SELECT'
  await (isChoice ? field.selectOption(value) : field.fill(value))
}

function caption(page: Page): Promise<string> {
  return page.locator('table.studies caption, .empty').innerText()
}
