import { tagName } from './bytes.ts'
import { MetadataTooLargeError, RepeatedElementError, TooManyElementsError } from './errors.ts'
import { JsonBytes } from './json-bytes.ts'
import type { Level } from './level.ts'
import type { InstanceLimits } from './limits.ts'

/**
 * Writes the DICOM JSON model of one instance, element by element, as the file is walked.
 *
 * Remembers where each member of the data sets that are still open begins. That makes it possible to put them in
 * ascending order at the end of a data set that was not (JS-01), and costs two numbers an element.
 */
export class ModelWriter {
  readonly out = new JsonBytes()
  readonly #limits: InstanceLimits
  #elements = 0
  /** Pairs: tag, place in `out`. A data set owns those from its `firstMember` on. */
  #members = new Uint32Array(1024)
  #memberCount = 0

  constructor(limits: InstanceLimits) {
    this.#limits = limits
  }

  openDataSet(level: Level): void {
    level.firstMember = this.#memberCount
    this.out.byte(0x7b)
  }

  /** Begins the member of an element: `"00100020":{"vr":"LO"`. */
  openMember(level: Level, tag: number, vr: number, offset: number): void {
    this.count(offset)
    if (tag <= level.lastTag) level.sorted = false
    level.lastTag = tag
    if (this.#memberCount + 2 > this.#members.length) {
      const more = new Uint32Array(this.#members.length * 2)
      more.set(this.#members)
      this.#members = more
    }
    const { out } = this
    out.member(tag, vr)
    this.#members[this.#memberCount++] = tag
    this.#members[this.#memberCount++] = out.length - MEMBER_BYTES
  }

  closeMember(): void {
    this.out.byte(0x7d)
  }

  closeDataSet(level: Level): void {
    if (!level.sorted) this.#sort(level.firstMember)
    this.#memberCount = level.firstMember
    this.out.byte(0x7d)
  }

  /** Begins the item of a sequence whose member is open. */
  openItem(isFirst: boolean, level: Level, offset: number): void {
    this.count(offset)
    this.out.ascii(isFirst ? ',"Value":[' : ',')
    this.openDataSet(level)
  }

  closeSequence(items: number): void {
    if (items > 0) this.out.byte(0x5d)
    this.closeMember()
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

  /** @returns All that was written. The writer is of no use afterwards. */
  end(): Uint8Array {
    this.#checkSize()
    return this.out.bytes.slice(0, this.out.length)
  }

  #checkSize(): void {
    const { metadataBytes } = this.#limits
    if (this.out.length > metadataBytes) {
      throw new MetadataTooLargeError(`more than ${metadataBytes} bytes of metadata`, metadataBytes)
    }
  }

  /** Puts the members of the innermost data set in ascending order, in place. Finds tags that occur twice (JS-26). */
  #sort(firstMember: number): void {
    const { out } = this
    const members: { tag: number; start: number; end: number }[] = []
    for (let index = firstMember; index < this.#memberCount; index += 2) {
      const next =
        index + 3 < this.#memberCount ? (this.#members[index + 3] as number) - 1 : out.length
      members.push({
        tag: this.#members[index] as number,
        start: this.#members[index + 1] as number,
        end: next,
      })
    }
    const start = members[0]?.start ?? out.length
    const copy = out.bytes.slice(start, out.length)
    members.sort((a, b) => a.tag - b.tag)
    out.length = start
    for (const [index, member] of members.entries()) {
      if (member.tag === members[index - 1]?.tag) {
        throw new RepeatedElementError(
          `element ${tagName(member.tag)} occurs twice in one data set`,
        )
      }
      if (index > 0) out.byte(0x2c)
      out.raw(copy, member.start - start, member.end - start)
    }
  }
}

/** Bytes of `"00100020":{"vr":"LO"`. */
const MEMBER_BYTES = 21
