import type { ImagePixel } from './image-pixel.ts'

/** What a code stream says of itself, before anybody decodes it. */
export interface CodeStreamSize {
  rows: number
  columns: number
  samplesPerPixel: number
  bits: number
}

/**
 * Holds the frame header of a JPEG, JPEG-LS or JPEG 2000 code stream against the data set, so that a few bytes cannot
 * make a decoder take memory for an image of any size.
 *
 * @throws {Error} no frame header, or that of an image of another size
 */
export function checkCodeStream(bytes: Uint8Array, image: ImagePixel): void {
  const size = sizeOf(bytes)
  if (size === undefined) throw new Error('the code stream has no frame header')
  const isSame =
    size.rows === image.rows &&
    size.columns === image.columns &&
    size.samplesPerPixel === image.samplesPerPixel &&
    size.bits <= image.bitsAllocated
  if (!isSame) throw new Error('the code stream holds another image than the data set says')
}

/**
 * Holds the header of an RLE frame (PS3.5 G.5) against the data set: a segment for each byte of a pixel, one after
 * another.
 *
 * @throws {Error} another number of segments, or offsets that are none
 */
export function checkRLE(bytes: Uint8Array, { samplesPerPixel, bitsAllocated }: ImagePixel): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const segments = Math.ceil(bitsAllocated / 8) * samplesPerPixel
  const isHeader = bytes.length > 64 && view.getUint32(0, true) === segments && segments <= 15
  let last = 63
  for (let i = 0; isHeader && i < segments; i++) {
    const offset = view.getUint32(4 + i * 4, true)
    if (offset <= last || offset >= bytes.length) throw new Error('the RLE segments overlap')
    last = offset
  }
  if (!isHeader) throw new Error('the RLE header is that of another image than the data set says')
}

/** Reads the first frame header: SOFn of JPEG (ITU-T T.81 B.2.2) and JPEG-LS (T.87 C.2.2), SIZ of JPEG 2000 (T.800 A.5.1). */
export function sizeOf(bytes: Uint8Array): CodeStreamSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12) return undefined
  if (view.getUint16(0) === 0xffd8) return sizeOfJpeg(view)
  const at = view.getUint16(0) === 0xff4f ? 0 : codeStreamInBoxes(view)
  return at === undefined ? undefined : sizeOfJpeg2000(view, at)
}

function sizeOfJpeg(view: DataView): CodeStreamSize | undefined {
  for (let at = 2; at + 10 <= view.byteLength; ) {
    const marker = view.getUint16(at)
    if (marker >>> 8 !== 0xff) return undefined
    // A marker may be preceded by any number of FF.
    if (marker === 0xffff) {
      at++
      continue
    }
    const isFrame = (marker >= 0xffc0 && marker <= 0xffcf) || marker === 0xfff7
    if (isFrame && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return {
        bits: view.getUint8(at + 4),
        rows: view.getUint16(at + 5),
        columns: view.getUint16(at + 7),
        samplesPerPixel: view.getUint8(at + 9),
      }
    }
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

function sizeOfJpeg2000(view: DataView, at: number): CodeStreamSize | undefined {
  if (at + 43 > view.byteLength || view.getUint16(at + 2) !== 0xff51) return undefined
  return {
    columns: view.getUint32(at + 8) - view.getUint32(at + 16),
    rows: view.getUint32(at + 12) - view.getUint32(at + 20),
    samplesPerPixel: view.getUint16(at + 40),
    bits: (view.getUint8(at + 42) & 0x7f) + 1,
  }
}

/** JP2 puts the code stream in a box of type `jp2c` (T.800 Annex I); DICOM does not allow it, writers do it. */
function codeStreamInBoxes(view: DataView): number | undefined {
  for (let at = 0; at + 8 <= view.byteLength; ) {
    const length = view.getUint32(at)
    if (view.getUint32(at + 4) === 0x6a703263) return at + 8
    if (length < 8) return undefined
    at += length
  }
  return undefined
}
