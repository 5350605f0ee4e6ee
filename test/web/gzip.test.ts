import { expect, test } from 'vitest'
import { gzipPage } from '../../server/http/gzip.ts'

test('a page keeps its status and headers as gzip, and what is no page stays as it is', async () => {
  const request = new Request('http://localhost/', { headers: { 'accept-encoding': 'gzip' } })
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }
  const page = await gzipPage(request, new Response('<p>Doe</p>', { status: 410, headers }))
  expect(page.status).toBe(410)
  expect(Object.fromEntries(page.headers)).toMatchObject({
    ...headers,
    'content-encoding': 'gzip',
    vary: 'accept-encoding',
  })
  const bytes = new Blob([await page.arrayBuffer()]).stream()
  const plain = bytes.pipeThrough(new DecompressionStream('gzip'))
  expect(await new Response(plain).text()).toBe('<p>Doe</p>')
  const stream = new Response('data: 1', { headers: { 'content-type': 'text/event-stream' } })
  expect(await gzipPage(request, stream)).toBe(stream)
})
