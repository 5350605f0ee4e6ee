import type { Context } from 'hono'
import { locationFrom } from '../../web/paths.ts'
import type { AppEnv } from '../http/env.ts'

/** Long enough to be led on, too short to be read another day. */
const keptSeconds = 60

/**
 * Leads to a page, which says once what was done. It is told in a cookie: an address would say it to whoever opens that
 * again, and anybody could write one.
 *
 * @param said Numbers and words, never patient data.
 */
export function leadToDone(
  c: Context<AppEnv>,
  path: string,
  said: Record<string, string | number>,
): Response {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(said)) query.set(name, String(value))
  return new Response(null, {
    status: 303,
    headers: {
      location: locationFrom(c.req.raw, path),
      'set-cookie': cookie(encodeURIComponent(`${path}?${query}`), keptSeconds),
      'cache-control': 'no-store',
    },
  })
}

/** What was just done to what is at this path. */
export function readDone(c: Context<AppEnv>, path: string): URLSearchParams | undefined {
  const found = /(?:^|;\s*)done=([\w%.*~-]+)(?:;|$)/.exec(c.req.header('cookie') ?? '')?.[1]
  if (found === undefined) return undefined
  const [about, said] = decoded(found).split('?', 2)
  return about === path ? new URLSearchParams(said) : undefined
}

/** It has been said: the next load of the page does not repeat it. */
export function onceSaid(response: Response, said: unknown): Response {
  if (said !== undefined) response.headers.append('set-cookie', cookie('', 0))
  return response
}

function cookie(value: string, seconds: number): string {
  return `done=${value}; Path=/; Max-Age=${seconds}; SameSite=Lax; HttpOnly`
}

/** Empty where it is nothing of ours. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
