import { ChangesRemovedError } from '../db/changes.ts'
import { DeletedMeanwhileError } from '../db/instances.ts'
import { NoConnectionError } from '../db/own-connections.ts'
import { MetadataSyntaxError } from './dicom/json-text.ts'
import { BodyCutError } from './http/body.ts'
import { OverloadedError, retryAfterSeconds } from './http/overload.ts'
import { HttpProblem } from './http/problem.ts'
import { InstanceTooLargeError, OutcomeUnknownError, TransferLostError } from './intake/errors.ts'
import { MediaTypeError } from './multipart/media-type.ts'
import { MultipartError } from './multipart/multipart-errors.ts'
import { PoolBusyError, UndecodableError } from './pixels/worker-pool.ts'
import { StoreError } from './store/store.ts'

/**
 * What an error of any room becomes on the wire. Undefined: a fault of ours, to be logged and
 * answered 500 without detail.
 *
 * | error | status |
 * | --- | --- |
 * | `MultipartError` | its own: 400, 413 or 415 |
 * | `MediaTypeError`, `BodyCutError`, `MetadataSyntaxError` | 400 |
 * | `InstanceTooLargeError` | 413 |
 * | `OverloadedError`, `NoConnectionError`, `TransferLostError`, `OutcomeUnknownError` | 503 |
 * | `ChangesRemovedError` | 410 |
 * | `StoreError` | 507 when no space is left, else 503 |
 * | no space is left for Postgres (53100) | 507 |
 * | `PoolBusyError`, the database is away | 503 |
 * | `UndecodableError` | 406 |
 * | `DeletedMeanwhileError` | 410 |
 */
export function toProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof HttpProblem) return error
  const cause = error
  if (error instanceof MultipartError)
    return new HttpProblem(error.status, error.message, { cause })
  if (
    error instanceof MediaTypeError ||
    error instanceof BodyCutError ||
    error instanceof MetadataSyntaxError
  ) {
    return new HttpProblem(400, error.message, { cause })
  }
  if (error instanceof InstanceTooLargeError) {
    return new HttpProblem(413, error.message, {
      members: { limitBytes: error.limitBytes },
      headers: { connection: 'close' },
      cause,
    })
  }
  const overload = overloadOf(error)
  if (overload !== undefined) {
    const members = { limit: overload.scarce, of: overload.whose }
    return unavailable(overload.message, cause, members)
  }
  if (error instanceof TransferLostError || error instanceof OutcomeUnknownError) {
    return unavailable(error.message, cause)
  }
  if (error instanceof ChangesRemovedError) {
    const since = error.removedSeq
    const detail = `${error.message}: search for what there is (QIDO-RS), then go on with since=${since}`
    return new HttpProblem(410, detail, { members: { since }, cause })
  }
  if (error instanceof PoolBusyError) return unavailable(error.message, cause)
  if (error instanceof UndecodableError) {
    const detail = `Cannot convert the pixel data: ${error.message}; retrieve it with transfer-syntax=*`
    return new HttpProblem(406, detail, { cause })
  }
  if ((error instanceof StoreError && error.full) || codeOf(error) === '53100') {
    return new HttpProblem(
      507,
      'Cannot store the request: the storage is full. Nothing of it is stored; send it again when there is space',
      { members: { failureReason: 0xa700 }, headers: { connection: 'close' }, cause },
    )
  }
  if (error instanceof DeletedMeanwhileError) {
    return new HttpProblem(410, error.message, { cause })
  }
  if (error instanceof StoreError) {
    return unavailable(
      'Cannot do this now: the storage does not answer. Nothing of it is stored; try again',
      cause,
    )
  }
  if (isDatabaseAway(error)) {
    return unavailable('Cannot do this now: the database does not answer. Try again', cause)
  }
  return undefined
}

/** What an error says of too much to do; undefined: it is none of these. */
export function overloadOf(error: unknown): OverloadedError | undefined {
  if (error instanceof OverloadedError) return error
  if (!(error instanceof NoConnectionError)) return undefined
  return new OverloadedError('database', 'server', 'too many searches are running')
}

function unavailable(
  detail: string,
  cause: unknown,
  members: Record<string, string> = {},
): HttpProblem {
  const headers = { 'retry-after': retryAfterSeconds() }
  return new HttpProblem(503, detail, { members, headers, cause })
}

/** Codes of postgres.js for a connection that broke, of Node for one that was refused, and of Postgres
 * for one that it ends or cannot open (classes 08, 53 and 57P), for too much contention or time (40001,
 * 40P01, 55P03, 57014), and for a standby (25006). */
function isDatabaseAway(error: unknown): boolean {
  return /^(CONNECTION_|CONNECT_TIMEOUT|ECONN|ENOENT$|EPIPE|ETIMEDOUT|EHOSTUNREACH|08|25006|40001|40P01|53|55P03|57014|57P)/.test(
    codeOf(error),
  )
}

/** Of an error of Node, postgres.js or Postgres (SQLSTATE), or of what it wraps; empty: it has none. */
function codeOf(error: unknown): string {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
  return String(code ?? cause?.code ?? '')
}
