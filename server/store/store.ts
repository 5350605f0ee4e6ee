import { constants } from 'node:os'

/**
 * Where bytes rest: append-only objects, called segments, named by a UUID.
 *
 * A segment is written once, from front to back, by one writer; what was appended is durable when `sync`
 * or `seal` has resolved, and nothing changes after `seal`. What a segment means is not the store's business: rows in
 * the database say which ranges of it are instances.
 */
export interface Store {
  /** Makes an empty segment. @throws {StoreError} it is there, or the store cannot be written → 503 or 507 */
  create(segmentID: string): Promise<SegmentWriter>
  /**
   * Reads a range, in order, in chunks of at most 1 MiB, so that memory does not grow with `length`.
   * @param offset Bytes from the front. @param length Bytes.
   * @throws {SegmentNotFoundError} no such segment
   * @throws {SegmentTooShortError} the segment ends before the range does
   * @throws {StoreError} the bytes are there and cannot be read
   */
  read(segmentID: string, offset: number, length: number): AsyncIterable<Uint8Array>
  /**
   * Reads several small ranges of one segment, one behind the other into memory of the caller's, which is as long as they are
   * together. Throws as `read` does.
   */
  readRanges(segmentID: string, ranges: readonly SegmentRange[], into: Uint8Array): Promise<void>
  /**
   * Reads a range into memory of the caller's, in as few steps as the store can: for who reads much and keeps nothing.
   * @throws as `read` does
   */
  readInto(segmentID: string, offset: number, into: Uint8Array): Promise<void>
  /**
   * Marks a segment whose instances are committed. A sweep works by what the database says, and the
   * database may be an old copy or another one; the mark says that these bytes were acknowledged.
   * A writer that is still open goes on.
   */
  keep(segmentID: string): Promise<void>
  /**
   * Deletes a segment, sealed or not, unless it is kept. One that is not there is no error.
   * @returns false when it is kept.
   */
  delete(segmentID: string): Promise<boolean>
  /** Deletes a segment, also one that is kept: everything in it was deleted on purpose, or moved. */
  discard(segmentID: string): Promise<void>
  /** All segments, in no order, also those still being written. */
  list(): AsyncIterable<SegmentEntry>
  /** Resolves when the store can be written, for readiness. @throws {StoreError} */
  probe(): Promise<void>
}

/** Bytes from the front of a segment. */
export interface SegmentRange {
  offset: number
  length: number
}

export interface SegmentEntry {
  segmentID: string
  byteLength: number
  modifiedAt: Date
  /** See `keep`. */
  isKept: boolean
}

/**
 * Appends to one segment.
 *
 * `append` and `rewind` only queue; what is queued is bounded by whoever awaits `drain` between them.
 * After an error nothing of the segment is to be trusted: every later call throws that error. After
 * `seal` or `abandon` every call but `abandon` throws a {@link StoreError}.
 */
export interface SegmentWriter {
  readonly segmentID: string
  /** Bytes appended so far, written or not: the offset of the next byte. */
  readonly byteLength: number
  /** Takes `bytes` without copying: they must not be changed afterwards. */
  append(bytes: Uint8Array): void
  /** Gives back everything from `offset` on; the next `sync` or `seal` cuts it off. */
  rewind(offset: number): void
  /** Whether `drain` has something to wait for, or to throw. */
  readonly isBehind: boolean
  /** Resolves when less than a few MiB are queued. @throws {StoreError} */
  drain(): Promise<void>
  /**
   * Makes durable, data and directory, what was appended before the call; appending goes on meanwhile and
   * afterwards. @throws {StoreError}
   */
  sync(): Promise<void>
  /** Writes what is queued, and syncs data and directory. @throws {StoreError} */
  seal(): Promise<void>
  /**
   * Stops writing and lets go of the segment, which is then the caller's to delete; or, with `byteLength`,
   * to keep so much of, for the rest is cut off if that can be done. Never throws.
   */
  abandon(byteLength?: number): Promise<void>
}

/** The store cannot take or give bytes now. `full`: no space is left → 507, Failure Reason A700. */
export class StoreError extends Error {
  override name = 'StoreError'
  readonly full: boolean

  constructor(action: string, cause: unknown) {
    const code = errorCode(cause)
    super(`Cannot ${action}: ${code ?? 'unknown error'}`, { cause })
    this.full = code === 'ENOSPC' || code === 'EDQUOT'
  }
}

export class SegmentNotFoundError extends Error {
  override name = 'SegmentNotFoundError'

  constructor(segmentID: string) {
    super(`Cannot read segment "${segmentID}": it is not in the store`)
  }
}

export class SegmentTooShortError extends RangeError {
  override name = 'SegmentTooShortError'

  constructor(segmentID: string, expectedBytes: number, foundBytes: number) {
    super(
      `Cannot read segment "${segmentID}": it ends at ${foundBytes} bytes, not ${expectedBytes}`,
    )
  }
}

function errorCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined
  const { code, errno, message } = cause as NodeJS.ErrnoException
  // Not every runtime has a name for it: "Unknown system error -122", "(os error 122)".
  const { EDQUOT } = constants.errno
  return errno === -EDQUOT || message.endsWith(`(os error ${EDQUOT})`) ? 'EDQUOT' : code
}
