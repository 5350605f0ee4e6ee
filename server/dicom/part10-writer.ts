import { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import { type ModelAttribute, type ModelDataSet, textOf } from './data-set-model.ts'
import { ElementBytes, even } from './element-bytes.ts'
import {
  BulkDataError,
  BulkDataTooLongError,
  MetadataError,
  NestingTooDeepError,
  RepeatedElementError,
  ValueTooLongError,
} from './errors.ts'
import { defaultLimits } from './limits.ts'
import { withBlocks } from './private-blocks.ts'
import { isASCII, valueBytes, wordBytes } from './value-bytes.ts'
import { BINARY, BULK, kinds, LONG_FORM, vrCode, vrFlags, vrKinds } from './vr.ts'

/** Bytes that lie somewhere else. */
export interface ByteRange {
  offset: number
  /** Bytes. */
  length: number
}

/** What the reference of an attribute stands for. */
export interface BulkData {
  /** The value: one range, or the frames of Pixel Data in their order. */
  ranges: ByteRange[]
  /** Pixel Data is encapsulated, a range a frame, in this transfer syntax. Undefined: the bytes are the value. */
  transferSyntaxUID?: string | undefined
}

/** Bytes of the file, in order; of a range `isText` says that they must be UTF-8. */
export type Piece = Uint8Array | (ByteRange & { isText: boolean })

/** What stands for an attribute with a BulkDataURI; `dataSet` is the one that it is in. */
export type BulkDataOf = (attribute: ModelAttribute, dataSet: ModelDataSet) => BulkData

const explicitLittleEndian = '1.2.840.10008.1.2.1'
const SPECIFIC_CHARACTER_SET = 0x00080005
const UNDEFINED = 0xffffffff
/** A value field has an even length of less than FFFFFFFFh; one of the short form less than 64 KiB (PS3.5 7.1). */
const longestValue = 0xfffffffe
const longestShortValue = 0xfffe
const maximumDepth = 64

/** Stowage, in the File Meta Information of the files that it makes (PS3.7 D.3.3.2). */
const implementationClassUID = '2.25.117098010573171953493563657094343343083'
const implementationVersionName = 'STOWAGE'

/**
 * Writes metadata as a PS3.10 file in Explicit VR Little Endian, or with encapsulated Pixel Data.
 *
 * Attributes are put in order; group lengths and what belongs before the data set are left out (JS-20, JS-21, MB-10).
 * Text is UTF-8, and Specific Character Set says so wherever it was there or is needed (JS-18). Equal metadata give equal bytes.
 *
 * @returns The file in pieces, which hold no bulk data.
 * @throws {MetadataError} {@link BulkDataError} {@link RepeatedElementError} → refusal 0xC000
 * @throws {InvalidValueError} → refusal 0x0106
 * @throws {NestingTooDeepError} {@link BulkDataTooLongError} {@link ValueTooLongError} → refusal 0xA700
 * @see PS3.10 7.1, PS3.5 7 and A.4, PS3.18 Annex F
 */
export function writePart10(dataSet: ModelDataSet, bulkDataOf: BulkDataOf): Piece[] {
  const writer = new DataSetWriter(bulkDataOf)
  const isNamed = dataSet.some(({ tag }) => tag === SPECIFIC_CHARACTER_SET)
  writer.dataSet(isNamed || !needsUTF8(dataSet) ? dataSet : [...dataSet, utf8], 0)
  const body = writer.end()
  return [fileMeta(dataSet, writer.transferSyntaxUID ?? explicitLittleEndian), ...body]
}

class DataSetWriter {
  /** Of the encapsulated Pixel Data. */
  transferSyntaxUID: string | undefined
  readonly #bulkDataOf: BulkDataOf
  readonly #pieces: Piece[] = []
  readonly #bytes = new ElementBytes()

  constructor(bulkDataOf: BulkDataOf) {
    this.#bulkDataOf = bulkDataOf
  }

  dataSet(attributes: ModelDataSet, depth: number): void {
    if (depth > maximumDepth) {
      throw new NestingTooDeepError(
        `sequences are nested deeper than ${maximumDepth}`,
        maximumDepth,
      )
    }
    let last = -1
    for (const attribute of inOrder(withBlocks(attributes))) {
      const { tag } = attribute
      if (tag === last) {
        throw new RepeatedElementError(`element ${tagName(tag)} occurs twice in one data set`)
      }
      last = tag
      const group = tag >>> 16
      if ((tag & 0xffff) === 0 || group === 0 || group === 2) continue
      if (group === 0xfffe) throw wrong(tag, 'is no element of a data set')
      if (tag === SPECIFIC_CHARACTER_SET) {
        this.#attribute(characterSet(attribute, attributes), attributes, depth)
      } else this.#attribute(attribute, attributes, depth)
    }
  }

  end(): Piece[] {
    this.#flush()
    return this.#pieces
  }

  #attribute(attribute: ModelAttribute, dataSet: ModelDataSet, depth: number): void {
    const { tag, vr, values, binary, bulkDataURI } = attribute
    const flags = vrFlags[vrCode(vr)] as number
    if (bulkDataURI !== undefined) {
      if ((flags & BULK) === 0) throw wrong(tag, `of VR ${vr} cannot have a BulkDataURI`)
      this.#bulkData(attribute, this.#bulkDataOf(attribute, dataSet))
    } else if (vr === 'SQ') {
      if (binary !== undefined) throw wrong(tag, 'of VR SQ cannot have an InlineBinary')
      this.#sequence(tag, values as ModelDataSet[], depth)
    } else if ((flags & BINARY) !== 0) {
      if (values.some((value) => value !== null && value !== '')) {
        throw wrong(tag, `of VR ${vr} has a Value; send an InlineBinary or BulkDataURI`)
      }
      this.#value(tag, vr, binary ?? new Uint8Array())
    } else if (binary !== undefined) {
      throw wrong(tag, `of VR ${vr} cannot have an InlineBinary`)
    } else {
      this.#value(tag, vr, valueBytes(tag, vr, values))
    }
  }

  #sequence(tag: number, items: ModelDataSet[], depth: number): void {
    this.#bytes.header(tag, 'SQ', items.length === 0 ? 0 : UNDEFINED)
    for (const item of items) {
      this.#bytes.delimiter(0xe000, UNDEFINED)
      this.dataSet(item, depth + 1)
      this.#bytes.delimiter(0xe00d, 0)
    }
    if (items.length > 0) this.#bytes.delimiter(0xe0dd, 0)
  }

  #value(tag: number, vr: string, bytes: Uint8Array): void {
    this.#open(tag, vr, bytes.length)
    this.#bytes.value(bytes)
    this.#bytes.pad(vr, bytes.length)
  }

  #bulkData({ tag, vr }: ModelAttribute, { ranges, transferSyntaxUID }: BulkData): void {
    if (transferSyntaxUID !== undefined) {
      this.#encapsulated(tag, ranges, transferSyntaxUID)
      return
    }
    const length = ranges.reduce((sum, range) => sum + range.length, 0)
    this.#open(tag, vr, length)
    const isText = (vrKinds[vrCode(vr)] as number) < kinds.us
    for (const range of ranges) this.#range(range, isText)
    this.#bytes.pad(vr, length)
  }

  /** PS3.5 A.4: a Basic Offset Table, which may be empty; then a fragment for each frame. */
  #encapsulated(tag: number, frames: ByteRange[], transferSyntaxUID: string): void {
    if ((this.transferSyntaxUID ?? transferSyntaxUID) !== transferSyntaxUID) {
      throw new BulkDataError(`element ${tagName(tag)} is in another transfer syntax than others`)
    }
    this.transferSyntaxUID = transferSyntaxUID
    this.#bytes.header(tag, 'OB', UNDEFINED)
    const table = offsetTable(frames)
    this.#bytes.delimiter(0xe000, table.length)
    this.#bytes.value(table)
    for (const frame of frames) {
      this.#mustFit(tag, frame.length)
      this.#bytes.delimiter(0xe000, even(frame.length))
      this.#range(frame, false)
      this.#bytes.pad('OB', frame.length)
    }
    this.#bytes.delimiter(0xe0dd, 0)
  }

  /** The header of a value that holds whole words. What is too long for a short form becomes UN (PS3.5 6.2.2 note 4). */
  #open(tag: number, vr: string, length: number): void {
    if (length % wordBytes(vr) !== 0) {
      throw new BulkDataError(`element ${tagName(tag)} has ${length} bytes, no whole ${vr}`)
    }
    this.#mustFit(tag, length)
    const flags = vrFlags[vrCode(vr)] as number
    const { valueBytes } = defaultLimits
    // As UN it would be taken, and found by nobody: what its reader cannot tell as this VR is bytes to it.
    if ((flags & BULK) === 0 && length > valueBytes) {
      throw new ValueTooLongError(
        `element ${tagName(tag)} has ${length} bytes, more than the ${valueBytes} a value of VR ${vr} may have`,
        valueBytes,
      )
    }
    const isShort = (flags & LONG_FORM) === 0
    this.#bytes.header(tag, isShort && length > longestShortValue ? 'UN' : vr, even(length))
  }

  #mustFit(tag: number, length: number): void {
    if (length <= longestValue) return
    throw new BulkDataTooLongError(
      `element ${tagName(tag)} has ${length} bytes, more than the ${longestValue} of a value field`,
      longestValue,
    )
  }

  #range({ offset, length }: ByteRange, isText: boolean): void {
    if (length === 0) return
    this.#flush()
    this.#pieces.push({ offset, length, isText })
  }

  #flush(): void {
    const bytes = this.#bytes.take()
    if (bytes.length > 0) this.#pieces.push(bytes)
  }
}

/** PS3.10 7.1: preamble, prefix, and group 0002 in Explicit VR Little Endian. */
function fileMeta(dataSet: ModelDataSet, transferSyntaxUID: string): Buffer {
  const elements: [tag: number, vr: string, value: Buffer][] = [
    [0x00020001, 'OB', Buffer.from([0, 1])],
    // What is missing or no UID is left out: the reader of the file says so of the data set.
    [0x00020002, 'UI', Buffer.from(textOf(dataSet, 0x00080016)?.trim() ?? '')],
    [0x00020003, 'UI', Buffer.from(textOf(dataSet, 0x00080018)?.trim() ?? '')],
    [0x00020010, 'UI', Buffer.from(transferSyntaxUID)],
    [0x00020012, 'UI', Buffer.from(implementationClassUID)],
    [0x00020013, 'SH', Buffer.from(implementationVersionName)],
  ]
  const group = new ElementBytes()
  for (const [tag, vr, value] of elements) {
    if (value.length === 0 || value.length > longestShortValue) continue
    group.header(tag, vr, even(value.length))
    group.value(value)
    group.pad(vr, value.length)
  }
  const groupBytes = group.take()
  const head = new ElementBytes()
  head.value(Buffer.alloc(128))
  head.value(Buffer.from('DICM'))
  head.header(0x00020000, 'UL', 4)
  head.value(Buffer.from(Uint32Array.of(groupBytes.length).buffer))
  head.value(groupBytes)
  return head.take()
}

const utf8: ModelAttribute = { tag: SPECIFIC_CHARACTER_SET, vr: 'CS', values: ['ISO_IR 192'] }

function inOrder(dataSet: ModelDataSet): ModelDataSet {
  const isOrdered = dataSet.every(
    (one, index) => index === 0 || one.tag >= (dataSet[index - 1]?.tag ?? 0),
  )
  return isOrdered ? dataSet : dataSet.toSorted((a, b) => a.tag - b.tag)
}

/** What was the character set of a file is UTF-8 now (JS-18); empty, it stays so as long as that is true. */
function characterSet(named: ModelAttribute, dataSet: ModelDataSet): ModelAttribute {
  const isEmpty = named.values.every((value) => value === null || value === '')
  return isEmpty && !needsUTF8(dataSet) ? { ...named, values: [] } : utf8
}

function needsUTF8(dataSet: ModelDataSet): boolean {
  return dataSet.some(({ vr, values, bulkDataURI, privateCreator }) => {
    if (vr === 'SQ') return (values as ModelDataSet[]).some(needsUTF8)
    const kind = vrKinds[vrCode(vr)] as number
    if (bulkDataURI !== undefined) return kind === kinds.text || kind === kinds.longText
    return !values.every(isPlain) || !isASCII(privateCreator ?? '')
  })
}

function isPlain(value: ModelAttribute['values'][number]): boolean {
  if (typeof value === 'string') return isASCII(value)
  return value === null || !('groups' in value) || value.groups.every(isASCII)
}

function offsetTable(frames: ByteRange[]): Buffer {
  const offsets: number[] = []
  let next = 0
  for (const frame of frames) {
    offsets.push(next)
    next += 8 + even(frame.length)
  }
  // One of a single frame says nothing; one beyond 32 bits cannot be written.
  if (frames.length < 2 || (offsets.at(-1) as number) > UNDEFINED) return Buffer.alloc(0)
  return Buffer.from(Uint32Array.from(offsets).buffer)
}

function wrong(tag: number, reason: string): MetadataError {
  return new MetadataError(`element ${tagName(tag)} ${reason}`)
}
