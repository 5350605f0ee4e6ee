import { Buffer } from 'node:buffer'
import { JpegProcess } from '../dicom/jpeg-process.ts'
import { JsonArraySplitter } from '../dicom/json-array-splitter.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Spool } from '../intake/spool.ts'
import type { MediaType } from '../multipart/media-type.ts'
import { UnsupportedPartError } from '../multipart/multipart-errors.ts'
import type { PartHeaders } from '../multipart/part-headers.ts'
import { checkEncoding, parsePartType } from '../multipart/part-policy.ts'
import { type BulkLimits, BulkParts } from './bulk-parts.ts'
import type { MetadataPayload } from './request.ts'

/** Where the metadata of one instance wait. */
export interface InstanceMetadata {
  /** Bytes of the spool. */
  offset: number
  length: number
}

/** Bytes of the metadata of one instance, which are parsed as a whole: some 60 ms of the loop for each MiB. */
const maximumMetadataBytes = 16 * 1024 * 1024

/**
 * Takes the parts of a request with metadata and bulk data as they arrive: puts all their bytes into a spool, and
 * notes where the metadata of each instance and each part of bulk data are.
 *
 * Parts may come in any order, since nothing is looked at before all are there (MB-3). What is kept in memory is some 200
 * bytes for each instance and part.
 *
 * @see PS3.18 10.5.1.4, 8.6.1.2; ST-M3 to ST-M5, MB-1 to MB-4, MP-10, MP-17, MP-22, MP-30
 */
export class MetadataReceiver {
  readonly instances: InstanceMetadata[] = []
  readonly bulk: BulkParts
  readonly model: MetadataPayload['model']
  readonly #payload: MetadataPayload
  readonly #spool: Spool
  readonly #limits: BulkLimits
  #partNumber = 0
  #metadataParts = 0
  #hasRoot = false
  #start = 0
  /** What the part at hand is: metadata, or bulk data with a location. */
  #part: { kind: 'metadata' } | { kind: 'bulk'; location: string; mediaType: MediaType } = {
    kind: 'metadata',
  }
  #splitter: JsonArraySplitter | undefined
  #jpeg: JpegProcess | undefined

  /** @param baseURL Of the request: relative locations begin there. */
  constructor(payload: MetadataPayload, baseURL: string, spool: Spool, limits: BulkLimits) {
    this.model = payload.model
    this.#payload = payload
    this.#spool = spool
    this.#limits = limits
    this.bulk = new BulkParts(baseURL, limits)
  }

  /** @throws {UnsupportedPartError} 415; {PartHeaderError} 400; {HttpProblem} 400, 413 */
  beginPart(headers: PartHeaders): void {
    this.#partNumber++
    checkEncoding(headers, this.#partNumber)
    const mediaType = this.#mediaTypeOf(headers)
    if (mediaType.type === this.#payload.type) this.beginMetadata(headers.get('content-id'))
    else this.#beginBulk(mediaType, headers.get('content-location'))
  }

  /** Begins the metadata: a part, or a body that is nothing else (ST-M5). */
  beginMetadata(contentID?: string): void {
    this.#part = { kind: 'metadata' }
    this.#start = this.#spool.byteLength
    this.#metadataParts++
    if (contentID === this.#payload.start) this.#hasRoot = true
    if (this.#payload.model === 'xml') return
    if (this.#metadataParts > 1) {
      throw bad(
        'there is more than one part of metadata; send one array with those of all instances',
      )
    }
    const start = this.#start
    this.#splitter = new JsonArraySplitter((offset, length) => this.#found(start + offset, length))
  }

  /** @throws {HttpProblem} 413 metadata of one instance are too large; {MetadataSyntaxError} 400 */
  push(bytes: Uint8Array): void {
    this.#spool.append(bytes)
    this.#jpeg?.push(bytes)
    if (this.#part.kind === 'bulk') return
    this.#splitter?.push(bytes)
    const length = this.#splitter?.openLength ?? this.#spool.byteLength - this.#start
    if (length > maximumMetadataBytes) throw tooLarge()
  }

  /** @throws {MetadataSyntaxError} the array is not at its end → 400 */
  endPart(): void {
    const length = this.#spool.byteLength - this.#start
    if (this.#part.kind === 'bulk') {
      const { location } = this.#part
      const mediaType = this.#exactType(this.#part.mediaType)
      const part = { partNumber: this.#partNumber, mediaType, offset: this.#start, length }
      this.bulk.add(location, part)
    } else if (this.#splitter !== undefined) this.#splitter.end()
    else this.#found(this.#start, length)
  }

  /** Says that the body is over. @throws {HttpProblem} 400 there is no metadata, or not the one that `start` names */
  end(): void {
    if (this.#metadataParts === 0) throw bad(`it has no part of type "${this.#payload.type}"`)
    if (this.instances.length === 0) throw bad('its metadata are those of no instance')
    // RFC 2387 3.2: the root is the part with this Content-ID (MP-10).
    if (this.#payload.start !== undefined && !this.#hasRoot) {
      throw bad('no part of metadata has the Content-ID that the start parameter names')
    }
  }

  #found(offset: number, length: number): void {
    if (length > maximumMetadataBytes) throw tooLarge()
    if (this.instances.length >= this.#limits.parts) {
      throw new HttpProblem(
        413,
        `Cannot store the request: it has more than ${this.#limits.parts} instances; send it in several requests`,
      )
    }
    this.instances.push({ offset, length })
  }

  #beginBulk(mediaType: MediaType, location: string | undefined): void {
    const { type } = mediaType
    if (type.startsWith('multipart/') || type.startsWith('application/dicom')) {
      throw new UnsupportedPartError(
        this.#partNumber,
        `its Content-Type is neither "${this.#payload.type}" nor one of bulk data`,
      )
    }
    if (location === undefined || location === '') {
      throw bad(`part ${this.#partNumber} has no Content-Location, so nothing can refer to it`)
    }
    this.#start = this.#spool.byteLength
    this.#part = { kind: 'bulk', location, mediaType }
    const isVague = type === 'image/jpeg' && !mediaType.parameters.has('transfer-syntax')
    this.#jpeg = isVague ? new JpegProcess() : undefined
  }

  #exactType(mediaType: MediaType): MediaType {
    const uid = this.#jpeg?.transferSyntaxUID
    this.#jpeg = undefined
    return uid === undefined
      ? mediaType
      : { type: mediaType.type, parameters: new Map([['transfer-syntax', uid]]) }
  }

  #mediaTypeOf(headers: PartHeaders): MediaType {
    const contentType = headers.get('content-type')
    if (contentType === undefined) {
      if (this.#partNumber === 1) return { type: this.#payload.type, parameters: new Map() }
      throw new UnsupportedPartError(this.#partNumber, 'it has no Content-Type')
    }
    return parsePartType(contentType, this.#partNumber)
  }
}

/** The metadata of one instance as they came. */
export async function readMetadata(
  spool: Spool,
  { offset, length }: InstanceMetadata,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of spool.read(offset, length)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function bad(reason: string): HttpProblem {
  return new HttpProblem(400, `Cannot store the request: ${reason}`)
}

function tooLarge(): HttpProblem {
  return new HttpProblem(
    413,
    `Cannot store the request: the metadata of an instance have more than ${maximumMetadataBytes} bytes; send large values as bulk data`,
  )
}
