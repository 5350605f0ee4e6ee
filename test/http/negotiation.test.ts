import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import type { AppEnv } from '../../server/http/env.ts'
import { acceptedBy } from '../../server/http/negotiation.ts'
import type { HttpProblem } from '../../server/http/problem.ts'

async function statusOf(query: string, headers: Record<string, string> = {}): Promise<number> {
  const app = new Hono<AppEnv>()
  app.get('/', (c) => c.json(acceptedBy(c).length))
  app.onError((error) => new Response(null, { status: (error as HttpProblem).status }))
  return (await app.request(`/${query}`, { headers })).status
}

describe('The charset of an answer (PS3.18 8.3.3.2, 8.8; WA-N17)', () => {
  test.each([
    ['?charset=utf-8', 200],
    ['?charset=iso-8859-1,utf-8', 200],
    ['?charset=', 200],
    ['?charset=iso-8859-1', 406],
    ['?charset=utf-8;q=0', 406],
  ])('the parameter %s is %i', async (query, status) => {
    expect(await statusOf(query)).toBe(status)
  })

  test('the parameter goes before the header', async () => {
    const headers = { 'accept-charset': 'iso-8859-1' }
    expect(await statusOf('', headers)).toBe(406)
    expect(await statusOf('?charset=utf-8', headers)).toBe(200)
  })
})
