import { Buffer } from 'node:buffer'
import { trimSpaces } from './media-type.ts'
import { BareLineFeedError, PartHeaderError, PartHeaderTooLargeError } from './multipart-errors.ts'

/**
 * The headers of one part: lower-case name to value, unfolded, one character a byte (latin1).
 * A header that came more than once has its values joined with `, `.
 */
export type PartHeaders = ReadonlyMap<string, string>

const LF = 0x0a
const CR = 0x0d
const lineEnd = '\r\n'
const emptyLine = '\r\n\r\n'
const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// RFC 2045 5, 6: each at most once. Two of them would let two readers see two different parts.
const singleHeaders = new Set(['content-type', 'content-length', 'content-transfer-encoding'])
const nothing = Buffer.alloc(0)

/**
 * Collects the header block of one part over any chunking, up to the empty line behind it.
 *
 * Holds at most `limitBytes` (+ 6), allocated once and used for all the parts of a body. Clients give nearly all
 * parts the same headers, byte for byte, and all of their requests: such a block is compared with the last one that any
 * body had, and neither copied nor parsed. (Node, a request of one small instance: 2 µs instead of 8.)
 */
export class HeaderBlock {
  readonly #boundary: string
  readonly #limitBytes: number
  #bytes = nothing
  #length = 0
  #partNumber = 0
  #headers: PartHeaders | undefined
  /** The last block of this body; before there is one, of any. */
  #known: KnownBlock

  constructor(boundary: string, limitBytes: number) {
    this.#boundary = boundary
    this.#limitBytes = limitBytes
    this.#known = last.bytes.length <= limitBytes + emptyLine.length ? last : noBlock
  }

  /** Starts the block of the next part, right behind the line of its delimiter. */
  begin(partNumber: number): void {
    // The CR LF of the delimiter line makes a part without headers (MP-17) no case of its own.
    this.#length = lineEnd.length
    this.#partNumber = partNumber
    this.#headers = undefined
  }

  /** The headers, once the empty line was read. */
  get headers(): PartHeaders | undefined {
    return this.#headers
  }

  /**
   * Reads a chunk up to the end of the empty line, or to its own end.
   *
   * @returns The offset behind what was read.
   * @throws {BareLineFeedError}       A line ends in LF alone (MP-25).
   * @throws {PartHeaderTooLargeError} No empty line within the limit (MP-24).
   * @throws {PartHeaderError}         As `parsePartHeaders`.
   */
  read(chunk: Buffer, from: number): number {
    const before = this.#length
    if (before === lineEnd.length && this.#isKnown(chunk, from)) {
      this.#headers = this.#known.headers
      return from + this.#known.bytes.length
    }
    if (this.#bytes === nothing) {
      this.#bytes = Buffer.alloc(lineEnd.length + this.#limitBytes + emptyLine.length)
      this.#bytes.write(lineEnd, 'latin1')
    }
    const end = before + chunk.copy(this.#bytes, before, from)
    const filled = this.#bytes.subarray(0, end)
    const emptyLineAt = filled.indexOf(emptyLine, Math.max(0, before - emptyLine.length + 1))
    const isComplete = emptyLineAt !== -1
    if (hasBareLineFeed(filled, before, isComplete ? emptyLineAt : end)) {
      throw new BareLineFeedError(`a header line of part ${this.#partNumber}`)
    }
    if (!isComplete) {
      if (end === this.#bytes.length) {
        throw new PartHeaderTooLargeError(this.#partNumber, this.#limitBytes)
      }
      this.#length = end
      return chunk.length
    }
    const block = filled.toString('latin1', lineEnd.length, Math.max(lineEnd.length, emptyLineAt))
    this.#headers = parsePartHeaders(block, this.#partNumber, this.#boundary)
    const bytes = Buffer.from(filled.subarray(lineEnd.length, emptyLineAt + emptyLine.length))
    this.#known = { bytes, headers: this.#headers }
    // With another boundary it says the same, if none of its lines begins like a delimiter.
    if (bytes.length <= LAST_BYTES && !/^--/m.test(block)) last = this.#known
    return from + emptyLineAt + emptyLine.length - before
  }

  #isKnown(chunk: Buffer, from: number): boolean {
    const { bytes } = this.#known
    const { length } = bytes
    if (length === 0 || from + length > chunk.length) return false
    for (let index = 0; index < length; index++) {
      if (chunk[from + index] !== bytes[index]) return false
    }
    return true
  }
}

/** A block that was parsed, the empty line included, and what it said. */
interface KnownBlock {
  bytes: Buffer
  headers: PartHeaders
}

const noBlock: KnownBlock = { bytes: nothing, headers: new Map() }

/** Larger blocks are rare, and not kept from one body to the next. */
const LAST_BYTES = 1024
let last = noBlock

/**
 * Parses a header block: lines with CR LF between them. Folded lines are unfolded (MP-23).
 *
 * @throws {PartHeaderError} A line without a colon or a name, NUL or a bare CR, a header twice that
 *   may be there once, the delimiter before the empty line. Answered 400 (MP-24).
 */
export function parsePartHeaders(block: string, partNumber: number, boundary: string): PartHeaders {
  const headers = new Map<string, string>()
  if (block === '') return headers
  if (block.includes('\0')) throw new PartHeaderError(partNumber, 'they contain NUL')
  if (/\r(?!\n)/.test(block)) {
    throw new PartHeaderError(partNumber, 'they contain CR without LF; end every line with CR LF')
  }
  for (const line of block.replace(/\r\n[ \t]+/g, ' ').split(lineEnd)) {
    // A boundary may hold a colon, so its delimiter could pass for a header, and a part be lost.
    if (line.startsWith(`--${boundary}`)) {
      throw new PartHeaderError(
        partNumber,
        'the next delimiter comes before the empty line that ends them',
      )
    }
    const colon = line.indexOf(':')
    const name = trimSpaces(line.slice(0, Math.max(colon, 0))).toLowerCase()
    if (line.startsWith(' ') || line.startsWith('\t') || !headerName.test(name)) {
      throw new PartHeaderError(partNumber, 'a line is not "name: value"')
    }
    const value = trimSpaces(line.slice(colon + 1))
    const earlier = headers.get(name)
    if (earlier !== undefined && singleHeaders.has(name)) {
      throw new PartHeaderError(partNumber, `"${name}" is given twice`)
    }
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return headers
}

function hasBareLineFeed(bytes: Buffer, from: number, to: number): boolean {
  let at = bytes.indexOf(LF, from)
  while (at !== -1 && at < to) {
    if (bytes[at - 1] !== CR) return true
    at = bytes.indexOf(LF, at + 1)
  }
  return false
}
