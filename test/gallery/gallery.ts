/**
 * Shoots every page of a server with something on it, light and dark, wide and narrow.
 *
 *     npm run gallery -- [FOLDER [NAME...]]
 *
 * The pictures are for eyes, not for comparison; the folder, `gallery` by default, is not kept by git.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startBrowser } from '../support/browser.ts'
import { startServer } from '../support/server.ts'
import { fill } from './data.ts'
import { fillEvidence, fillSafety } from './safety.ts'

const [folder = 'gallery', ...names] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
await using server = await startServer({ env: { STOWAGE_QUIET_SECONDS: '20' } })
const browser = await startBrowser()
try {
  await shoot('first-use', '/')
  const data = await fill(server)
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = data
  const study = `/studies/${studyInstanceUID}`
  const series = `${study}/series/${seriesInstanceUID}`
  await shoot('studies', '/')
  await shoot('studies-none', '/?state=receiving&from=2031-01-01')
  await shoot('study', study)
  await shoot('series', series)
  await shoot('instance', `${series}/instances/${sopInstanceUID}`)
  await shoot('transfers', '/transfers')
  await shoot('transfer-refused', data.refusedTransfer)
  await shoot('problems', '/problems')
  await shoot('problem', '/problems/refusal/49152')
  await shoot('changes', '/feed')
  await shoot('webhooks', '/webhooks')
  await shoot('upload', '/upload')
  await shoot('health', '/health')
  await shoot('audit', '/audit')
  await shoot('sign-in', '/login')
  await shoot('not-found', '/studies/1.2.3')
  const { partial, conflict } = await fillEvidence(server)
  await shoot('studies-known', '/')
  await shoot('study-partial', `/studies/${partial}`)
  await shoot('study-conflict', `/studies/${conflict}`)
  await shoot('missing', `/studies/${partial}/missing`)
  await shoot('ask-declare', `/studies/${partial}/actions/declare`)
  const safety = await fillSafety(server)
  await shoot('study-damaged', `/studies/${safety.damaged}`)
  await shoot('study-deleted', `/studies/${safety.deleted}`)
  await shoot('ask-delete', `/studies/${safety.damaged}/actions/delete`)
  await shoot('ask-commit', `/studies/${safety.damaged}/actions/commit`)
  await shoot('commitments', '/commitments')
  await shoot('commitment-failed', `/commitments/${safety.failedTransaction}`)
  await data.finish()
} finally {
  await browser.close()
}

async function shoot(name: string, path: string): Promise<void> {
  if (names.length > 0 && !names.includes(name)) return
  for (const [colorScheme, width] of [
    ['light', 1440],
    ['dark', 1440],
    ['light', 320],
    ['light', 2560],
    ['light', 800],
  ] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } })
    await page.goto(server.url + path)
    // Until its pictures are there; a live page is never idle.
    await page.waitForTimeout(800)
    const file = join(folder, `${name}-${colorScheme}-${width}.png`)
    await page.screenshot({ path: file, fullPage: true })
    await page.close()
  }
}
