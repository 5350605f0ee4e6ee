import { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import type { CharacterSet } from './character-sets.ts'
import { ElementReader } from './element-reader.ts'
import { StructureError, TruncatedError } from './errors.ts'
import type { InstanceLimits } from './limits.ts'
import type { RootAttributes } from './root-attributes.ts'
import type { TransferSyntax } from './transfer-syntaxes.ts'

/**
 * Takes the data set of one file in any chunking, from its first element to the end of the file.
 *
 * Elements are read where they lie in the chunk. Only one that straddles two chunks is copied, so at most one header
 * and one inline value are held; values that become bulk data are counted and forgotten, chunk by chunk.
 *
 * After the last element only zeros may follow: padding to a block or to an even length. Anything else is refused,
 * since it may as well be the rest of a damaged file.
 */
export class DataSetReader {
  readonly #elements: ElementReader
  /** Offset in the file of the next byte that is pushed. */
  #offset: number
  /** The beginning of an element whose end has not come yet. */
  #carry = emptyCarry
  #held = 0

  /** @param offset Bytes of the file before the data set. */
  constructor(syntax: TransferSyntax, offset: number, limits: InstanceLimits) {
    this.#elements = new ElementReader(syntax, limits)
    this.#offset = offset
  }

  get root(): RootAttributes {
    return this.#elements.root
  }

  /** In force for the element that was begun last. */
  get characterSet(): CharacterSet {
    return this.#elements.level.characterSet
  }

  push(bytes: Uint8Array, start = 0): void {
    const fileStart = this.#offset - start
    let at = start
    while (at < bytes.length) {
      if (this.#held > 0) at = this.#carryOn(bytes, at, fileStart)
      else {
        at = this.#walk(bytes, at, bytes.length, fileStart)
        if (at < bytes.length) at = this.#hold(bytes, at, bytes.length)
      }
    }
    this.#offset = fileStart + bytes.length
  }

  /**
   * Ends the data set.
   *
   * @returns The DICOM JSON model.
   * @throws {TruncatedError} when an element, item or sequence is still open.
   */
  end(): Uint8Array {
    const { depth, skip, tag } = this.#elements
    if (skip > 0 || depth > 0 || !this.#holdsPadding()) {
      throw new TruncatedError(
        `the file ends at offset ${this.#offset} in or after ${tagName(tag)}`,
      )
    }
    return this.#elements.end()
  }

  #holdsPadding(): boolean {
    for (let at = 0; at < this.#held; at++) if (this.#carry[at] !== 0) return false
    return this.#held < 8
  }

  /** Takes what the held element lacks from the chunk, and reads it. */
  #carryOn(bytes: Uint8Array, start: number, fileStart: number): number {
    const needed = this.#elements.need
    const at = this.#hold(bytes, start, Math.min(bytes.length, start + needed - this.#held))
    const held = this.#held
    if (held < needed) return at
    const read = this.#walk(this.#carry, 0, held, fileStart + at - held)
    this.#carry.copyWithin(0, read, held)
    this.#held = held - read
    return at
  }

  #hold(bytes: Uint8Array, start: number, end: number): number {
    const { need } = this.#elements
    if (this.#carry.length < need) {
      const larger = Buffer.alloc(Math.max(need, 256))
      larger.set(this.#carry.subarray(0, this.#held))
      this.#carry = larger
    }
    // A loop: most of what is held is a few bytes, for which a subarray costs more than the copy.
    const carry = this.#carry
    let held = this.#held
    for (let at = start; at < end; at++) carry[held++] = bytes[at] as number
    this.#held = held
    return end
  }

  /**
   * Reads as many elements as the bytes hold.
   *
   * @param fileStart Offset in the file of `bytes[0]`.
   * @returns Where it stopped; before `end` if the next element is not whole.
   */
  #walk(bytes: Uint8Array, start: number, end: number, fileStart: number): number {
    const elements = this.#elements
    let at = start
    for (;;) {
      if (elements.skip > 0) {
        const count = Math.min(elements.skip, end - at)
        elements.skip -= count
        at += count
        if (elements.skip > 0) return at
      }
      while (fileStart + at >= elements.level.end) elements.closeAtEnd(fileStart + at)
      if (elements.padding) return onlyZeros(bytes, at, end, fileStart)
      const next = elements.step(bytes, at, end, fileStart)
      if (next < 0) return at
      at = next
    }
  }
}

const emptyCarry = Buffer.alloc(0)

function onlyZeros(bytes: Uint8Array, start: number, end: number, fileStart: number): number {
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0) {
      throw new StructureError(`unknown bytes at offset ${fileStart + at} after the data set`)
    }
  }
  return end
}
