import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { negotiate, parseAccept } from '../../server/multipart/accept.ts'
import { MediaTypeError, parseMediaType } from '../../server/multipart/media-type.ts'
import { closing, newBoundary, partHeader } from '../../server/multipart/multipart-writer.ts'
import { inSizes, record, whole } from './record.ts'

// Short ones and ones full of dashes make look-alikes likely.
const boundaries = fc.constantFrom('b', '-', '--', 'b--', 'bb', '-b-', "a b:c?'()", 'x'.repeat(70))

/** Bytes made of pieces that a delimiter is made of. */
function lookAlikes(boundary: string): fc.Arbitrary<string> {
  const pieces = ['\r', '\n', '\r\n', '-', '--', ' ', '\t', ':', 'X', '\0', '\r\n\r\n']
  const delimiters = [boundary, boundary.slice(0, -1), `--${boundary}`, `\r\n--${boundary}`]
  return fc
    .array(fc.constantFrom(...pieces, ...delimiters), { maxLength: 24 })
    .map((chosen) => chosen.join(''))
}

/** What no data may hold: the delimiter as a whole line, or at the end the beginning of one. */
function holdsDelimiter(data: string, boundary: string): boolean {
  const quoted = boundary.replace(/[^a-z]/g, '\\$&')
  return new RegExp(`\r\n--${quoted}(?:--)?[ \t]*(?:\r\n|$)`).test(`\r\n${data}\r\n`)
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
const values = fc.stringMatching(/^[a-z]([ -~]{0,20}[a-z])?$/)

describe('properties', () => {
  test('MP-16 what was written is read back, in any chunks', () => {
    const body = boundaries.chain((boundary) => {
      const data = lookAlikes(boundary).filter((text) => !holdsDelimiter(text, boundary))
      const parts = fc.array(fc.record({ value: values, data }), { minLength: 1, maxLength: 5 })
      return fc.record({ boundary: fc.constant(boundary), parts, sizes, isFirst: fc.boolean() })
    })
    fc.assert(
      fc.property(body, ({ boundary, parts, sizes, isFirst }) => {
        const pieces = parts.flatMap(({ value, data }, index) => [
          partHeader(boundary, [['X-Value', value]], isFirst && index === 0),
          Buffer.from(data, 'latin1'),
        ])
        const bytes = Buffer.concat([...pieces, closing(boundary)])
        expect(record(boundary, bytes, inSizes(sizes))).toEqual({
          parts: parts.map(({ value, data }) => ({
            headers: { 'x-value': value },
            data,
            isEnded: true,
          })),
          error: undefined,
          status: undefined,
        })
      }),
      { numRuns: 3000 },
    )
  })

  test('MP-16 whatever is read, the chunks do not matter, and only a MultipartError is thrown', () => {
    const body = boundaries.chain((boundary) => {
      const line = fc.constantFrom(`--${boundary}\r\n`, `\r\n--${boundary}\r\n`, 'X: 1\r\n', '\r\n')
      const piece = fc.oneof(line, lookAlikes(boundary))
      const text = fc.array(piece, { maxLength: 12 }).map((chosen) => chosen.join(''))
      return fc.record({ boundary: fc.constant(boundary), text, sizes })
    })
    const limits = { headerBytes: 60, paddingBytes: 4, parts: 3, partBytes: 80, bodyBytes: 300 }
    fc.assert(
      fc.property(body, ({ boundary, text, sizes }) => {
        const bytes = Buffer.from(text, 'latin1')
        const expected = record(boundary, bytes, whole, limits)
        expect(record(boundary, bytes, inSizes(sizes), limits)).toEqual(expected)
      }),
      { numRuns: 5000 },
    )
  })

  test('random bytes throw nothing but a MultipartError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), sizes, (bytes, sizes) => {
        const body = Buffer.concat([Buffer.from('--b\r\n\r\n'), bytes])
        expect(record('b', Buffer.from(bytes), inSizes(sizes)).error).toBeDefined()
        expect(record('b', body, inSizes(sizes)).parts.length).toBeGreaterThan(0)
      }),
    )
  })

  test('a random header throws nothing but a MediaTypeError', () => {
    const pieces = ['a/b', '*/*', ';', ',', '=', '"', '\\', ' ', '\t', 'type', 'q', '0.5', '\xe4']
    const header = fc
      .array(fc.constantFrom(...pieces), { maxLength: 20 })
      .map((all) => all.join(''))
    fc.assert(
      fc.property(header, (text) => {
        negotiate(parseAccept(text), [{ type: 'a/b' }])
        try {
          parseMediaType(text)
        } catch (error) {
          expect(error).toBeInstanceOf(MediaTypeError)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe('the writer', () => {
  test('a new boundary is random and needs no quotes', () => {
    expect(newBoundary()).toMatch(/^[a-z0-9-]{1,70}$/)
    expect(newBoundary()).not.toBe(newBoundary())
  })

  test('the first part can start the body with its delimiter (MP-11)', () => {
    const text = Buffer.from(partHeader('b', [['A', 'x']], true)).toString()
    expect(text).toBe('--b\r\nA: x\r\n\r\n')
    expect(Buffer.from(partHeader('b', [])).toString()).toBe('\r\n--b\r\n\r\n')
  })

  test('a header that breaks out of its line is never written', () => {
    expect(() => partHeader('b', [['A', 'x\r\nB: y']])).toThrow(TypeError)
    expect(() => partHeader('b', [['A:', 'x']])).toThrow(TypeError)
    expect(() => partHeader('b', [['A', 'x\0']])).toThrow(TypeError)
  })
})
