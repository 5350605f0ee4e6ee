import { Buffer } from 'node:buffer'
import { deflateRawSync } from 'node:zlib'
import { noteSentNames } from './sent-names.ts'

/** A value as a test writes it. Text is padded to even length by the writer; bytes are taken as they are. */
export type DicomValue = string | number | bigint | (string | number | bigint)[] | Uint8Array

/**
 * One data element.
 *
 * `items` makes a sequence (the `vr` is SQ then); `value` anything else. Neither makes an empty value.
 */
export interface DicomElement {
  /** Eight hexadecimal digits: `00100010`. */
  tag: string
  vr: string
  value?: DicomValue
  /** The items of a sequence, each a list of elements. */
  items?: DicomElement[][]
  /** Writes sequence and items with undefined length (FFFFFFFF) and delimiters. Default false. */
  undefinedLength?: boolean
  /** Writes this length instead of the true one: for files that lie. */
  claimedLength?: number
}

export interface DicomFileOptions {
  sopClassUID?: string
  /** Default: another one at each call. */
  sopInstanceUID?: string
  studyInstanceUID?: string
  seriesInstanceUID?: string
  /** Default Explicit VR Little Endian. The data set and the pixel data are encoded as it demands. */
  transferSyntaxUID?: string
  specificCharacterSet?: string
  patientID?: string
  /** Written in latin-1: give bytes by `elements` for another character set. */
  patientName?: string
  studyDate?: string
  studyDescription?: string
  accessionNumber?: string
  modality?: string
  seriesNumber?: number
  instanceNumber?: number
  numberOfFrames?: number
  rows?: number
  columns?: number
  /**
   * The pixel data: a number of zero bytes, the bytes, or for an encapsulated transfer syntax the fragments.
   * Default `rows * columns * 2` zero bytes; null leaves the element out.
   */
  pixelBytes?: number | Uint8Array | Uint8Array[] | null
  /** More elements of the root; one with a tag that is there already takes its place. */
  elements?: DicomElement[]
  /** Tags to leave out of the root (`0020000D`) or of the File Meta Information (`00020010`). */
  without?: string[]
  /** Elements of the File Meta Information that replace or join the usual ones. */
  meta?: DicomElement[]
  /** Elements in the order given, not by tag. Default false. */
  unsorted?: boolean
}

export const implicitLittleEndian = '1.2.840.10008.1.2'
export const explicitLittleEndian = '1.2.840.10008.1.2.1'
export const deflatedLittleEndian = '1.2.840.10008.1.2.1.99'
export const explicitBigEndian = '1.2.840.10008.1.2.2'
export const jpegBaseline = '1.2.840.10008.1.2.4.50'

const root = '1.2.826.0.1.3680043.10.1474'
let lastUID = 0

/** A UID that no other call in this process returns. */
export function uniqueUID(): string {
  lastUID++
  return `${root}.${process.pid}.${lastUID}`
}

/**
 * Writes one PS3.10 file: a valid small CT-like instance, changed by what the options say.
 *
 * ```ts
 * dicomFile()                                               // 16 x 16 CT, another SOP Instance UID each time
 * dicomFile({ studyInstanceUID, seriesInstanceUID, patientID: 'P1', pixelBytes: 50_000_000 })
 * dicomFile({ transferSyntaxUID: jpegBaseline, pixelBytes: [frame1, frame2] })
 * dicomFile({ without: ['0020000D'] })                      // no Study Instance UID
 * dicomFile({ elements: [{ tag: '00400275', vr: 'SQ', items: [[{ tag: '00400007', vr: 'LO', value: 'Head' }]] }] })
 * ```
 *
 * Needs time and memory in proportion to the file; the pixel data is copied once.
 */
export function dicomFile(options: DicomFileOptions = {}): Buffer {
  const sopClassUID = options.sopClassUID ?? '1.2.840.10008.5.1.4.1.1.2'
  const sopInstanceUID = options.sopInstanceUID ?? uniqueUID()
  const transferSyntaxUID = options.transferSyntaxUID ?? explicitLittleEndian
  const without = new Set(options.without)
  const meta = merged(
    [
      { tag: '00020001', vr: 'OB', value: Uint8Array.of(0, 1) },
      { tag: '00020002', vr: 'UI', value: sopClassUID },
      { tag: '00020003', vr: 'UI', value: sopInstanceUID },
      { tag: '00020010', vr: 'UI', value: transferSyntaxUID },
      { tag: '00020012', vr: 'UI', value: `${root}.1` },
    ],
    options.meta,
    without,
  )
  meta.sort(byTag)
  const metaBytes = Buffer.concat(meta.flatMap((element) => encode(element, metaSyntax)))
  const groupLength = { tag: '00020000', vr: 'UL', value: metaBytes.length }
  const head: Buffer[] = [Buffer.alloc(128), Buffer.from('DICM', 'latin1')]
  if (!without.has('00020000')) head.push(...encode(groupLength, metaSyntax))
  head.push(metaBytes)

  const elements = merged(
    usualElements(options, sopClassUID, sopInstanceUID),
    options.elements,
    without,
  )
  noteSentNames(elements)
  if (options.unsorted !== true) elements.sort(byTag)
  const body = dataSet(elements, transferSyntaxUID)
  if (transferSyntaxUID === deflatedLittleEndian)
    body.splice(0, body.length, deflateRawSync(Buffer.concat(body)))
  return Buffer.concat([...head, ...body])
}

/** The bytes of a data set alone, without preamble and File Meta Information. */
export function dataSet(
  elements: DicomElement[],
  transferSyntaxUID = explicitLittleEndian,
): Buffer[] {
  const syntax = {
    explicit: transferSyntaxUID !== implicitLittleEndian,
    bigEndian: transferSyntaxUID === explicitBigEndian,
    encapsulated: /^1\.2\.840\.10008\.1\.2\.(4\.|5$|1\.98$|8\.1$)/.test(transferSyntaxUID),
  }
  return elements.flatMap((element) => encode(element, syntax))
}

function byTag(a: DicomElement, b: DicomElement): number {
  return a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : 0
}

interface Syntax {
  explicit: boolean
  bigEndian: boolean
  encapsulated: boolean
}

const metaSyntax: Syntax = { explicit: true, bigEndian: false, encapsulated: false }
const longForm = new Set('OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' '))
const zeroPadded = new Set(['UI', 'OB', 'UN'])
const numberBytes: Record<string, number> = {
  US: 2,
  SS: 2,
  UL: 4,
  SL: 4,
  FL: 4,
  FD: 8,
  UV: 8,
  SV: 8,
  AT: 4,
}

function usualElements(
  options: DicomFileOptions,
  sopClassUID: string,
  sopInstanceUID: string,
): DicomElement[] {
  const { rows = 16, columns = 16, pixelBytes = rows * columns * 2 } = options
  const elements: DicomElement[] = [
    { tag: '00080016', vr: 'UI', value: sopClassUID },
    { tag: '00080018', vr: 'UI', value: sopInstanceUID },
    { tag: '00080020', vr: 'DA', value: options.studyDate ?? '20260314' },
    { tag: '00080030', vr: 'TM', value: '101500' },
    { tag: '00080050', vr: 'SH', value: options.accessionNumber ?? 'A1' },
    { tag: '00080060', vr: 'CS', value: options.modality ?? 'CT' },
    { tag: '00081030', vr: 'LO', value: options.studyDescription ?? 'Head' },
    { tag: '00100010', vr: 'PN', value: options.patientName ?? 'Doe^Jane' },
    { tag: '00100020', vr: 'LO', value: options.patientID ?? 'P1' },
    { tag: '0020000D', vr: 'UI', value: options.studyInstanceUID ?? `${root}.2` },
    { tag: '0020000E', vr: 'UI', value: options.seriesInstanceUID ?? `${root}.2.1` },
    { tag: '00200011', vr: 'IS', value: String(options.seriesNumber ?? 1) },
    { tag: '00200013', vr: 'IS', value: String(options.instanceNumber ?? 1) },
    { tag: '00280002', vr: 'US', value: 1 },
    { tag: '00280010', vr: 'US', value: rows },
    { tag: '00280011', vr: 'US', value: columns },
    { tag: '00280100', vr: 'US', value: 16 },
    { tag: '00280103', vr: 'US', value: 0 },
  ]
  if (options.specificCharacterSet !== undefined) {
    elements.push({ tag: '00080005', vr: 'CS', value: options.specificCharacterSet })
  }
  if (options.numberOfFrames !== undefined) {
    elements.push({ tag: '00280008', vr: 'IS', value: String(options.numberOfFrames) })
  }
  if (pixelBytes !== null) elements.push(pixelData(pixelBytes))
  return elements
}

/** Fragments travel as items of bytes; `encode` writes them as PS3.5 A.4 says. */
function pixelData(pixelBytes: number | Uint8Array | Uint8Array[]): DicomElement {
  const element: DicomElement = { tag: '7FE00010', vr: 'OW' }
  if (Array.isArray(pixelBytes))
    return {
      ...element,
      vr: 'OB',
      items: pixelBytes.map((value) => [{ tag: '', vr: 'OB', value }]),
    }
  return {
    ...element,
    value: typeof pixelBytes === 'number' ? Buffer.alloc(pixelBytes) : pixelBytes,
  }
}

function merged(
  usual: DicomElement[],
  others: DicomElement[] = [],
  without: Set<string>,
): DicomElement[] {
  const replaced = new Set([...without, ...others.map((element) => element.tag)])
  return [...usual.filter((element) => !replaced.has(element.tag)), ...others]
}

function encode(element: DicomElement, syntax: Syntax): Buffer[] {
  if (element.tag === '7FE00010' && syntax.encapsulated) return encapsulated(element, syntax)
  if (element.items !== undefined) return sequence(element, element.items, syntax)
  const value = valueBytes(element, syntax)
  return [header(element, element.claimedLength ?? value.length, syntax), value]
}

function sequence(element: DicomElement, items: DicomElement[][], syntax: Syntax): Buffer[] {
  const open = element.undefinedLength === true
  const parts = items.flatMap((item) => {
    const content = item.flatMap((child) => encode(child, syntax))
    if (!open) return [delimiter(0xe000, sizeOf(content), syntax), ...content]
    return [delimiter(0xe000, 0xffffffff, syntax), ...content, delimiter(0xe00d, 0, syntax)]
  })
  if (open) parts.push(delimiter(0xe0dd, 0, syntax))
  const length = element.claimedLength ?? (open ? 0xffffffff : sizeOf(parts))
  return [header(element, length, syntax), ...parts]
}

function encapsulated(element: DicomElement, syntax: Syntax): Buffer[] {
  const fragments = element.items?.map((item) => bytesOf(item[0]?.value)) ?? [
    bytesOf(element.value),
  ]
  return [
    header({ tag: element.tag, vr: 'OB' }, 0xffffffff, syntax),
    delimiter(0xe000, 0, syntax),
    ...fragments.flatMap((bytes) => [delimiter(0xe000, bytes.length, syntax), bytes]),
    delimiter(0xe0dd, 0, syntax),
  ]
}

function header(element: DicomElement, length: number, syntax: Syntax): Buffer {
  const long = syntax.explicit && longForm.has(element.vr)
  const bytes = Buffer.alloc(long ? 12 : 8)
  const group = Number.parseInt(element.tag.slice(0, 4), 16)
  const number = Number.parseInt(element.tag.slice(4), 16)
  put(bytes, group, 0, 2, syntax)
  put(bytes, number, 2, 2, syntax)
  if (syntax.explicit) bytes.write(element.vr, 4, 2, 'latin1')
  if (syntax.explicit && !long) put(bytes, length, 6, 2, syntax)
  else put(bytes, length, long ? 8 : 4, 4, syntax)
  return bytes
}

function delimiter(number: number, length: number, syntax: Syntax): Buffer {
  const bytes = Buffer.alloc(8)
  put(bytes, 0xfffe, 0, 2, syntax)
  put(bytes, number, 2, 2, syntax)
  put(bytes, length, 4, 4, syntax)
  return bytes
}

function put(bytes: Buffer, value: number, at: number, size: number, syntax: Syntax): void {
  if (syntax.bigEndian) bytes.writeUIntBE(value, at, size)
  else bytes.writeUIntLE(value, at, size)
}

function valueBytes(element: DicomElement, syntax: Syntax): Buffer {
  const { vr, value } = element
  if (value === undefined) return Buffer.alloc(0)
  if (value instanceof Uint8Array) return bytesOf(value)
  const size = numberBytes[vr]
  if (size !== undefined) return numbers(Array.isArray(value) ? value : [value], vr, size, syntax)
  const bytes = Buffer.from(Array.isArray(value) ? value.join('\\') : String(value), 'latin1')
  if (bytes.length % 2 === 0) return bytes
  return Buffer.concat([bytes, Buffer.from(zeroPadded.has(vr) ? '\0' : ' ')])
}

function numbers(
  values: (string | number | bigint)[],
  vr: string,
  size: number,
  syntax: Syntax,
): Buffer {
  const bytes = Buffer.alloc(values.length * size)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const little = !syntax.bigEndian
  for (const [index, value] of values.entries()) {
    const at = index * size
    if (vr === 'AT') {
      put(bytes, Number.parseInt(String(value).slice(0, 4), 16), at, 2, syntax)
      put(bytes, Number.parseInt(String(value).slice(4), 16), at + 2, 2, syntax)
    } else if (vr === 'FL') view.setFloat32(at, Number(value), little)
    else if (vr === 'FD') view.setFloat64(at, Number(value), little)
    else if (size === 2) view.setInt16(at, Number(value), little)
    else if (size === 4) view.setInt32(at, Number(value), little)
    else view.setBigInt64(at, BigInt.asIntN(64, BigInt(value)), little)
  }
  return bytes
}

function bytesOf(value: DicomValue | undefined): Buffer {
  if (!(value instanceof Uint8Array)) return Buffer.alloc(0)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function sizeOf(parts: Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}
