import { latin1 } from './bytes.ts'
import type { JsonBytes } from './json-bytes.ts'
import { trimEndOf } from './trim.ts'

/**
 * Appends one value of DS or IS: as a number if a double keeps every digit of it, else as a string.
 *
 * The digits go into the JSON as they stand (`1.50` stays `1.50`) where JSON's grammar takes them. Up to 15 digits
 * survive a double and back (IEEE 754), which spares the conversion; longer ones are converted and compared.
 *
 * @see PS3.18 F.2.3; JS-14
 */
export function writeDecimal(out: JsonBytes, bytes: Uint8Array, start: number, end: number): void {
  if (isShortJsonNumber(bytes, start, end)) {
    out.raw(bytes, start, end)
    return
  }
  if (writePaddedInteger(out, bytes, start, end)) return
  const text = latin1(bytes, start, end)
  if (decimalPattern.test(text)) {
    const value = Number(text)
    const written = String(value)
    if (Number.isFinite(value) && canonical(written) === canonical(text)) {
      out.ascii(written)
      return
    }
  }
  if (!out.plain(bytes, start, end)) out.string(text.replace(/[^ -~]/g, '\uFFFD'))
}

/** Instance Numbers like `000012` are common. @returns false, with nothing appended, when it is no short integer. */
function writePaddedInteger(
  out: JsonBytes,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const isNegative = bytes[start] === MINUS
  let first = isNegative || bytes[start] === PLUS ? start + 1 : start
  if (first === end || end - first > 15) return false
  for (let at = first; at < end; at++) if (!isDigit(bytes[at] as number)) return false
  while (first < end - 1 && bytes[first] === ZERO) first++
  if (isNegative && bytes[first] !== ZERO) out.byte(MINUS)
  out.raw(bytes, first, end)
  return true
}

/** A JSON number of at most 15 digits and an exponent of at most two. */
function isShortJsonNumber(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  if (bytes[at] === MINUS) at++
  const first = at
  while (at < end && isDigit(bytes[at] as number)) at++
  let digits = at - first
  if (digits === 0 || (digits > 1 && bytes[first] === ZERO)) return false
  if (at < end && bytes[at] === POINT) {
    const point = at++
    while (at < end && isDigit(bytes[at] as number)) at++
    if (at === point + 1) return false
    digits += at - point - 1
  }
  if (digits > 15) return false
  if (at === end) return true
  if (((bytes[at++] as number) | 0x20) !== LOWER_E) return false
  if (at < end && (bytes[at] === MINUS || bytes[at] === PLUS)) at++
  const exponent = at
  while (at < end && isDigit(bytes[at] as number)) at++
  return at === end && at > exponent && at - exponent <= 2
}

const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const LOWER_E = 0x65
// Each digit can be read in one way only, so that a long text that is no number is soon known to be none.
const decimalPattern = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** One spelling for each decimal value: sign, digits without outer zeros, exponent. */
function canonical(text: string): string {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().replace(/^\+/, '').split('e')
  const sign = mantissa.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const digits = (whole + fraction).replace(/^0+/, '')
  if (digits === '') return '0'
  const trimmed = trimEndOf(digits, '0')
  return `${sign}${trimmed}e${Number(exponent) - fraction.length + digits.length - trimmed.length}`
}
