import { request } from 'node:http'
import { type DicomFileOptions, dicomFile, uniqueUID } from '../support/dicom-file.ts'
import type { StowageServer } from '../support/server.ts'
import { multipartBody, multipartType, stow } from '../support/stow.ts'

/** What the gallery's server was given. */
export interface GalleryData {
  /** A study with two series, a warning and a refusal. */
  studyInstanceUID: string
  seriesInstanceUID: string
  sopInstanceUID: string
  refusedTransfer: string
  /** Ends a transfer that is half done. */
  finish(): Promise<void>
}

const patients: [name: string, id: string, description: string, modality: string][] = [
  ['Adams^John Robert^^Rev.', 'MRN-1001', 'CT Thorax with contrast', 'CT'],
  ['Yamada^Tarou', 'MRN-1002', 'MR Brain', 'MR'],
  ['Okafor^Ngozi', 'MRN-1003', 'US Abdomen', 'US'],
  ['Müller^Änne', 'MRN-1004', 'XA Coronary', 'XA'],
  ['Doe^Jane', 'MRN-1005', 'Knee, two views', 'DX'],
  ['Svensson^Björn', 'MRN-1006', 'PET/CT whole body', 'PT'],
]
const side = 128

/** Sends studies as a hospital would: most whole, one with a warning, one refused, one still on its way. */
export async function fill(server: StowageServer): Promise<GalleryData> {
  const url = `${server.dicomWeb}/studies`
  const first = { studyInstanceUID: '', seriesInstanceUID: '', sopInstanceUID: '' }
  const studyUIDs: string[] = []
  for (const [index, [patientName, patientID, studyDescription, modality]] of patients.entries()) {
    const studyInstanceUID = uniqueUID()
    studyUIDs.push(studyInstanceUID)
    const common = { studyInstanceUID, patientName, patientID, studyDescription, modality }
    for (let seriesNumber = 1; seriesNumber <= 2; seriesNumber++) {
      const seriesInstanceUID = uniqueUID()
      const files = Array.from({ length: 6 + index }, (_, slice) => {
        const sopInstanceUID = uniqueUID()
        Object.assign(first, { studyInstanceUID, seriesInstanceUID, sopInstanceUID })
        return phantom(slice / (6 + index), {
          ...common,
          seriesInstanceUID,
          sopInstanceUID,
          seriesNumber,
          instanceNumber: slice + 1,
          studyDate: `2026${String(10 - index).padStart(2, '0')}14`,
          accessionNumber: `ACC-${4711 + index}`,
        })
      })
      await stow(url, files, { 'user-agent': 'gateway-3/2.1' })
    }
  }
  const { studyInstanceUID } = first
  // Another name for the same study: stored, with a warning.
  await stow(url, [phantom(0.5, { studyInstanceUID, patientName: 'Svenson^Bjorn' })])
  const refused = await stow(
    url,
    [phantom(0.2, { studyInstanceUID }), Buffer.from('this is no DICOM file')],
    { 'user-agent': 'old-modality/0.9' },
  )
  for (const index of [0, 3, 4]) await settle(server, studyUIDs[index] as string)
  const refusedTransfer = /\/transfers\/[\w-]+/.exec(refused.headers.get('link') ?? '')?.[0] ?? ''
  return { ...first, refusedTransfer, finish: beginSlowly(server, studyUIDs[1] as string) }
}

/** Does not wait for the quiet time to be over. */
export async function settle(server: StowageServer, studyInstanceUID: string): Promise<void> {
  await fetch(`${server.url}/api/studies/${studyInstanceUID}/settle`, { method: 'POST' })
}

/** Opens a transfer of one more series of a study that is here, and leaves it half done. @returns what ends it. */
function beginSlowly(server: StowageServer, studyInstanceUID: string): () => Promise<void> {
  const [patientName, patientID, studyDescription, modality] = patients[1] as (typeof patients)[0]
  const common = { studyInstanceUID, patientName, patientID, studyDescription, modality }
  const body = multipartBody([phantom(0.4, { ...common, pixelBytes: 6_000_000 })])
  const sending = request(`${server.dicomWeb}/studies`, {
    method: 'POST',
    headers: {
      'content-type': multipartType,
      'content-length': body.length,
      'user-agent': 'slow-gateway/1.0',
    },
  })
  sending.write(body.subarray(0, 2_500_000))
  const answered = new Promise((answer) => {
    sending.once('response', answer)
    sending.once('error', answer)
  })
  return async () => {
    sending.end(body.subarray(2_500_000))
    await answered
  }
}

/** An instance that looks like something: an ellipse with two others in it. */
export function phantom(at: number, options: DicomFileOptions): Buffer {
  const pixels = new Uint16Array(side * side)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const within = (cx: number, cy: number, rx: number, ry: number) =>
        ((x / side - cx) / rx) ** 2 + ((y / side - cy) / ry) ** 2 < 1
      let value = 0
      if (within(0.5, 0.5, 0.4, 0.3)) value = 1100
      if (within(0.36, 0.48, 0.12, 0.05 + 0.12 * at)) value = 300
      if (within(0.64, 0.48, 0.12, 0.05 + 0.12 * at)) value = 300
      if (within(0.5, 0.68, 0.05, 0.05)) value = 2200
      pixels[y * side + x] = value
    }
  }
  return dicomFile({
    rows: side,
    columns: side,
    pixelBytes: new Uint8Array(pixels.buffer),
    specificCharacterSet: 'ISO_IR 100',
    elements: [
      { tag: '00281050', vr: 'DS', value: '800' },
      { tag: '00281051', vr: 'DS', value: '2400' },
    ],
    ...options,
  })
}
