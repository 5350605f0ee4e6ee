import { expect, test } from 'vitest'
import { takesCoding } from '../../server/http/content-coding.ts'

test.each([
  [undefined, false],
  ['', false],
  ['gzip', true],
  ['gzip, deflate, br', true],
  ['br;q=1.0, GZIP;q=0.5', true],
  ['gzip;q=1.0', true],
  ['*', true],
  ['identity', false],
  ['br', false],
  ['deflate', false],
  ['x-gzipped', false],
  ['gzip;q=0', false],
  ['gzip; q=0.000, br', false],
  ['gzip;q=0, *', false],
])('"Accept-Encoding: %s" takes gzip: %s', (field, expected) => {
  expect(takesCoding(field, 'gzip')).toBe(expected)
})
