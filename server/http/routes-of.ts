import type { Context } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { AppEnv } from './env.ts'

/** A handler of the app, by its method and pattern; the same object for all requests, so what is known of it can be kept. */
export type Route = ReturnType<typeof matchedRoutes>[number]

/** The handlers that a request may reach, in their order, without what stands before all of them. */
export function routesOf(c: Context<AppEnv>): readonly Route[] {
  let routes = c.get('routes')
  if (routes === undefined) {
    routes = matchedRoutes(c).filter(({ method }) => method !== 'ALL')
    c.set('routes', routes)
  }
  return routes
}
