import { describe, expect, test } from 'vitest'
import { baseURLOf, clientAddressOf } from '../../server/http/base-url.ts'

const proxy = { baseURL: undefined, isTrustedProxy: () => true }
const request = (headers: Record<string, string>) =>
  new Request('http://inner:8104/dicom-web/studies?x=1', { headers })

describe('The origin that clients know (RFC 7239)', () => {
  test('is what is configured, before all else', () => {
    const policy = { ...proxy, baseURL: 'https://pacs.example/a/' }
    const headers = { forwarded: 'host=other' }
    expect(baseURLOf(request(headers), '1.2.3.4', policy)).toBe('https://pacs.example/a')
  })

  test('is that of the request, whatever a peer says who is not trusted', () => {
    const policy = { ...proxy, isTrustedProxy: (address?: string) => address === '10.0.0.1' }
    const headers = { 'x-forwarded-host': 'pacs.example' }
    expect(baseURLOf(request(headers), '10.0.0.2', policy)).toBe('http://inner:8104')
    expect(baseURLOf(request(headers), undefined, policy)).toBe('http://inner:8104')
    expect(baseURLOf(request(headers), '10.0.0.1', policy)).toBe('http://pacs.example')
  })

  test.each<[headers: Record<string, string>, expected: string]>([
    [{}, 'http://inner:8104'],
    [{ forwarded: 'for=1.2.3.4' }, 'http://inner:8104'],
    [{ forwarded: 'proto=https' }, 'https://inner:8104'],
    [{ forwarded: 'For=1;Proto=HTTPS;Host="a.example:81", host=b' }, 'https://a.example:81'],
    [{ forwarded: 'host="[::1]:81"' }, 'http://[::1]:81'],
    // Forwarded is the standard one, so it decides alone.
    [{ forwarded: 'host=a', 'x-forwarded-host': 'b', 'x-forwarded-proto': 'https' }, 'http://a'],
    [{ 'x-forwarded-host': 'a, b', 'x-forwarded-proto': 'https, http' }, 'https://a'],
    [
      { 'x-forwarded-host': 'a', 'x-forwarded-port': '443', 'x-forwarded-proto': 'https' },
      'https://a',
    ],
    [
      { 'x-forwarded-host': 'a', 'x-forwarded-port': '81', 'x-forwarded-proto': 'https' },
      'https://a:81',
    ],
    [{ 'x-forwarded-host': 'a:82', 'x-forwarded-port': '81' }, 'http://a:82'],
    [{ 'x-forwarded-prefix': '/pacs/' }, 'http://inner:8104/pacs'],
    [{ forwarded: 'host=a', 'x-forwarded-prefix': '/p/q' }, 'http://a/p/q'],
    [{ forwarded: 'host="a/b";proto=ftp' }, 'http://inner:8104'],
    [{ 'x-forwarded-host': 'a"><script>', 'x-forwarded-prefix': '//evil' }, 'http://inner:8104'],
    [{ 'x-forwarded-host': 'user@a', 'x-forwarded-prefix': '/../x y' }, 'http://inner:8104'],
  ])('%j makes %s', (headers, expected) => {
    expect(baseURLOf(request(headers), '1.2.3.4', proxy)).toBe(expected)
  })
})

describe('The address of whoever asks', () => {
  const policy = { isTrustedProxy: (address?: string) => /^10\./.test(address ?? '') }

  test.each<[headers: Record<string, string>, peer: string, expected: string]>([
    [{ 'x-forwarded-for': '1.2.3.4' }, '10.0.0.1', '1.2.3.4'],
    // Only what trusted proxies added counts: the rest is what the client says of itself.
    [{ 'x-forwarded-for': '9.9.9.9, 1.2.3.4, 10.0.0.2' }, '10.0.0.1', '1.2.3.4'],
    [{ 'x-forwarded-for': '1.2.3.4' }, '5.6.7.8', '5.6.7.8'],
    [{ 'x-forwarded-for': '10.0.0.3' }, '10.0.0.1', '10.0.0.3'],
    [{ 'x-forwarded-for': '1.2.3.4:5678' }, '10.0.0.1', '1.2.3.4'],
    [{ forwarded: 'for=9.9.9.9, for="[2001:db8::1]:99";proto=https' }, '10.0.0.1', '2001:db8::1'],
    [{ forwarded: 'for=_hidden' }, '10.0.0.1', '10.0.0.1'],
    [{ 'x-forwarded-for': '<script>' }, '10.0.0.1', '10.0.0.1'],
    [{}, '10.0.0.1', '10.0.0.1'],
  ])('by %j from %s is %s', (headers, peer, expected) => {
    expect(clientAddressOf(new Headers(headers), peer, policy)).toBe(expected)
  })
})
