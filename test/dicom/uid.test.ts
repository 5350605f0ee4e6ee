import { describe, expect, test } from 'vitest'
import { isUID } from '../../server/dicom/uid.ts'

describe('UIDs (PS3.5 9.1; VA-1)', () => {
  test.each([
    '1.2.840.10008.1.2',
    '0.0',
    '2.25.329800735698586629295641978511506172918',
    `1.${'2'.repeat(62)}`,
  ])('%s is one', (text) => {
    expect(isUID(text)).toBe(true)
  })

  test.each([
    ['', 'is empty'],
    ['1', 'has one component'],
    ['1.', 'ends with a dot'],
    ['.1.2', 'begins with a dot'],
    ['1..2', 'has an empty component'],
    ['1.02', 'has a leading zero'],
    ['1.2.a', 'has a letter'],
    ['1.2 ', 'is padded'],
    ['1.2\n', 'ends with a line feed'],
    ['1.2\\1.3', 'is two'],
    [`1.${'2'.repeat(63)}`, 'has 65 characters'],
  ])('%j is none: it %s', (text) => {
    expect(isUID(text)).toBe(false)
  })
})
