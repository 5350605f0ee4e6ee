import { inflateRawSync } from 'node:zlib'
import type { Context as CodecContext } from 'dcmjs-codecs'
import { checkCodeStream, checkRLE } from './code-stream.ts'
import { frameBytes, type ImagePixel } from './image-pixel.ts'
import type { JobOutcome } from './job.ts'
import { Context, log, NativeCodecs } from './library.ts'
import { byPixel } from './planes.ts'
import { deflatedFrames, encapsulatedUncompressed } from './syntaxes.ts'

type Coder = (context: CodecContext, parameters: object) => CodecContext

const base = '1.2.840.10008.1.2'
const rle = `${base}.5`

const decoders = new Map<string, Coder>([
  [rle, (context) => NativeCodecs.decodeRle(context)],
  ...['50', '51', '57', '70'].map((number): [string, Coder] => [
    `${base}.4.${number}`,
    (context, parameters) => NativeCodecs.decodeJpeg(context, parameters),
  ]),
  ...['80', '81'].map((number): [string, Coder] => [
    `${base}.4.${number}`,
    (context) => NativeCodecs.decodeJpegLs(context),
  ]),
  ...['90', '91'].map((number): [string, Coder] => [
    `${base}.4.${number}`,
    (context) => NativeCodecs.decodeJpeg2000(context),
  ]),
  ...['201', '202', '203'].map((number): [string, Coder] => [
    `${base}.4.${number}`,
    (context) => NativeCodecs.decodeHtJpeg2000(context),
  ]),
])

/**
 * To be awaited once in a thread, before anything else here.
 *
 * @param limitBytes What the codecs may take. A job that wants more fails, and nothing of them is to be used afterwards.
 */
export async function startCodecs(limitBytes: number): Promise<void> {
  // What a codec has to complain about comes as an error; nothing is to be printed.
  log.setLevel('silent')
  const { instantiate } = WebAssembly
  const limited = (bytes: BufferSource, imports: WebAssembly.Imports) => {
    // The codecs grow their memory themselves and tell so afterwards, page by page: they are stopped then.
    const env = { ...imports.env, emscripten_notify_memory_growth: refuseMore }
    return instantiate(bytes, { ...imports, env })
  }
  const refuseMore = () => {
    if (memoryBytes() <= limitBytes) return
    throw new RangeError(`it takes more than ${Math.floor(limitBytes / 2 ** 20)} MiB`)
  }
  try {
    WebAssembly.instantiate = limited as typeof instantiate
    await NativeCodecs.initializeAsync()
  } finally {
    WebAssembly.instantiate = instantiate
  }
}

/** What the codecs of this thread have taken. */
export function memoryBytes(): number {
  const { wasmApi } = NativeCodecs as unknown as { wasmApi?: { wasmMemory: WebAssembly.Memory } }
  return wasmApi?.wasmMemory.buffer.byteLength ?? 0
}

/**
 * Decodes the code stream of a frame: little endian, colour by pixel.
 *
 * What was compressed as luminance and chrominance by JPEG or JPEG 2000 becomes RGB, so that one rule holds for whoever
 * reads it. RLE and JPEG-LS keep the colour space that the data set names.
 *
 * @returns The pixels, and what they are.
 * @throws {Error} the code stream is broken, or of another image than the data set says
 */
export function decode(
  image: ImagePixel,
  transferSyntaxUID: string,
  bytes: Uint8Array,
): JobOutcome {
  if (transferSyntaxUID === encapsulatedUncompressed) return unpadded(image, bytes)
  if (transferSyntaxUID === deflatedFrames) return unpadded(image, inflated(image, bytes))
  const decoder = decoders.get(transferSyntaxUID)
  if (decoder === undefined) throw new Error('there is no decoder for this transfer syntax')
  if (transferSyntaxUID === rle) checkRLE(bytes, image)
  else checkCodeStream(bytes, image)
  const isChrominance = becomesRGB(image, transferSyntaxUID)
  const decoded = decoder(contextOf(image, { encodedBuffer: bytes }), {
    convertColorspaceToRgb: isChrominance,
  })
  const outcome: ImagePixel = {
    ...image,
    planarConfiguration: 0,
    photometricInterpretation: isChrominance ? 'RGB' : image.photometricInterpretation,
  }
  let pixels = decoded.getDecodedBuffer() ?? new Uint8Array()
  if (decoded.getPlanarConfiguration() === 1 && image.samplesPerPixel > 1) {
    pixels = byPixel(pixels, image.samplesPerPixel, image.bitsAllocated / 8)
  }
  if (pixels.length !== frameBytes(outcome)) {
    throw new Error('the code stream holds another image than the data set says')
  }
  if (image.pixelRepresentation === 1 && image.bitsAllocated === 16) extendSigns(pixels, image)
  return { bytes: pixels, image: outcome }
}

/** @throws {Error} it is broken, or longer than a frame is */
function inflated(image: ImagePixel, bytes: Uint8Array): Uint8Array {
  // An even frame, as every fragment is, may have one byte more.
  return inflateRawSync(bytes, { maxOutputLength: frameBytes(image) + 1 })
}

function unpadded(image: ImagePixel, bytes: Uint8Array): JobOutcome {
  const length = frameBytes(image)
  if (bytes.length < length) throw new Error('it is shorter than a frame')
  return { image, bytes: bytes.slice(0, length) }
}

/** Decoders of unsigned code streams leave the bits above a negative value at 0. */
function extendSigns(pixels: Uint8Array, { bitsStored }: ImagePixel): void {
  const unused = 32 - bitsStored
  const values = new Int16Array(pixels.buffer, pixels.byteOffset, pixels.byteLength / 2)
  for (let i = 0; i < values.length; i++) values[i] = ((values[i] as number) << unused) >> unused
}

/** Whether the codec transforms the colours back (PS3.5 8.2.1, 8.2.4): lossy JPEG, and RCT and ICT of JPEG 2000. */
export function becomesRGB(image: ImagePixel, transferSyntaxUID: string): boolean {
  const { photometricInterpretation: space, samplesPerPixel } = image
  if (samplesPerPixel !== 3) return false
  if (/\.4\.(50|51)$/.test(transferSyntaxUID)) return space.startsWith('YBR')
  return space === 'YBR_RCT' || space === 'YBR_ICT'
}

const encoders = new Map<string, Coder>([
  [rle, (context) => NativeCodecs.encodeRle(context)],
  [`${base}.4.70`, (context) => NativeCodecs.encodeJpeg(context, { lossy: false })],
  [`${base}.4.80`, (context) => NativeCodecs.encodeJpegLs(context, { lossy: false })],
  [`${base}.4.90`, (context) => NativeCodecs.encodeJpeg2000(context, { lossy: false })],
  [`${base}.4.201`, (context) => NativeCodecs.encodeHtJpeg2000(context, { lossy: false })],
])

/** Compresses a frame without loss, colour by pixel. @throws {Error} the codec does not take such pixels */
export function encodeLossless(
  given: ImagePixel,
  transferSyntaxUID: string,
  bytes: Uint8Array,
): JobOutcome {
  const encoder = encoders.get(transferSyntaxUID)
  if (encoder === undefined) throw new Error('there is no encoder for this transfer syntax')
  if (given.photometricInterpretation === 'YBR_FULL_422') throw new Error('it is subsampled')
  const isByPlane = given.planarConfiguration === 1 && given.samplesPerPixel > 1
  const image = { ...given, planarConfiguration: 0 }
  const decodedBuffer = isByPlane
    ? byPixel(bytes, image.samplesPerPixel, image.bitsAllocated / 8)
    : bytes
  const encoded = encoder(contextOf(image, { decodedBuffer }), {})
  const stream = encoded.getEncodedBuffer()
  if (!stream?.length) throw new Error('the encoder made nothing of it')
  const photometricInterpretation =
    encoded.getPhotometricInterpretation() ?? image.photometricInterpretation
  return { bytes: stream, image: { ...image, photometricInterpretation } }
}

export function contextOf(
  image: ImagePixel,
  buffers: { encodedBuffer?: Uint8Array; decodedBuffer?: Uint8Array },
): CodecContext {
  return new Context({
    width: image.columns,
    height: image.rows,
    bitsAllocated: image.bitsAllocated,
    bitsStored: image.bitsStored,
    samplesPerPixel: image.samplesPerPixel,
    pixelRepresentation: image.pixelRepresentation,
    planarConfiguration: image.planarConfiguration,
    photometricInterpretation: image.photometricInterpretation,
    ...buffers,
  })
}
