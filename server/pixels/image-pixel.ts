import type { DicomJson } from '../dicom/json-to-xml.ts'

/** How the pixels of an instance are written: the Image Pixel module (PS3.3 C.7.6.3), and where they are. */
export interface ImagePixel {
  rows: number
  columns: number
  samplesPerPixel: number
  photometricInterpretation: string
  /** 0: colour by pixel; 1: colour by plane. */
  planarConfiguration: number
  bitsAllocated: number
  bitsStored: number
  /** 0: unsigned; 1: two's complement. */
  pixelRepresentation: number
  numberOfFrames: number
  /** Float Pixel Data and Double Float Pixel Data hold IEEE numbers (PS3.3 C.7.6.24). */
  isFloat: boolean
  /** What holds them: `7FE00010`, `7FE00008` or `7FE00009`, and its VR. */
  tag: string
  vr: string
  /** Bytes from the front of the file, as metadata count them; of encapsulated data, of its first item. */
  offset: number
  length: number
}

/**
 * What metadata say of an instance's pixels; undefined where it has none, or where they cannot be understood.
 *
 * What a writer left out is what it nearly always is: Bits Stored as many as allocated, one sample, unsigned.
 */
export function imagePixelOf(metadata: DicomJson): ImagePixel | undefined {
  const tag = ['7FE00010', '7FE00008', '7FE00009'].find((tag) => metadata[tag]?.BulkDataURI)
  const attribute = tag === undefined ? undefined : metadata[tag]
  const range = /(\d+)-(\d+)$/.exec(attribute?.BulkDataURI ?? '')
  const rows = numberOf(metadata, '00280010', 0)
  const columns = numberOf(metadata, '00280011', 0)
  if (tag === undefined || attribute === undefined || range === null) return undefined
  if (rows < 1 || columns < 1) return undefined
  const samplesPerPixel = numberOf(metadata, '00280002', 1)
  const bitsAllocated = numberOf(metadata, '00280100', { '7FE00008': 32, '7FE00009': 64 }[tag] ?? 8)
  if (![1, 8, 16, 32, 64].includes(bitsAllocated) || samplesPerPixel < 1) return undefined
  const image = {
    rows,
    columns,
    samplesPerPixel,
    photometricInterpretation:
      textOf(metadata, '00280004') ?? (samplesPerPixel === 3 ? 'RGB' : 'MONOCHROME2'),
    planarConfiguration: numberOf(metadata, '00280006', 0),
    bitsAllocated,
    bitsStored: Math.min(numberOf(metadata, '00280101', bitsAllocated), bitsAllocated),
    pixelRepresentation: numberOf(metadata, '00280103', 0),
    numberOfFrames: Math.max(1, Math.floor(numberOf(metadata, '00280008', 1))),
    isFloat: tag !== '7FE00010',
    tag,
    vr: attribute.vr,
    offset: Number(range[1]),
    length: Number(range[2]),
  }
  return Number.isFinite(frameBits(image)) ? image : undefined
}

/** Bits of one frame when it is not compressed. Frames of one bit a pixel follow each other without a gap (PS3.5 8.1.1). */
export function frameBits(image: ImagePixel): number {
  const { rows, columns, samplesPerPixel, bitsAllocated } = image
  // PS3.3 C.7.6.3.1.2: two luminances and one of each chrominance for each pair of pixels.
  const samples = image.photometricInterpretation === 'YBR_FULL_422' ? 2 : samplesPerPixel
  return rows * columns * samples * bitsAllocated
}

/** Bytes that one frame takes on its own. */
export function frameBytes(image: ImagePixel): number {
  return Math.ceil(frameBits(image) / 8)
}

export function numberOf(metadata: DicomJson, tag: string, otherwise: number): number {
  const value = metadata[tag]?.Value?.[0]
  const number = value === undefined || value === null ? Number.NaN : Number(value)
  return Number.isFinite(number) ? number : otherwise
}

export function textOf(metadata: DicomJson, tag: string): string | undefined {
  const value = metadata[tag]?.Value?.[0]
  return typeof value === 'string' ? value.trim() : undefined
}
