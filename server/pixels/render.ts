import { frameBytes, type ImagePixel } from './image-pixel.ts'
import { byPixel } from './planes.ts'
import type { LookupTable, Overlay, Picture, Rendering, Window } from './rendering.ts'
import { intoViewport } from './viewport.ts'

/**
 * Makes a picture of a frame that is not compressed: colour or grey, 8 bits a channel (PS3.18 8.3.5.1).
 *
 * @param bytes Little endian.
 * @throws {Error} a colour space, or a size of the data, that is not understood
 */
export function render(image: ImagePixel, bytes: Uint8Array, rendering: Rendering): Picture {
  if (bytes.length < frameBytes(image)) throw new Error('the frame is shorter than its size says')
  const space = image.photometricInterpretation
  const isGrey = space.startsWith('MONOCHROME')
  if ((isGrey || space === 'PALETTE COLOR') && image.samplesPerPixel !== 1) {
    throw new Error(`it is ${space} with several samples a pixel`)
  }
  const picture = isGrey
    ? renderGrey(image, samplesOf(image, bytes), rendering)
    : renderColour(image, bytes, rendering)
  for (const overlay of rendering.overlays ?? []) draw(overlay, picture)
  const { viewport, pixelAspect } = rendering
  // Without a viewport a picture has the pixels of the image, whatever their shape.
  return viewport === undefined ? picture : intoViewport(picture, viewport, pixelAspect)
}

function draw({ top, left, rows, columns, firstBit, bits }: Overlay, picture: Picture): void {
  const { width, height, channels, pixels } = picture
  for (let y = Math.max(0, -top); y < Math.min(rows, height - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(columns, width - left); x++) {
      const bit = firstBit + y * columns + x
      if ((((bits[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 0) continue
      const at = ((top + y) * width + left + x) * channels
      pixels.fill(255, at, at + channels)
    }
  }
}

type Samples =
  | Uint8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array

/** The stored values: bits that are not part of them, such as overlays of old, are masked, signs extended. */
function samplesOf(image: ImagePixel, bytes: Uint8Array): Samples {
  const { bitsAllocated, bitsStored, pixelRepresentation, isFloat } = image
  const count = image.rows * image.columns * image.samplesPerPixel
  if (bitsAllocated === 1) {
    return Uint8Array.from({ length: count }, (_, i) => ((bytes[i >> 3] as number) >> (i & 7)) & 1)
  }
  // Aligned, for typed arrays to lie on.
  const buffer = bytes.slice(0, (count * bitsAllocated) / 8).buffer
  if (isFloat) return bitsAllocated === 64 ? new Float64Array(buffer) : new Float32Array(buffer)
  if (bitsAllocated === 32) {
    return pixelRepresentation === 1 ? new Int32Array(buffer) : new Uint32Array(buffer)
  }
  if (bitsAllocated > 16) throw new Error(`${bitsAllocated} bits a sample cannot be rendered`)
  const raw = bitsAllocated === 16 ? new Uint16Array(buffer) : new Uint8Array(buffer)
  if (pixelRepresentation === 0 && bitsStored === bitsAllocated) return raw
  const signed = pixelRepresentation === 1
  const values = signed ? new Int16Array(count) : new Uint16Array(count)
  const unused = 32 - bitsStored
  for (let i = 0; i < count; i++) {
    const shifted = (raw[i] as number) << unused
    values[i] = signed ? shifted >> unused : shifted >>> unused
  }
  return values
}

function renderGrey(image: ImagePixel, samples: Samples, rendering: Rendering): Picture {
  const toOutput = greyScale(image, samples, rendering)
  const pixels = new Uint8Array(samples.length)
  if (samples instanceof Float32Array || samples instanceof Float64Array || samples.length < 4096) {
    for (let i = 0; i < samples.length; i++) pixels[i] = toOutput(samples[i] as number)
  } else {
    // There are fewer values than pixels, most times.
    const known = new Map<number, number>()
    for (let i = 0; i < samples.length; i++) {
      const stored = samples[i] as number
      let output = known.get(stored)
      if (output === undefined) {
        output = toOutput(stored)
        if (known.size < 65_536) known.set(stored, output)
      }
      pixels[i] = output
    }
  }
  return { width: image.columns, height: image.rows, channels: 1, pixels }
}

/** The whole way of a stored value to 0..255 (PS3.4 N.2). */
function greyScale(
  image: ImagePixel,
  samples: Samples,
  rendering: Rendering,
): (stored: number) => number {
  const { slope, intercept, modalityLUT, voiLUT, isInverse } = rendering
  const modality = (stored: number) =>
    modalityLUT ? lookedUp(modalityLUT, stored) : stored * slope + intercept
  const voi = voiLUT
    ? (value: number) => (lookedUp(voiLUT, value) / (2 ** voiLUT.bits - 1)) * 255
    : windowed(rendering.window ?? wholeRange(image, samples, modality, rendering.padding))
  return (stored) => {
    const value = Math.max(0, Math.min(255, Math.round(voi(modality(stored)))))
    return isInverse ? 255 - value : value
  }
}

/** Window functions (PS3.3 C.11.2.1.2 and C.11.2.1.3), to 0..255. */
export function windowed({ center, width, function: shape }: Window): (value: number) => number {
  if (shape === 'SIGMOID') return (x) => 255 / (1 + Math.exp((-4 * (x - center)) / width))
  const [middle, span] = shape === 'LINEAR' ? [center - 0.5, width - 1] : [center, width]
  return (x) => {
    if (x <= middle - span / 2) return 0
    if (x > middle + span / 2) return 255
    return ((x - middle) / span + 0.5) * 255
  }
}

/** From the least to the largest value of the frame; of one that is all the same, that is black. */
function wholeRange(
  { bitsStored }: ImagePixel,
  samples: Samples,
  modality: (stored: number) => number,
  padding: Rendering['padding'],
): Window {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  const [first, last] = padding ?? [1, 0]
  for (let i = 0; i < samples.length; i++) {
    const stored = samples[i] as number
    if ((stored >= first && stored <= last) || !Number.isFinite(stored)) continue
    if (stored < low) low = stored
    if (stored > high) high = stored
  }
  if (low > high) low = high = 0
  // One bit is a mask: all of it may be set.
  if (bitsStored === 1) [low, high] = [0, 1]
  const [one, other] = [modality(low), modality(high)]
  const width = Math.abs(other - one)
  if (width === 0) return { center: one + 1, width: 1, function: 'LINEAR_EXACT' }
  return { center: (one + other) / 2, width, function: 'LINEAR_EXACT' }
}

function lookedUp({ first, values }: LookupTable, value: number): number {
  const index = Math.max(0, Math.min(values.length - 1, Math.round(value) - first))
  return values[index] as number
}

function renderColour(image: ImagePixel, bytes: Uint8Array, rendering: Rendering): Picture {
  const { rows, columns, photometricInterpretation: space } = image
  const picture = { width: columns, height: rows, channels: 3 as const }
  if (space === 'PALETTE COLOR') {
    return { ...picture, pixels: throughPalette(samplesOf(image, bytes), rendering) }
  }
  if (image.samplesPerPixel !== 3) throw new Error(`${space} cannot be rendered`)
  if (space === 'YBR_FULL_422' && image.bitsAllocated === 8) {
    return { ...picture, pixels: toRGB(unpacked422(bytes, rows * columns)) }
  }
  const samples = eightBits(image, samplesOf({ ...image, pixelRepresentation: 0 }, bytes))
  const pixels = image.planarConfiguration === 1 ? byPixel(samples, 3) : samples
  if (space === 'RGB') return { ...picture, pixels }
  if (space === 'YBR_FULL') return { ...picture, pixels: toRGB(pixels) }
  throw new Error(`${space} cannot be rendered`)
}

function eightBits({ bitsStored }: ImagePixel, samples: Samples): Uint8Array {
  if (samples instanceof Uint8Array) return samples
  const most = 2 ** bitsStored - 1
  return Uint8Array.from(samples as Uint16Array, (value) => Math.round((value / most) * 255))
}

function throughPalette(samples: Samples, { palette }: Rendering): Uint8Array {
  if (palette === undefined) throw new Error('the palette is missing')
  const pixels = new Uint8Array(samples.length * 3)
  for (let i = 0; i < samples.length; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const lut = palette[channel] as LookupTable
      const value = lookedUp(lut, samples[i] as number)
      pixels[i * 3 + channel] = lut.bits > 8 ? value >> (lut.bits - 8) : value
    }
  }
  return pixels
}

/** Y1 Y2 Cb Cr for each pair of pixels (PS3.3 C.7.6.3.1.2). */
function unpacked422(bytes: Uint8Array, count: number): Uint8Array {
  const pixels = new Uint8Array(count * 3)
  for (let i = 0; i < count; i++) {
    const pair = (i >> 1) * 4
    pixels[i * 3] = bytes[pair + (i & 1)] as number
    pixels[i * 3 + 1] = bytes[pair + 2] as number
    pixels[i * 3 + 2] = bytes[pair + 3] as number
  }
  return pixels
}

/** YBR_FULL to RGB (PS3.3 C.7.6.3.1.2, CCIR 601-2). */
function toRGB(ybr: Uint8Array): Uint8Array {
  const rgb = new Uint8ClampedArray(ybr.length)
  for (let i = 0; i < ybr.length; i += 3) {
    const y = ybr[i] as number
    const blue = (ybr[i + 1] as number) - 128
    const red = (ybr[i + 2] as number) - 128
    rgb[i] = y + 1.402 * red
    rgb[i + 1] = y - 0.344136 * blue - 0.714136 * red
    rgb[i + 2] = y + 1.772 * blue
  }
  return new Uint8Array(rgb.buffer)
}
