import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { DigestCheck } from '../../server/http/digest.ts'

const text = Buffer.from('the body')
const sha256 = createHash('sha256').update(text).digest('base64')
const sha512 = createHash('sha512').update(text).digest('base64')
const other = createHash('sha256').update('another').digest('base64')

function verify(value: string | null, what?: string): void {
  const check = new DigestCheck('Content-Digest', value, what)
  for (const byte of text) check.update(Uint8Array.of(byte))
  check.verify()
}

describe('Digest fields (RFC 9530 2, 3)', () => {
  test.each([
    null,
    '',
    `sha-256=:${sha256}:`,
    `sha-512=:${sha512}:, sha-256=:${sha256}:`,
    // RFC 8941 4.2.7: padding may be missing.
    `sha-256=:${sha256.replace(/=+$/, '')}:`,
    // Not supported, or not a dictionary of byte sequences: passed over.
    `md5=:${other}:`,
    `x-sha-256=:${other}:`,
    `sha-256=${other}`,
  ])('passes %s', (value) => {
    expect(() => verify(value)).not.toThrow()
  })

  test.each([
    `sha-256=:${other}:`,
    'sha-256=::',
    `sha-512=:${sha512}:, sha-256=:${other}:`,
    `sha-512=:${sha256}:`,
  ])('fails %s with 400', (value) => {
    expect(() => verify(value)).toThrow(expect.objectContaining({ status: 400 }))
  })

  test('says whose digest it was', () => {
    expect(() => verify(`sha-256=:${other}:`, 'part 7')).toThrow(
      'Cannot store the request: part 7 does not have the digest that its Content-Digest declares; send it again',
    )
  })
})
