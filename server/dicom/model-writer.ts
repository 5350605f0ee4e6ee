import { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import { MetadataTooLargeError, RepeatedElementError, TooManyElementsError } from './errors.ts'
import { JsonBytes } from './json-bytes.ts'
import { type KnownElement, MEMBER_BYTES } from './known-elements.ts'
import type { Level } from './level.ts'
import { defaultLimits, type InstanceLimits } from './limits.ts'
import { decide, OpenMembers } from './open-members.ts'

const COMMA = 0x2c
const CLOSING_BRACKET = 0x5d
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d

/**
 * Writes the DICOM JSON model of one instance, element by element, as the file is walked.
 *
 * Remembers where each member of the data sets that are still open begins. That makes it possible to put them in
 * ascending order at the end of a data set that was not (JS-01), and costs two numbers an element.
 *
 * A writer that has ended serves another instance: to allocate its memory anew takes 3 µs.
 */
export class ModelWriter {
  readonly out = new JsonBytes()
  #limits = defaultLimits
  #elements = 0
  /** Pairs: tag, place in `out`. A data set owns those from its `firstMember` on. */
  #members = new Uint32Array(FEW_MEMBERS)
  #memberCount = 0
  readonly #open = new OpenMembers()
  /** Where the member of the last element ends if it has no value. */
  #bareEnd = 0

  static begin(limits: InstanceLimits): ModelWriter {
    const writer = idle.pop() ?? new ModelWriter()
    writer.#limits = limits
    writer.#elements = 0
    writer.#memberCount = 0
    writer.#open.clear()
    return writer
  }

  openDataSet(level: Level): void {
    level.firstMember = this.#memberCount
    this.out.byte(OPENING_BRACE)
  }

  /**
   * Begins the member of an element, up to its first value: `"00100020":{"vr":"LO","Value":[`.
   *
   * @returns Where it begins, with the comma or brace before it.
   */
  openMember(level: Level, element: KnownElement, offset: number): number {
    const at = this.#putMember(level, element.tag, element.opening, offset)
    this.#bareEnd = at + MEMBER_BYTES
    return at
  }

  /** Writes the whole member of an element that says the same as the last one. */
  copyMember(level: Level, element: KnownElement, offset: number): void {
    this.#putMember(level, element.tag, element.json, offset)
  }

  /** @param member Begins with a byte for comma or brace. @returns Where that is. */
  #putMember(level: Level, tag: number, member: Buffer, offset: number): number {
    this.count(offset)
    if (tag <= level.lastTag) level.sorted = false
    level.lastTag = tag
    const { out } = this
    out.reserve(member.length)
    const isFirst = this.#memberCount === level.firstMember
    // The brace of the data set stands where another member has its comma.
    const at = isFirst ? out.end - 1 : out.end
    out.bytes.set(member, at)
    out.bytes[at] = isFirst ? OPENING_BRACE : COMMA
    out.end = at + member.length
    this.#remember(tag, at + 1)
    return at
  }

  /** Takes back that the member has a value: `"00100020":{"vr":"LO"`. */
  dropValue(): void {
    this.out.end = this.#bareEnd
  }

  closeMember(): void {
    this.out.byte(CLOSING_BRACE)
  }

  closeDataSet(level: Level): void {
    // What is around it decides on nothing in here; nor on what is about to be moved.
    if (level.decides || !level.sorted) this.#openFrom(level)
    if (!level.sorted) this.#sort(level.firstMember)
    this.#memberCount = level.firstMember
    this.out.byte(CLOSING_BRACE)
  }

  /** The next element is US or SS, as a Pixel Representation says that may not have come yet. */
  leaveOpen(level: Level): void {
    if (level.decides) return
    const isFirst = this.#memberCount === level.firstMember
    this.#open.add(isFirst ? this.out.end : this.out.end + 1)
  }

  /** Pixel Representation came in this data set: what was left open in it is signed or not. */
  decide(level: Level, isSigned: boolean): void {
    // A second one is refused at the end. (Each walks all members: 1.8 MB of them took 4.8 s.)
    if (level.decides) return
    level.decides = true
    const members = this.#members
    let index = level.firstMember + 1
    decide(this.out, this.#openFrom(level), isSigned, (before, bytes) => {
      for (; index < this.#memberCount && (members[index] as number) < before; index += 2) {
        members[index] = (members[index] as number) + bytes
      }
    })
  }

  #openFrom({ firstMember }: Level): number[] {
    return firstMember === this.#memberCount
      ? []
      : this.#open.takeFrom(this.#members[firstMember + 1] as number)
  }

  /** Begins the item of a sequence whose member is open. */
  openItem(isFirst: boolean, level: Level, offset: number): void {
    this.count(offset)
    if (!isFirst) this.out.byte(COMMA)
    this.openDataSet(level)
  }

  closeSequence(items: number): void {
    if (items > 0) this.out.byte(CLOSING_BRACKET)
    else this.dropValue()
    this.closeMember()
  }

  /** The JSON of the element of the innermost data set that was closed last: `"00400275":{"vr":"SQ"}`. */
  lastMember(): Uint8Array {
    return this.out.bytes.subarray(this.#members[this.#memberCount - 1], this.out.end)
  }

  /** Says where the value is: `"BulkDataURI":"bulkdata/7FE00010/1024-524288"`. */
  bulk(path: string, offset: number, length: number): void {
    this.out.ascii(`,"BulkDataURI":"bulkdata/${path}/${offset}-${length}"`)
  }

  /** Counts one element or item against the limits. */
  count(offset: number): void {
    if (++this.#elements > this.#limits.elementCount) {
      throw new TooManyElementsError(
        `more than ${this.#limits.elementCount} elements at offset ${offset}`,
        this.#limits.elementCount,
      )
    }
    this.#checkSize()
  }

  /** @returns All that was written. The writer must not be used afterwards: it serves another instance. */
  end(): Uint8Array {
    this.#checkSize()
    if (this.#members.length === FEW_MEMBERS && idle.length < MAXIMUM_IDLE) idle.push(this)
    return this.out.take()
  }

  #checkSize(): void {
    const { metadataBytes } = this.#limits
    if (this.out.size > metadataBytes) {
      throw new MetadataTooLargeError(`more than ${metadataBytes} bytes of metadata`, metadataBytes)
    }
  }

  #remember(tag: number, at: number): void {
    if (this.#memberCount + 2 > this.#members.length) {
      const more = new Uint32Array(this.#members.length * 2)
      more.set(this.#members)
      this.#members = more
    }
    this.#members[this.#memberCount++] = tag
    this.#members[this.#memberCount++] = at
  }

  /** Puts the members of the innermost data set in ascending order, in place. Finds tags that occur twice (JS-26). */
  #sort(firstMember: number): void {
    const { out } = this
    const members: { tag: number; start: number; end: number }[] = []
    for (let index = firstMember; index < this.#memberCount; index += 2) {
      const next =
        index + 3 < this.#memberCount ? (this.#members[index + 3] as number) - 1 : out.end
      members.push({
        tag: this.#members[index] as number,
        start: this.#members[index + 1] as number,
        end: next,
      })
    }
    const start = members[0]?.start ?? out.end
    const copy = Buffer.from(out.bytes.subarray(start, out.end))
    members.sort((a, b) => a.tag - b.tag)
    out.end = start
    for (const [index, member] of members.entries()) {
      if (member.tag === members[index - 1]?.tag) {
        throw new RepeatedElementError(
          `element ${tagName(member.tag)} occurs twice in one data set`,
        )
      }
      if (index > 0) out.byte(COMMA)
      out.raw(copy, member.start - start, member.end - start)
    }
  }
}

/** Room for as many members as ordinary files have; a writer that needed more is not kept. */
const FEW_MEMBERS = 1024
const MAXIMUM_IDLE = 16
const idle: ModelWriter[] = []
