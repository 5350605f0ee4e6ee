import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { IncomingRequest, type Scheme } from '../../server/listen/incoming-request.ts'

function urlOf(target: string, host = 'localhost:8104', scheme: Scheme = 'http'): string {
  const incoming = { method: 'GET', url: target, headers: { host }, rawHeaders: ['Host', host] }
  const outgoing = {} as ServerResponse
  return new IncomingRequest(incoming as unknown as IncomingMessage, outgoing, scheme, () => {}).url
}

describe('The URL of a request', () => {
  test.each([
    '/',
    '/dicom-web/studies/1.2.3/series/1.2.4/instances/1.2.5',
    '/dicom-web/studies?StudyDate=20260101-20261231&limit=10',
    '/dicom-web/studies?PatientName=M%C3%BCller*&x=a/./b',
    '/a/../b',
    '/a/./b',
    '/a/..',
    '/..a/b',
    '/a/%2e%2E/b',
    '/.well-known',
    '/a%20b',
    '//evil.example/a',
    '/a//b',
    '/a b',
    '/a"b<c>d`e{f}',
    '/a\\b',
    '/ä',
    '/a?b?c',
    "/a?b='c'",
    '/a?b="c"',
    '/a#b',
    '/a?b#c',
    '/@evil.example',
    '/a;b=c,d',
    '/%00',
    '/%zz?%zz',
    '/a|b^c?d|e^f',
  ])('is as URL writes it: %s', (target) => {
    expect(urlOf(target)).toBe(new URL(`http://localhost:8104${target}`).href)
  })

  test.each([
    ['LOCALHOST:80', 'http://localhost/a'],
    ['pacs.example:443', 'http://pacs.example:443/a'],
    ['[::1]:8104', 'http://[::1]:8104/a'],
    ['me@pacs.example', 'http://pacs.example/a'],
    ['pacs.example/b?c', 'http://pacs.example/a'],
  ])('has its host as URL writes it, again and again: %s', (host, expected) => {
    expect(urlOf('/a', host)).toBe(expected)
    expect(urlOf('/a', host)).toBe(expected)
    expect(urlOf('/a', host, 'https')).toMatch(/^https:/)
  })

  test('has no host of the request line', () => {
    expect(urlOf('http://evil.example/a?b')).toBe('http://localhost:8104/a?b')
    expect(urlOf('*')).toBe('http://localhost:8104/*')
  })

  test.each(['a b', '[', 'pacs.example:99999'])('is none with the host %s', (host) => {
    expect(() => urlOf('/a', host)).toThrow(TypeError)
    expect(() => urlOf('/a', host)).toThrow(TypeError)
  })
})
