import { HttpProblem } from '../http/problem.ts'
import { isLoopback } from './open-door.ts'

/**
 * Refuses a request that was meant for another name than those of this machine.
 *
 * A page of evil.example may have its name lead to 127.0.0.1 after it was loaded (DNS rebinding); then what it asks here is
 * of its own origin, and nothing but the name in `Host` tells. `localhost`, all below it and addresses cannot be led elsewhere.
 *
 * @param host As in a URL, without a port: `localhost`, `[::1]`.
 * @param names Others that lead here, in lower case.
 * @returns 421 (RFC 9110 15.5.20), where it is none of these.
 */
export function refuseOtherName(host: string, names: readonly string[]): HttpProblem | undefined {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
  if (isLoopback(name) || name.endsWith('.localhost') || names.includes(name)) return undefined
  return new HttpProblem(
    421,
    `This server asks for no credentials, and so answers to localhost and 127.0.0.1 alone, not to "${name}": if that name is meant to lead here, write it into STOWAGE_NAMES, or set up credentials`,
  )
}
