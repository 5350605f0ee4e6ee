import { type Context, Hono } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { negotiate, parseAccept } from '../multipart/accept.ts'
import { capabilitiesOf } from './capabilities.ts'
import { toJSON, toWADL } from './wadl.ts'

const wadl = { type: 'application/vnd.sun.wadl+xml', aliases: ['application/xml', 'text/xml'] }
const json = { type: 'application/json' }

/**
 * Retrieve Capabilities: `OPTIONS` on the base URI tells which resources the service has, with their methods and media
 * types. (PS3.18 8.9; ST-R6)
 *
 * @param service Whose routes are told of.
 */
export function capabilitiesRoutes(service: Hono<AppEnv>): Hono<AppEnv> {
  const capabilities = capabilitiesOf(service.routes)
  const answer = (c: Context<AppEnv>) => {
    const choice = negotiate(parseAccept(c.req.header('accept')), [wadl, json])
    if (choice === undefined) {
      const available = [wadl.type, json.type]
      throw new HttpProblem(
        406,
        `Cannot answer in any type that Accept lists; there is ${available.join(', ')}`,
        { members: { available } },
      )
    }
    const base = `${c.get('baseURL')}/dicom-web`
    const { type } = choice.offer
    const text =
      choice.offer === json
        ? JSON.stringify(toJSON(capabilities, base))
        : toWADL(capabilities, base)
    return new WholeResponse(text, {
      status: 200,
      headers: {
        'content-type': type,
        'cache-control': 'no-store',
        vary: 'Accept',
        allow: 'OPTIONS',
      },
    })
  }
  return new Hono<AppEnv>().on('OPTIONS', ['/dicom-web', '/dicom-web/'], answer)
}
