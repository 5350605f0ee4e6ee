import { describe, expect, test } from 'vitest'
import { WholeResponse } from '../../server/http/whole-response.ts'

describe('A response that is at hand as a whole', () => {
  const pieces = [new TextEncoder().encode('{"a":'), new TextEncoder().encode('1}')]
  const make = () =>
    new WholeResponse(pieces, { status: 202, headers: { 'Content-Type': 'application/json' } })

  test('is read as any other', async () => {
    expect(await make().json()).toEqual({ a: 1 })
    expect(await make().text()).toBe('{"a":1}')
    expect(new Uint8Array(await make().arrayBuffer())).toHaveLength(7)
    expect(await make().bytes()).toHaveLength(7)
    expect((await make().blob()).size).toBe(7)
    expect(await new Response(make().body).text()).toBe('{"a":1}')
    const form = new WholeResponse('a=1', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect([...(await form.formData())]).toEqual([['a', '1']])
  })

  test('can be read once, and copied before', async () => {
    const response = make()
    const copy = response.clone()
    expect(response.bodyUsed).toBe(false)
    await response.text()
    expect(response.bodyUsed).toBe(true)
    await expect(response.text()).rejects.toThrow(TypeError)
    expect(await copy.text()).toBe('{"a":1}')
  })

  test('gives its status and headers to one that is made of it, as Hono does for HEAD', () => {
    const made = new Response(null, make())
    expect(made.status).toBe(202)
    expect([...made.headers]).toEqual([['content-type', 'application/json']])
    expect(make().ok).toBe(true)
    expect(new WholeResponse('', { status: 404 }).ok).toBe(false)
    expect(new WholeResponse('', {}).status).toBe(200)
  })
})

test('a status that has no body is refused, as fetch does', () => {
  for (const status of [204, 304]) {
    expect(() => new WholeResponse('', { status })).toThrow(RangeError)
  }
})
