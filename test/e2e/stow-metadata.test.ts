import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uniqueUID } from '../support/dicom-file.ts'
import { type DicomJson, metadataOf, readInstance } from '../support/dicom-reading.ts'
import {
  bodyOf,
  bulkPart,
  jsonPart,
  jsonRequest,
  type RequestPart,
} from '../support/metadata-request.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import type { StowAnswer } from '../support/stow.ts'
import {
  canary,
  ctImageStorage,
  expectNoPatientData,
  expectProblem,
  leftBehindBy,
  Sender,
  segmentsOf,
  storedIn,
  storeModule,
} from './dicomweb.ts'

let server: StowageServer
let sender: Sender

beforeAll(async () => {
  server = await startServer({ env: { STOWAGE_LOG_LEVEL: 'debug' } })
  sender = new Sender(server)
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** Metadata of a new instance with 16 x 16 pixels, changed by some attributes. */
function instance(changes: DicomJson = {}) {
  const study = uniqueUID()
  const series = uniqueUID()
  const uid = uniqueUID()
  const json: DicomJson = {
    '00080016': { vr: 'UI', Value: [ctImageStorage] },
    '00080018': { vr: 'UI', Value: [uid] },
    '00080020': { vr: 'DA', Value: ['20240131'] },
    '00080050': { vr: 'SH', Value: [canary.accessionNumber] },
    '00080060': { vr: 'CS', Value: ['CT'] },
    '00081030': { vr: 'LO', Value: [canary.studyDescription] },
    '00100010': { vr: 'PN', Value: [{ Alphabetic: canary.patientName }] },
    '00100020': { vr: 'LO', Value: [canary.patientID] },
    '0020000D': { vr: 'UI', Value: [study] },
    '0020000E': { vr: 'UI', Value: [series] },
    '00200013': { vr: 'IS', Value: [1] },
    '00280002': { vr: 'US', Value: [1] },
    '00280004': { vr: 'CS', Value: ['MONOCHROME2'] },
    '00280010': { vr: 'US', Value: [16] },
    '00280011': { vr: 'US', Value: [16] },
    '00280100': { vr: 'US', Value: [16] },
    '00280103': { vr: 'US', Value: [0] },
    '7FE00010': { vr: 'OW', BulkDataURI: 'pixels' },
    ...changes,
  }
  const url = `${sender.studies}/${study}/series/${series}/instances/${uid}`
  return { study, series, uid, json, url }
}

const pixels = Buffer.from(Array.from({ length: 512 }, (_, index) => index & 0xff))

async function post(parts: RequestPart[], contentType = jsonRequest, url = sender.studies) {
  return sender.post(contentType, bodyOf(parts), {}, url)
}

/** The file that was made, as it comes back. */
async function fileOf(url: string): Promise<Buffer> {
  const answer = await fetch(url, { headers: { accept: 'application/dicom' } })
  expect(answer.status).toBe(200)
  return Buffer.from(await answer.arrayBuffer())
}

/** The metadata that come back, with bulk data in the place of their URIs. */
async function metadataBack(url: string): Promise<DicomJson> {
  const [json] = (await (await fetch(`${url}/metadata`)).json()) as [DicomJson]
  for (const element of Object.values(json)) {
    if (element.BulkDataURI === undefined) continue
    const answer = await fetch(element.BulkDataURI, {
      headers: { accept: 'application/octet-stream' },
    })
    delete element.BulkDataURI
    element.InlineBinary = Buffer.from(await answer.arrayBuffer()).toString('base64')
  }
  return json
}

function expectStored(answer: StowAnswer, ...stored: { uid: string; url: string }[]): void {
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  const items = answer.body['00081199'].Value
  expect(items).toEqual(
    storeModule({
      stored: stored.map(({ uid, url }) => ({ sopInstanceUID: uid, url })),
    })['00081199']?.Value,
  )
}

describe('Metadata and bulk data as one request (PS3.18 10.5.1.4; ST-M3)', () => {
  test('ST-M3, MB-2, MB-6: metadata and pixel data become a file that says the same', async () => {
    const { json, uid, url } = instance()
    expectStored(await post([jsonPart(json), bulkPart('pixels', pixels)]), { uid, url })
    const file = await fileOf(url)
    const read = readInstance(file)
    expect(read.transferSyntaxUID).toBe('1.2.840.10008.1.2.1')
    expect(metadataOf(read)['00100010']).toEqual(json['00100010'])
    expect(await metadataBack(url)).toEqual({
      ...json,
      '7FE00010': { vr: 'OW', InlineBinary: pixels.toString('base64') },
    })
  })
})

test('nothing of a patient is in answers, logs or names', async () => {
  expectNoPatientData(...(await leftBehindBy(server)))
})
