import { Buffer } from 'node:buffer'
import { tagHex } from './bytes.ts'
import { type CharacterSet, defaultCharacterSet } from './character-sets.ts'
import { type RootAttribute, rootAttributeOf, type Said } from './root-attributes.ts'
import { kinds, vrKinds } from './vr.ts'

/** Bytes of `,"00100020":{"vr":"LO"`. */
export const MEMBER_BYTES = 22

/** Bytes of a value that is remembered, and of the member that is made of it; longer ones are rare. */
const VALUE_BYTES = 64
const JSON_BYTES = 192

/**
 * What is known of the elements of one tag and VR: how their member begins, and what was made of the last value.
 *
 * The files of a series say the same but for a few elements, so most values are compared with the last one and its JSON is
 * copied, which is the same as to make it anew: all that it depends on is compared, too. (test/bench/head-reader.ts: the head of
 * a CT of 150 elements 25 µs before and 17 since; a small MR from its first byte to its row 45 and 35.)
 */
export class KnownElement {
  readonly tag: number
  readonly vr: number
  /** `,"00100020":{"vr":"LO","Value":[`, for bytes `,"InlineBinary":"`. */
  readonly opening: Buffer
  /** What the database wants of it, where it stands at the root. */
  readonly attribute: RootAttribute | undefined
  /** What the last value said of that, if anybody wanted to know. */
  said: Said | undefined
  /** Which one came after it last time: nearly always the same. */
  next: KnownElement | undefined
  /** The last value, and from `VALUE_BYTES` on its member. */
  #memory = nothing
  #valueLength = -1
  #bigEndian = false
  #characterSet = defaultCharacterSet
  /** The member of the last value, with a byte before it for comma or brace: to be copied when {@link saysSame} says so. */
  json = nothing

  constructor(tag: number, vr: number) {
    this.tag = tag
    this.vr = vr
    const value = isBinary(vrKinds[vr] as number) ? ',"InlineBinary":"' : ',"Value":['
    const letters = String.fromCharCode(vr >> 8, vr & 255)
    this.opening = Buffer.from(`,"${tagHex(tag)}":{"vr":"${letters}"${value}`)
    this.attribute = rootAttributeOf(tag)
  }

  /** Whether a value is the last one, and means the same. */
  saysSame(
    bytes: Uint8Array,
    start: number,
    length: number,
    bigEndian: boolean,
    characterSet: CharacterSet,
  ): boolean {
    if (length !== this.#valueLength) return false
    if (bigEndian !== this.#bigEndian || characterSet !== this.#characterSet) return false
    const memory = this.#memory
    for (let at = 0; at < length; at++) if (bytes[start + at] !== memory[at]) return false
    return true
  }

  /** Takes note of a value, and of the member that was made of it. */
  learn(
    bytes: Uint8Array,
    start: number,
    length: number,
    bigEndian: boolean,
    characterSet: CharacterSet,
    json: Uint8Array,
    jsonStart: number,
    jsonEnd: number,
  ): void {
    this.#valueLength = -1
    const jsonLength = jsonEnd - jsonStart
    if (length > VALUE_BYTES || jsonLength > JSON_BYTES) return
    if (this.#memory === nothing) this.#memory = Buffer.allocUnsafeSlow(VALUE_BYTES + JSON_BYTES)
    const memory = this.#memory
    for (let at = 0; at < length; at++) memory[at] = bytes[start + at] as number
    // A view takes longer to make than all the rest.
    if (jsonLength !== this.json.length) {
      this.json = memory.subarray(VALUE_BYTES, VALUE_BYTES + jsonLength)
    }
    const member = this.json
    for (let at = 0; at < jsonLength; at++) member[at] = json[jsonStart + at] as number
    this.#bigEndian = bigEndian
    this.#characterSet = characterSet
    this.#valueLength = length
  }
}

/** @param previous The one before it in the file, which may foretell it. */
export function knownElement(tag: number, vr: number, previous: KnownElement): KnownElement {
  const { next } = previous
  if (next !== undefined && next.tag === tag && next.vr === vr) return next
  let known = elements.get(tag)
  if (known === undefined || known.vr !== vr) {
    known = new KnownElement(tag, vr)
    // Files may invent tags.
    const isTooMuch = elements.size >= MAXIMUM_ELEMENTS
    if (isTooMuch) forgetAll()
    elements.set(tag, known)
    // A reader that is held up may hold one that is forgotten: nothing new may hang on it.
    if (isTooMuch) return known
  }
  previous.next = known
  return known
}

function forgetAll(): void {
  for (const one of elements.values()) one.next = undefined
  elements.clear()
  beforeAll.next = undefined
}

const nothing = Buffer.alloc(0)
const MAXIMUM_ELEMENTS = 5_000
const elements = new Map<number, KnownElement>()
/** Stands before the first element of a file. */
export const beforeAll = new KnownElement(0, 0)

function isBinary(kind: number): boolean {
  return kind >= kinds.bytes && kind !== kinds.sequence
}
