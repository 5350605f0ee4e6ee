import { dicomFile, uniqueUID } from './support/dicom-file.ts'
import { stow, multipartBody, multipartType } from './support/stow.ts'
import { startBrowser, openPage, accessibilityFaults } from './support/browser.ts'
const base = 'http://127.0.0.1:18104'
const out = '/tmp/shots'
if (process.argv[2] === 'fill') {
  const names = ['Doe^Jane', 'Adams^John Robert^Quincy^Rev.^B.A.', "O'Neill^<script>alert(1)</script>", 'M\u00fcller^J\u00fcrgen', 'Verylongfamilynamewithoutanyspacewhatsoever^Maximiliane Alexandrina']
  for (let i = 0; i < 57; i++) {
    const studyInstanceUID = uniqueUID()
    const files = []
    for (let s = 0; s < 1 + (i % 3); s++) { const seriesInstanceUID = uniqueUID()
      for (let k = 0; k < 3 + (i % 5); k++) files.push(dicomFile({ studyInstanceUID, seriesInstanceUID, patientID: `P-${1000 + i}`, patientName: names[i % 5]!, studyDate: '20260301', modality: s ? 'SR' : 'CT', instanceNumber: k + 1, seriesNumber: s + 1, accessionNumber: `A${260000 + i}`, ...(i % 4 ? { studyDescription: ['CT Thorax with contrast', 'MR Brain', 'US Abdomen complete, with Doppler of the portal vein and liver'][i % 3]! } : {}) })) }
    const a = await stow(`${base}/dicom-web/studies`, files)
    if (a.status !== 200) console.log(a.status, JSON.stringify(a.body).slice(0, 200))
  }
  console.log((await stow(`${base}/dicom-web/studies`, [dicomFile(), Buffer.from('no dicom'), dicomFile({ without: ['0020000D'] })])).status)
  console.log((await stow(`${base}/dicom-web/studies`, [dicomFile(), Buffer.from('no dicom')], { prefer: 'handling=lenient' })).status)
}
// a running transfer
const body = multipartBody([dicomFile({ pixelBytes: 3_000_000 }), dicomFile({ pixelBytes: 3_000_000 })])
const { request } = await import('node:http')
const run = request(`${base}/dicom-web/studies`, { method: 'POST', headers: { 'content-type': multipartType, 'content-length': body.length, 'user-agent': 'gateway/2.1' } }); run.on('error', () => {})
run.write(body.subarray(0, 2_500_000))
const run2 = request(`${base}/dicom-web/studies`, { method: 'POST', headers: { 'content-type': multipartType, 'user-agent': 'scanner' } }); run2.on('error', () => {})
run2.write(body.subarray(0, 1_500_000))
await new Promise((r) => setTimeout(r, 2500))
const browser = await startBrowser()
const faults: string[] = []
async function shot(name: string, path: string, o: object, allowed: RegExp[] = [], act?: (p: any) => Promise<void>) {
  const watched = await openPage(browser, base, o, allowed)
  await watched.page.goto(base + path); await watched.page.waitForTimeout(800)
  if (act) await act(watched.page)
  await watched.page.screenshot({ path: `${out}/${name}.png`, fullPage: process.argv[3] === 'full' })
  for (const f of await accessibilityFaults(watched.page)) console.log(name, f)
  const wide = await watched.page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  if (wide) console.log(name, 'scrolls sideways')
  await watched[Symbol.asyncDispose]()
}
const l = { viewport: { width: 1280, height: 900 }, colorScheme: 'light' }
const d = { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }
const n = { viewport: { width: 320, height: 900 }, colorScheme: 'light' }
const x = { viewport: { width: 2560, height: 1200 }, colorScheme: 'light' }
const transfers = (await (await fetch(`${base}/api/transfers?state=refused`)).json()).transfers
const running = (await (await fetch(`${base}/api/transfers?state=receiving`)).json()).transfers
const study = /\/studies\/[0-9.]+/.exec(await (await fetch(base)).text())![0]
await shot('list-light', '/', l); await shot('list-dark', '/', d); await shot('list-320', '/', n); await shot('list-2560', '/', x)
await shot('list-700', '/', { viewport: { width: 720, height: 900 } })
await shot('study-light', study, l); await shot('study-320', study, n)
await shot('transfer-light', `/transfers/${transfers[0].transferID}`, l); await shot('transfer-320-dark', `/transfers/${transfers[0].transferID}`, { ...n, colorScheme: 'dark' })
await shot('transfer-running', `/transfers/${running[0].transferID}`, d)
await shot('upload-light', '/upload', l); await shot('upload-dark-320', '/upload', { ...n, colorScheme: 'dark' })
await shot('answer', '/upload', l, [/409/], async (p) => {
  await p.setInputFiles('#files', [{ name: 'doe_jane_1.dcm', mimeType: 'application/dicom', buffer: dicomFile() }, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') }, { name: 'DICOMDIR', mimeType: 'application/dicom', buffer: Buffer.from('x') }])
  await Promise.all([p.waitForLoadState(), p.click('button')]); await p.waitForTimeout(500)
}).catch((e) => console.log(e.message))
run.destroy(); run2.destroy()
await browser.close()
