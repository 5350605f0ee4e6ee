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
const htj2k = ['4.201', '4.202', '4.203']
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
const jpeg = Array.from({ length: 17 }, (_, index) => 50 + index)

/**
 * The transfer syntaxes of each media type, the default one first: it holds where a part has no `transfer-syntax`.
 *
 * PS3.18 Tables 8.7.3-2, 8.7.3-4 and 8.7.3-5. The default of image/jpeg is lossless; see `JpegProcess`. image/gif and
 * image/png have no transfer syntax; they would have to be decoded, and are not taken (MB-8).
 */
const media: [type: string, isVideo: boolean, suffixes: string[]][] = [
  ['image/jpeg', false, ['4.70', ...jpeg.map((number) => `4.${number}`)]],
  ['image/jls', false, ['4.80', '4.81']],
  ['image/jp2', false, ['4.90', '4.91']],
  ['image/jpx', false, ['4.92', '4.93']],
  ['image/jph', false, htj2k],
  ['image/jphc', false, htj2k],
  ['image/jxl', false, ['4.110', '4.111', '4.112']],
  ['image/dicom-rle', false, ['5']],
  ['video/mpeg', true, mpeg2],
  ['video/mpeg2', true, mpeg2],
  ['video/mp4', true, h264],
  ['video/h265', true, h265],
]

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
  const [, isVideo = false, suffixes = []] = media.find(([type]) => type === mediaType.type) ?? []
  const uids = suffixes.map((suffix) => `${base}.${suffix}`)
  const transferSyntaxUID = named ?? uids[0]
  if (transferSyntaxUID === undefined || !uids.includes(transferSyntaxUID)) return undefined
  return { transferSyntaxUID, isVideo }
}

function isVideoSyntax(uid: string): boolean {
  return [...mpeg2, ...h264, ...h265].includes(uid.slice(base.length + 1))
}
