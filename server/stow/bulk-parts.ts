import { createHash } from 'node:crypto'
import { tagName } from '../dicom/bytes.ts'
import { type ModelAttribute, type ModelDataSet, textOf } from '../dicom/data-set-model.ts'
import { BulkDataError } from '../dicom/errors.ts'
import type { BulkData, ByteRange } from '../dicom/part10-writer.ts'
import { HttpProblem } from '../http/problem.ts'
import type { MediaType } from '../multipart/media-type.ts'
import { UnsupportedPartError } from '../multipart/multipart-errors.ts'
import { type PixelEncoding, pixelEncodingOf } from './pixel-media-types.ts'

/** One part of bulk data, and where its bytes wait. */
export interface BulkPart extends ByteRange {
  /** From 1, in the order of the body. */
  partNumber: number
  mediaType: MediaType
  isRepeated: boolean
  isUsed: boolean
}

const PIXEL_DATA = 0x7fe00010
const NUMBER_OF_FRAMES = 0x00280008
const ENCAPSULATED_DOCUMENT = 0x00420011
const MIME_TYPE_OF_ENCAPSULATED_DOCUMENT = 0x00420012
const octets = 'application/octet-stream'

export interface BulkLimits {
  /** Parts of a request. Its attributes may refer to ten times as many: one part may stand in several places. */
  parts: number
  /** How many times more bytes they may refer to than came, beyond 64 MiB: the files that are made have them all. */
  inflateRatio: number
}

const freeBytes = 64 * 2 ** 20

/**
 * The bulk data of a request by their Content-Location, and which of them an attribute refers to. (PS3.18 8.6.1.2; MB-2)
 *
 * A reference is only ever looked up here: nothing is fetched, wherever it points to (MB-5). Locations are compared as
 * URLs, relative ones against that of the request. Only a digest of each is kept: there may be 100,000.
 */
export class BulkParts {
  readonly #baseURL: string
  readonly #limits: BulkLimits
  readonly #parts = new Map<string, BulkPart>()
  /** Those of one location, by the key of the first: they are asked for again and again. */
  readonly #frames = new Map<string, BulkPart[]>()
  #receivedBytes = 0
  #referredBytes = 0
  #referredParts = 0

  /** @param baseURL Of the request. */
  constructor(baseURL: string, limits: BulkLimits) {
    this.#baseURL = baseURL
    this.#limits = limits
  }

  add(location: string, part: Omit<BulkPart, 'isRepeated' | 'isUsed'>): void {
    this.#receivedBytes += part.length
    const key = this.#keyOf(location)
    const earlier = this.#parts.get(key)
    if (earlier !== undefined) earlier.isRepeated = true
    else this.#parts.set(key, { ...part, isRepeated: false, isUsed: false })
  }

  /** A part that nothing referred to. */
  get unused(): BulkPart | undefined {
    for (const part of this.#parts.values()) if (!part.isUsed) return part
    return undefined
  }

  /** Notes all that a data set refers to as used, whatever becomes of the instance. */
  use(dataSet: ModelDataSet): void {
    for (const { vr, values, bulkDataURI } of dataSet) {
      if (vr === 'SQ') for (const item of values as ModelDataSet[]) this.use(item)
      if (bulkDataURI === undefined) continue
      const whole = this.#at(bulkDataURI)
      if (whole !== undefined) whole.isUsed = true
      const frames = this.#framesAt(bulkDataURI)
      // All of them are, or none.
      if (frames[0]?.isUsed === false) for (const frame of frames) frame.isUsed = true
    }
  }

  /**
   * What an attribute refers to.
   *
   * @param dataSet The data set that it stands in.
   * @throws {BulkDataError} no part or several have the location; the frames are not as many as Number of Frames; a
   *   document of another type than the data set says (MB-4, MB-7, MB-8) → refusal 0xC000
   * @throws {UnsupportedPartError} a media type that this attribute cannot have → 415
   * @throws {HttpProblem} 413 the same bytes are referred to so often that they go beyond a limit
   */
  resolve(attribute: ModelAttribute, dataSet: ModelDataSet): BulkData {
    const uri = attribute.bulkDataURI as string
    const whole = this.#at(uri)
    const frames = this.#framesAt(uri)
    if (whole === undefined && frames.length === 0) {
      throw wrong(attribute, 'refers to bulk data that are not in the request')
    }
    const parts = whole === undefined ? frames : [whole]
    this.#count(parts)
    if ((whole !== undefined && frames.length > 0) || parts.some((part) => part.isRepeated)) {
      throw wrong(attribute, 'refers to bulk data that are in the request more than once')
    }
    if (attribute.tag === PIXEL_DATA) return pixelData(attribute, dataSet, parts)
    if (frames.length > 0) throw wrong(attribute, 'refers to frames, and is no Pixel Data')
    const [part] = parts as [BulkPart]
    if (attribute.tag === ENCAPSULATED_DOCUMENT) checkDocument(attribute, dataSet, part)
    else if (part.mediaType.type !== octets) throw unsupported(part)
    else if (pixelEncodingOf(part)?.transferSyntaxUID !== undefined) throw unsupported(part)
    return { ranges: parts }
  }

  #count(parts: BulkPart[]): void {
    this.#referredParts += parts.length
    for (const { length } of parts) this.#referredBytes += length
    const { parts: most, inflateRatio } = this.#limits
    const mostBytes = freeBytes + inflateRatio * this.#receivedBytes
    if (this.#referredParts <= 10 * most && this.#referredBytes <= mostBytes) return
    throw new HttpProblem(
      413,
      `Cannot store the request: its attributes refer to more than ${10 * most} parts, or to more than ${inflateRatio} times the bytes that came; send large values once, and each with its instance`,
    )
  }

  #at(uri: string): BulkPart | undefined {
    return this.#parts.get(this.#keyOf(uri))
  }

  /** Frames have a location of their own each (PS3.18 10.4: `{BulkDataURI}/frames/{frame}`), from 1. */
  #framesAt(uri: string): BulkPart[] {
    const firstKey = this.#keyOf(`${uri}/frames/1`)
    const known = this.#frames.get(firstKey)
    if (known !== undefined) return known
    const frames: BulkPart[] = []
    let frame = this.#parts.get(firstKey)
    while (frame !== undefined) {
      frames.push(frame)
      frame = this.#at(`${uri}/frames/${frames.length + 1}`)
    }
    if (frames.length > 0) this.#frames.set(firstKey, frames)
    return frames
  }

  #keyOf(uri: string): string {
    const url = URL.canParse(uri, this.#baseURL) ? new URL(uri, this.#baseURL).href : uri
    return createHash('sha256').update(url).digest('base64')
  }
}

function pixelData(attribute: ModelAttribute, dataSet: ModelDataSet, parts: BulkPart[]): BulkData {
  const encodings = parts.map((part) => pixelEncodingOf(part) ?? refuse(part))
  const { transferSyntaxUID, isVideo } = encodings[0] as PixelEncoding
  if (encodings.some((encoding) => encoding.transferSyntaxUID !== transferSyntaxUID)) {
    throw wrong(attribute, 'has frames in several transfer syntaxes')
  }
  const frameCount = Number(textOf(dataSet, NUMBER_OF_FRAMES) ?? 1)
  const isWhole = isVideo || (transferSyntaxUID === undefined && parts.length === 1)
  if (!isWhole && parts.length !== frameCount) {
    throw wrong(
      attribute,
      `has ${parts.length} frames in the request, not as many as its NumberOfFrames`,
    )
  }
  return { ranges: parts, transferSyntaxUID }
}

/** MB-7. Octets are taken too: they claim nothing else. */
function checkDocument(attribute: ModelAttribute, dataSet: ModelDataSet, part: BulkPart): void {
  const declared = textOf(dataSet, MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)?.trim().toLowerCase()
  const { type } = part.mediaType
  if (type === octets || declared === undefined || declared.split(';')[0]?.trim() === type) return
  throw wrong(attribute, 'has a part of another type than MIMETypeOfEncapsulatedDocument')
}

function wrong({ tag }: ModelAttribute, reason: string): BulkDataError {
  return new BulkDataError(`element ${tagName(tag)} ${reason}`)
}

function refuse(part: BulkPart): never {
  throw unsupported(part)
}

function unsupported({ partNumber }: BulkPart): UnsupportedPartError {
  return new UnsupportedPartError(
    partNumber,
    'its Content-Type is none that bulk data of its attribute can have; send "application/octet-stream"',
  )
}
