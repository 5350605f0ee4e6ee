/** The transfer was ended from outside while it was receiving, or its rows are gone → 503. */
export class TransferLostError extends Error {
  override name = 'TransferLostError'

  constructor(reason: string) {
    super(`Cannot store the request: ${reason}. Nothing of it is stored; send it again`)
  }
}

/**
 * The database did not say in time whether the commit happened → 503. Sending again is safe: what is
 * stored already is answered as stored.
 */
export class OutcomeUnknownError extends Error {
  override name = 'OutcomeUnknownError'

  constructor(cause: unknown) {
    super(
      'Cannot tell whether the request was stored: the database went away during the commit. ' +
        'All of it is stored or nothing; send it again, which does no harm',
      { cause },
    )
  }
}

/** One file is larger than this server takes → 413 for the whole request. */
export class InstanceTooLargeError extends RangeError {
  override name = 'InstanceTooLargeError'
  readonly limitBytes: number

  constructor(position: number, limitBytes: number) {
    super(`Cannot store part ${position + 1}: it is larger than ${limitBytes} bytes`)
    this.limitBytes = limitBytes
  }
}
