import { Buffer } from 'node:buffer'
import { PaddingTooLongError } from './multipart-errors.ts'
import { Needle } from './needle.ts'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DASH = 0x2d

type Stage =
  | 'boundary'
  | 'padding'
  | 'cr'
  | 'dash'
  | 'closed'
  | 'closed cr'
  | 'next'
  | 'last'
  | 'miss'
  | 'bare line feed'
  | 'overlong'

const failedStages: ReadonlySet<Stage> = new Set(['miss', 'bare line feed', 'overlong'])

const nothing = Buffer.alloc(0)

/** Where a scanner puts what it finds. */
export interface ScanEvents {
  /** Bytes that are no part of a delimiter; never empty. Views into the chunk wherever possible. */
  content(bytes: Uint8Array): void
  /** A line was a delimiter but for its end, which is LF alone; it is content unless this throws. */
  bareLineFeed(): void
}

/**
 * Finds delimiter lines in a stream of chunks, and hands over what lies between them.
 *
 * A candidate is what `begin` was told + `--` + boundary. Its first byte occurs nowhere else in it, so
 * a candidate that fails can never hide the start of another one in its own bytes: the search goes
 * on at the byte that failed. (RFC 2046 allows neither CR nor LF in a boundary.)
 *
 * ## boundary, padding, cr, next
 *
 * After the boundary the rest of the line decides (MP-13, MP-14): spaces and tabs, then CR LF, make
 * it a delimiter that opens the `next` part. Anything else is a `miss`, and the line is content.
 *
 * ## dash, closed, closed cr, last
 *
 * `--` right after the boundary, then spaces and tabs, then CR LF or the end of the body, make it
 * the closing delimiter. `--boundary--X` is content: to take it for the end would drop whatever
 * follows without a word, and the sender would hear of a success.
 *
 * ## Across chunks
 *
 * A candidate that is undecided at the end of a chunk is kept: at most the delimiter, its padding
 * and three more bytes. That is the only thing ever copied. When it fails in a later chunk it is
 * handed over as content of its own, before that chunk's.
 */
export class DelimiterScanner {
  readonly #needle: Needle
  readonly #paddingBytes: number
  readonly #events: ScanEvents
  /** Where a delimiter begins in the needle: 1 without its CR. */
  #start: 0 | 1 = 0
  #held = nothing
  #heldLength = 0
  /** How much of the needle was found; `#start`: nothing. */
  #matched = 0
  #padding = 0
  #stage: Stage = 'boundary'
  #before: number | undefined
  #last: number | undefined

  /**
   * @param boundary     Checked already: printable ASCII.
   * @param paddingBytes How many spaces and tabs may follow a boundary.
   */
  constructor(boundary: string, paddingBytes: number, events: ScanEvents) {
    this.#needle = Needle.of(boundary)
    this.#paddingBytes = paddingBytes
    this.#events = events
  }

  /**
   * Starts anew, as if `lead` had just been read: a delimiter may come first (MP-11, MP-29).
   *
   * @param lead What stands before the `--` of those to be found.
   */
  begin(lead: '\r\n' | '\n'): void {
    this.#start = lead === '\n' ? 1 : 0
    this.#heldLength = 0
    this.#matched = 2
    this.#padding = 0
    this.#stage = 'boundary'
    this.#before = CR
    this.#last = undefined
  }

  /**
   * Reads a chunk up to the end of the next delimiter line, or to its own end.
   *
   * Without a candidate in the chunk this costs one search and one call of `content`.
   *
   * @returns The offset behind what was read; `found` says whether a delimiter stopped it there.
   * @throws {PaddingTooLongError} After everything before that delimiter was handed over.
   */
  scan(chunk: Buffer, from: number): number {
    let candidate = from
    let at = from
    for (;;) {
      if (this.#matched === this.#start) {
        candidate = this.#find(chunk, at)
        at = candidate + this.#matched - this.#start
      }
      at = this.#follow(chunk, at)
      if (this.#stage === 'bare line feed') this.#events.bareLineFeed()
      else if (this.#stage !== 'miss') break
      this.#release()
    }
    if (candidate > from) {
      const isWhole = from === 0 && candidate === chunk.length
      this.#events.content(isWhole ? chunk : chunk.subarray(from, candidate))
    }
    if (this.#stage === 'overlong') throw new PaddingTooLongError(this.#paddingBytes)
    if (this.found === undefined) this.#hold(chunk, candidate)
    return at
  }

  /** The delimiter that the last `scan` stopped at. */
  get found(): 'next' | 'last' | undefined {
    return this.#stage === 'next' || this.#stage === 'last' ? this.#stage : undefined
  }

  /** Whether the body, if it ends here, ends with a closing delimiter without a CR LF of its own. */
  get closes(): boolean {
    return this.#stage === 'closed' || this.#stage === 'closed cr'
  }

  /** Whether CR LF, or nothing at all, stands before the delimiter that was found. */
  get startsLine(): boolean {
    return this.#start === 0 || this.#before === CR
  }

  /** The offset of the next candidate, whole or cut off by the end of the chunk, or that end. */
  #find(chunk: Buffer, from: number): number {
    const start = this.#start
    let candidate = this.#needle.find(chunk, from, start)
    if (candidate === -1) {
      candidate = this.#needle.findCutOff(chunk, from, start)
      this.#matched = start + chunk.length - candidate
    } else {
      this.#matched = this.#needle.bytes.length
    }
    this.#before = candidate > 0 ? chunk[candidate - 1] : this.#last
    return candidate
  }

  /** Goes on with a candidate, until it is decided or the chunk ends. */
  #follow(chunk: Buffer, from: number): number {
    const { bytes } = this.#needle
    let at = from
    for (; this.#matched < bytes.length && at < chunk.length; at++) {
      if (chunk[at] !== bytes[this.#matched]) {
        this.#stage = 'miss'
        return at
      }
      this.#matched++
    }
    for (; at < chunk.length; at++) {
      this.#stage = this.#nextStage(chunk[at])
      if (this.found !== undefined) return at + 1
      if (failedStages.has(this.#stage)) return at
    }
    return at
  }

  /** Keeps what cannot be told yet from the beginning of a delimiter. */
  #hold(chunk: Buffer, candidate: number): void {
    if (candidate < chunk.length) {
      if (this.#held === nothing) {
        const { length } = this.#needle.bytes
        this.#held = Buffer.allocUnsafe(length + this.#paddingBytes + '--\r'.length)
      }
      chunk.copy(this.#held, this.#heldLength, candidate)
      this.#heldLength += chunk.length - candidate
    }
    this.#last = chunk[chunk.length - 1]
  }

  #nextStage(byte: number | undefined): Stage {
    const stage = nextStage(this.#stage, byte)
    const isPadding = stage === 'padding' || (stage === 'closed' && this.#stage === 'closed')
    return isPadding && ++this.#padding > this.#paddingBytes ? 'overlong' : stage
  }

  /** Gives up on a candidate: what was kept of it is content. */
  #release(): void {
    if (this.#heldLength > 0) {
      this.#events.content(new Uint8Array(this.#held.subarray(0, this.#heldLength)))
    }
    this.#heldLength = 0
    this.#matched = this.#start
    this.#padding = 0
    this.#stage = 'boundary'
  }
}

function nextStage(stage: Stage, byte: number | undefined): Stage {
  switch (stage) {
    case 'boundary':
      return byte === DASH ? 'dash' : endOfLine(byte, 'padding', 'cr')
    case 'padding':
      return endOfLine(byte, 'padding', 'cr')
    case 'cr':
      return byte === LF ? 'next' : 'miss'
    case 'dash':
      return byte === DASH ? 'closed' : 'miss'
    case 'closed':
      return endOfLine(byte, 'closed', 'closed cr')
    case 'closed cr':
      return byte === LF ? 'last' : 'miss'
    default:
      return 'miss'
  }
}

function endOfLine(byte: number | undefined, afterPadding: Stage, afterCR: Stage): Stage {
  if (byte === CR) return afterCR
  if (byte === SPACE || byte === TAB) return afterPadding
  return byte === LF ? 'bare line feed' : 'miss'
}
