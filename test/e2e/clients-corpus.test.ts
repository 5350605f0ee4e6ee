import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, openPage, startBrowser } from '../support/browser.ts'
import { corpusFile, corpusFiles, whyNoCorpus } from '../support/dicom-corpus.ts'
import { explicitLittleEndian } from '../support/dicom-file.ts'
import { type DicomJson, metadataOf, readInstance } from '../support/dicom-reading.ts'
import { type StowageServer, startServer } from '../support/server.ts'

const why = whyNoCorpus()
let server: StowageServer
let browser: Browser

beforeAll(async () => {
  if (why !== undefined || !hasBrowser()) return
  server = await startServer()
  browser = await startBrowser()
})

afterAll(async () => {
  await browser?.close()
  await server?.[Symbol.asyncDispose]()
})

interface Seen {
  /** What went wrong when it was sent. */
  refused?: string
  metadata?: DicomJson
  /** SHA-256 of the file, and of the first frame; undefined: there is none. */
  file?: string
  frame?: string | undefined
}

describe.skipIf(why !== undefined || !hasBrowser())('Real files through dicomweb-client', () => {
  test('each is stored, and comes back as it was: its metadata, its bytes and its first frame', async () => {
    const library = readFileSync(createRequire(import.meta.url).resolve('dicomweb-client'), 'utf8')
    // A file that is refused is an answer with an error status, which a browser writes to its console.
    await using watched = await openPage(browser, server.url, {}, [/./])
    await watched.page.goto(server.url)
    await watched.page.evaluate(library)
    const known = new Set<string>()
    let storedCount = 0
    let asStoredCount = 0
    for (const path of corpusFiles()) {
      const file = corpusFile(path)
      const instance = readOrNothing(file)
      if (instance === undefined || known.has(instance.sopInstanceUID)) continue
      known.add(instance.sopInstanceUID)
      const seen = await watched.page.evaluate(sendAndTake, {
        url: `${server.dicomWeb}`,
        file: file.toString('base64'),
        study: instance.studyInstanceUID,
        series: instance.seriesInstanceUID,
        instance: instance.sopInstanceUID,
      })
      // What the reader takes is stored, unless it contradicts another file.
      if (seen.refused !== undefined) {
        expect([path, seen.refused]).toEqual([path, expect.stringMatching(/409|conflict/i)])
        continue
      }
      storedCount++
      const { transferSyntaxUID } = instance
      const expected = JSON.parse(JSON.stringify(metadataOf(instance)))
      expect([path, withoutURIs(seen.metadata)]).toEqual([path, withoutURIs(expected)])
      // It asks for no transfer syntax: all else comes decoded, which other tests look at. (WA-N11)
      if (transferSyntaxUID !== explicitLittleEndian) continue
      asStoredCount++
      expect([path, seen.file]).toEqual([path, sha256(file)])
      const frame = firstFrameOf(file, expected)
      if (seen.frame !== undefined && frame !== undefined) {
        expect([path, seen.frame]).toEqual([path, sha256(frame)])
      }
    }
    expect(storedCount).toBeGreaterThan(150)
    expect(asStoredCount).toBeGreaterThan(80)
  })
})

function readOrNothing(file: Buffer) {
  try {
    return readInstance(file)
  } catch {
    return undefined
  }
}

function withoutURIs(metadata: DicomJson | undefined): unknown {
  return JSON.parse(JSON.stringify(metadata), (key, value) =>
    key === 'BulkDataURI' ? /\d+-\d+$/.exec(value)?.[0] : value,
  )
}

/** Undefined: its last byte has some of the next frame. */
function firstFrameOf(file: Buffer, metadata: DicomJson): Buffer | undefined {
  const uri = ['7FE00010', '7FE00008', '7FE00009'].map((tag) => metadata[tag]?.BulkDataURI)
  const [, offset] = /(\d+)-(\d+)$/.exec(uri.find((one) => one !== undefined) ?? '') ?? []
  const bits = (tag: string, otherwise: number) => Number(metadata[tag]?.Value?.[0] ?? otherwise)
  const isSubsampled = metadata['00280004']?.Value?.[0] === 'YBR_FULL_422'
  const bitLength =
    bits('00280010', 0) *
    bits('00280011', 0) *
    (isSubsampled ? 2 : bits('00280002', 1)) *
    bits('00280100', 8)
  if (bitLength % 8 !== 0) return undefined
  return file.subarray(Number(offset), Number(offset) + bitLength / 8)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** In the browser: stores a file with dicomweb-client, and retrieves it again. */
async function sendAndTake(given: {
  url: string
  file: string
  study: string
  series: string
  instance: string
}): Promise<Seen> {
  // biome-ignore lint/suspicious/noExplicitAny: the library has no types for its global
  const { api } = (globalThis as any).DICOMwebClient
  const client = new api.DICOMwebClient({ url: given.url, verbose: false })
  const hash = async (bytes: ArrayBuffer): Promise<string> =>
    Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('')
  const bytes = Uint8Array.from(atob(given.file), (character) => character.charCodeAt(0))
  const instance = {
    studyInstanceUID: given.study,
    seriesInstanceUID: given.series,
    sopInstanceUID: given.instance,
  }
  try {
    await client.storeInstances({ datasets: [bytes.buffer] })
  } catch (error) {
    const { status, message } = error as { status?: number; message: string }
    return { refused: `${status} ${message}` }
  }
  const [metadata] = await client.retrieveInstanceMetadata(instance)
  const file = await client.retrieveInstance(instance)
  const frame: ArrayBuffer | undefined = await client
    .retrieveInstanceFrames({
      ...instance,
      frameNumbers: [1],
      mediaTypes: [{ mediaType: 'application/octet-stream', transferSyntaxUID: '*' }],
    })
    .then(([first]: ArrayBuffer[]) => first)
    .catch(() => undefined)
  return {
    metadata,
    file: await hash(file),
    frame: frame === undefined ? undefined : await hash(frame),
  }
}
