import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import { tagHex } from '../dicom/bytes.ts'
import {
  elementHeader,
  itemHeader,
  shortElement,
  textElement,
  undefinedLength,
} from '../dicom/element-writer.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { reEncode } from '../dicom/re-encode.ts'
import { transferSyntaxes } from '../dicom/transfer-syntaxes.ts'
import { vrCode } from '../dicom/vr.ts'
import type { Offer } from '../multipart/accept.ts'
import { frameBits, type ImagePixel } from '../pixels/image-pixel.ts'
import type { JobOutcome } from '../pixels/job.ts'
import { explicitLittleEndian, frameSyntaxes } from '../pixels/syntaxes.ts'
import { UndecodableError } from '../pixels/worker-pool.ts'
import { bulkDataOf, isPixelDataOfItem } from './bulk-data.ts'
import type { WadoDeps } from './deps.ts'
import {
  contiguous,
  type Frames,
  frameInMemory,
  framesOf,
  framesOfItem,
  pixelsOf,
} from './frames.ts'
import { explicitBigEndian, implicitLittleEndian, readFile, readModel } from './stored-file.ts'

const pixelDataTag = 0x7fe00010

/** An instance in one transfer syntax, ready to be sent. */
export interface Encoded {
  transferSyntaxUID: string
  /** Known where the file is sent as stored. */
  length?: number
  read(): AsyncGenerator<Uint8Array, void, void>
}

export type SyntaxOffer = Offer & { transferSyntaxUID: string }

/**
 * In which transfer syntaxes an instance that is stored in one can be had: as stored first, Explicit VR Little Endian,
 * and what is not compressed also compressed without loss.
 *
 * Implicit VR and big endian are never sent (PS3.18 8.7.3; WA-N12).
 */
export function syntaxOffers(stored: string, form: Offer): SyntaxOffer[] {
  const isSendable = stored !== implicitLittleEndian && stored !== explicitBigEndian
  const isNative = !transferSyntaxes.get(stored)?.encapsulated
  const canDecode = isNative || frameSyntaxes.get(stored)?.canDecode === true
  const offers: SyntaxOffer[] = []
  if (isSendable) offers.push({ ...form, transferSyntaxUID: stored, isDefaultSyntax: !canDecode })
  if (stored === explicitLittleEndian) offers.pop()
  if (canDecode) {
    offers.push({ ...form, transferSyntaxUID: explicitLittleEndian, isDefaultSyntax: true })
  }
  if (isNative) {
    for (const [transferSyntaxUID, { canEncode }] of frameSyntaxes) {
      if (canEncode) offers.push({ ...form, transferSyntaxUID })
    }
  }
  return offers
}

/**
 * Makes an instance ready in a transfer syntax. What takes a codec has its first frame done when this resolves, so
 * that what cannot be done is known before a byte is sent.
 *
 * @throws {UndecodableError} the codec does not take it, or there is no room for the decoded pixels in a data set
 */
export async function encodeAs(
  instance: Instance,
  target: string,
  deps: WadoDeps,
  signal: AbortSignal,
): Promise<Encoded> {
  const stored = instance.transferSyntaxUID
  if (target === stored) {
    return {
      transferSyntaxUID: stored,
      length: instance.byteLength,
      read: () => readFile(instance, deps.store),
    }
  }
  const isFromNative = !transferSyntaxes.get(stored)?.encapsulated
  if (isFromNative && target === explicitLittleEndian) {
    return {
      transferSyntaxUID: target,
      read: () => reEncode(readFile(instance, deps.store), target),
    }
  }
  const model = await readModel(instance, deps.store)
  if ('7FE00008' in model || '7FE00009' in model) {
    throw new UndecodableError('floats are never compressed')
  }
  // What has no pixel data is the same data set in every encapsulated syntax, and in Explicit VR Little Endian.
  if (!('7FE00010' in model)) {
    return {
      transferSyntaxUID: target,
      read: () => reEncode(readFile(instance, deps.store), target),
    }
  }
  const frames = await framesOf(instance, deps.store, model)
  if (frames.count < frames.image.numberOfFrames) {
    throw new UndecodableError('there are fewer frames than Number of Frames says')
  }
  const convert = converterOf(frames, target, deps, signal)
  const first = await convert(0)
  const isDecoded = target === explicitLittleEndian
  const pixelData = isDecoded
    ? nativeElement(frames, first, convert)
    : encapsulatedElement(frames, first, convert)
  const elements = imageElements(first.image)
  // In a file of compressed pixels those of an item may be as they are (PS3.5 A.4), the other way round they may not.
  const inItems = isDecoded ? await decodedItems(instance, model, deps, signal) : new Map()
  return {
    transferSyntaxUID: target,
    read: () => reEncode(readFile(instance, deps.store), target, { elements, inItems, pixelData }),
  }
}

/** What takes the place of compressed pixel data of items, as of Icon Image Sequence, and of what says how they are written. */
async function decodedItems(
  instance: Instance,
  model: DicomJson,
  { store, codecs }: WadoDeps,
  signal: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const elements = new Map<string, Uint8Array>()
  for (const { name, dataSet } of bulkDataOf(model)) {
    if (!isPixelDataOfItem(name)) continue
    const frames = await framesOfItem(instance, store, dataSet)
    if (frames === undefined) throw new UndecodableError('an item does not say what its pixels are')
    if (!frames.isEncapsulated) continue
    const { image, bytes } = await pixelsOf(frames, 0, codecs, signal)
    const path = name.slice(0, name.indexOf('7FE00010/'))
    for (const [tag, element] of imageElements(image)) elements.set(path + tagHex(tag), element)
    const padding = Buffer.alloc(bytes.length % 2)
    const header = nativeHeader(image, bytes.length + padding.length)
    elements.set(`${path}7FE00010`, Buffer.concat([header, bytes, padding]))
  }
  return elements
}

/** Of Pixel Data that is not compressed (PS3.5 A.2). */
function nativeHeader({ bitsAllocated }: ImagePixel, length: number): Buffer {
  return elementHeader(pixelDataTag, vrCode(bitsAllocated > 8 ? 'OW' : 'OB'), length)
}

type Convert = (index: number) => Promise<JobOutcome>

function converterOf(
  frames: Frames,
  target: string,
  { codecs }: WadoDeps,
  signal: AbortSignal,
): Convert {
  if (frames.isEncapsulated) return (index) => pixelsOf(frames, index, codecs, signal)
  const { image } = frames
  return async (index) => {
    const bytes = await frameInMemory(frames, index)
    return codecs.run({ kind: 'encode', image, transferSyntaxUID: target, bytes }, signal)
  }
}

/** What says how the pixels are written, where a codec changes it. Offsets of frames (7FE0,0001) are no longer true. */
function imageElements(image: ImagePixel): Map<number, Uint8Array> {
  const elements = new Map<number, Uint8Array>([
    [0x00280004, textElement(0x00280004, 'CS', image.photometricInterpretation)],
    [0x7fe00001, Buffer.alloc(0)],
    [0x7fe00002, Buffer.alloc(0)],
    [0x7fe00003, Buffer.alloc(0)],
  ])
  if (image.samplesPerPixel > 1) {
    elements.set(0x00280006, shortElement(0x00280006, image.planarConfiguration))
  }
  return elements
}

/** Pixel Data of all frames, one after another (PS3.5 8.1.1, A.2). */
function nativeElement(
  { image, count }: Frames,
  first: JobOutcome,
  convert: Convert,
): AsyncGenerator<Uint8Array, void, void> {
  const bits = frameBits(first.image)
  const length = Math.ceil((count * bits) / 8)
  const padding = length % 2
  if (length + padding >= undefinedLength) {
    throw new UndecodableError('the decoded pixels are more than a data set can hold')
  }
  async function* pixels(): AsyncGenerator<Uint8Array, void, void> {
    yield first.bytes
    for (let index = 1; index < count; index++) yield (await convert(index)).bytes
  }
  async function* element(): AsyncGenerator<Uint8Array, void, void> {
    yield nativeHeader(image, length + padding)
    yield* contiguous(pixels(), bits)
    if (padding === 1) yield Buffer.alloc(1)
  }
  return element()
}

/** Pixel Data as one fragment a frame, with an empty Basic Offset Table (PS3.5 A.4). */
function encapsulatedElement(
  { count }: Frames,
  first: JobOutcome,
  convert: Convert,
): AsyncGenerator<Uint8Array, void, void> {
  async function* element(): AsyncGenerator<Uint8Array, void, void> {
    yield elementHeader(pixelDataTag, vrCode('OB'), undefinedLength)
    yield itemHeader(0xe000, 0)
    for (let index = 0; index < count; index++) {
      const { bytes } = index === 0 ? first : await convert(index)
      yield itemHeader(0xe000, bytes.length + (bytes.length % 2))
      yield bytes
      if (bytes.length % 2 === 1) yield Buffer.alloc(1)
    }
    yield itemHeader(0xe0dd, 0)
  }
  return element()
}
