import { Hono } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { openAPIDocument } from './document.ts'

/** `/api/openapi.json`: every operation below `/api`. */
export function openAPIRoutes(): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/openapi.json', (c) => c.json(openAPIDocument(c.get('baseURL'))))
}
