import { Buffer } from 'node:buffer'
import { DelimiterScanner } from './delimiter-scanner.ts'
import { checkBoundary } from './media-type.ts'
import {
  BareLineFeedError,
  BodyTooLargeError,
  EmptyMultipartError,
  PartHeaderError,
  PartLengthError,
  PartTooLargeError,
  TooManyPartsError,
  TruncatedMultipartError,
} from './multipart-errors.ts'
import { HeaderBlock, type PartHeaders } from './part-headers.ts'

/** What a reader tells, in the order of the body. Whatever one of these throws comes out of `push`. */
export interface PartEvents {
  /** A part begins, and its headers are complete. */
  partBegin(headers: PartHeaders): void
  /**
   * Bytes of the part, never empty: a view into the chunk that was just pushed. Only bytes that were
   * kept back because they could have been a delimiter (under 2 KiB) are a copy.
   */
  partData(bytes: Uint8Array): void
  /** The delimiter behind the part was seen. Its transfer may still fail. */
  partEnd(): void
}

/** Each limit ends the whole request with the status given. */
export interface MultipartLimits {
  /** Bytes of the header block of one part. Default 16 KiB. 400 (MP-24). */
  readonly headerBytes: number
  /** Spaces and tabs after one delimiter. Default 1 KiB. 400 (MP-13). */
  readonly paddingBytes: number
  /** Number of parts. Default 100,000. 413 (MP-33). */
  readonly parts: number
  /** Bytes of one part without its headers. Default: no limit. 413 (MP-33). */
  readonly partBytes: number
  /** Bytes of the body, preamble and epilogue included (MP-12). Default: no limit. 413 (MP-33). */
  readonly bodyBytes: number
}

export const defaultMultipartLimits: MultipartLimits = {
  headerBytes: 16 * 1024,
  paddingBytes: 1024,
  parts: 100_000,
  partBytes: Number.POSITIVE_INFINITY,
  bodyBytes: Number.POSITIVE_INFINITY,
}

type State = 'preamble' | 'headers' | 'body' | 'epilogue' | 'ended'

/**
 * Reads a multipart body (RFC 2046 5.1.1) that is pushed in chunks of any size, and tells its parts
 * as events. Synchronous; owns no stream; memory is bounded by the limits on headers and padding
 * and does not grow with parts or chunks. The events do not depend on where the chunks were cut,
 * but for how many `partData` the same bytes come in.
 *
 * ## preamble
 *
 * From the first byte to the end of the first delimiter line. Its text is dropped (MP-12). The
 * search is for LF + delimiter, wider than in a body: a delimiter line with LF alone before or after
 * it is the work of a sender that ends no line with CR LF, and is refused (MP-25). To pass over it
 * as preamble would drop the first part. A closing delimiter leads to `epilogue`, any other one to
 * `headers`.
 *
 * ## headers
 *
 * Up to the empty line. Then `partBegin`, and `body`.
 *
 * ## body
 *
 * Everything is `partData` up to CR LF + delimiter; the empty line behind the headers may serve as
 * that CR LF (a part of length zero, MP-29). At the delimiter the part's own Content-Length is
 * checked (MP-21), then `partEnd`, then `headers` or `epilogue`.
 *
 * ## epilogue
 *
 * Dropped, whatever it looks like (MP-12, MP-31).
 *
 * ## ended
 *
 * After `end`, or after the first error: each later call throws that error again.
 */
export class MultipartReader {
  readonly #events: PartEvents
  readonly #limits: MultipartLimits
  readonly #scanner: DelimiterScanner
  readonly #header: HeaderBlock
  #state: State = 'preamble'
  #failure: unknown
  #hasBareLineFeed = false
  #receivedBytes = 0
  #partCount = 0
  #partBytes = 0
  #declaredBytes: number | undefined

  /** @throws {BoundaryError} The boundary could not be one (MP-07). Answered 400. */
  constructor(boundary: string, events: PartEvents, limits: Partial<MultipartLimits> = {}) {
    checkBoundary(boundary)
    this.#events = events
    this.#limits = { ...defaultMultipartLimits, ...limits }
    const { headerBytes, paddingBytes } = this.#limits
    this.#header = new HeaderBlock(boundary, headerBytes)
    this.#scanner = new DelimiterScanner(boundary, paddingBytes, {
      content: (bytes) => {
        if (this.#state === 'body') this.#readData(bytes)
      },
      bareLineFeed: () => {
        if (this.#state === 'preamble') throw new BareLineFeedError('the first delimiter line')
        // Binary data may hold such a line (MP-25): it matters only if no closing delimiter follows.
        this.#hasBareLineFeed = true
      },
    })
    this.#scanner.begin('\n')
  }

  /**
   * Reads one chunk. The chunk stays the caller's, and must not change while a consumer still holds
   * a view that `partData` gave it.
   *
   * @throws {MultipartError} With the status of the answer; the events told before it are void.
   */
  push(chunk: Uint8Array): void {
    this.#mustGoOn()
    try {
      const room = this.#limits.bodyBytes - this.#receivedBytes
      const bytes = asBuffer(chunk, Math.min(chunk.length, room))
      this.#receivedBytes += bytes.length
      this.#read(bytes)
      if (chunk.length > room) throw new BodyTooLargeError(this.#limits.bodyBytes)
    } catch (error) {
      this.#fail(error)
    }
  }

  /**
   * The body is over. Tells the last `partEnd` when nothing follows the closing delimiter.
   *
   * @throws {EmptyMultipartError}     No part (MP-28). Answered 400.
   * @throws {TruncatedMultipartError} No closing delimiter (MP-26). Answered 400, whole request.
   * @throws {BareLineFeedError}       No closing delimiter, but a line that differs from a delimiter
   *   only in its end, LF alone (MP-25). Answered 400.
   * @throws {PartLengthError}         As at any other delimiter (MP-21). Answered 400.
   */
  end(): void {
    this.#mustGoOn()
    try {
      if (this.#state === 'body' && this.#scanner.closes) this.#endPart('epilogue')
      if (this.#partCount === 0) throw new EmptyMultipartError(this.#receivedBytes)
      if (this.#state !== 'epilogue') {
        if (this.#hasBareLineFeed) throw new BareLineFeedError('a delimiter line')
        throw new TruncatedMultipartError(this.#partCount, this.#receivedBytes)
      }
      this.#state = 'ended'
    } catch (error) {
      this.#fail(error)
    }
  }

  #mustGoOn(): void {
    if (this.#state !== 'ended') return
    throw this.#failure ?? new TypeError('Cannot read multipart body: the reader has ended')
  }

  #fail(error: unknown): never {
    this.#state = 'ended'
    this.#failure = error
    throw error
  }

  #read(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case 'preamble':
          at = this.#scanner.scan(chunk, at)
          this.#endPreamble()
          break
        case 'headers':
          at = this.#header.read(chunk, at)
          if (this.#header.headers !== undefined) this.#beginBody(this.#header.headers)
          break
        case 'body':
          at = this.#scanner.scan(chunk, at)
          if (this.#scanner.found === 'next') this.#endPart('headers')
          if (this.#scanner.found === 'last') this.#endPart('epilogue')
          break
        default:
          return
      }
    }
  }

  #endPreamble(): void {
    if (this.#scanner.found === undefined) return
    if (!this.#scanner.startsLine) throw new BareLineFeedError('the line before the delimiter')
    if (this.#scanner.found === 'next') this.#beginPart()
    else this.#state = 'epilogue'
  }

  #beginPart(): void {
    if (this.#partCount >= this.#limits.parts) throw new TooManyPartsError(this.#limits.parts)
    this.#partCount++
    this.#header.begin(this.#partCount)
    this.#state = 'headers'
  }

  #beginBody(headers: PartHeaders): void {
    this.#declaredBytes = declaredBytes(headers, this.#partCount)
    this.#partBytes = 0
    this.#scanner.begin('\r\n')
    this.#state = 'body'
    this.#events.partBegin(headers)
  }

  #readData(bytes: Uint8Array): void {
    const room = this.#limits.partBytes - this.#partBytes
    this.#partBytes += bytes.length
    if (bytes.length <= room) {
      this.#events.partData(bytes)
      return
    }
    if (room > 0) this.#events.partData(bytes.subarray(0, room))
    throw new PartTooLargeError(this.#partCount, this.#limits.partBytes)
  }

  #endPart(next: 'headers' | 'epilogue'): void {
    if (this.#declaredBytes !== undefined && this.#declaredBytes !== this.#partBytes) {
      throw new PartLengthError(this.#partCount, this.#declaredBytes, this.#partBytes)
    }
    this.#events.partEnd()
    if (next === 'headers') this.#beginPart()
    else this.#state = 'epilogue'
  }
}

/** The first bytes of a chunk, as the Buffer that the scanner's loops were compiled for. */
function asBuffer(chunk: Uint8Array, length: number): Buffer {
  if (chunk instanceof Buffer && chunk.length === length) return chunk
  return Buffer.from(chunk.buffer, chunk.byteOffset, length)
}

function declaredBytes(headers: PartHeaders, partNumber: number): number | undefined {
  const value = headers.get('content-length')
  if (value === undefined) return undefined
  if (!/^\d+$/.test(value)) {
    throw new PartHeaderError(partNumber, '"content-length" is not a number of bytes')
  }
  return Number(value)
}
