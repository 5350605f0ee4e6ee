const base = '1.2.840.10008.1.2'

export const explicitLittleEndian = `${base}.1`
/** Pixels as they are, in a fragment for each frame. */
export const encapsulatedUncompressed = `${base}.1.98`
/** Each frame deflated (RFC 1951), as one fragment. */
export const deflatedFrames = `${base}.8.1`

/** What can be done with frames in a transfer syntax. */
export interface FrameSyntax {
  /** PS3.18 Tables 8.7.3-3 to 8.7.3-5. */
  mediaType: string
  /** Other names of it that clients use. */
  aliases?: readonly string[]
  /** The one that the media type means when it names none. */
  isDefault?: boolean
  /** To pixels. */
  canDecode?: boolean
  /** From pixels, without loss. */
  canEncode?: boolean
  /** One stream for all frames, whatever its fragments are (PS3.5 8.2.5 to 8.2.8). */
  isVideo?: boolean
}

const jpeg = { mediaType: 'image/jpeg', canDecode: true }
const jls = { mediaType: 'image/jls', aliases: ['image/x-jls'], canDecode: true }
const jp2 = { mediaType: 'image/jp2', canDecode: true }
const jphc = { mediaType: 'image/jphc', canDecode: true }
const jxl = { mediaType: 'image/jxl' }
const video = (mediaType: string, numbers: string[]): [string, FrameSyntax][] =>
  numbers.map((number) => [`${base}.4.${number}`, { mediaType, isVideo: true }])

/** The encapsulated transfer syntaxes that have a media type. */
export const frameSyntaxes: ReadonlyMap<string, FrameSyntax> = new Map<string, FrameSyntax>([
  [encapsulatedUncompressed, { mediaType: 'application/octet-stream', canDecode: true }],
  [deflatedFrames, { mediaType: 'application/octet-stream', canDecode: true }],
  [`${base}.4.50`, jpeg],
  [`${base}.4.51`, jpeg],
  [`${base}.4.57`, jpeg],
  [`${base}.4.70`, { ...jpeg, isDefault: true, canEncode: true }],
  [`${base}.4.80`, { ...jls, isDefault: true, canEncode: true }],
  [`${base}.4.81`, jls],
  [`${base}.4.90`, { ...jp2, isDefault: true, canEncode: true }],
  [`${base}.4.91`, jp2],
  [`${base}.4.92`, { mediaType: 'image/jpx', isDefault: true }],
  [`${base}.4.93`, { mediaType: 'image/jpx' }],
  [`${base}.4.110`, { ...jxl, isDefault: true }],
  [`${base}.4.111`, jxl],
  [`${base}.4.112`, jxl],
  [`${base}.4.201`, { ...jphc, isDefault: true, canEncode: true }],
  [`${base}.4.202`, jphc],
  [`${base}.4.203`, jphc],
  [
    `${base}.5`,
    {
      mediaType: 'image/dicom-rle',
      aliases: ['image/x-dicom-rle'],
      isDefault: true,
      canDecode: true,
      canEncode: true,
    },
  ],
  ...video('video/mpeg', ['100', '100.1', '101', '101.1']),
  ...video('video/mp4', ['102', '102.1', '103', '103.1', '104', '104.1', '105', '105.1']),
  ...video('video/mp4', ['106', '106.1', '107', '108']),
])
