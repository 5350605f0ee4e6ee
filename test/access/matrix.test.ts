import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RULES } from '../../server/access/rules.ts'
import { ROLES } from '../../server/http/identity.ts'
import { bearer, giveTokens, testApp } from './archive.ts'

// Made from the router's own list of routes, so nothing that can be asked for is left out.

const archive = await testApp()
const routes = [
  ...new Set(
    archive.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path}`),
  ),
]
let tokens: Awaited<ReturnType<typeof giveTokens>>

beforeAll(async () => {
  tokens = await giveTokens(archive)
  await archive.credentials.refresh()
})

afterAll(() => archive[Symbol.asyncDispose]())

/** Asks for a route with something in the place of each parameter. */
async function ask(route: string, headers: Record<string, string>): Promise<Response> {
  const [method, pattern] = route.split(' ') as [string, string]
  const path = pattern.replaceAll(/:\w+(\{[^}]*\})?/g, '1.2.3')
  const left = new AbortController()
  const request = { method, headers, signal: left.signal }
  const answer = await archive.app.request(path, request, { address: '10.0.0.1' })
  await answer.body?.cancel()
  left.abort()
  return answer
}

describe('the table of rules', () => {
  test('has every route of the server', () => {
    const ruled = RULES.flatMap((rule) => rule.routes)
    const missing = routes.filter((route) => !ruled.includes(route))
    expect(
      missing,
      'Nobody may use these routes yet: add each of them to a rule in server/access/rules.ts, which says who may',
    ).toEqual([])
  })

  test('has no route that is not there, and none twice', () => {
    const ruled = RULES.flatMap((rule) => rule.routes)
    expect(ruled.filter((route) => !routes.includes(route))).toEqual([])
    expect(ruled.filter((route, index) => ruled.indexOf(route) !== index)).toEqual([])
  })

  test('would not see a route for all methods, which looks like middleware: there is none', () => {
    const files = readdirSync('server', { recursive: true, encoding: 'utf8' })
    const sources = files.filter((file) => /\.tsx?$/.test(file)).map((file) => `server/${file}`)
    const found = sources.filter((file) =>
      /(?<!Promise)\.(all|mount)\((?!\))/.test(readFileSync(file, 'utf8')),
    )
    expect(found).toEqual([])
  })

  test('lets an admin do everything', () => {
    expect(RULES.filter(({ who }) => who !== 'anyone' && !who.includes('admin'))).toEqual([])
  })
})

describe.each(RULES)('$what', ({ who, routes: its }) => {
  describe.each(its)('%s', (route) => {
    test.each(['none', 'wrong', 'expired', 'revoked'] as const)(
      'is answered 401 with %s credentials, unless anyone may',
      async (kind) => {
        const { status } = await ask(route, kind === 'none' ? {} : bearer(tokens[kind]))
        if (who !== 'anyone') expect(status).toBe(401)
        else expect(status).not.toBe(403)
      },
    )

    test.each(ROLES)('is open to a %s if the rule says so, else answered 403', async (role) => {
      const { status } = await ask(route, bearer(tokens[role]))
      if (who === 'anyone') expect(status).not.toBe(403)
      else if (who.includes(role)) expect([401, 403, 500]).not.toContain(status)
      else expect(status).toBe(403)
    })

    test('leaves nothing in caches that many share', async () => {
      const answer = await ask(route, bearer(tokens.admin))
      expect(answer.headers.get('cache-control')).toMatch(/no-store|private|no-cache/)
    })
  })
})
