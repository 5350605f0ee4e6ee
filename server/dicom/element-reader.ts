import { isLetters, latin1, tagName, u16, u32 } from './bytes.ts'
import { characterSetOf } from './character-sets.ts'
import { dictionaryVR } from './dictionary.ts'
import { overrun, undefinedLength, where } from './element-errors.ts'
import {
  LengthError,
  NestingTooDeepError,
  StructureError,
  UnknownVRError,
  ValueTooLongError,
} from './errors.ts'
import { beforeAll, knownElement } from './known-elements.ts'
import { DATA_SET, FRAGMENTS, Level, SEQUENCE, tagPath } from './level.ts'
import type { InstanceLimits } from './limits.ts'
import { ModelWriter } from './model-writer.ts'
import { definiteVR, OB, OW, UN, XS } from './open-vr.ts'
import { RootAttributes, saidBy } from './root-attributes.ts'
import type { TransferSyntax } from './transfer-syntaxes.ts'
import { writeValue } from './values.ts'
import { BINARY, BULK, kindBytes, kinds, LONG_FORM, vrCode, vrFlags, vrKinds } from './vr.ts'

const UNDEFINED = 0xffffffff
const SPECIFIC_CHARACTER_SET = 0x00080005
const PIXEL_REPRESENTATION = 0x00280103
const PIXEL_DATA = 0x7fe00010
const REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
/** Once the inline budget is spent, bytes up to which a value stays inline. */
const SMALL_BYTES = 256
const SQ = vrCode('SQ')

/**
 * Reads one element, item or delimiter after the other and writes what it finds into the DICOM JSON model.
 *
 * Three things can be open, one inside the other ({@link Level}). A *data set* (the root or an item) holds elements.
 * A *sequence* holds items. *Fragments* (encapsulated pixel data) hold items of bytes. Each ends at the offset that its
 * length says, or at its delimiter; nothing may reach beyond the end of what is around it.
 */
export class ElementReader {
  readonly root = new RootAttributes()
  /** Bytes to be passed over before the next step: a value that becomes bulk data, or a fragment. */
  skip = 0
  /** Bytes that the element at hand needs, from its first, when a step could not be made. */
  need = 8
  /** Whether zeros were found where an element of the root would begin: only zeros may follow. */
  padding = false
  /** The last tag that was read, for messages. */
  tag = 0
  /** Levels that are open inside the root. */
  depth = 0
  level: Level

  readonly #limits: InstanceLimits
  readonly #model: ModelWriter
  readonly #levels: Level[]
  /** The element that was opened last. */
  #element = beforeAll
  #inlineBytes = 0

  constructor(syntax: TransferSyntax, limits: InstanceLimits) {
    this.#limits = limits
    this.#model = ModelWriter.begin(limits)
    this.level = new Level()
    this.level.implicit = syntax.implicit
    this.level.bigEndian = syntax.bigEndian
    this.#levels = [this.level]
    this.#model.openDataSet(this.level)
  }

  /**
   * Reads the element or delimiter at `at`.
   *
   * @param fileStart Offset in the file of `bytes[0]`.
   * @returns Where its value (if `skip` says so) or the next element begins; -1 when {@link need} bytes are needed.
   */
  step(bytes: Uint8Array, at: number, end: number, fileStart: number): number {
    if (end - at < 8) return this.#needs(8)
    const { level } = this
    const { bigEndian } = level
    const group = u16(bytes, at, bigEndian)
    const tag = ((group << 16) | u16(bytes, at + 2, bigEndian)) >>> 0
    this.tag = tag
    if (group === 0xfffe) return this.#delimiter(bytes, at, fileStart)
    if (level.kind !== DATA_SET) {
      throw new StructureError(`${where(tag, fileStart + at)} stands where an item must`)
    }
    if (group === 0) return this.#groupZero(bytes, at, fileStart)
    if (level.lastTag < 0 && !level.implicit) this.#detectImplicit(bytes, at)
    if (level.implicit) {
      const length = u32(bytes, at + 4, bigEndian)
      return this.#read(this.#vrOf(tag), length, 8, bytes, at, end, fileStart, bigEndian)
    }
    const vr = ((bytes[at + 4] as number) << 8) | (bytes[at + 5] as number)
    const flags = vrFlags[vr] as number
    if ((flags & LONG_FORM) === 0) {
      if (flags === 0) throw new UnknownVRError(`${where(tag, fileStart + at)} has no known VR`)
      const length = u16(bytes, at + 6, bigEndian)
      return this.#read(vr, length, 8, bytes, at, end, fileStart, bigEndian)
    }
    if (end - at < 12) return this.#needs(12)
    const length = u32(bytes, at + 8, bigEndian)
    if (vr === UN) return this.#unknown(length, bytes, at, end, fileStart)
    return this.#read(vr, length, 12, bytes, at, end, fileStart, bigEndian)
  }

  /** Closes the innermost level at the offset where it must end. */
  closeAtEnd(offset: number): void {
    if (this.level.open) {
      throw new LengthError(`something in ${tagName(this.tag)} is not ended at offset ${offset}`)
    }
    this.#close()
  }

  /** Ends the root. @returns The DICOM JSON model. */
  end(): Uint8Array {
    this.#model.closeDataSet(this.level)
    return this.#model.end()
  }

  #needs(bytes: number): number {
    this.need = bytes
    return -1
  }

  /** Item, Item Delimitation Item or Sequence Delimitation Item (PS3.5 7.5). */
  #delimiter(bytes: Uint8Array, at: number, fileStart: number): number {
    const { level, tag } = this
    const length = u32(bytes, at + 4, level.bigEndian)
    const offset = fileStart + at
    if (tag === 0xfffee000) {
      if (level.kind === DATA_SET)
        throw new StructureError(`item at offset ${offset} in no sequence`)
      if (length !== UNDEFINED && offset + 8 + length > level.end)
        throw overrun(tag, offset, length)
      if (level.kind === SEQUENCE) this.#openItem(length, offset)
      else if (length === UNDEFINED) throw undefinedLength(tag, offset)
      else this.skip = length
      return at + 8
    }
    const ends = tag === 0xfffee00d ? level.kind === DATA_SET : level.kind !== DATA_SET
    if ((tag !== 0xfffee00d && tag !== 0xfffee0dd) || !level.open || !ends) {
      throw new StructureError(`delimiter ${tagName(tag)} at offset ${offset} ends nothing`)
    }
    if (length !== 0) throw overrun(tag, offset, length)
    if (level.kind === FRAGMENTS && offset > level.valueAt) {
      this.#model.bulk(this.#path(level.tag), level.valueAt, offset - level.valueAt)
    }
    this.#close()
    return at + 8
  }

  /** Zeros at the root are padding. A command element (PS3.7) or zeros inside an item are neither data nor padding. */
  #groupZero(bytes: Uint8Array, at: number, fileStart: number): number {
    for (let index = 0; index < 8; index++) {
      if (this.depth > 0 || bytes[at + index] !== 0) {
        throw new StructureError(`${where(this.tag, fileStart + at)} is no element of a data set`)
      }
    }
    this.padding = true
    return at + 8
  }

  /**
   * Some writers put Implicit VR items into Explicit VR files; pydicom reads those. They show by their first element,
   * which has no two capital letters where a VR must stand, and would be refused otherwise.
   */
  #detectImplicit(bytes: Uint8Array, at: number): void {
    if (this.depth === 0) return
    this.level.implicit = !isLetters(bytes, at + 4)
  }

  /**
   * An element of VR UN. With a tag that PS3.6 knows it is read as what it is, in Implicit VR Little Endian
   * (PS3.5 6.2.2 note 2; JS-24), unless its value cannot be that.
   */
  #unknown(length: number, bytes: Uint8Array, at: number, end: number, fileStart: number): number {
    let vr = length === UNDEFINED ? UN : this.#vrOf(this.tag)
    if (length > 0 && vr === SQ) {
      if (length >= 8 && end - at < 20) return this.#needs(20)
      if (length < 8 || u32(bytes, at + 12, false) !== 0xe000fffe) vr = UN
    } else if (length % (kindBytes[vrKinds[vr] as number] as number) !== 0) vr = UN
    if (length > this.#limits.valueBytes && ((vrFlags[vr] as number) & BULK) === 0 && vr !== SQ)
      vr = UN
    return this.#read(vr, length, 12, bytes, at, end, fileStart, false, true)
  }

  /** The VR of an element that does not say it. */
  #vrOf(tag: number): number {
    const vr = dictionaryVR(tag)
    if (vr === XS) this.#model.leaveOpen(this.level)
    return definiteVR(vr, this.level)
  }

  #read(
    vr: number,
    length: number,
    headerBytes: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    fileStart: number,
    bigEndian: boolean,
    wasUnknown = false,
  ): number {
    const { tag } = this
    const valueAt = at + headerBytes
    const kind = vrKinds[vr] as number
    // Group lengths say nothing in JSON (JS-20), nor does a group that belongs before the data set (JS-21).
    const isDropped = (tag & 0xffff) === 0 || tag >>> 16 === 2
    if (length === UNDEFINED) {
      if (isDropped) throw undefinedLength(tag, fileStart + at)
      this.#openUndefined(vr, fileStart + at, fileStart + valueAt)
      return valueAt
    }
    if (fileStart + valueAt + length > this.level.end) throw overrun(tag, fileStart + at, length)
    if (isDropped) {
      this.skip = length
      return valueAt
    }
    if (kind === kinds.sequence) {
      this.#openMember(SQ, fileStart + at)
      this.#open(SEQUENCE, fileStart + valueAt + length, false, wasUnknown)
      return valueAt
    }
    if (this.#isBulk(vr, length)) {
      this.#openMember(vr, fileStart + at)
      this.#model.dropValue()
      if (length > 0) this.#model.bulk(this.#path(tag), fileStart + valueAt, length)
      this.#model.closeMember()
      this.skip = length
      return valueAt
    }
    if (length > this.#limits.valueBytes && ((vrFlags[vr] as number) & BULK) === 0) {
      throw this.#tooLong(fileStart + at, length)
    }
    const valueEnd = valueAt + length
    if (valueEnd > end) return this.#needs(headerBytes + length)
    this.#inlineBytes += length
    this.#writeMember(vr, fileStart + at, bytes, valueAt, length, bigEndian)
    return valueEnd
  }

  #writeMember(
    vr: number,
    offset: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    bigEndian: boolean,
  ): void {
    const { level, tag } = this
    const { characterSet } = level
    const model = this.#model
    const kind = vrKinds[vr] as number
    const element = knownElement(tag, vr, this.#element)
    this.#element = element
    if (element.saysSame(bytes, start, length, bigEndian, characterSet)) {
      model.copyMember(level, element, offset)
    } else {
      const at = model.openMember(level, element, offset)
      if (!this.#write(kind, bytes, start, start + length, bigEndian)) model.dropValue()
      model.closeMember()
      const { out } = model
      element.said = undefined
      // The values of these two matter to others, and have to be looked at each time.
      if (tag === PIXEL_REPRESENTATION) {
        if (length >= 2) model.decide(level, level.pixelRepresentation === 1)
      } else if (tag !== SPECIFIC_CHARACTER_SET) {
        element.learn(bytes, start, length, bigEndian, characterSet, out.bytes, at, out.end)
      }
    }
    const { attribute } = element
    if (attribute === undefined || this.depth > 0) return
    element.said ??= saidBy(attribute, kind, bytes, start, start + length, bigEndian, characterSet)
    this.root.take(attribute, element.said)
  }

  /** Writes a value, and looks at it when it is one that others depend on. @returns Whether there is one. */
  #write(kind: number, bytes: Uint8Array, start: number, end: number, bigEndian: boolean): boolean {
    const { level, tag } = this
    const { out } = this.#model
    if (tag === SPECIFIC_CHARACTER_SET) {
      level.characterSet = characterSetOf(latin1(bytes, start, end))
      // The JSON is UTF-8, and says so (JS-18).
      if (end > start) out.ascii('"ISO_IR 192"]')
      return end > start
    }
    if (tag === PIXEL_REPRESENTATION && end - start >= 2) {
      level.pixelRepresentation = u16(bytes, start, bigEndian)
    }
    return writeValue(out, kind, bytes, start, end, bigEndian, level.characterSet)
  }

  /** Pixel data always becomes bulk data; other values by their VR and length (JS-10). */
  #isBulk(vr: number, length: number): boolean {
    const { tag } = this
    const flags = vrFlags[vr] as number
    if (isPixelData(tag)) return (flags & BULK) !== 0
    const limits = this.#limits
    if ((flags & BULK) === 0 || length <= SMALL_BYTES)
      return (flags & BINARY) !== 0 && length > limits.inlineBinaryBytes
    if (length > ((flags & BINARY) === 0 ? limits.inlineTextBytes : limits.inlineBinaryBytes))
      return true
    return this.#inlineBytes + length > limits.inlineBudgetBytes
  }

  /** Undefined length: encapsulated pixel data, or a sequence, which as UN is in Implicit VR Little Endian (JS-24). */
  #openUndefined(vr: number, offset: number, valueOffset: number): void {
    const { level, tag } = this
    if (tag === PIXEL_DATA || vr === OB || vr === OW) {
      this.#openMember(vr === OW && !level.implicit ? OW : OB, offset)
      this.#model.dropValue()
      this.#open(FRAGMENTS, level.end, true, false)
      this.level.valueAt = valueOffset
      return
    }
    if (vr !== SQ && vr !== UN) throw undefinedLength(tag, offset)
    this.#openMember(SQ, offset)
    this.#open(SEQUENCE, level.end, true, vr === UN)
  }

  #openMember(vr: number, offset: number): void {
    this.#element = knownElement(this.tag, vr, this.#element)
    this.#model.openMember(this.level, this.#element, offset)
  }

  #openItem(length: number, offset: number): void {
    const sequence = this.level
    const isOpen = length === UNDEFINED
    sequence.item++
    this.#open(DATA_SET, isOpen ? sequence.end : offset + 8 + length, isOpen, false)
    this.#model.openItem(sequence.item === 1, this.level, offset)
  }

  #open(kind: number, end: number, isOpen: boolean, wasUnknown: boolean): void {
    const outer = this.level
    this.depth++
    // A sequence and its item are two levels.
    if (this.depth > this.#limits.sequenceDepth * 2) {
      throw new NestingTooDeepError(
        `sequences are nested deeper than ${this.#limits.sequenceDepth} in ${tagName(this.tag)}`,
        this.#limits.sequenceDepth,
      )
    }
    let level = this.#levels[this.depth]
    if (level === undefined) {
      level = new Level()
      this.#levels.push(level)
    }
    level.start(kind, outer, end, isOpen)
    level.tag = this.tag
    if (wasUnknown) {
      level.implicit = true
      level.bigEndian = false
    }
    this.level = level
  }

  #close(): void {
    const { level } = this
    if (level.kind === DATA_SET) this.#model.closeDataSet(level)
    else if (level.kind === SEQUENCE) this.#closeSequence(level)
    else this.#model.closeMember()
    this.depth--
    this.level = this.#levels[this.depth] as Level
  }

  #closeSequence({ tag, item }: Level): void {
    this.#model.closeSequence(item)
    if (this.depth === 1 && tag === REQUEST_ATTRIBUTES_SEQUENCE && item > 0) {
      this.root.takeRequestAttributes(this.#model.lastMember())
    }
  }

  #path(tag: number): string {
    return tagPath(this.#levels, this.level.kind === FRAGMENTS ? this.depth - 1 : this.depth, tag)
  }

  #tooLong(offset: number, length: number): ValueTooLongError {
    const { valueBytes } = this.#limits
    return new ValueTooLongError(
      `${where(this.tag, offset)} has ${length} bytes, more than the ${valueBytes} a value of its VR may have`,
      valueBytes,
    )
  }
}

/** Pixel Data, Float Pixel Data and Double Float Pixel Data. */
function isPixelData(tag: number): boolean {
  return tag === PIXEL_DATA || tag === 0x7fe00008 || tag === 0x7fe00009
}
