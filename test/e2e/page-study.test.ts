import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessibilityFaults, hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { flipByte } from '../support/flip-byte.ts'
import { externalDatabaseURL, runtime, type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { aStudy, type Study } from '../support/study.ts'

const isLookedAt = runtime === 'node' && externalDatabaseURL === undefined
const windows = (
  [
    ['light', 1280],
    ['dark', 320],
    ['dark', 1280],
    ['light', 320],
  ] as const
).slice(0, isLookedAt ? undefined : 1)
const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2'

describe.skipIf(!hasBrowser())('the page of a study: whole, safe, deleted', () => {
  let server: StowageServer
  let browser: Browser

  beforeAll(async () => {
    server = await startServer()
    browser = await startBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  })

  test('leads by keyboard alone from the search to a commitment and its list', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    await send(aStudy(3, undefined, undefined, { patientName: 'Commit^Me' }))
    await page.goto(server.url)
    await press(page, '/')
    await page.keyboard.type('commit')
    await page.keyboard.press('Enter')
    await page.getByText('The one study').waitFor()
    await isLive(page)
    await press(page, 'j', 'Enter')
    await page.getByRole('heading', { name: 'Evidence' }).waitFor()
    await tabTo(page, 'Request commitment …')
    await page.keyboard.press('Enter')
    await page.getByText('3 instances, ').waitFor()
    await tabTo(page, 'Request commitment of 3 instances')
    await page.keyboard.press('Enter')
    await page.getByText('3 instances committed.').waitFor()
    const commitments = page.locator('#study-commitments')
    expect(await commitments.innerText()).toContain('The storage of all 3 instances was committed.')
    const life = page.locator('.timeline')
    await expect
      .poll(() => life.innerText(), { timeout: 10_000 })
      .toContain('Storage of 3 instances committed')
    await press(page, 'g', 'c')
    await page.waitForURL(`${server.url}/commitments`)
    await press(page, 'j', 'Enter')
    await page.getByText('All 3 instances were committed on').waitFor()
    await press(page, 'Escape')
    await page.waitForURL(`${server.url}/commitments`)
  })

  test('shows what is missing by name, and becomes complete while somebody looks', async () => {
    await using watched = await openPage(browser, server.url, {}, [/400 \(Bad Request\)/])
    const { page } = watched
    const study = aStudy(125)
    await send({ ...study, files: study.files.slice(0, 5) })
    await page.goto(`${server.url}/studies/${study.studyInstanceUID}`)
    expect(await evidence(page)).toContain('Nobody has said how many instances there are')
    await page.getByRole('link', { name: 'Declare expected …' }).click()
    await page.getByLabel('How many instances').fill('many')
    await page.getByRole('button', { name: 'Declare' }).click()
    await page.getByRole('alert').getByText('whole number').waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.getByLabel('How many instances').fill('')
    await page.getByLabel('or which ones').fill(study.uids.join('\n'))
    await page.getByRole('button', { name: 'Declare' }).click()
    await page.getByText('Declared: 125 instances in all.').waitFor()
    expect(await evidence(page)).toContain('5 of 125 instances are here; 120 missing.')
    await page.getByRole('link', { name: 'All 120 that are missing' }).click()
    expect(await page.locator('.missing tbody tr').count()).toBe(100)
    await page.getByRole('link', { name: 'Next' }).click()
    await page.getByText('20 of 120, by UID').waitFor()
    expect(await page.locator('.missing tbody tr').count()).toBe(20)
    const last = study.uids.slice(5).sort().at(-1) as string
    expect(await page.locator('.missing').innerText()).toContain(last)
    await press(page, 'Escape')
    await page.waitForURL(`${server.url}/studies/${study.studyInstanceUID}`)
    await isLive(page)
    await send({ ...study, files: study.files.slice(5) })
    await expect
      .poll(() => evidence(page), { timeout: 10_000 })
      .toContain('nothing that is named is missing')
    expect(await page.locator('#study-head').innerText()).toContain('Complete')
  })

  test('deletes only for a reason and for who says which, and tells what may come again', async () => {
    await using watched = await openPage(browser, server.url, {}, [
      /400 \(Bad Request\)/,
      /410 \(Gone\)/,
    ])
    const { page } = watched
    const study = aStudy(3)
    await send(study)
    await page.goto(`${server.url}/studies/${study.studyInstanceUID}`)
    await page.getByRole('link', { name: 'Delete …' }).click()
    await page.getByText('3 instances (').waitFor()
    await page.getByLabel('Why').fill('Sent twice')
    await page.getByLabel('To be sure').fill('000')
    await page.getByRole('button', { name: 'Delete 3 instances for good' }).click()
    await page.getByRole('alert').getByText('nothing was deleted').waitFor()
    expect(await page.getByLabel('Why').inputValue()).toBe('Sent twice')
    await expect.poll(() => focused(page)).toBe('confirm')
    expect((await send(study)).status).toBe(200)
    await page.getByLabel('To be sure').fill(study.studyInstanceUID.slice(-6))
    await page.getByRole('button', { name: 'Delete 3 instances for good' }).click()
    await page.getByRole('heading', { name: 'This study was deleted' }).waitFor()
    const words = await page.locator('main').innerText()
    expect(words).toContain('3 instances deleted.')
    expect(words).toContain('Sent twice')
    expect(words).toContain('from 127.0.0.1')
    expect(words).toContain('3 deleted instances are refused (C410)')
    expect((await send(study)).status).toBe(409)
    await page.getByRole('button', { name: 'Allow all 3 to come again' }).click()
    await page.getByText('3 deleted instances may come again.').waitFor()
    expect((await send(study)).status).toBe(200)
    await page.reload()
    expect(await page.locator('#study-findings').innerText()).toContain('Sent twice')
  })

  test('deletes what is committed only for who says that he knows it', async () => {
    await using watched = await openPage(browser, server.url, {}, [
      /400 \(Bad Request\)/,
      /410 \(Gone\)/,
    ])
    const { page } = watched
    const study = aStudy(2)
    await send(study)
    await requestCommitment(study.uids)
    await page.goto(`${server.url}/studies/${study.studyInstanceUID}/actions/delete`)
    await page.getByLabel('Why').fill('Wrong patient')
    await page.getByLabel('To be sure').fill(study.studyInstanceUID.slice(-6))
    const press = () => page.getByRole('button', { name: 'Delete 2 instances' }).click()
    await press()
    await page.getByRole('alert').getByText('storage of 2 of them was committed').waitFor()
    await page.getByLabel('although the storage of 2 was committed').check()
    await press()
    await page.getByRole('heading', { name: 'This study was deleted' }).waitFor()
    expect(await page.locator('main').innerText()).toContain('Committed before')
  })

  test('says on an open page that the study was deleted meanwhile', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const study = aStudy(1)
    await send(study)
    await page.goto(`${server.url}/studies/${study.studyInstanceUID}`)
    await isLive(page)
    const deleted = await fetch(`${server.dicomWeb}/studies/${study.studyInstanceUID}`, {
      method: 'DELETE',
    })
    expect(deleted.ok).toBe(true)
    await page.getByText('deleted meanwhile').waitFor({ timeout: 10_000 })
    expect(await accessibilityFaults(page)).toEqual([])
  })

  test('deletes an instance and a series, and the study goes on without them', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const study = aStudy(3)
    const other = aStudy(2, uniqueUID(), study.studyInstanceUID)
    await send(study)
    await send({ ...other, files: aStudyOfPatient(other, study.patientID) })
    const path = `${server.url}/studies/${study.studyInstanceUID}/series`
    const uid = study.uids[0] as string
    await page.goto(`${path}/${study.seriesInstanceUID}/instances/${uid}`)
    await page.getByRole('link', { name: 'Delete instance …' }).click()
    await confirmDeletion(page, uid)
    await page.getByText('1 instance deleted.').waitFor()
    await page.goto(`${path}/${study.seriesInstanceUID}`)
    await page.getByRole('link', { name: 'Delete series …' }).click()
    await confirmDeletion(page, study.seriesInstanceUID)
    await page.getByText('2 instances deleted.').waitFor()
    expect(await page.locator('#study-head').innerText()).toMatch(/1 \/ 2/)
    expect(await page.locator('.deletions').innerText()).toMatch(/A series[\s\S]*An instance/)
  })

  test('finds damage when told to look, and says which instance', async () => {
    await using watched = await openPage(browser, server.url)
    const { page } = watched
    const study = aStudy(3)
    await send(study)
    await page.goto(`${server.url}/studies/${study.studyInstanceUID}`)
    await page.getByRole('button', { name: 'Verify now' }).click()
    await page.getByText('all as they came').waitFor()
    await flipByte(server, study.uids[1] as string)
    await page.getByRole('button', { name: 'Verify now' }).click()
    await page.getByText('1 not what came, see Integrity').waitFor()
    const damaged = page.locator('.damaged')
    expect(await damaged.innerText()).toContain(study.uids[1])
    // Of the shell as well: it is the worst that there is.
    expect(await page.locator('.sign').innerText()).toContain('damaged')
    await flipByte(server, study.uids[1] as string)
    await page.getByRole('button', { name: 'Verify now' }).click()
    await page.getByText('all as they came').waitFor()
    expect(await damaged.count()).toBe(0)
  })

  test('can be read without JavaScript: evidence, missing, commitments, failures, a deletion', async () => {
    const seen = await prepare()
    await using watched = await openPage(browser, server.url, { javaScriptEnabled: false }, [
      /410 \(Gone\)/,
    ])
    const { page } = watched
    await page.goto(`${server.url}/studies/${seen.partial}`)
    await page.getByRole('link', { name: 'What is known of what is missing' }).click()
    expect(await page.locator('.missing tbody tr').count()).toBe(2)
    await page.getByRole('link', { name: 'Commitments' }).click()
    await page.getByRole('link', { name: 'With failures' }).click()
    const row = page.locator('.commitments tbody tr', { hasText: seen.transaction })
    expect(await row.innerText()).toMatch(/2 failed[\s\S]*1 of 3[\s\S]*2 × Not here \(0112\)/)
    await row.getByRole('link').click()
    expect(await page.locator('.failures tbody tr').count()).toBe(2)
    expect(await page.locator('main').innerText()).toContain('Ask the sender to send it')
    await page.goto(`${server.url}/studies/${seen.deleted}`)
    expect(await page.locator('main').innerText()).toContain('no reason was given')
  })

  test.each(windows)(
    'is accessible and fits its window: %s, %d px wide',
    async (colorScheme, width) => {
      const seen = await prepare()
      await using watched = await openPage(
        browser,
        server.url,
        { colorScheme, viewport: { width, height: 800 } },
        [/410 \(Gone\)/],
      )
      const { page } = watched
      const study = `/studies/${seen.partial}`
      const paths = [
        study,
        `${study}/missing`,
        `${study}/actions/delete`,
        `${study}/actions/commit`,
        `${study}/actions/declare`,
        `/studies/${seen.deleted}`,
        '/commitments',
        '/commitments?only=waiting',
        `/commitments/${seen.transaction}`,
      ]
      for (const path of paths) {
        await page.goto(server.url + path)
        expect([path, ...(await accessibilityFaults(page))]).toEqual([path])
        const spare = await page.evaluate(() => innerWidth - document.documentElement.scrollWidth)
        expect([path, Math.min(0, spare)]).toEqual([path, 0])
      }
    },
  )

  async function send({ files }: Pick<Study, 'files'>) {
    return stow(`${server.dicomWeb}/studies`, files)
  }

  async function requestCommitment(uids: string[]): Promise<string> {
    const transaction = uniqueUID()
    const items = uids.map((uid) => ({
      '00081150': { vr: 'UI', Value: [ctImageStorage] },
      '00081155': { vr: 'UI', Value: [uid] },
    }))
    const answer = await fetch(`${server.dicomWeb}/commitment-requests/${transaction}`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom+json' },
      body: JSON.stringify({ '00081199': { vr: 'SQ', Value: items } }),
    })
    expect(answer.status).toBe(200)
    return transaction
  }

  /** A study of which two are missing, a request of which two failed, and a study that was deleted. */
  async function prepare() {
    const study = aStudy(3)
    await send({ files: study.files.slice(0, 1) })
    const declared = await fetch(`${server.url}/api/studies/${study.studyInstanceUID}/evidence`, {
      method: 'PUT',
      body: JSON.stringify({ sopInstanceUIDs: study.uids }),
    })
    expect(declared.status).toBe(200)
    const transaction = await requestCommitment(study.uids)
    const gone = aStudy(2)
    await send(gone)
    await fetch(`${server.dicomWeb}/studies/${gone.studyInstanceUID}`, { method: 'DELETE' })
    return { partial: study.studyInstanceUID, transaction, deleted: gone.studyInstanceUID }
  }
})

function aStudyOfPatient(study: Study, patientID: string): Uint8Array[] {
  const { seriesInstanceUID, studyInstanceUID, uids } = study
  return aStudy(uids.length, seriesInstanceUID, studyInstanceUID, { patientID }).files
}

async function confirmDeletion(page: Page, uid: string): Promise<void> {
  await page.getByLabel('Why').fill('Not needed')
  await page.getByLabel('To be sure').fill(uid.slice(-6))
  await page.getByRole('button', { name: /^Delete \d/ }).click()
}

function evidence(page: Page): Promise<string> {
  return page.locator('#study-evidence').innerText()
}

function focused(page: Page): Promise<string | undefined> {
  return page.evaluate(() => document.activeElement?.id)
}

/** Presses keys that a script waits for: text may be there before it is. */
async function press(page: Page, ...keys: string[]): Promise<void> {
  await page.waitForLoadState('load')
  for (const key of keys) await page.keyboard.press(key)
}

/** Goes on with Tab until a link or button with these words has the focus. */
async function tabTo(page: Page, words: string): Promise<void> {
  for (let press = 0; press < 100; press++) {
    await page.keyboard.press('Tab')
    const text = await page.evaluate(() => document.activeElement?.textContent?.trim())
    if (text === words) return
  }
  throw new Error(`Nothing with "${words}" can be reached by Tab`)
}

async function isLive(page: Page): Promise<void> {
  await expect.poll(() => page.locator('#live-state').innerText(), { timeout: 20_000 }).toBe('Live')
}
