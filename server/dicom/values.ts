import { trimEnd, u16, u32 } from './bytes.ts'
import type { CharacterSet } from './character-sets.ts'
import { writeDecimal } from './decimal.ts'
import type { JsonBytes } from './json-bytes.ts'
import { padding, trimEndOf } from './trim.ts'
import { kindBytes, kinds } from './vr.ts'

const BACKSLASH = 0x5c
const SPACE = 0x20
const EQUALS = 0x3d
const COMMA = 0x2c
const QUOTE = 0x22
const CLOSING_BRACKET = 0x5d
const SMALL_N = 0x6e

/**
 * Appends what one value field says, behind `"Value":[` or `"InlineBinary":"`, and the bracket or quote that ends it.
 *
 * @param kind One of `kinds`, but not a sequence.
 * @returns false, with nothing appended, for an empty one: its member has no value (JS-04).
 * @see PS3.18 Annex F.2; JS-04 to JS-17
 */
export function writeValue(
  out: JsonBytes,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
  characterSet: CharacterSet,
): boolean {
  if (kind < kinds.us) return writeText(out, kind, bytes, start, end, characterSet)
  if (kind >= kinds.bytes) return writeBinary(out, kind, bytes, start, end, bigEndian)
  return writeNumbers(out, kind, bytes, start, end, bigEndian)
}

function writeText(
  out: JsonBytes,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  characterSet: CharacterSet,
): boolean {
  const trimmed = trimEnd(bytes, start, end)
  if (trimmed === start) return false
  if (kind === kinds.code || kind === kinds.text) {
    if (out.ordinaryValues(bytes, start, trimmed)) return true
  }
  const before = out.end
  if (kind === kinds.longText || kind === kinds.uri) {
    if (!out.plain(bytes, start, trimmed)) {
      out.string(decoded(kind, bytes, start, trimmed, characterSet)[0] ?? '')
    }
  } else if (!writePlainValues(out, kind, bytes, start, trimmed)) {
    out.end = before
    writeDecodedValues(out, kind, decoded(kind, bytes, start, trimmed, characterSet))
  }
  // A name of no group: null would say that it stands among others.
  if (kind === kinds.personName && isNull(out, before)) {
    out.end = before
    return false
  }
  out.byte(CLOSING_BRACKET)
  return true
}

/** Whether all that was written since is one null. */
function isNull(out: JsonBytes, start: number): boolean {
  return out.end === start + 4 && out.bytes[start] === SMALL_N
}

/** @returns false when a value needs the character set. */
function writePlainValues(
  out: JsonBytes,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const trimsStart = kind === kinds.code || kind === kinds.decimal
  for (let from = start; ; ) {
    let to = from
    while (to < end && bytes[to] !== BACKSLASH) to++
    let first = from
    if (trimsStart) while (first < to && bytes[first] === SPACE) first++
    const last = trimEnd(bytes, first, to)
    if (last === first) out.ascii('null')
    else if (kind === kinds.decimal) writeDecimal(out, bytes, first, last)
    else if (kind === kinds.personName) {
      if (!writePlainName(out, bytes, first, last)) return false
    } else if (!out.plain(bytes, first, last)) return false
    if (to >= end) return true
    out.byte(COMMA)
    from = to + 1
  }
}

const nameGroups = ['"Alphabetic":', '"Ideographic":', '"Phonetic":']

/** Person Name: the component groups that are not empty (PS3.5 6.2.1.2; JS-07). Without any it is an empty value (JS-05). */
function writePlainName(out: JsonBytes, bytes: Uint8Array, start: number, end: number): boolean {
  const before = out.end
  out.byte(0x7b)
  let group = 0
  let written = false
  for (let from = start; from <= end && group < 3; group++) {
    let to = from
    while (to < end && (bytes[to] !== EQUALS || group === 2)) to++
    const last = trimEnd(bytes, from, to)
    if (last > from) {
      if (written) out.byte(COMMA)
      out.ascii(nameGroups[group] as string)
      if (!out.plain(bytes, from, last)) return false
      written = true
    }
    from = to + 1
  }
  endName(out, before, written)
  return true
}

function decoded(
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  characterSet: CharacterSet,
): string[] {
  if (kind === kinds.longText) return [characterSet.text(bytes, start, end)]
  if (kind === kinds.text || kind === kinds.personName)
    return characterSet.values(bytes, start, end, kind === kinds.personName)
  // The default repertoire only: every other byte is undecodable (DV-20).
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    text += byte > 0x7f ? '\uFFFD' : String.fromCharCode(byte)
  }
  return kind === kinds.uri ? [text] : text.split('\\')
}

function writeDecodedValues(out: JsonBytes, kind: number, values: string[]): void {
  for (const [index, value] of values.entries()) {
    if (index > 0) out.byte(COMMA)
    const text = trimEndOf(value, padding)
    if (text === '') out.ascii('null')
    else if (kind === kinds.personName) writeDecodedName(out, text)
    else out.string(text)
  }
}

function writeDecodedName(out: JsonBytes, text: string): void {
  const [alphabetic = '', ideographic = '', ...phonetic] = text.split('=')
  const groups = [alphabetic, ideographic, phonetic.join('=')]
  const before = out.end
  let written = false
  out.byte(0x7b)
  for (const [index, group] of groups.entries()) {
    const name = trimEndOf(group, padding)
    if (name === '') continue
    if (written) out.byte(COMMA)
    out.ascii(nameGroups[index] as string)
    out.string(name)
    written = true
  }
  endName(out, before, written)
}

function endName(out: JsonBytes, before: number, hasGroups: boolean): void {
  if (hasGroups) {
    out.byte(0x7d)
    return
  }
  out.end = before
  out.ascii('null')
}

function writeNumbers(
  out: JsonBytes,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
): boolean {
  const size = kindBytes[kind] as number
  if (end - start < size) return false
  for (let at = start; at + size <= end; at += size) {
    if (at > start) out.byte(COMMA)
    if (kind === kinds.us) out.integer(u16(bytes, at, bigEndian))
    else if (kind === kinds.ss) out.integer((u16(bytes, at, bigEndian) << 16) >> 16)
    else if (kind === kinds.ul) out.integer(u32(bytes, at, bigEndian))
    else if (kind === kinds.sl) out.integer(u32(bytes, at, bigEndian) | 0)
    else if (kind === kinds.attributeTag) writeTag(out, bytes, at, bigEndian)
    else if (kind === kinds.fl || kind === kinds.fd) writeFloat(out, bytes, at, size, bigEndian)
    else writeInt64(out, bytes, at, kind === kinds.sv, bigEndian)
  }
  out.byte(CLOSING_BRACKET)
  return true
}

function writeTag(out: JsonBytes, bytes: Uint8Array, at: number, bigEndian: boolean): void {
  out.byte(QUOTE)
  out.hex((u16(bytes, at, bigEndian) << 16) | u16(bytes, at + 2, bigEndian))
  out.byte(QUOTE)
}

const doubles = new Float64Array(1)
const floats = new Float32Array(doubles.buffer)
const floatBytes = new Uint8Array(doubles.buffer)

/**
 * NaN and the infinities are no JSON numbers. They become the strings that JavaScript's `Number()` reads back,
 * since null would say that there is no value (JS-13).
 */
function writeFloat(
  out: JsonBytes,
  bytes: Uint8Array,
  at: number,
  size: number,
  bigEndian: boolean,
): void {
  const flip = bigEndian ? size - 1 : 0
  for (let index = 0; index < size; index++) floatBytes[index ^ flip] = bytes[at + index] as number
  const value = (size === 4 ? floats[0] : doubles[0]) as number
  if ((value | 0) === value && !Object.is(value, -0)) out.integer(value)
  else if (Number.isFinite(value)) out.ascii(Object.is(value, -0) ? '-0' : String(value))
  else out.string(String(value))
}

/** A number while a double holds it, else a string (JS-15). */
function writeInt64(
  out: JsonBytes,
  bytes: Uint8Array,
  at: number,
  signed: boolean,
  bigEndian: boolean,
): void {
  const high = u32(bytes, bigEndian ? at : at + 4, bigEndian)
  const low = u32(bytes, bigEndian ? at + 4 : at, bigEndian)
  const unsigned = (BigInt(high) << 32n) | BigInt(low)
  const value = signed ? BigInt.asIntN(64, unsigned) : unsigned
  const safe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
  if (safe) out.ascii(String(value))
  else out.string(String(value))
}

function writeBinary(
  out: JsonBytes,
  kind: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
): boolean {
  if (start === end) return false
  out.base64(bytes, start, end, bigEndian ? (wordBytes[kind] as number) - 1 : 0)
  out.byte(QUOTE)
  return true
}

const wordBytes: Record<number, number> = {
  [kinds.bytes]: 1,
  [kinds.words]: 2,
  [kinds.longs]: 4,
  [kinds.quads]: 8,
}
