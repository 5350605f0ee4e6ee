import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RULES } from '../../server/access/rules.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { placeLedTo, type TestApp } from '../web/app.ts'
import { bearer, giveTokens, testApp } from './archive.ts'

let archive: TestApp
let tokens: Awaited<ReturnType<typeof giveTokens>>
const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = [
  uniqueUID(),
  uniqueUID(),
  uniqueUID(),
]
const study = `studies/${studyInstanceUID}`
const series = `${study}/series/${seriesInstanceUID}`
const instance = `${series}/instances/${sopInstanceUID}`

beforeAll(async () => {
  archive = await testApp()
  await archive.send([dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID })])
  tokens = await giveTokens(archive)
  await archive.credentials.refresh()
})

afterAll(() => archive[Symbol.asyncDispose]())

type Who = 'sender' | 'reader' | 'operator' | 'admin'

async function get(who: Who, path: string): Promise<Response> {
  return archive.app.request(`/${path}`, {
    headers: { accept: 'text/html', ...bearer(tokens[who]) },
  })
}

/** What a page offers: links within the archive, and forms. */
async function offered(page: string): Promise<string[]> {
  const links = [...page.matchAll(/<a [^>]*href="([^"#]+)"/g)].map(([, href]) => `GET ${href}`)
  const forms = [...page.matchAll(/<form[^>]*method="post" action="([^"]+)"/g)].map(
    ([, action]) => `POST ${action}`,
  )
  return [...new Set([...links, ...forms])]
}

describe('a page', () => {
  test.each([
    ['reader', ['', study, series, instance, `${study}/missing`, 'feed', 'transfers', 'nowhere']],
    ['sender', ['upload', 'transfers', study]],
    ['operator', ['', study, series, instance, 'transfers', 'problems', 'health', 'audit']],
  ] as const)('leads a %s only to what its role may do', async (who, pages) => {
    for (const path of pages) {
      const page = await (await get(who, path)).text()
      expect(page).toContain('<nav aria-label="Pages">')
      for (const one of await offered(page)) {
        const [method, href] = one.split(' ') as [string, string]
        const answer = await archive.app.request(new URL(href, 'http://localhost/').href, {
          method: method === 'GET' ? 'HEAD' : method,
          headers: bearer(tokens[who]),
        })
        expect([answer.status, path, one]).not.toEqual([403, path, one])
        await answer.body?.cancel()
      }
    }
  })

  test('offers an operator all actions, and a reader none', async () => {
    const actions = /actions\/(delete|commit|reopen|settle)/
    expect(await (await get('operator', study)).text()).toMatch(actions)
    expect(await (await get('reader', study)).text()).not.toMatch(actions)
    for (const path of [series, instance]) {
      expect(await (await get('reader', path)).text()).not.toMatch(actions)
    }
  })

  test('of health does not say that nobody signs in', async () => {
    const health = await (await get('operator', 'health')).text()
    expect(health).toContain('<h1>Health</h1>')
    expect(health).not.toContain('Nobody signs in')
  })

  test('that is forbidden says who is signed in; the home of a sender is the upload', async () => {
    const forbidden = await get('reader', 'transfers')
    expect(forbidden.status).toBe(403)
    expect(await forbidden.text()).toContain('Signed in as a-reader')
    const home = await get('sender', '')
    expect(home.status).toBe(303)
    expect(placeLedTo('/', home)).toBe('/upload')
    const program = await archive.app.request('/', { headers: bearer(tokens.sender) })
    expect(program.status).toBe(403)
  })

  test('keeps that in its stream, though others watch the same', async () => {
    const streams = await Promise.all(
      (['operator', 'reader'] as const).map(async (who) => {
        const answer = await get(who, 'live/studies')
        const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
        const { value } = await reader.read()
        await reader.cancel()
        return Buffer.from(value ?? []).toString()
      }),
    )
    expect(streams[0]).toContain('href="webhooks"')
    expect(streams[1]).not.toContain('href="webhooks"')
  })
})

test('pages ask for rules that are there', async () => {
  const { readdir, readFile } = await import('node:fs/promises')
  const routes = new Set(RULES.flatMap((rule) => rule.routes))
  const files = (await readdir('web', { recursive: true })).filter((name) => /\.tsx?$/.test(name))
  let asked = 0
  for (const file of files) {
    const text = await readFile(`web/${file}`, 'utf8')
    for (const [, route] of text.matchAll(/['"]((?:GET|POST) \/[^'"]*)['"]/g)) {
      expect([file, route, routes.has(route as string)]).toEqual([file, route, true])
      asked++
    }
  }
  expect(asked).toBeGreaterThan(10)
})
