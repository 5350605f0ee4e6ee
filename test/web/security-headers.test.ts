import { expect, test } from 'vitest'
import { testApp } from './app.ts'

const always = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'SAMEORIGIN',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

test('every answer tells browsers to run and to show nothing but our own, whatever became of the request', async () => {
  await using archive = await testApp()
  const asked: [path: string, status: number, init?: RequestInit][] = [
    ['/healthz', 200],
    ['/', 200],
    ['/api/transfers', 200],
    ['/assets/%00', 400],
    ['/nothing', 404],
    ['/dicom-web/studies/1.2.3', 404],
    ['/dicom-web/studies', 405, { method: 'PUT' }],
    ['/dicom-web/studies', 415, { method: 'POST' }],
    ['/api/demo', 403, { method: 'POST', headers: { origin: 'http://evil.example' } }],
  ]
  for (const [path, status, init] of asked) {
    for (const origin of ['http://localhost', 'https://localhost']) {
      const answer = await archive.app.request(origin + path, init)
      expect(answer.status, path).toBe(status)
      expect(Object.fromEntries(answer.headers), path).toMatchObject(always)
      expect(answer.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/)
      const isTold = origin.startsWith('https') && status !== 400
      const strict = isTold ? 'max-age=31536000' : null
      expect(answer.headers.get('strict-transport-security'), path).toBe(strict)
      await answer.body?.cancel()
    }
  }
})
