/**
 * What is wrong with a multipart body: one class a condition, one class a limit.
 *
 * Whatever is thrown here ends the whole request, and nothing of it is stored. Messages never quote
 * what a header of a part says, since senders put patient names into file names there.
 */
export abstract class MultipartError extends Error {
  /** The HTTP status of the answer. */
  abstract readonly status: 400 | 413 | 415
}

/** MP-07: no usable boundary. */
export class BoundaryError extends MultipartError {
  override readonly name = 'BoundaryError'
  readonly status = 400
}

/** MP-26: the body ended before its closing delimiter. Every part of it may look complete. */
export class TruncatedMultipartError extends MultipartError {
  override readonly name = 'TruncatedMultipartError'
  readonly status = 400

  constructor(partCount: number, receivedBytes: number) {
    super(
      `Cannot read multipart body: it ended after ${receivedBytes} bytes in part ${partCount}, ` +
        'without the closing delimiter; send the whole request again',
    )
  }
}

/** MP-28: no parts at all. */
export class EmptyMultipartError extends MultipartError {
  override readonly name = 'EmptyMultipartError'
  readonly status = 400

  constructor(receivedBytes: number) {
    super(
      `Cannot read multipart body: no part in ${receivedBytes} bytes; ` +
        'compare the boundary parameter of Content-Type with the delimiters of the body',
    )
  }
}

/** MP-25: lines that end in LF alone. */
export class BareLineFeedError extends MultipartError {
  override readonly name = 'BareLineFeedError'
  readonly status = 400

  constructor(where: string) {
    super(`Cannot read multipart body: ${where} ends in LF alone; end every line with CR LF`)
  }
}

/** MP-24, MP-21: a header of a part that cannot be read. */
export class PartHeaderError extends MultipartError {
  override readonly name = 'PartHeaderError'
  readonly status = 400

  constructor(partNumber: number, reason: string, options?: ErrorOptions) {
    super(`Cannot read headers of part ${partNumber}: ${reason}`, options)
  }
}

/** MP-24: the limit `headerBytes`. */
export class PartHeaderTooLargeError extends MultipartError {
  override readonly name = 'PartHeaderTooLargeError'
  readonly status = 400
  readonly limitBytes: number

  constructor(partNumber: number, limitBytes: number) {
    super(
      `Cannot read headers of part ${partNumber}: no empty line within ${limitBytes} bytes; ` +
        'end the headers with an empty line',
    )
    this.limitBytes = limitBytes
  }
}

/** MP-13: the limit `paddingBytes`. */
export class PaddingTooLongError extends MultipartError {
  override readonly name = 'PaddingTooLongError'
  readonly status = 400
  readonly limitBytes: number

  constructor(limitBytes: number) {
    super(
      `Cannot read multipart body: more than ${limitBytes} spaces and tabs after a delimiter; ` +
        'end the line with CR LF',
    )
    this.limitBytes = limitBytes
  }
}

/** MP-21: a part is not as long as its own Content-Length says. */
export class PartLengthError extends MultipartError {
  override readonly name = 'PartLengthError'
  readonly status = 400
  readonly declaredBytes: number
  readonly receivedBytes: number

  constructor(partNumber: number, declaredBytes: number, receivedBytes: number) {
    super(
      `Cannot accept part ${partNumber}: its Content-Length is ${declaredBytes} bytes, ` +
        `but ${receivedBytes} bytes came before the delimiter`,
    )
    this.declaredBytes = declaredBytes
    this.receivedBytes = receivedBytes
  }
}

/** MP-33: the limit `parts`. */
export class TooManyPartsError extends MultipartError {
  override readonly name = 'TooManyPartsError'
  readonly status = 413
  readonly limitCount: number

  constructor(limitCount: number) {
    super(
      `Cannot read multipart body: it has more than ${limitCount} parts; ` +
        'send them in several requests',
    )
    this.limitCount = limitCount
  }
}

/** MP-33: the limit `partBytes`. */
export class PartTooLargeError extends MultipartError {
  override readonly name = 'PartTooLargeError'
  readonly status = 413
  readonly limitBytes: number

  constructor(partNumber: number, limitBytes: number) {
    super(`Cannot accept part ${partNumber}: it has more than ${limitBytes} bytes`)
    this.limitBytes = limitBytes
  }
}

/** MP-33: the limit `bodyBytes`. */
export class BodyTooLargeError extends MultipartError {
  override readonly name = 'BodyTooLargeError'
  readonly status = 413
  readonly limitBytes: number

  constructor(limitBytes: number) {
    super(
      `Cannot read multipart body: it has more than ${limitBytes} bytes; ` +
        'send its parts in several requests',
    )
    this.limitBytes = limitBytes
  }
}

/** MP-17, MP-19, MP-22, MP-30: a part of a kind that is not stored. */
export class UnsupportedPartError extends MultipartError {
  override readonly name = 'UnsupportedPartError'
  readonly status = 415

  constructor(partNumber: number, reason: string) {
    super(`Cannot accept part ${partNumber}: ${reason}`)
  }
}
