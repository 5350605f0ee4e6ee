import type { Instance } from '../../db/instances.ts'
import { u32 } from '../dicom/bytes.ts'
import { undefinedLength } from '../dicom/element-writer.ts'
import { StructureError } from '../dicom/errors.ts'
import { frameLength, locateFrames, readFrame } from '../dicom/fragments.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { transferSyntaxes } from '../dicom/transfer-syntaxes.ts'
import { HttpProblem } from '../http/problem.ts'
import { frameBits, frameBytes, type ImagePixel, imagePixelOf } from '../pixels/image-pixel.ts'
import type { JobOutcome } from '../pixels/job.ts'
import { explicitLittleEndian, frameSyntaxes } from '../pixels/syntaxes.ts'
import { UndecodableError, type WorkerPool } from '../pixels/worker-pool.ts'
import type { Store } from '../store/store.ts'
import { explicitBigEndian, gathered, rangesOf, readValue, tableBytes } from './stored-file.ts'

/** The largest frame that is held in memory: to be decoded, encoded or rendered. */
const maximumFrameBytes = 256 * 2 ** 20

/** The frames of one instance, where they lie in the store. */
export interface Frames {
  image: ImagePixel
  /** How many there are in truth, which may be fewer than Number of Frames says. */
  count: number
  /** What {@link read} gives: that of the file if it is encapsulated, else Explicit VR Little Endian. */
  transferSyntaxUID: string
  isEncapsulated: boolean
  /** It is one stream for all frames, which stands for the first one here. */
  isVideo: boolean
  /** Bytes of a frame, counted from 0. */
  length(index: number): Promise<number>
  /** Little endian pixels, or a code stream without item tags (WA-S11). */
  read(index: number): AsyncGenerator<Uint8Array, void, void>
}

/**
 * Finds the frames of an instance.
 *
 * @throws {HttpProblem} 404 it has no pixel data (WA-S7); 406 its fragments cannot be told apart
 */
export async function framesOf(
  instance: Instance,
  store: Store,
  model: DicomJson,
): Promise<Frames> {
  const image = imagePixelOf(model)
  if (image === undefined) {
    throw new HttpProblem(404, 'Cannot retrieve frames: the instance has no pixel data')
  }
  const syntax = transferSyntaxes.get(instance.transferSyntaxUID)
  return syntax?.encapsulated
    ? encapsulatedFrames(instance, store, model, image)
    : nativeFrames(instance, store, image)
}

/**
 * The same of an item's pixel data, as of Icon Image Sequence. In a file of compressed pixels they may be compressed, too, or
 * not: their length tells (PS3.5 A.4). Undefined: the item does not say what they are.
 */
export async function framesOfItem(
  instance: Instance,
  store: Store,
  item: DicomJson,
): Promise<Frames | undefined> {
  const image = imagePixelOf(item)
  if (image === undefined) return undefined
  const isFragments =
    transferSyntaxes.get(instance.transferSyntaxUID)?.encapsulated &&
    (await lengthBefore(instance, store, image.offset)) === undefinedLength
  return isFragments
    ? encapsulatedFrames(instance, store, item, image)
    : nativeFrames(instance, store, image)
}

/** What the element says that the length of its value is, which begins there. */
async function lengthBefore(instance: Instance, store: Store, offset: number): Promise<number> {
  const bytes = await gathered(rangesOf(instance, store)(offset - 4, 4))
  return u32(bytes, 0, false)
}

/** The pixels of a frame, decoded where they have to be. @throws {UndecodableError} they cannot be */
export async function pixelsOf(
  frames: Frames,
  index: number,
  codecs: WorkerPool,
  signal?: AbortSignal,
): Promise<JobOutcome> {
  const { image, transferSyntaxUID, isEncapsulated } = frames
  mustHaveDecoder(frames)
  const bytes = await frameInMemory(frames, index)
  if (!isEncapsulated) return { image, bytes }
  return codecs.run({ kind: 'decode', image, transferSyntaxUID, bytes }, signal)
}

/** Before a frame is read, which of a video may be large. @throws {UndecodableError} */
export function mustHaveDecoder({ isEncapsulated, transferSyntaxUID }: Frames): void {
  if (!isEncapsulated || frameSyntaxes.get(transferSyntaxUID)?.canDecode) return
  throw new UndecodableError('there is no decoder for its transfer syntax')
}

/** @throws {HttpProblem} 413 it, or what it becomes, is larger than what is held in memory (WA-S8) */
export async function frameInMemory(frames: Frames, index: number): Promise<Uint8Array> {
  const bytes = Math.max(await frames.length(index), frameBytes(frames.image))
  if (bytes > maximumFrameBytes) {
    throw new HttpProblem(
      413,
      `Cannot convert the frame: it has ${bytes} bytes, more than ${maximumFrameBytes}; retrieve it as stored`,
    )
  }
  return gathered(frames.read(index))
}

async function encapsulatedFrames(
  instance: Instance,
  store: Store,
  model: DicomJson,
  image: ImagePixel,
): Promise<Frames> {
  const read = rangesOf(instance, store)
  const extendedOffsetTable = await tableBytes(instance, store, model['7FE00001'])
  const { offset, length } = image
  const isVideo = frameSyntaxes.get(instance.transferSyntaxUID)?.isVideo === true
  const numberOfFrames = isVideo ? 1 : image.numberOfFrames
  try {
    const pixelData = { offset, length, numberOfFrames, extendedOffsetTable }
    const spans = await locateFrames(read, pixelData)
    const at = (index: number) => spans[index] as (typeof spans)[0]
    return {
      image,
      count: spans.length,
      transferSyntaxUID: instance.transferSyntaxUID,
      isEncapsulated: true,
      isVideo,
      length: (index) => frameLength(read, at(index)),
      read: (index) => readFrame(read, at(index)),
    }
  } catch (error) {
    if (!(error instanceof StructureError)) throw error
    throw new HttpProblem(
      406,
      'Cannot retrieve frames: the fragments cannot be told apart; retrieve the instance with transfer-syntax=*',
      { cause: error },
    )
  }
}

function nativeFrames(instance: Instance, store: Store, image: ImagePixel): Frames {
  const bits = frameBits(image)
  const bytes = Math.ceil(bits / 8)
  const count = Math.min(image.numberOfFrames, Math.floor((image.length * 8) / bits))
  return {
    image,
    count,
    transferSyntaxUID: explicitLittleEndian,
    isEncapsulated: false,
    isVideo: false,
    length: async () => bytes,
    async *read(index) {
      const firstBit = index * bits
      const start = Math.floor(firstBit / 8)
      const end = Math.ceil((firstBit + bits) / 8)
      const range = readWords(instance, store, image, start, end)
      if (bits % 8 === 0) yield* range
      else yield shifted(await gathered(range), firstBit % 8, bits)
    },
  }
}

/** A range of the value. Where words are turned round, whole ones are read. */
async function* readWords(
  instance: Instance,
  store: Store,
  { vr, offset, length }: ImagePixel,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void, void> {
  const word = instance.transferSyntaxUID === explicitBigEndian ? 8 : 1
  const from = start - (start % word)
  const to = Math.min(length, Math.ceil(end / word) * word)
  let at = from
  const value = { vr, offset: offset + from, length: to - from }
  for await (const chunk of readValue(instance, store, value)) {
    const piece = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at))
    if (piece.length > 0) yield piece
    at += chunk.length
  }
}

/** Frames that were decoded one by one, as Pixel Data has them: one behind the other, also in the middle of a byte (PS3.5 8.1.1). */
export async function* contiguous(
  frames: AsyncIterable<Uint8Array>,
  bits: number,
): AsyncGenerator<Uint8Array, void, void> {
  if (bits % 8 === 0) {
    yield* frames
    return
  }
  let held = 0
  let heldBits = 0
  for await (const frame of frames) {
    const whole = new Uint8Array((heldBits + bits) >> 3)
    let at = 0
    for (let done = 0; done < bits; done += 8) {
      const count = Math.min(8, bits - done)
      held |= ((frame[done >> 3] as number) & (0xff >> (8 - count))) << heldBits
      heldBits += count
      if (heldBits < 8) continue
      whole[at++] = held & 0xff
      held >>= 8
      heldBits -= 8
    }
    yield whole
  }
  if (heldBits > 0) yield Uint8Array.of(held)
}

/**
 * Frames of one bit a pixel may begin and end inside a byte; the first pixel is the lowest bit (PS3.5 8.1.1). What
 * follows the last pixel is 0.
 */
function shifted(given: Uint8Array, by: number, bits: number): Uint8Array {
  const moved = new Uint8Array(Math.ceil(bits / 8))
  for (let i = 0; i < moved.length; i++) {
    moved[i] = ((given[i] as number) >> by) | ((given[i + 1] ?? 0) << (8 - by))
  }
  moved[moved.length - 1] = (moved.at(-1) as number) & (0xff >> (moved.length * 8 - bits))
  return moved
}
