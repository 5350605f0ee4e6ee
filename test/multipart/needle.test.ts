import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Needle } from '../../server/multipart/needle.ts'

/** Of few letters, so that a boundary repeats itself, and data are full of what begins like it. */
const boundary = fc
  .array(fc.constantFrom('-', 'a', 'b'), { minLength: 1, maxLength: 70 })
  .map((letters) => letters.join(''))

test('a needle is found where indexOf finds it, from anywhere, with its CR or without', () => {
  fc.assert(
    fc.property(
      boundary,
      fc.array(fc.tuple(fc.nat(80), fc.constantFrom('', '\r', '\n', '\r\n', '--', 'a', 'b')), {
        maxLength: 12,
      }),
      fc.nat(100),
      fc.constantFrom(0 as const, 1 as const),
      (boundary, pieces, from, start) => {
        const needle = Needle.of(boundary)
        const whole = needle.bytes.toString('latin1')
        const chunk = Buffer.from(
          pieces.map(([length, filling]) => filling + whole.slice(0, length)).join(''),
        )
        const wanted = needle.bytes.subarray(start)
        expect(needle.find(chunk, from, start)).toBe(chunk.indexOf(wanted, from))
      },
    ),
    { numRuns: 3000 },
  )
})

test('the end of a chunk that is the beginning of a needle is found', () => {
  const needle = Needle.of('b')
  const found = (text: string, from: number, start: 0 | 1) =>
    needle.findCutOff(Buffer.from(text), from, start)
  expect(found('data\r\n--', 0, 0)).toBe(4)
  expect(found('data\r\n--', 5, 0)).toBe(8)
  expect(found('data\r\n--', 5, 1)).toBe(5)
  expect(found('data\r\n-\r', 0, 0)).toBe(7)
  expect(found('data\r\n-x', 0, 0)).toBe(8)
})
