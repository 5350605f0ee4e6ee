import { contextOf, decode, encodeLossless } from './codecs.ts'
import { gifFrame, gifHead, gifTail } from './gif.ts'
import { jpegWithProfile } from './icc-profile.ts'
import type { ImagePixel } from './image-pixel.ts'
import type { Job, JobOutcome, RenderJob } from './job.ts'
import { NativeCodecs } from './library.ts'
import { encodePNG } from './png.ts'
import { render } from './render.ts'
import type { Picture } from './rendering.ts'
import { explicitLittleEndian } from './syntaxes.ts'

/** Does what a codec worker is asked for. @throws {Error} it cannot be done with this frame */
export function doJob(job: Job): JobOutcome {
  const { image, transferSyntaxUID, bytes } = job
  if (job.kind === 'decode') return decode(image, transferSyntaxUID, bytes)
  if (job.kind === 'encode') {
    const encoded = encodeLossless(image, transferSyntaxUID, bytes)
    return { ...encoded, bytes: ownBytes(encoded.bytes) }
  }
  // All else is a code stream, whether there is a decoder for it or not.
  const frame =
    transferSyntaxUID === explicitLittleEndian
      ? { image, bytes }
      : decode(image, transferSyntaxUID, bytes)
  const picture = render(frame.image, frame.bytes, job.rendering)
  const shown = { ...frame.image, rows: picture.height, columns: picture.width }
  return {
    image: { ...shown, samplesPerPixel: picture.channels },
    bytes: ownBytes(encodePicture(picture, job)),
  }
}

function encodePicture(picture: Picture, job: RenderJob): Uint8Array {
  const { type, quality, delayMs } = job
  // Profiles of RGB belong to no grey; GIF has no room for one that readers know.
  const iccProfile = picture.channels === 3 ? job.rendering.iccProfile : undefined
  if (type === 'image/png') return encodePNG(picture, iccProfile)
  if (type === 'gif-frame') return gifFrame(picture, delayMs)
  if (type === 'image/gif') return Buffer.concat([gifHead(picture), gifFrame(picture, 0), gifTail])
  const jpeg = encodeJPEG(picture, quality)
  return iccProfile === undefined ? jpeg : jpegWithProfile(jpeg, iccProfile)
}

function encodeJPEG({ width, height, channels, pixels }: Picture, quality: number): Uint8Array {
  const image = {
    rows: height,
    columns: width,
    samplesPerPixel: channels,
    photometricInterpretation: channels === 1 ? 'MONOCHROME2' : 'RGB',
    planarConfiguration: 0,
    bitsAllocated: 8,
    bitsStored: 8,
    pixelRepresentation: 0,
  } as ImagePixel
  const context = contextOf(image, { decodedBuffer: pixels })
  const encoded = NativeCodecs.encodeJpeg(context, { lossy: true, quality })
  return encoded.getEncodedBuffer() ?? new Uint8Array()
}

/** In a buffer of its own, which can be moved to another thread. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)
}
