import { describe, expect, test } from 'vitest'
import { refuseOtherName } from '../../server/access/own-names.ts'
import { testApp } from '../web/app.ts'
import { giveTokens } from './archive.ts'

describe('a server without credentials on the loopback address', () => {
  test.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'pacs.localhost',
    '127.0.0.1',
    '127.1.2.3',
    '[::1]',
    'pacs.test',
  ])('answers to %s', (host) => {
    expect(refuseOtherName(host, ['pacs.test'])).toBeUndefined()
  })

  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.7', ''])(
    'answers 421 to %s, and says what to set',
    (host) => {
      const problem = refuseOtherName(host, ['pacs.test'])
      expect(problem?.status).toBe(421)
      expect(problem?.message).toContain('STOWAGE_NAMES')
    },
  )

  test('tells nothing and does nothing under a name that was made to lead here, until there are credentials', async () => {
    await using archive = await testApp({ names: [] })
    const ask = (url: string, init?: RequestInit) => archive.app.request(url, init)
    expect((await ask('http://evil.example/api/transfers')).status).toBe(421)
    expect((await ask('http://evil.example/')).status).toBe(421)
    // To a script of that page it is its own origin.
    const own = { origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' }
    const url = 'http://evil.example/dicom-web/studies/1.2.3'
    expect((await ask(url, { method: 'DELETE', headers: own })).status).toBe(421)
    expect((await ask('http://evil.example/healthz')).status).toBe(200)
    expect((await ask('http://localhost/api/transfers')).status).toBe(200)
    await giveTokens(archive)
    await archive.credentials.refresh()
    expect((await ask('http://evil.example/api/transfers')).status).toBe(401)
  })
})
