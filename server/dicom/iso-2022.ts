import { Buffer } from 'node:buffer'

/** Sets that can be designated, by their ISO registration number. */
export type SetName = keyof typeof singleByte | keyof typeof doubleByte | 'IR 6'

/** The upper half (A0h to FFh) of single-byte sets, by WHATWG label. Katakana is computed. */
const singleByte = {
  'IR 13': 'katakana',
  'IR 100': 'latin1',
  'IR 101': 'iso-8859-2',
  'IR 109': 'iso-8859-3',
  'IR 110': 'iso-8859-4',
  'IR 126': 'iso-8859-7',
  'IR 127': 'iso-8859-6',
  'IR 138': 'iso-8859-8',
  'IR 144': 'iso-8859-5',
  'IR 148': 'iso-8859-9',
  'IR 166': 'iso-8859-11',
  'IR 203': 'iso-8859-15',
} as const

/**
 * Sets of 94 x 94 characters: the decoder that knows them with the high bits set, and the byte that selects them there.
 */
const doubleByte = {
  'IR 58': { label: 'gbk', prefix: 0 },
  'IR 87': { label: 'euc-jp', prefix: 0 },
  'IR 149': { label: 'euc-kr', prefix: 0 },
  // JIS X 0212 is code set 3 of EUC-JP.
  'IR 159': { label: 'euc-jp', prefix: 0x8f },
} as const

/** Escape sequences without their ESC (PS3.3 Tables C.12-3, C.12-4): which half they designate, and the set. */
const escapes: Record<string, [half: 'G0' | 'G1', set: SetName]> = {
  '(B': ['G0', 'IR 6'],
  '(J': ['G0', 'IR 13'],
  ')I': ['G1', 'IR 13'],
  '-A': ['G1', 'IR 100'],
  '-B': ['G1', 'IR 101'],
  '-C': ['G1', 'IR 109'],
  '-D': ['G1', 'IR 110'],
  '-F': ['G1', 'IR 126'],
  '-G': ['G1', 'IR 127'],
  '-H': ['G1', 'IR 138'],
  '-L': ['G1', 'IR 144'],
  '-M': ['G1', 'IR 148'],
  '-T': ['G1', 'IR 166'],
  '-b': ['G1', 'IR 203'],
  $B: ['G0', 'IR 87'],
  // JIS C 6226-1978, the elder of JIS X 0208; not in DICOM, but written by some.
  '$@': ['G0', 'IR 87'],
  '$(D': ['G0', 'IR 159'],
  '$)A': ['G1', 'IR 58'],
  '$)C': ['G1', 'IR 149'],
}

const ESC = 0x1b
/** Of an escape sequence; a character has one or two. */
const LONGEST_BYTES = 4
const nothing = Buffer.alloc(0)
const UNKNOWN = '\uFFFD'

/**
 * Decodes text with ISO 2022 code extensions, as DICOM uses them.
 *
 * Bytes below 80h belong to the half G0, the others to G1. Each half holds a set, designated by an escape sequence
 * until the next one or until a delimiter or a control character, where the sets of value 1 come back
 * (PS3.5 6.1.2.5.3). While G0 holds a set of two bytes a character, no byte of it is a delimiter.
 */
export class Iso2022Decoder {
  readonly #initial: SetName
  readonly #delimiters: string
  #g0: SetName = 'IR 6'
  #g1: SetName = 'IR 6'
  #values: string[] = []
  #text = ''
  #held = nothing

  /**
   * @param initial    The set of value 1 of Specific Character Set.
   * @param delimiters Characters at which the sets come back. A backslash among them separates values as well.
   */
  constructor(initial: SetName, delimiters: string) {
    this.#initial = initial
    this.#delimiters = delimiters
    this.#reset()
  }

  decode(bytes: Uint8Array, start: number, end: number): string[] {
    this.#take(bytes, start, end, end)
    this.#values.push(this.#text)
    return this.#values
  }

  /**
   * Decodes the next bytes of a text that comes in pieces: its values, with the backslashes between them. What may be part
   * of a character or an escape sequence waits for the next piece.
   */
  push(bytes: Uint8Array, isLast: boolean): string {
    const piece = Buffer.concat([this.#held, bytes])
    const certain = isLast ? piece.length : piece.length - LONGEST_BYTES + 1
    this.#held = piece.subarray(this.#take(piece, 0, certain, piece.length))
    const text = [...this.#values, this.#text].join('\\')
    this.#values = []
    this.#text = ''
    return text
  }

  /** @param certain What begins before is whole. @returns Where it stopped, there or behind. */
  #take(bytes: Uint8Array, start: number, certain: number, end: number): number {
    let at = start
    while (at < certain) {
      const byte = bytes[at] as number
      if (byte === ESC) at = this.#escape(bytes, at, end)
      else if (byte > 0x7f) at = this.#character(this.#g1, bytes, at, end)
      else if (byte < 0x21 || !(this.#g0 in doubleByte)) at = this.#lower(byte, at)
      else at = this.#character(this.#g0, bytes, at, end)
    }
    return at
  }

  #reset(): void {
    this.#g0 = this.#initial === 'IR 13' ? 'IR 13' : 'IR 6'
    this.#g1 = this.#initial
  }

  #escape(bytes: Uint8Array, at: number, end: number): number {
    for (const length of [2, 3]) {
      if (at + 1 + length > end) break
      const code = String.fromCharCode(...bytes.subarray(at + 1, at + 1 + length))
      const [half, set] = escapes[code] ?? []
      if (set === undefined) continue
      if (half === 'G0') this.#g0 = set
      else this.#g1 = set
      return at + 1 + length
    }
    this.#text += UNKNOWN
    return at + 1
  }

  /** A byte of a single-byte G0, or a control character. */
  #lower(byte: number, at: number): number {
    const character = String.fromCharCode(byte)
    const isDelimiter = this.#delimiters.includes(character)
    if (isDelimiter || (byte < 0x20 && byte !== 0)) this.#reset()
    if (isDelimiter && character === '\\') {
      this.#values.push(this.#text)
      this.#text = ''
    } else if (this.#g0 === 'IR 13' && byte === 0x5c) this.#text += '\u00A5'
    else if (this.#g0 === 'IR 13' && byte === 0x7e) this.#text += '\u203E'
    else this.#text += character
    return at + 1
  }

  /** A run of characters of one set, two bytes each; or one byte of a single-byte set. */
  #character(set: SetName, bytes: Uint8Array, start: number, end: number): number {
    if (!(set in doubleByte)) {
      this.#text += upperHalf(set)[(bytes[start] as number) - 0x80] ?? UNKNOWN
      return start + 1
    }
    const { label, prefix } = doubleByte[set as keyof typeof doubleByte]
    const high = (bytes[start] as number) & 0x80
    const run: number[] = []
    let at = start
    while (at + 1 < end && inHalf(bytes[at], high) && inHalf(bytes[at + 1], high)) {
      if (prefix !== 0) run.push(prefix)
      run.push((bytes[at] as number) | 0x80, (bytes[at + 1] as number) | 0x80)
      at += 2
    }
    this.#text += run.length === 0 ? UNKNOWN : decoderOf(label).decode(Uint8Array.from(run))
    return run.length === 0 ? start + 1 : at
  }
}

/** Whether it is one of the sets of the tables above. */
export function isSet(name: string): boolean {
  return name in singleByte || name in doubleByte
}

/** Whether a byte is one of the 94 of a half. */
function inHalf(byte: number | undefined, high: number): boolean {
  return (
    byte !== undefined &&
    (byte & 0x80) === high &&
    (byte & 0x7f) > 0x20 &&
    byte !== 0xff &&
    byte !== 0x7f
  )
}

const decoders = new Map<string, TextDecoder>()
const upperHalves = new Map<string, string[]>()

function decoderOf(label: string): TextDecoder {
  const known = decoders.get(label)
  if (known !== undefined) return known
  const decoder = new TextDecoder(label)
  decoders.set(label, decoder)
  return decoder
}

/** The 128 characters above 7Fh. C1 controls are U+FFFD: WHATWG has Windows' characters there, DICOM has none. */
function upperHalf(set: string): string[] {
  const known = upperHalves.get(set)
  if (known !== undefined) return known
  const label = singleByte[set as keyof typeof singleByte]
  const half = Array.from({ length: 128 }, (_, index) => {
    if (label === undefined || index < 0x20) return UNKNOWN
    if (label === 'latin1') return String.fromCharCode(0x80 + index)
    if (label === 'katakana') {
      return index > 0x20 && index < 0x60 ? String.fromCharCode(0xff40 + index) : UNKNOWN
    }
    return decoderOf(label).decode(Uint8Array.of(0x80 + index))
  })
  // The names are those of the tables above, or one that nobody knows: keep one entry for all of these.
  if (label !== undefined) upperHalves.set(set, half)
  return half
}
