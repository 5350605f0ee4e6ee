import { transferSyntaxes } from '../dicom/transfer-syntaxes.ts'
import type { MediaType } from '../multipart/media-type.ts'

/** How a part of Pixel Data is encoded. */
export interface PixelEncoding {
  /** Of encapsulated frames; undefined for octets that are the value itself. */
  transferSyntaxUID: string | undefined
  /** One part holds all frames. */
  isVideo: boolean
}

const base = '1.2.840.10008.1.2'
const jpegXL = ['4.110', '4.111', '4.112']
const mpeg2 = ['4.100', '4.100.1', '4.101', '4.101.1']
const h264 = [
  '4.102',
  '4.102.1',
  '4.103',
  '4.103.1',
  '4.104',
  '4.104.1',
  '4.105',
  '4.105.1',
  '4.106',
  '4.106.1',
]
const h265 = ['4.107', '4.108']
const jpeg = ['50', '51', '52', '53', '54', '55', '56', '57', '58', '59', '60', '61', '62', '63']

/**
 * The transfer syntaxes of each media type, the default one first: it holds where a part has no `transfer-syntax`.
 *
 * PS3.18 Tables 8.7.3-2, 8.7.3-4 and 8.7.3-5. The default of image/jpeg is lossless, so a baseline image needs the
 * parameter. image/gif and image/png have no transfer syntax; they would have to be decoded, and are not taken (MB-8).
 */
const syntaxesOf: ReadonlyMap<string, { isVideo: boolean; suffixes: string[] }> = new Map([
  ...frames('image/jpeg', ['4.70', ...[...jpeg, '64', '65', '66'].map((number) => `4.${number}`)]),
  ...frames('image/jls', ['4.80', '4.81']),
  ...frames('image/jp2', ['4.90', '4.91']),
  ...frames('image/jpx', ['4.92', '4.93']),
  ...frames('image/jph', ['4.201', '4.202', '4.203']),
  ...frames('image/jphc', ['4.201', '4.202', '4.203']),
  ...frames('image/jxl', jpegXL),
  ...frames('image/dicom-rle', ['5']),
  // Names from before 2016 (PS3.18 2014, 6.1.1), which some clients still send.
  ...frames('image/x-jls', ['4.80', '4.81']),
  ...frames('image/x-dicom-rle', ['5']),
  ...videos('video/mpeg', mpeg2),
  ...videos('video/mpeg2', mpeg2),
  ...videos('video/mp4', h264),
  ...videos('video/h265', h265),
])

const native = [base, `${base}.1`]

/** @returns undefined when this media type, or this transfer syntax in it, cannot be Pixel Data. */
export function pixelEncodingOf({
  mediaType,
}: {
  mediaType: MediaType
}): PixelEncoding | undefined {
  const named = mediaType.parameters.get('transfer-syntax')
  if (mediaType.type === 'application/octet-stream') {
    if (named === undefined || native.includes(named)) {
      return { transferSyntaxUID: undefined, isVideo: false }
    }
    return transferSyntaxes.get(named)?.encapsulated
      ? { transferSyntaxUID: named, isVideo: isVideoSyntax(named) }
      : undefined
  }
  const known = syntaxesOf.get(mediaType.type)
  if (known === undefined) return undefined
  const uids = known.suffixes.map((suffix) => `${base}.${suffix}`)
  const transferSyntaxUID = named ?? (uids[0] as string)
  return uids.includes(transferSyntaxUID)
    ? { transferSyntaxUID, isVideo: known.isVideo }
    : undefined
}

function isVideoSyntax(uid: string): boolean {
  return [...mpeg2, ...h264, ...h265].includes(uid.slice(base.length + 1))
}

function frames(
  type: string,
  suffixes: string[],
): [string, { isVideo: boolean; suffixes: string[] }][] {
  return [[type, { isVideo: false, suffixes }]]
}

function videos(
  type: string,
  suffixes: string[],
): [string, { isVideo: boolean; suffixes: string[] }][] {
  return [[type, { isVideo: true, suffixes }]]
}
