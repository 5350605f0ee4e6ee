import { Iso2022Decoder, isSet, type SetName } from './iso-2022.ts'

/**
 * What a Specific Character Set (0008,0005) says about the bytes of SH LO ST LT PN UC UT.
 *
 * Bytes that the set does not know become U+FFFD (DV-20); nothing is thrown.
 *
 * @see PS3.3 C.12.1.1.2, PS3.5 6.1; JS-18, JS-19
 */
export interface CharacterSet {
  /** Decodes one value in which a backslash is text: LT ST UT. */
  text(bytes: Uint8Array, start: number, end: number): string
  /**
   * Decodes the values between backslashes: SH LO UC PN. A byte 5Ch that is half of a character separates nothing.
   *
   * @param isName PN: `^` and `=` end the reach of a code extension, too (PS3.5 6.1.2.5.3).
   */
  values(bytes: Uint8Array, start: number, end: number, isName: boolean): string[]
  /** Whether bytes in it are UTF-8 as they are: those of UTF-8, and of the default repertoire without code extensions. */
  readonly isUTF8: boolean
  /** A decoder of one text that comes in pieces. @param isSeparated UC: a backslash separates values. */
  pieces(isSeparated: boolean): PieceDecoder
}

/** Decodes the next bytes of a text; may hold some back until the next ones. */
export type PieceDecoder = (bytes: Uint8Array, isLast: boolean) => string

/**
 * Finds the character set for the values of Specific Character Set, joined by backslashes as in the file.
 *
 * A name that the standard does not know counts as the default repertoire; some common misspellings
 * (`ISO-IR 100`, `ISO 2022-IR 87`, `UTF-8`) are known.
 */
export function characterSetOf(specificCharacterSet: string): CharacterSet {
  const known = cache.get(specificCharacterSet)
  if (known !== undefined) return known
  const made = makeCharacterSet(specificCharacterSet)
  // A file may invent names: the cache must not grow with them.
  if (cache.size < 100) cache.set(specificCharacterSet, made)
  return made
}

/** Multi-byte sets that stand alone, without code extensions, by their WHATWG label. */
const standalone: Record<string, string> = {
  'IR 192': 'utf-8',
  'UTF-8': 'utf-8',
  UTF8: 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
}

function makeCharacterSet(specificCharacterSet: string): CharacterSet {
  const names = specificCharacterSet.split('\\').map(normalised)
  const label = standalone[names[0] ?? '']
  if (label !== undefined) return new DecoderSet(label)
  const [initial = '', ...extensions] = names
  return new Iso2022Set(initial, extensions.length === 0 && !isSet(initial))
}

/** `ISO_IR 100`, `ISO 2022 IR 100` and what people write instead: `IR 100`. */
function normalised(name: string): string {
  const trimmed = name.trim().toUpperCase()
  const number = /^ISO.?(?:2022.?)?IR.?(\d+)$/.exec(trimmed)?.[1]
  return number === undefined ? trimmed : `IR ${number}`
}

class DecoderSet implements CharacterSet {
  readonly isUTF8: boolean
  readonly #label: string
  readonly #decoder: TextDecoder

  constructor(label: string) {
    this.isUTF8 = label === 'utf-8'
    this.#label = label
    this.#decoder = new TextDecoder(label, { ignoreBOM: true })
  }

  text(bytes: Uint8Array, start: number, end: number): string {
    return this.#decoder.decode(bytes.subarray(start, end))
  }

  /** Split after decoding: in GB18030 and GBK the second byte of a character may be 5Ch. */
  values(bytes: Uint8Array, start: number, end: number): string[] {
    return this.text(bytes, start, end).split('\\')
  }

  pieces(): PieceDecoder {
    const decoder = new TextDecoder(this.#label, { ignoreBOM: true })
    return (bytes, isLast) => decoder.decode(bytes, { stream: !isLast })
  }
}

class Iso2022Set implements CharacterSet {
  readonly isUTF8: boolean
  readonly #initial: string

  constructor(initial: string, isDefault: boolean) {
    this.isUTF8 = isDefault
    this.#initial = initial
  }

  text(bytes: Uint8Array, start: number, end: number): string {
    const decoder = new Iso2022Decoder(this.#initial as SetName, '')
    return decoder.decode(bytes, start, end)[0] ?? ''
  }

  values(bytes: Uint8Array, start: number, end: number, isName: boolean): string[] {
    const decoder = new Iso2022Decoder(this.#initial as SetName, isName ? '\\^=' : '\\')
    return decoder.decode(bytes, start, end)
  }

  pieces(isSeparated: boolean): PieceDecoder {
    const decoder = new Iso2022Decoder(this.#initial as SetName, isSeparated ? '\\' : '')
    return (bytes, isLast) => decoder.push(bytes, isLast)
  }
}

const cache = new Map<string, CharacterSet>()
/** The default repertoire, ISO_IR 6: what counts where no Specific Character Set is given. */
export const defaultCharacterSet = characterSetOf('')
