import { describe, expect, test } from 'vitest'
import { PlainHeaders } from '../../server/http/plain-headers.ts'

const raw = ['Accept', 'a', 'X-Two', 'b', 'accept', 'c', 'Cookie', 'd=1', 'cookie', 'e=2']
const pairs = Array.from({ length: raw.length / 2 }, (_, at) => raw.slice(at * 2, at * 2 + 2))

describe('Headers of our own (Fetch 2.2.2)', () => {
  test('hold what those of the runtime hold', () => {
    const own = PlainHeaders.ofRaw(raw)
    const headers = new Headers(pairs as [string, string][])
    expect([...own].sort()).toEqual([...headers])
    expect([...own.keys()].sort()).toEqual([...headers.keys()])
    expect([...own.values()].sort()).toEqual([...headers.values()].sort())
    for (const name of ['accept', 'ACCEPT', 'X-two', 'cookie', 'missing', 'constructor']) {
      expect(own.get(name), name).toBe(headers.get(name))
      expect(own.has(name), name).toBe(headers.has(name))
    }
  })

  test('can be made of others, and others of them', () => {
    const headers = new Headers({ vary: 'Accept', etag: '"1"' })
    headers.append('set-cookie', 'a=1')
    headers.append('set-cookie', 'b=2')
    const own = new PlainHeaders(headers)
    expect(own.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect([...new Headers(own)]).toEqual([...headers])
    const response = new Response(null, new Response(null, { headers: own }))
    expect([...response.headers]).toEqual([...headers])
    expect([...new PlainHeaders({ Vary: 'Accept' })]).toEqual([['vary', 'Accept']])
  })

  test('are changed as those of the runtime are', () => {
    const both = [new PlainHeaders(), new Headers()]
    for (const headers of both) {
      headers.set('A', '1')
      headers.append('a', ' 2\t')
      headers.set('b', '1')
      headers.set('B', '2')
      headers.set('c', '1')
      headers.delete('C')
      headers.append('Set-Cookie', 'x=1')
      headers.append('set-cookie', 'y=2')
    }
    const [own, theirs] = both as [Headers, Headers]
    const told: string[] = []
    own.forEach((value, name) => {
      told.push(`${name}=${value}`)
    })
    expect(told).toEqual(['a=1, 2', 'b=2', 'set-cookie=x=1', 'set-cookie=y=2'])
    expect([...own]).toEqual([...theirs])
    expect(own.get('set-cookie')).toBe('x=1, y=2')
    for (const headers of both) headers.set('set-cookie', 'z=3')
    expect(own.getSetCookie()).toEqual(theirs.getSetCookie())
    for (const headers of both) headers.delete('set-cookie')
    expect(own.has('set-cookie')).toBe(false)
  })

  test.each([
    ['a b', 'x'],
    ['', 'x'],
    ['a\r\nb', 'x'],
    ['ä', 'x'],
    ['a', 'x\r\nset-cookie: y'],
    ['a', 'x\0'],
    ['a', 'x\ny'],
    ['a', '\u0416'],
  ])('refuse what would break out of its line: %j: %j', (name, value) => {
    expect(() => new Headers([[name, value]])).toThrow(TypeError)
    expect(() => new PlainHeaders([[name, value]])).toThrow(TypeError)
    expect(() => new PlainHeaders().set(name, value)).toThrow(TypeError)
    expect(() => PlainHeaders.ofRaw([name, value])).toThrow(TypeError)
  })

  test('keep spaces that are no spaces of HTTP', () => {
    expect(new PlainHeaders({ a: '\u00a0x\u00a0' }).get('a')).toBe('\u00a0x\u00a0')
    expect(new PlainHeaders({ a: '' }).get('a')).toBe('')
    expect(new PlainHeaders({ a: '  ' }).get('a')).toBe('')
  })
})
