/** How the bytes after the File Meta Information are written. */
export interface TransferSyntax {
  /** Implicit VR; else explicit. */
  implicit: boolean
  bigEndian: boolean
  /** The whole data set is deflated (PS3.5 A.5). */
  deflated: boolean
  /** Pixel Data is a sequence of fragments (PS3.5 A.4). */
  encapsulated: boolean
}

const native = { implicit: false, bigEndian: false, deflated: false, encapsulated: false }
const fragments = { ...native, encapsulated: true }
const base = '1.2.840.10008.1.2'

/**
 * The transfer syntaxes that a stored file may have (PS3.6 Table A-1, PS3.5 Annex A), retired ones included.
 *
 * Not in it, and so refused: those whose pixel data is elsewhere (JPIP, 4.94, 4.95, 4.204, 4.205), those of
 * transport only (6.1 MIME, 6.2 XML, 7.x real-time video), Papyrus, and every private one.
 */
export const transferSyntaxes: ReadonlyMap<string, TransferSyntax> = new Map([
  [base, { ...native, implicit: true }],
  [`${base}.1`, native],
  [`${base}.1.98`, fragments],
  [`${base}.1.99`, { ...native, deflated: true }],
  [`${base}.2`, { ...native, bigEndian: true }],
  ...encapsulated('4', [
    // JPEG: baseline, extended, and the retired processes; lossless.
    ...['50', '51', '52', '53', '54', '55', '56', '57', '58', '59', '60', '61', '62', '63', '64'],
    ...['65', '66', '70'],
    // JPEG-LS, JPEG 2000 and its part 2.
    ...['80', '81', '90', '91', '92', '93'],
    // MPEG2, MPEG-4 AVC/H.264, HEVC/H.265; .1 is the fragmentable form.
    ...['100', '100.1', '101', '101.1', '102', '102.1', '103', '103.1', '104', '104.1'],
    ...['105', '105.1', '106', '106.1', '107', '108'],
    // JPEG XL: lossless, recompressed JPEG, lossy.
    ...['110', '111', '112'],
    // High-Throughput JPEG 2000.
    ...['201', '202', '203'],
  ]),
  // RLE lossless; deflated image frames.
  ...encapsulated('5', ['']),
  ...encapsulated('8', ['1']),
])

function encapsulated(group: string, numbers: string[]): [string, TransferSyntax][] {
  return numbers.map((number) => [
    number === '' ? `${base}.${group}` : `${base}.${group}.${number}`,
    fragments,
  ])
}
