import { BodyCutError } from '../http/body.ts'
import { InstanceTooLargeError } from './errors.ts'
import type { Transfer } from './transfer.ts'

/**
 * Ends a transfer whose request failed before its end, with a reason for people. Never throws.
 *
 * A problem with the request is the sender's fault (`refused`); all else ended it from outside
 * (`aborted`). The message of a fault is for the log of the server, not for people who look at transfers.
 */
export async function endEarly(transfer: Transfer, error: unknown): Promise<void> {
  const status = (error as { status?: unknown }).status
  if (error instanceof BodyCutError) {
    await transfer.abort('The connection ended before the body did')
  } else if (status === 408) {
    await transfer.abort('The sender sent nothing for too long')
  } else if (
    error instanceof InstanceTooLargeError ||
    (typeof status === 'number' && status < 500)
  ) {
    await transfer.refuse((error as Error).message)
  } else {
    await transfer.abort(`The server could not go on: ${(error as Error).name}`)
  }
}
