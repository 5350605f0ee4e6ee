import type { Context } from 'hono'
import type { AppEnv } from './env.ts'

/**
 * Whether another site's page sent this request, with the rights of whoever is looking at it.
 *
 * Browsers say where a request comes from; programs say nothing, and have no rights to be borrowed.
 * `Sec-Fetch-Site` is not sent to plain HTTP on another host than localhost, `Origin` always is.
 */
export function isForeign(c: Context<AppEnv>): boolean {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const origin = c.req.header('origin')
  return origin !== undefined && origin !== new URL(c.get('baseURL')).origin
}
