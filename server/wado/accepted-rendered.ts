import type { Context } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy } from '../http/negotiation.ts'
import { HttpProblem } from '../http/problem.ts'
import type { AcceptEntry } from '../multipart/accept.ts'

/**
 * What the client takes of a rendered resource.
 *
 * @throws {HttpProblem} 400 a transfer syntax, which pictures have none of (WA-N14)
 */
export function acceptedRendered(c: Context<AppEnv>): readonly AcceptEntry[] {
  const entries = acceptedBy(c)
  if (entries.some(({ transferSyntax }) => transferSyntax !== undefined)) {
    throw new HttpProblem(400, 'Cannot render: a rendered type in Accept has a transfer-syntax')
  }
  return entries
}
