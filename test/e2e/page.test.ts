import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessibilityFaults, hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { type DicomFileOptions, dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { externalDatabaseURL, runtime, type StowageServer, startServer } from '../support/server.ts'
import { multipartBody, multipartType, stow } from '../support/stow.ts'

// The markup is the same under every runtime and with every Postgres, and looking at it takes minutes: once is enough.
const isLookedAt = runtime === 'node' && externalDatabaseURL === undefined
const windows = (
  [
    ['light', 1280],
    ['dark', 320],
    ['dark', 1280],
    ['light', 720],
    ['light', 320],
  ] as const
).slice(0, isLookedAt ? undefined : 2)

const intranetName = 'pacs.test'

describe.skipIf(!hasBrowser())('the page', () => {
  let server: StowageServer
  let browser: Browser

  beforeAll(async () => {
    server = await startServer({ env: { STOWAGE_NAMES: intranetName } })
    browser = await startBrowser([intranetName])
  })

  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  })

  test('tells how to begin while nothing was received, and shows the first study by itself', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    await page.goto(server.url)
    await isLive(page)
    await expect.poll(() => page.locator('#first-use').isVisible()).toBe(true)
    expect(await page.locator('#first-use').innerText()).toContain(`${server.dicomWeb}/studies`)
    const studyInstanceUID = await postStudy(server, { patientName: 'Doe^Jane' })
    const row = page.locator(rowOf(studyInstanceUID))
    await row.waitFor({ timeout: 5000 })
    expect(await row.innerText()).toContain('Doe, Jane')
    expect(await page.locator('#first-use').isVisible()).toBe(false)
  })

  test('shows a transfer while it is running, then what became of it, without a reload', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    await page.goto(`${server.url}/transfers`)
    await isLive(page)
    const studyInstanceUID = uniqueUID()
    const body = multipartBody([instance({ studyInstanceUID, pixelBytes: 4_000_000 })])
    const sending = request(`${server.dicomWeb}/studies`, {
      method: 'POST',
      headers: {
        'content-type': multipartType,
        'content-length': body.length,
        'user-agent': 'slow-gateway',
      },
    })
    sending.write(body.subarray(0, 2_000_000))
    const row = page.locator('#arriving tr', { hasText: 'slow-gateway' })
    await row.waitFor({ timeout: 5000 })
    await expect.poll(() => row.innerText(), { timeout: 5000 }).toContain('2.00 MB of 4.00 MB')
    const answered = new Promise((answer) => sending.once('response', answer))
    sending.end(body.subarray(2_000_000))
    await answered
    await expect.poll(() => row.count()).toBe(0)
    const ended = page.locator('#ended tr', { hasText: 'slow-gateway' })
    await expect.poll(() => ended.innerText()).toMatch(/Committed[\s\S]*1 stored/)
  })

  test('does not push rows away under the reader, but says that there are new ones', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const studyInstanceUID = await postStudy(server)
    await page.goto(server.url)
    await isLive(page)
    const link = page.locator(`${rowOf(studyInstanceUID)} a`)
    await link.focus()
    const next = await postStudy(server)
    const pill = page.getByRole('link', { name: '1 new study: show' })
    await pill.waitFor({ timeout: 5000 })
    expect(await page.locator(rowOf(next)).count()).toBe(0)
    await stow(`${server.dicomWeb}/studies`, [instance({ studyInstanceUID })])
    // The row that is read changes where it is, and keeps the focus.
    await expect.poll(() => page.locator(rowOf(studyInstanceUID)).innerText()).toContain('2 / 2')
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true)
    await pill.click()
    await page.locator(rowOf(next)).waitFor({ timeout: 5000 })
    expect(await pill.count()).toBe(0)
  })

  test('counts down to stable, pauses when told to, and catches up', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    await page.goto(server.url)
    await isLive(page)
    const studyInstanceUID = await postStudy(server)
    const row = page.locator(rowOf(studyInstanceUID))
    await row.waitFor({ timeout: 5000 })
    await expect.poll(() => row.innerText(), { timeout: 5000 }).toMatch(/settles in 0:\d\d/)
    const settlingCount = page.locator('#count-settling')
    await expect.poll(() => settlingCount.innerText()).not.toBe('0')
    const before = Number(await settlingCount.innerText())
    await page.keyboard.press('p')
    await expect.poll(() => page.locator('#live-state').innerText()).toBe('Paused')
    await fetch(`${server.url}/api/studies/${studyInstanceUID}/settle`, { method: 'POST' })
    await isStable(server, studyInstanceUID)
    expect(await row.innerText()).toContain('Settling')
    await page.keyboard.press('p')
    await isLive(page)
    await expect.poll(() => row.innerText()).toContain('Stable')
    await expect.poll(async () => Number(await settlingCount.innerText())).toBeLessThan(before)
  })

  test('finds a study by keyboard alone, opens it, reopens it and comes back', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    // A name of its own, for a second try finds the study of the first as well.
    const name = `Keys${Date.now()}`
    const studyInstanceUID = await postStudy(server, {
      patientName: `${name}^Only`,
      patientID: 'K-1',
    })
    const addresses: string[] = []
    page.on('request', (one) => addresses.push(one.url()))
    await page.goto(server.url)
    await page.keyboard.press('/')
    await page.keyboard.type(name.toLowerCase())
    await page.keyboard.press('Enter')
    await page.getByText('The one study').waitFor()
    await isLive(page)
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${server.url}/studies/${studyInstanceUID}`)
    await page.getByRole('button', { name: 'Settle now' }).focus()
    await page.keyboard.press('Enter')
    await page.getByText('It settles now').waitFor()
    await isStable(server, studyInstanceUID)
    await page.getByRole('button', { name: 'Reopen' }).waitFor({ timeout: 5000 })
    const life = page.locator('.timeline')
    await expect
      .poll(() => life.innerText(), { timeout: 10_000 })
      .toContain('Stable with 1 instance')
    await page.keyboard.press('Escape')
    await page.waitForURL(`${server.url}/`)
    await page.keyboard.press('g')
    await page.keyboard.press('h')
    await page.waitForURL(`${server.url}/health`)
    await page.keyboard.press('g')
    await page.keyboard.press('a')
    await page.waitForURL(`${server.url}/audit`)
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    expect(addresses.join('\n')).not.toMatch(/=keys|K-1/i)
    expect(server.log).not.toMatch(/Keys\d|K-1/i)
  })

  test('keeps the theme that was chosen', async () => {
    await using watched = await openPage(browser, server.url, { colorScheme: 'light' })
    const { page } = watched
    await page.goto(`${server.url}/problems`)
    await page.getByRole('button', { name: 'Dark' }).click()
    await page.waitForURL(`${server.url}/problems`)
    const colour = () =>
      page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    await expect.poll(colour).toBe('rgb(15, 21, 28)')
    await page.goto(server.url)
    expect(await colour()).toBe('rgb(15, 21, 28)')
  })

  test('uploads a folder of 2,000 files in batches, and counts what is no DICOM file', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const folder = await mkdtemp(join(tmpdir(), 'stowage-upload-'))
    const [studyInstanceUID, seriesInstanceUID] = [uniqueUID(), uniqueUID()]
    const common = { studyInstanceUID, seriesInstanceUID, rows: 2, columns: 2 }
    for (let number = 0; number < 2000; number++) {
      await writeFile(
        join(folder, `${number}.dcm`),
        dicomFile({ ...common, instanceNumber: number }),
      )
    }
    await writeFile(join(folder, 'DICOMDIR'), 'x')
    await writeFile(join(folder, 'notes.txt'), 'x'.repeat(500))
    await page.goto(`${server.url}/upload`)
    await page.setInputFiles('#folder', folder)
    await page.getByRole('button', { name: 'Upload' }).click()
    const words = page.locator('#words')
    await expect
      .poll(() => words.innerText(), { timeout: 60_000 })
      .toBe('2,000 of 2,000 stored · 2 skipped: no DICOM files')
    expect(await accessibilityFaults(page)).toEqual([])
    await page.getByRole('link', { name: studyInstanceUID }).click()
    await page.getByText('2,000 received').first().waitFor()
    await rm(folder, { recursive: true })
  }, 120_000)

  test('says what an upload refused, and sends it again on demand', async () => {
    await using watched = await openPage(browser, server.url, {}, [/409 \(Conflict\)/])
    const { page } = watched
    const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = [
      uniqueUID(),
      uniqueUID(),
      uniqueUID(),
    ]
    const common = { studyInstanceUID, seriesInstanceUID }
    await stow(`${server.dicomWeb}/studies`, [dicomFile({ ...common, sopInstanceUID })])
    await page.goto(`${server.url}/upload`)
    const other = dicomFile({ ...common, sopInstanceUID, instanceNumber: 99 })
    await page.setInputFiles('#files', [
      { name: 'good.dcm', mimeType: 'application/dicom', buffer: dicomFile(common) },
      { name: 'other.dcm', mimeType: 'application/dicom', buffer: other },
    ])
    await page.getByRole('button', { name: 'Upload' }).click()
    const batch = page.locator('#batches > li')
    await expect
      .poll(() => batch.innerText())
      .toContain('Nothing of this batch was stored; 2 refused')
    await page.getByLabel('store the others (lenient)').check()
    await page.getByRole('button', { name: 'Retry batch 1' }).click()
    await expect
      .poll(() => batch.innerText())
      .toContain('1 stored; 1 refused (1 × Duplicate SOP Instance (0111))')
    await expect
      .poll(() => batch.innerText())
      .toMatch(/other\.dcm: Duplicate SOP Instance \(0111\)/)
    expect(await batch.innerText()).not.toContain('good.dcm')
    expect(await accessibilityFaults(page)).toEqual([])
    await batch.getByRole('link', { name: /^Transfer/ }).click()
    await page.getByText('1 refused instance').waitFor()
  })

  test('does not say what became of an upload that something on the way answered', async () => {
    await using watched = await openPage(browser, server.url, {}, [/504 \(Gateway/])
    const { page } = watched
    await page.route('**/dicom-web/studies', (route) =>
      route.fulfill({ status: 504, contentType: 'text/html', body: '<h1>Gateway Timeout</h1>' }),
    )
    await page.goto(`${server.url}/upload`)
    await page.setInputFiles('#files', [
      { name: '1.dcm', mimeType: 'application/dicom', buffer: instance() },
    ])
    await page.getByRole('button', { name: 'Upload' }).click()
    const batch = page.locator('#batches > li').first()
    await expect.poll(() => batch.innerText()).toContain('Answered 504')
    expect(await batch.innerText()).toContain('whether it was stored is not known')
    expect(await batch.innerText()).not.toContain('Nothing of this batch was stored')
  })

  test('asks again where no file was chosen', async () => {
    await using watched = await openPage(browser, server.url, {}, [/400 \(Bad Request\)/])
    const { page } = watched
    await page.goto(`${server.url}/upload`)
    await page.getByRole('button', { name: 'Upload' }).click()
    await page.getByText('There is no file in this upload: choose at least one').waitFor()
    expect(await page.locator('#files').getAttribute('aria-describedby')).toBe('problem')
    expect(await accessibilityFaults(page)).toEqual([])
  })

  test('breaks no date and no name in a row of the list, which has two or three lines', async () => {
    await using watched = await openPage(browser, server.url, {
      viewport: { width: 1280, height: 800 },
    })
    const { page } = watched
    const studyInstanceUID = await postStudy(server, {
      patientName: 'Featherstonehaugh^Maximiliana',
      patientID: 'MRN-00451234',
      studyDescription: 'MR Lendenwirbelsaeule nativ',
      modality: 'MR',
      accessionNumber: 'ACC202600012',
    })
    await page.goto(server.url)
    const row = page.locator(rowOf(studyInstanceUID))
    const lines = await row.evaluate((element) => {
      const range = document.createRange()
      const words: [string, number][] = []
      const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        for (const { 0: word, index } of (node.textContent ?? '').matchAll(/[\w-]{4,}/g)) {
          range.setStart(node, index)
          range.setEnd(node, index + word.length)
          words.push([word, range.getClientRects().length])
        }
      }
      return words
    })
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.filter(([, count]) => count > 1)).toEqual([])
    expect((await row.boundingBox())?.height).toBeLessThan(80)
  })

  test('says that it is not live when the server is away, and catches up', async () => {
    await using own = await startServer()
    await using watched = await openPage(browser, own.url, {}, [/ERR_|htmx/])
    const { page } = watched
    await page.goto(own.url)
    await isLive(page)
    await own.stop()
    await expect.poll(() => page.locator('#live-state').innerText()).toContain('Not live')
    await own.start()
    const studyInstanceUID = await postStudy(own)
    await isLive(page)
    await page.locator(rowOf(studyInstanceUID)).waitFor({ timeout: 5000 })
  })

  test('lists, leads on and uploads without JavaScript', async () => {
    await using watched = await openPage(browser, server.url, { javaScriptEnabled: false })
    const { page } = watched
    const studyInstanceUID = uniqueUID()
    await page.goto(`${server.url}/upload`)
    await page.setInputFiles('#files', [
      { name: '1.dcm', mimeType: 'application/dicom', buffer: instance({ studyInstanceUID }) },
      { name: '2.dcm', mimeType: 'application/dicom', buffer: instance({ studyInstanceUID }) },
    ])
    await page.getByRole('button', { name: 'Upload' }).click()
    await page.getByText('All 2 instances are stored.').waitFor()
    await page.getByRole('link', { name: studyInstanceUID }).click()
    expect(page.url()).toBe(`${server.url}/studies/${studyInstanceUID}`)
    await page.getByRole('link', { name: 'Studies' }).first().click()
    expect(await page.locator(rowOf(studyInstanceUID)).innerText()).toContain('/ 2')
  })

  test('shows why an upload was refused, without JavaScript', async () => {
    await using watched = await openPage(browser, server.url, { javaScriptEnabled: false }, [
      /409 \(Conflict\)/,
    ])
    const { page } = watched
    await page.goto(`${server.url}/upload`)
    await page.setInputFiles('#files', [
      { name: 'good.dcm', mimeType: 'application/dicom', buffer: instance() },
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') },
    ])
    await page.getByRole('button', { name: 'Upload' }).click()
    await page.getByText('Nothing of this upload was stored: 1 instance was refused.').waitFor()
    expect(await page.locator('table').innerText()).toMatch(
      /notes\.txt[\s\S]*Cannot understand \(C000\)/,
    )
    await page.getByRole('link', { name: 'This transfer' }).click()
    expect(await page.locator('main').innerText()).toContain('Nothing of it is stored')
  })

  test('uploads also where the browser does not say which site a form is from', async () => {
    const origin = `http://${intranetName}:${server.port}`
    await using watched = await openPage(browser, origin, { javaScriptEnabled: false }, [
      /Cross-Origin-Opener-Policy|Origin-Agent-Cluster/,
    ])
    const { page } = watched
    await page.goto(`${origin}/upload`)
    await page.setInputFiles('#files', {
      name: '1.dcm',
      mimeType: 'application/dicom',
      buffer: instance(),
    })
    await page.getByRole('button', { name: 'Upload' }).click()
    await page.getByText('The one instance is stored.').waitFor()
  })

  test('runs nothing that a sender wrote into a name', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const evil = '<script>document.title="taken"</script><img src=x onerror=alert(1)>'
    await page.goto(server.url)
    await isLive(page)
    const studyInstanceUID = await postStudy(server, { patientName: evil, studyDescription: evil })
    await page.locator(rowOf(studyInstanceUID)).waitFor({ timeout: 5000 })
    expect(await page.locator(rowOf(studyInstanceUID)).innerText()).toContain('<script>')
    expect(await page.locator('tbody :is(script, img)').count()).toBe(0)
    expect(await page.title()).toBe('Studies · Stowage')
  })

  test.each(windows)(
    'is accessible and fits its window: %s, %d px wide',
    async (colorScheme, width) => {
      await using watched = await openPage(browser, server.url, {
        colorScheme,
        viewport: { width, height: 800 },
      })
      const { page } = watched
      const studyInstanceUID = await postStudy(server)
      // Short enough for one line wherever it stands.
      await postStudy(server, { studyInstanceUID: `1.2.3.${width}.${colorScheme.length}` })
      const refused = await stow(`${server.dicomWeb}/studies`, [Buffer.from('no dicom')], {
        'user-agent':
          'Gateway/2.1 (X11; Linux x86_64) Verylongnamewithoutanyspace/537.36 and more of it',
      })
      const transfer = /\/transfers\/[\w-]+/.exec(refused.headers.get('link') ?? '')?.[0]
      const added = await fetch(`${server.url}/api/webhooks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ url: 'https://receiver.example/', paused: true }),
      })
      const webhook = `/webhooks/${(await added.json()).webhookID}`
      const paths = ['/', '/?sort=patient&state=stable', '/upload', `/studies/${studyInstanceUID}`]
      const others = [
        '/transfers',
        '/problems',
        '/problems/refusal/49152',
        '/feed',
        '/webhooks',
        '/audit',
        '/health',
      ]
      for (const path of [...paths, ...others, webhook, transfer as string]) {
        await page.goto(server.url + path)
        if (path === '/') await afterLiveUpdate(page)
        if (path === webhook) await page.getByText('Remove this webhook').click()
        expect([path, ...(await accessibilityFaults(page))]).toEqual([path])
        const spare = await page.evaluate(() => innerWidth - document.documentElement.scrollWidth)
        expect([path, Math.min(0, spare)]).toEqual([path, 0])
      }
    },
  )

  test('leaves no patient in an address or in the log', async () => {
    await postStudy(server, { patientName: 'Hush^Secret', patientID: 'HUSH-1' })
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const addresses: string[] = []
    page.on('request', (one) => addresses.push(one.url()))
    await page.goto(server.url)
    await page.getByRole('row', { name: 'Hush, Secret' }).getByRole('link').click()
    await page.getByRole('heading', { name: 'Its life' }).waitFor()
    expect(addresses.join('\n')).not.toMatch(/hush/i)
    expect(server.log).not.toMatch(/hush/i)
  })

  async function afterLiveUpdate(page: Page): Promise<void> {
    await isLive(page)
    const studyInstanceUID = await postStudy(server)
    await page.locator(rowOf(studyInstanceUID)).waitFor({ timeout: 5000 })
  }
})

async function isLive(page: Page): Promise<void> {
  await expect.poll(() => page.locator('#live-state').innerText(), { timeout: 20_000 }).toBe('Live')
}

async function isStable(server: StowageServer, studyInstanceUID: string): Promise<void> {
  await server.until(async () => {
    const answer = await fetch(`${server.url}/api/studies/${studyInstanceUID}`)
    return ((await answer.json()) as { state: string }).state === 'stable'
  })
}

async function postStudy(server: StowageServer, options: DicomFileOptions = {}): Promise<string> {
  const studyInstanceUID = uniqueUID()
  const answer = await stow(`${server.dicomWeb}/studies`, [
    instance({ studyInstanceUID, ...options }),
  ])
  // 202: stored, with a warning.
  expect([200, 202]).toContain(answer.status)
  return studyInstanceUID
}

function rowOf(studyInstanceUID: string): string {
  return `#study-${studyInstanceUID.replaceAll('.', '-')}`
}

/** An instance of a series of its own. */
function instance(options: DicomFileOptions = {}): Buffer {
  return dicomFile({ seriesInstanceUID: uniqueUID(), ...options })
}
