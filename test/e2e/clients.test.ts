import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import {
  type DicomFileOptions,
  dicomFile,
  explicitBigEndian,
  implicitLittleEndian,
  jpegBaseline,
  uniqueUID,
} from '../support/dicom-file.ts'
import { partsOf } from '../support/received-parts.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'
import { call, type Dataset, storedIn, storeModule } from './dicomweb.ts'

let server: StowageServer
let studies: string
let folder: string

beforeAll(async () => {
  server = await startServer()
  studies = `${server.dicomWeb}/studies`
  folder = mkdtempSync(join(tmpdir(), 'stowage-clients-'))
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await server[Symbol.asyncDispose]()
})

/** Says once why tests are skipped, for somebody may think that they ran. */
function isMissing(command: string, args: string[], what: string): boolean {
  if (spawnSync(command, args).status === 0) return false
  console.warn(`skipped: there is no ${what} here`)
  return true
}

/** A study of its own, with as many instances. */
function newStudy(count: number, options: DicomFileOptions = {}) {
  const uid = uniqueUID()
  const series = `${uid}.1`
  const instances = Array.from({ length: count }, (_, index) => {
    const sopInstanceUID = `${series}.${index + 1}`
    const file = dicomFile({
      studyInstanceUID: uid,
      seriesInstanceUID: series,
      sopInstanceUID,
      instanceNumber: index + 1,
      ...options,
    })
    return {
      uid: sopInstanceUID,
      file,
      url: `${studies}/${uid}/series/${series}/instances/${sopInstanceUID}`,
    }
  })
  return { uid, series, instances }
}

/** Runs a line of shell in a folder, without keeping the tests from going on. */
async function shell(line: string, cwd: string) {
  const child = spawn('bash', ['-c', line], { cwd })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (piece) => {
    stdout += piece
  })
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  const code = await new Promise((closed) => child.once('close', closed))
  return { code, stdout, stderr }
}

describe.skipIf(isMissing('curl', ['--version'], 'curl'))('curl', () => {
  /** The README's own lines, so that what it says is what works. */
  const lines = [...readFileSync('README.md', 'utf8').matchAll(/```sh\n(curl [^`]+)```/g)].map(
    ([, line]) => line as string,
  )

  test('has a line for one file in the README', () => {
    expect(lines.some((line) => line.includes('@image.dcm'))).toBe(true)
  })

  test.each(lines)('stores what the README says: %s', async (line) => {
    const study = newStudy(3)
    const cwd = join(folder, study.uid)
    mkdirSync(cwd)
    const names = ['image.dcm', 'other.dcm', 'third.dcm']
    for (const [index, name] of names.entries()) {
      writeFileSync(join(cwd, name), study.instances[index]?.file as Buffer)
    }
    const { code, stdout, stderr } = await shell(
      line.replaceAll('http://127.0.0.1:8104', server.url),
      cwd,
    )
    expect(code, stderr).toBe(0)
    const sent = line.includes('@image.dcm') ? study.instances.slice(0, 1) : study.instances
    expect(JSON.parse(stdout)).toEqual(
      storeModule({
        retrieveURL: `${studies}/${study.uid}`,
        stored: sent.map(({ uid, url }) => ({ sopInstanceUID: uid, url })),
      }),
    )
    expect(await storedIn(server, study.uid)).toEqual(sent.map(({ uid }) => uid))
  })

  test('makes a multipart of files with -F, and waits for 100 Continue with large ones', async () => {
    const study = newStudy(3, { pixelBytes: 2_000_000 })
    const cwd = join(folder, study.uid)
    mkdirSync(cwd)
    for (const { uid, file } of study.instances) writeFileSync(join(cwd, `${uid}.dcm`), file)
    const { stdout, stderr } = await shell(
      `curl -v -H 'Content-Type: multipart/related; type="application/dicom"' ` +
        `$(printf -- '-F file=@%s;type=application/dicom ' *.dcm) ${studies}`,
      cwd,
    )
    expect(stderr).toMatch(/< HTTP\/1\.1 100 Continue.*< HTTP\/1\.1 200 OK/s)
    expect(JSON.parse(stdout)['00081199'].Value).toHaveLength(3)
    for (const { url, file } of study.instances) {
      const back = join(cwd, 'back')
      await shell(`curl -sS -H 'Accept: application/dicom' -o ${back} ${url}`, cwd)
      expect(readFileSync(back).equals(file)).toBe(true)
    }
  })

  test('is told with -T from a pipe, chunked, that its Content-Type is missing', async () => {
    const { stdout } = await shell(
      `head -c 3000000 /dev/zero | curl -sS -X POST -T - ${studies}`,
      folder,
    )
    expect(JSON.parse(stdout)).toMatchObject({ status: 415 })
  })
})

describe.skipIf(!hasBrowser())('dicomweb-client in a browser', () => {
  test('stores, searches and retrieves from our own origin, under our Content-Security-Policy', async () => {
    const require = createRequire(import.meta.url)
    const library = readFileSync(require.resolve('dicomweb-client'), 'utf8')
    const study = newStudy(2, { patientID: 'BROWSER', pixelBytes: 5000 })
    const browser = await startBrowser()
    try {
      // The library itself grumbles at an answer without a body, which 204 is.
      await using watched = await openPage(browser, server.url, {}, [/empty response/])
      await watched.page.goto(server.url)
      await watched.page.evaluate(library)
      const seen = await watched.page.evaluate(useClient, {
        url: `${server.url}/dicom-web`,
        files: study.instances.map(({ file }) => file.toString('base64')),
        study: study.uid,
        series: study.series,
        instance: study.instances[0]?.uid as string,
      })
      expect(JSON.parse(seen.stored)).toEqual(
        storeModule({
          retrieveURL: `${studies}/${study.uid}`,
          stored: study.instances.map(({ uid, url }) => ({ sopInstanceUID: uid, url })),
        }),
      )
      expect(seen.studies).toHaveLength(1)
      expect(seen.none).toEqual([])
      expect(seen.series[0]['0020000E'].Value).toEqual([study.series])
      expect(uidsOf(seen.instances)).toEqual(study.instances.map(({ uid }) => uid))
      for (const metadata of [seen.studyMetadata, seen.seriesMetadata]) {
        expect(uidsOf(metadata)).toEqual(study.instances.map(({ uid }) => uid))
      }
      expect(uidsOf(seen.instanceMetadata)).toEqual([study.instances[0]?.uid])
      expect(seen.instance).toBe(study.instances[0]?.file.toString('base64'))
      for (const files of [seen.studyFiles, seen.seriesFiles]) {
        expect(files).toEqual(study.instances.map(({ file }) => file.toString('base64')))
      }
      expect(seen.bulkData).toBe(Buffer.alloc(5000).toString('base64'))
    } finally {
      await browser.close()
    }
  })

  const uidsOf = (datasets: Dataset[]): unknown[] =>
    datasets.map((dataset) => dataset['00080018']?.Value?.[0])
})

const python = '/usr/bin/python3'
const syntaxes = {
  'Explicit VR Little Endian': {},
  'Implicit VR Little Endian': { transferSyntaxUID: implicitLittleEndian },
  'Explicit VR Big Endian': { transferSyntaxUID: explicitBigEndian },
  'JPEG fragments': {
    transferSyntaxUID: jpegBaseline,
    pixelBytes: [Buffer.alloc(64, 1), Buffer.alloc(32, 2)],
  },
  'Japanese in ISO 2022': {
    specificCharacterSet: '\\ISO 2022 IR 87',
    elements: [
      {
        tag: '00100010',
        vr: 'PN',
        value: Buffer.from('Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B= ', 'latin1'),
      },
    ],
  },
} satisfies Record<string, DicomFileOptions>

describe.skipIf(isMissing(python, ['-c', 'import pydicom'], 'python3-pydicom'))('pydicom', () => {
  const script = `
import json, sys
from io import BytesIO
import pydicom
given = json.load(sys.stdin)
ds = pydicom.dcmread(BytesIO(bytes.fromhex(given['file'])))
ours = pydicom.Dataset.from_json(given['metadata'], lambda tag, vr, uri: b'')
differences = []
for element in ds:
    # Bulk data; and the JSON model is UTF-8, and says so (JS-18).
    if element.tag in (0x7fe00010, 0x00080005): continue
    if element.tag not in ours or ours[element.tag].value != element.value and str(ours[element.tag].value) != str(element.value):
        differences.append(str(element.tag))
print(json.dumps({
    'uid': ds.SOPInstanceUID, 'syntax': ds.file_meta.TransferSyntaxUID, 'name': str(ds.PatientName),
    'pixelBytes': len(ds.PixelData), 'differences': differences,
    'missing': [str(e.tag) for e in ours if e.tag not in ds],
}))
`

  test.each(Object.entries<DicomFileOptions>(syntaxes))(
    'reads %s that WADO returns, and the same in our metadata',
    async (_name, options) => {
      const study = newStudy(1, options)
      const [instance] = study.instances as [(typeof study.instances)[0]]
      expect((await stow(studies, [instance.file])).status).toBe(200)
      const answer = await fetch(`${studies}/${study.uid}`)
      const [part] = partsOf(
        answer.headers.get('content-type'),
        Buffer.from(await answer.arrayBuffer()),
      )
      const metadata = await call(`${studies}/${study.uid}/metadata`)
      const run = spawnSync(python, ['-W', 'ignore', '-c', script], {
        input: JSON.stringify({ file: part?.bytes.toString('hex'), metadata: metadata.body[0] }),
      })
      expect(run.stderr.toString()).toBe('')
      // Implicit VR and big endian do not go over the web (WA-N12).
      const syntax =
        options.transferSyntaxUID === jpegBaseline ? jpegBaseline : '1.2.840.10008.1.2.1'
      expect(JSON.parse(run.stdout.toString())).toMatchObject({
        uid: instance.uid,
        syntax,
        differences: [],
        missing: [],
      })
    },
  )
})

describe.skipIf(isMissing('dcmdump', ['--version'], 'dcmdump (dcmtk)'))('dcmtk', () => {
  test.each(Object.entries<DicomFileOptions>(syntaxes))(
    'dumps %s that WADO returns without a complaint',
    async (_name, options) => {
      const study = newStudy(1, options)
      const [instance] = study.instances as [(typeof study.instances)[0]]
      await stow(studies, [instance.file])
      const answer = await fetch(instance.url, { headers: { accept: 'application/dicom' } })
      const path = join(folder, `${instance.uid}.dcm`)
      writeFileSync(path, Buffer.from(await answer.arrayBuffer()))
      const run = spawnSync('dcmdump', ['+P', '0008,0018', path])
      expect(run.status).toBe(0)
      expect(run.stderr.toString()).toBe('')
      expect(run.stdout.toString()).toContain(`[${instance.uid}]`)
    },
  )
})

describe('stowage send', () => {
  test('stores a folder, each study as one request, and its exit code says so', async () => {
    const [one, two] = [newStudy(5), newStudy(3)]
    const cwd = join(folder, 'send')
    for (const study of [one, two]) {
      mkdirSync(join(cwd, study.uid), { recursive: true })
      for (const { uid, file } of study.instances) {
        writeFileSync(join(cwd, study.uid, `${uid}.dcm`), file)
      }
    }
    const transfers = async () => {
      const answer = await fetch(`${server.url}/api/transfers?limit=1000`)
      return ((await answer.json()) as { transfers: unknown[] }).transfers.length
    }
    const before = await transfers()
    const sent = await server.run('send', cwd, '--to', server.dicomWeb)
    expect(sent.code, sent.stderr).toBe(0)
    for (const study of [one, two]) {
      expect(await storedIn(server, study.uid)).toEqual(study.instances.map(({ uid }) => uid))
    }
    expect(await transfers()).toBe(before + 2)
  })

  test('tells the truth about a study that is refused', async () => {
    const study = newStudy(2)
    expect((await stow(studies, [study.instances[0]?.file as Buffer])).status).toBe(200)
    const cwd = join(folder, 'refused')
    mkdirSync(cwd)
    const changed = dicomFile({
      studyInstanceUID: study.uid,
      seriesInstanceUID: study.series,
      sopInstanceUID: study.instances[0]?.uid as string,
      pixelBytes: Buffer.alloc(512, 9),
    })
    writeFileSync(join(cwd, '1.dcm'), changed)
    writeFileSync(join(cwd, '2.dcm'), study.instances[1]?.file as Buffer)
    const strict = await server.run('send', cwd, '--to', server.dicomWeb)
    expect(strict.code).toBe(1)
    expect(await storedIn(server, study.uid)).toEqual([study.instances[0]?.uid])
    const lenient = await server.run('send', cwd, '--lenient', '--to', server.dicomWeb)
    expect(lenient.code).toBe(1)
    expect(await storedIn(server, study.uid)).toEqual(study.instances.map(({ uid }) => uid))
  })
})

/** What happens inside the page: all that the client is asked for, with bytes as base64. */
async function useClient(given: {
  url: string
  files: string[]
  study: string
  series: string
  instance: string
}) {
  // biome-ignore lint/suspicious/noExplicitAny: the library has no types for its global
  const { api } = (globalThis as any).DICOMwebClient
  const client = new api.DICOMwebClient({ url: given.url })
  const bytes = (text: string): ArrayBuffer =>
    Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer
  const text = (buffer: ArrayBuffer): string =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(''))
  const study = { studyInstanceUID: given.study }
  const series = { ...study, seriesInstanceUID: given.series }
  const instance = { ...series, sopInstanceUID: given.instance }
  const stored = await client.storeInstances({ datasets: given.files.map(bytes) })
  const instanceMetadata = await client.retrieveInstanceMetadata(instance)
  const bulkData = await client.retrieveBulkData({
    BulkDataURI: instanceMetadata[0]['7FE00010'].BulkDataURI,
  })
  return {
    stored: typeof stored === 'string' ? stored : JSON.stringify(stored),
    studies: await client.searchForStudies({ queryParams: { PatientID: 'BROWSER' } }),
    none: await client.searchForStudies({ queryParams: { PatientID: 'NOBODY' } }),
    series: await client.searchForSeries(study),
    instances: await client.searchForInstances(series),
    studyMetadata: await client.retrieveStudyMetadata(study),
    seriesMetadata: await client.retrieveSeriesMetadata(series),
    instanceMetadata,
    instance: text(await client.retrieveInstance(instance)),
    studyFiles: (await client.retrieveStudy(study)).map(text),
    seriesFiles: (await client.retrieveSeries(series)).map(text),
    bulkData: text(bulkData[0]),
  }
}
