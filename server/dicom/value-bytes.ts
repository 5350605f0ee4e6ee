import { Buffer } from 'node:buffer'
import { tagName } from './bytes.ts'
import { type ModelValue, NumberText, PersonName } from './data-set-model.ts'
import { InvalidValueError } from './errors.ts'
import { trimEndOf } from './trim.ts'
import { kindBytes, kinds, vrCode, vrKinds } from './vr.ts'

/**
 * The value field of an attribute that is no sequence and not binary: little endian, UTF-8, not padded (JS-25).
 *
 * @param values As they came; all of them empty is an empty field (JS-04), one that is empty among others an empty
 *   value (JS-05).
 * @throws {InvalidValueError} a value that this VR cannot hold → refusal 0x0106
 * @see PS3.5 6.2, PS3.18 F.2; JS-07, JS-12 to JS-19
 */
export function valueBytes(tag: number, vr: string, values: readonly ModelValue[]): Buffer {
  if (values.every((value) => value === null || value === '')) return Buffer.alloc(0)
  const kind = vrKinds[vrCode(vr)] as number
  if (kind < kinds.us) return Buffer.from(textOfAll(tag, kind, values))
  const size = kindBytes[kind] as number
  const bytes = Buffer.alloc(size * values.length)
  for (const [index, value] of values.entries()) {
    if (!writeNumber(bytes, index * size, kind, numberText(tag, value))) {
      throw invalid(tag, `has a value that is no ${vr}`)
    }
  }
  return bytes
}

/** Bytes that belong together in a value of this VR: its length is a multiple of them. */
export function wordBytes(vr: string): number {
  const kind = vrKinds[vrCode(vr)] as number
  if (kind === kinds.words) return 2
  if (kind === kinds.longs) return 4
  return kind === kinds.quads ? 8 : (kindBytes[kind] as number)
}

/** Whether a text needs a character set beyond the default repertoire. */
export function isASCII(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the repertoire begins there
  return /^[\u0000-\u007f]*$/.test(text)
}

function textOfAll(tag: number, kind: number, values: readonly ModelValue[]): string {
  const isSingle = kind === kinds.longText || kind === kinds.uri
  if (isSingle && values.length > 1) throw invalid(tag, 'has several values, and its VR allows one')
  return values.map((value) => textOf(tag, kind, value)).join('\\')
}

function textOf(tag: number, kind: number, value: ModelValue): string {
  if (value === null) return ''
  if (kind === kinds.personName) return nameText(tag, value)
  const text = value instanceof NumberText && kind === kinds.decimal ? value.text : value
  if (typeof text !== 'string') throw invalid(tag, 'has a value that is not a string')
  // A backslash would part one value into two (JS-19); in LT, ST, UT and UR it is text.
  if (kind !== kinds.longText && kind !== kinds.uri && text.includes('\\')) {
    throw invalid(tag, 'has a value with a backslash')
  }
  const isFree = kind === kinds.text || kind === kinds.longText
  if (!isFree && !isASCII(text)) {
    throw invalid(tag, 'has a value outside of the default character repertoire')
  }
  return text
}

/** An `=` or a backslash would move what stands behind it into another group or value. */
function nameText(tag: number, value: ModelValue): string {
  if (!(value instanceof PersonName)) throw invalid(tag, 'has a value that is not a name')
  if (value.groups.some((group) => /[\\=]/.test(group))) {
    throw invalid(tag, 'has a name with a backslash or an equals sign')
  }
  return trimEndOf(value.groups.join('='), '=')
}

function numberText(tag: number, value: ModelValue): string {
  if (value === null || value === '') throw invalid(tag, 'has an empty value among numbers')
  if (value instanceof NumberText) return value.text
  if (typeof value === 'string') return value.trim()
  throw invalid(tag, 'has a value that is not a number')
}

const ranges = new Map<number, [least: bigint, most: bigint]>([
  [kinds.us, [0n, 0xffffn]],
  [kinds.ss, [-0x8000n, 0x7fffn]],
  [kinds.ul, [0n, 0xffff_ffffn]],
  [kinds.sl, [-0x8000_0000n, 0x7fff_ffffn]],
  [kinds.uv, [0n, 2n ** 64n - 1n]],
  [kinds.sv, [-(2n ** 63n), 2n ** 63n - 1n]],
])

/** @returns false when the text is no number of this kind. */
function writeNumber(bytes: Buffer, at: number, kind: number, text: string): boolean {
  if (kind === kinds.attributeTag) return writeTag(bytes, at, text)
  if (kind === kinds.fl || kind === kinds.fd) return writeFloat(bytes, at, kind, text)
  const [least, most] = ranges.get(kind) as [bigint, bigint]
  const value = integerOf(text)
  if (value === undefined || value < least || value > most) return false
  if (kind === kinds.us || kind === kinds.ss) bytes.writeUInt16LE(Number(value & 0xffffn), at)
  else if (kind === kinds.ul || kind === kinds.sl)
    bytes.writeUInt32LE(Number(value & 0xffff_ffffn), at)
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, value), at)
  return true
}

/** Also `12.0` and `1e3`, which JSON writers make of whole numbers. */
function integerOf(text: string): bigint | undefined {
  if (/^[+-]?\d{1,20}$/.test(text)) return BigInt(text.replace('+', ''))
  if (text === '') return undefined
  const number = Number(text)
  return Number.isSafeInteger(number) ? BigInt(number) : undefined
}

function writeTag(bytes: Buffer, at: number, text: string): boolean {
  if (!/^[0-9A-Fa-f]{8}$/.test(text)) return false
  bytes.writeUInt16LE(Number.parseInt(text.slice(0, 4), 16), at)
  bytes.writeUInt16LE(Number.parseInt(text.slice(4), 16), at + 2)
  return true
}

/** NaN and the infinities as the strings that our own metadata have for them (JS-13). */
function writeFloat(bytes: Buffer, at: number, kind: number, text: string): boolean {
  const value = Number(text)
  const isNamed = /^(?:NaN|[+-]?Infinity)$/.test(text)
  if (text === '' || (!Number.isFinite(value) && !isNamed)) return false
  if (kind === kinds.fd) bytes.writeDoubleLE(value, at)
  else if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) return false
  else bytes.writeFloatLE(value, at)
  return true
}

function invalid(tag: number, reason: string): InvalidValueError {
  return new InvalidValueError(`element ${tagName(tag)} ${reason}`)
}
