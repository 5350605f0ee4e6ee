import { WorkerPool } from '../../server/pixels/worker-pool.ts'
import { imagePixel } from '../pixels/image.ts'
import {
  type DicomElement,
  type DicomFileOptions,
  dicomFile,
  explicitLittleEndian,
  uniqueUID,
} from '../support/dicom-file.ts'
import type { StowageServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

export const jpegLS = '1.2.840.10008.1.2.4.80'
export const mpeg4 = '1.2.840.10008.1.2.4.102'
export const rle = '1.2.840.10008.1.2.5'

/** Three frames of 4 x 6, 16 bits, all pixels different. */
export const size = { rows: 4, columns: 6, numberOfFrames: 3 }
export const frameBytes = 48
export const pixels = Buffer.from(
  Uint16Array.from({ length: 72 }, (_, index) => index * 300 + 7).buffer,
)
export const frame = (number: number): Buffer =>
  pixels.subarray((number - 1) * frameBytes, number * frameBytes)

/** What every image here has, beside what `dicomFile` writes. */
export const image: DicomElement[] = [
  { tag: '00280004', vr: 'CS', value: 'MONOCHROME2' },
  { tag: '00280101', vr: 'US', value: 16 },
  { tag: '00280102', vr: 'US', value: 15 },
]

/** The same with others, which take the place of those with their tag. */
export function imageWith(...others: DicomElement[]): DicomElement[] {
  const elements = new Map([...image, ...others].map((element) => [element.tag, element]))
  return [...elements.values()]
}

/** The frames as code streams, padded to even length. */
export async function codeStreams(transferSyntaxUID: string): Promise<Buffer[]> {
  await using codecs = new WorkerPool()
  const streams: Buffer[] = []
  for (const number of [1, 2, 3]) {
    const { bytes } = await codecs.run({
      kind: 'encode',
      image: imagePixel({ rows: size.rows, columns: size.columns }),
      transferSyntaxUID,
      bytes: Uint8Array.from(frame(number)),
    })
    streams.push(Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)]))
  }
  return streams
}

export interface Stored {
  study: string
  url: string
  file: Buffer
}

/** Stores an instance in a study and series of its own, unless the options say which. */
export async function store(server: StowageServer, options: DicomFileOptions): Promise<Stored> {
  const studyInstanceUID = options.studyInstanceUID ?? uniqueUID()
  const seriesInstanceUID = options.seriesInstanceUID ?? `${studyInstanceUID}.1`
  const sopInstanceUID = options.sopInstanceUID ?? uniqueUID()
  const file = dicomFile({
    transferSyntaxUID: explicitLittleEndian,
    ...options,
    studyInstanceUID,
    seriesInstanceUID,
    sopInstanceUID,
  })
  const answer = await stow(`${server.dicomWeb}/studies`, [file])
  if (answer.status > 202) throw new Error(`Not stored: ${JSON.stringify(answer.body)}`)
  const study = `${server.dicomWeb}/studies/${studyInstanceUID}`
  return { study, url: `${study}/series/${seriesInstanceUID}/instances/${sopInstanceUID}`, file }
}

export async function retrieve(
  url: string,
  accept?: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; type: string; body: Buffer }> {
  const answer = await fetch(url, {
    headers: accept === undefined ? headers : { accept, ...headers },
  })
  const body = Buffer.from(await answer.arrayBuffer())
  return {
    status: answer.status,
    headers: answer.headers,
    type: answer.headers.get('content-type') ?? '',
    body,
  }
}
