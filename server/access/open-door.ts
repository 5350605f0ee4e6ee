import { isIP } from 'node:net'
import { OperatorError } from '../operator-error.ts'

/** Nobody would be kept from anything. */
export class OpenDoorError extends OperatorError {
  override name = 'OpenDoorError'
}

/**
 * @param hostname Where the server is to listen.
 * @throws {OpenDoorError} Others reach that address, and no credentials are asked for.
 */
export function refuseOpenDoor(
  hostname: string,
  isGuarded: boolean,
  isAnyoneAllowed: boolean,
): void {
  if (isGuarded || isAnyoneAllowed || isLoopback(hostname)) return
  throw new OpenDoorError(
    `Cannot listen on ${hostname}: no credentials are set up, so whoever reaches that address could read and delete everything; make a token with "stowage token create --name me --role admin" or a password with "stowage password admin", or set STOWAGE_ALLOW_ANYONE=on if only those who may do all reach it`,
  )
}

export function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '::1') return true
  return isIP(hostname) === 4 && hostname.startsWith('127.')
}
