import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { BoundaryError } from '../../server/multipart/multipart-errors.ts'
import { MultipartReader } from '../../server/multipart/multipart-reader.ts'
import { record, recordEveryWay, singleBytes } from './record.ts'

/** The data of each part of a body that is accepted, in every way it can be cut in two. */
function dataOf(text: string, boundary = 'b'): string[] {
  const told = recordEveryWay(boundary, text)
  expect(told.error).toBeUndefined()
  expect(told.parts.every((part) => part.isEnded)).toBe(true)
  return told.parts.map((part) => part.data)
}

const silent = { partBegin() {}, partData() {}, partEnd() {} }
const type = 'Content-Type: application/dicom\r\n'
const onePart = `--b\r\n${type}\r\ndata\r\n--b--\r\n`

describe('delimiters (RFC 2046 5.1.1)', () => {
  test('parts come with their headers, and their data without the CR LF before a delimiter', () => {
    const told = recordEveryWay('b', `--b\r\n${type}\r\none\r\n--b\r\nX: 1\r\n\r\ntwo\r\n--b--\r\n`)
    expect(told).toEqual({
      parts: [
        { headers: { 'content-type': 'application/dicom' }, data: 'one', isEnded: true },
        { headers: { x: '1' }, data: 'two', isEnded: true },
      ],
      error: undefined,
      status: undefined,
    })
  })

  test('parts may repeat the headers of the one before, begin with them, or have others', () => {
    const blocks = [
      type,
      type,
      `${type}X: 1\r\n`,
      `${type}X: 1\r\n`,
      '',
      '',
      type,
      'X: 2\r\n',
      'X: 2\r\n',
    ]
    const told = recordEveryWay(
      'b',
      `${blocks.map((block, index) => `--b\r\n${block}\r\n${index}\r\n`).join('')}--b--\r\n`,
    )
    const dicom = { 'content-type': 'application/dicom' }
    const both = { ...dicom, x: '1' }
    expect(told.parts.map((part) => part.headers)).toEqual([
      dicom,
      dicom,
      both,
      both,
      {},
      {},
      dicom,
      { x: '2' },
      { x: '2' },
    ])
    expect(told.parts.map((part) => part.data).join('')).toBe('012345678')
  })

  test('MP-02 a boundary of another case is content', () => {
    expect(dataOf('--aB\r\n\r\none\r\n--ab\r\n\r\n\r\n--AB--\r\n--aB--', 'aB')).toEqual([
      'one\r\n--ab\r\n\r\n\r\n--AB--',
    ])
  })

  test('MP-04 a boundary of spaces, dashes and punctuation is found', () => {
    const boundary = "-- a:b?'()+,=/.--c"
    expect(dataOf(`--${boundary}\r\n\r\none\r\n--\r\n--${boundary}--\r\n`, boundary)).toEqual([
      'one\r\n--',
    ])
  })

  test('MP-07 a reader refuses a boundary that could not be one', () => {
    for (const boundary of ['', 'a ', 'a\r\nb', 'b'.repeat(71)]) {
      expect(() => new MultipartReader(boundary, silent)).toThrow(BoundaryError)
    }
  })

  test('MP-11 the first delimiter may be the first bytes, or come after CR LF', () => {
    expect(dataOf(onePart)).toEqual(['data'])
    expect(dataOf(`\r\n${onePart}`)).toEqual(['data'])
  })

  test('MP-12 preamble and epilogue are ignored', () => {
    expect(dataOf(`text\r\n\r\nmore --b\r\n--bX\r\n${onePart}text\r\n`)).toEqual(['data'])
    expect(dataOf(`\r\r\n${onePart}`)).toEqual(['data'])
  })

  test('MP-13 spaces and tabs may follow each delimiter', () => {
    expect(dataOf('--b \t \r\n\r\none\r\n--b\t\r\n\r\ntwo\r\n--b-- \t \r\n')).toEqual([
      'one',
      'two',
    ])
    expect(dataOf('--b\r\n\r\none\r\n--b--\t ')).toEqual(['one'])
  })

  test('MP-13 padding over the limit is refused with 400', () => {
    const limits = { paddingBytes: 3 }
    for (const end of ['--b    \r\n', '--b--    \r\n', '--b    x']) {
      expect(recordEveryWay('b', `--b\r\n\r\none\r\n${end}`, limits)).toMatchObject({
        parts: [{ data: 'one', isEnded: false }],
        error: 'PaddingTooLongError',
        status: 400,
      })
    }
    const atLimit = '--b   \r\n\r\none\r\n--b   X\r\n--b   X\r\n--b--   '
    expect(recordEveryWay('b', atLimit, limits).error).toBeUndefined()
  })

  test.each([
    '--bX',
    '--bX\r\n',
    '--b X',
    '--b \t\rX',
    '--b\rX',
    '--b\r\r\n',
    '--b-',
    '--b-X',
    '--b -- ',
    '--b --\r\n',
    '--b--X',
    '--b-- X',
    '--b--\rX',
    '--b---',
    '--b--b',
    '--b\n',
    '--b--\n',
    '--b\0',
    '--',
    '-',
    '\r\n--\r\n--\r\n-',
    '\r',
    '\r\r\n--c',
  ])('MP-14 a line that only begins like the delimiter is content: %j', (line) => {
    const content = `one\r\n${line}two\r\n${line}`
    expect(dataOf(`--b\r\n\r\n${content}\r\n--b--\r\n`)).toEqual([content])
  })

  test('MP-14 a look-alike at the very beginning of a part is content', () => {
    for (const line of ['--bX', '--b X', '--b--X', '--b\n', '-', '--']) {
      expect(dataOf(`--b\r\n\r\n${line}\r\n--b--\r\n`)).toEqual([line])
    }
  })

  test('MP-14 a delimiter right behind a look-alike is found', () => {
    expect(dataOf('--b\r\n\r\none\r\n--b\r\r\n--b--\r\n')).toEqual(['one\r\n--b\r'])
    expect(dataOf('--b\r\n\r\none\r\n--b-\r\n--b \r\n\r\n\r\n--b--')).toEqual(['one\r\n--b-', ''])
    expect(dataOf('--b\r\n\r\none\r\n\r\n--b--\r\n')).toEqual(['one\r\n'])
    expect(dataOf('--b\r\n\r\none\r\r\n--b--\r\n')).toEqual(['one\r'])
  })

  test('MP-15 the delimiter inside of a line, or after LF or CR alone, is content', () => {
    const content = 'one--b\r\n--c--b--\r\ntwo\n--b\r\n\rthree\r--b--\r\n \r\n --b'
    expect(dataOf(`--b\r\n\r\n${content}\r\n--b--\r\n`)).toEqual([content])
  })

  test('MP-16 one byte at a time and at every cut the same is told', () => {
    const boundary = 'b'.repeat(70)
    const body = `--${boundary}\r\n${type}\r\n\r\n--${boundary}x\r\n--${boundary} \r\n\r\n\r`
    expect(dataOf(`${body}\r\n--${boundary}--\r\n`, boundary)).toEqual([`\r\n--${boundary}x`, '\r'])
  })

  test('MP-31 what follows the closing delimiter is ignored, more parts included', () => {
    expect(dataOf(`${onePart}${onePart}--b\r\nno header\r\n\r\n`)).toEqual(['data'])
  })

  test('MP-32 boundaries that begin like the outer one are content', () => {
    const inner = '--abcd\r\n\r\nx\r\n--abcd--\r\n--abc-d\r\n--abc--d\r\n'
    expect(dataOf(`--abc\r\n\r\n${inner}\r\n--abc--\r\n`, 'abc')).toEqual([inner])
    expect(dataOf('--abcd\r\n\r\n--abc\r\n--abc--\r\n--abcd--', 'abcd')).toEqual([
      '--abc\r\n--abc--',
    ])
  })

  test('binary data with every byte value, and runs of CR and LF, is unchanged', () => {
    const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    const content = `${bytes}\r\r\r\n\r\n\n\r\n-\r\n--\r\n${bytes}\r\n`
    expect(dataOf(`--b\r\n\r\n${content}\r\n--b--\r\n`)).toEqual([content])
  })
})

describe('the end of a body', () => {
  test('MP-26 a body cut at any byte before the end of its closing delimiter is refused', () => {
    const body = `--b\r\n${type}\r\none\r\n--b\r\n\r\ntwo\r\n--b--`
    for (let length = 1; length < body.length; length++) {
      const told = record('b', Buffer.from(body.slice(0, length)), singleBytes)
      expect(told.status).toBe(400)
      const isBeforeFirstPart = length < '--b\r\n'.length
      expect(told.error).toBe(isBeforeFirstPart ? 'EmptyMultipartError' : 'TruncatedMultipartError')
    }
    expect(dataOf(body)).toEqual(['one', 'two'])
  })

  test.each([
    `--b\r\n${type}`,
    '--b\r\n\r\n',
    '--b\r\n\r\none',
    '--b\r\n\r\none\r\n',
    '--b\r\n\r\none\r\n--b',
    '--b\r\n\r\none\r\n--b \t',
    '--b\r\n\r\none\r\n--b-',
    '--b\r\n\r\none\r\n--b--X\r\n',
    '--b\r\n\r\none\r\n--b\r\n',
    '--b\r\n\r\none\r\n--c--\r\n',
  ])('MP-26 a body without its closing delimiter is refused with 400: %j', (text) => {
    expect(recordEveryWay('b', text)).toMatchObject({
      error: 'TruncatedMultipartError',
      status: 400,
    })
  })

  test('a closing delimiter at the end needs no CR LF, or half of one', () => {
    expect(dataOf('--b\r\n\r\none\r\n--b--')).toEqual(['one'])
    expect(dataOf('--b\r\n\r\none\r\n--b--\r')).toEqual(['one'])
  })

  test.each([
    '',
    '--b--',
    '--b--\r\n',
    '\r\n--b--\r\nepilogue',
    'text',
    '--c\r\n\r\n\r\n--c--',
    '\r\n',
  ])('MP-28 a body without parts is refused with 400: %j', (text) => {
    expect(recordEveryWay('b', text)).toEqual({
      parts: [],
      error: 'EmptyMultipartError',
      status: 400,
    })
  })

  test('MP-29 a part of length zero is a part', () => {
    expect(dataOf(`--b\r\n${type}\r\n\r\n--b\r\n${type}\r\n\r\n--b--`)).toEqual(['', ''])
    expect(dataOf('--b\r\n\r\n\r\n--b--')).toEqual([''])
  })

  test('MP-29 the empty line behind the headers may be the CR LF of the next delimiter', () => {
    expect(dataOf(`--b\r\n${type}\r\n--b\r\n\r\n--b--\r\n`)).toEqual(['', ''])
  })
})

describe('headers of a part', () => {
  function headersOf(block: string): Record<string, string> | undefined {
    const told = recordEveryWay('b', `--b\r\n${block}\r\ndata\r\n--b--`)
    expect(told.error).toBeUndefined()
    expect(told.parts).toHaveLength(1)
    expect(told.parts[0]?.data).toBe('data')
    return told.parts[0]?.headers
  }

  test('MP-17 a part may have none', () => {
    expect(headersOf('')).toEqual({})
  })

  test('MP-20 unknown ones are told, names in lower case, values without outer spaces', () => {
    expect(headersOf('Content-ID:<1>\r\nMIME-Version \t: \t1.0 \r\nX:\r\nY: a:b\r\n')).toEqual({
      'content-id': '<1>',
      'mime-version': '1.0',
      x: '',
      y: 'a:b',
    })
  })

  test('values are one character a byte', () => {
    expect(headersOf('X: \xe4\xff\x01\r\n')).toEqual({ x: '\xe4\xff\x01' })
  })

  test('a header that comes twice has its values joined', () => {
    expect(headersOf('X: a\r\nx: b\r\n')).toEqual({ x: 'a, b' })
  })

  test('MP-23 folded lines are unfolded', () => {
    expect(
      headersOf('Content-Type: application/dicom;\r\n \ttransfer-syntax=1.2\r\n\t;a=b\r\nX: 1\r\n'),
    ).toEqual({ 'content-type': 'application/dicom; transfer-syntax=1.2 ;a=b', x: '1' })
  })

  test.each([
    ['has no colon', 'Content-Type application/dicom\r\n'],
    ['has no name', ': application/dicom\r\n'],
    ['has a space in its name', 'Content Type: application/dicom\r\n'],
    ['holds NUL', 'X: a\0b\r\n'],
    ['holds a bare CR', 'X: a\rb\r\n'],
    ['ends in CR CR LF', 'X: a\r\r\n'],
    ['is folded, but the first one', ' X: a\r\n'],
    ['is Content-Type for the second time', `${type}${type}`],
    ['is Content-Length for the second time', 'Content-Length: 4\r\nContent-Length: 4\r\n'],
    ['is the next delimiter', 'X: a\r\n--b\r\nX: a\r\n'],
    ['is no number of bytes', 'Content-Length: +4\r\n'],
  ])('MP-24 a header line that %s is refused with 400', (_, block) => {
    expect(recordEveryWay('b', `--b\r\n${block}\r\ndata\r\n--b--`)).toEqual({
      parts: [],
      error: 'PartHeaderError',
      status: 400,
    })
  })

  test('MP-24 a delimiter with a colon does not pass for a header', () => {
    const body = `--b:c\r\nX: 1\r\n--b:c\r\n${type}\r\ndata\r\n--b:c--`
    expect(recordEveryWay('b:c', body).error).toBe('PartHeaderError')
  })

  test('MP-24 a header block over the limit is refused with 400', () => {
    const limits = { headerBytes: 10 }
    const told = recordEveryWay('b', '--b\r\nX: 12345678\r\n\r\n\r\n--b--', limits)
    expect(told).toEqual({ parts: [], error: 'PartHeaderTooLargeError', status: 400 })
    expect(recordEveryWay('b', '--b\r\nX: 1234567\r\n\r\n\r\n--b--', limits).error).toBeUndefined()
  })

  test('MP-24 the limit is 16 KiB for each part, not for all of them', () => {
    const block = `X: ${'x'.repeat(16 * 1024 - 3)}\r\n\r\n\r\n`
    const told = record('b', Buffer.from(`--b\r\n${block}--b\r\n${block}--b--`), singleBytes)
    expect(told.error).toBeUndefined()
    const over = record('b', Buffer.from(`--b\r\nX${block}--b--`), singleBytes)
    expect(over.error).toBe('PartHeaderTooLargeError')
  })

  test('MP-21 a Content-Length that agrees is accepted', () => {
    expect(headersOf('Content-Length: 4\r\n')).toEqual({ 'content-length': '4' })
  })

  test.each(['0', '3', '5', '99999999999999999999'])(
    'MP-21 Content-Length %s of a part of 4 bytes is refused with 400',
    (length) => {
      expect(
        recordEveryWay('b', `--b\r\nContent-Length: ${length}\r\n\r\ndata\r\n--b--`),
      ).toMatchObject({ parts: [{ isEnded: false }], error: 'PartLengthError', status: 400 })
    },
  )

  test('MP-21 the Content-Length of a part says nothing about the next one', () => {
    expect(dataOf('--b\r\nContent-Length: 1\r\n\r\n1\r\n--b\r\n\r\n22\r\n--b--')).toEqual([
      '1',
      '22',
    ])
  })
})

describe('MP-25 lines that end in LF alone are refused with 400', () => {
  test.each([
    ['everywhere', onePart.replaceAll('\r', '')],
    ['after the first delimiter', '--b\nX: 1\r\n\r\ndata\r\n--b--'],
    ['after its padding', '--b \nX: 1\r\n\r\ndata\r\n--b--'],
    ['before the first delimiter', `text\n${onePart}`],
    ['as the very first byte', `\n${onePart}`],
    ['before an only delimiter', 'text\n--b--\r\n'],
    ['after a header', '--b\r\nX: 1\n\r\ndata\r\n--b--'],
    ['for the empty line', '--b\r\nX: 1\r\n\ndata\r\n--b--'],
    ['for the empty line without headers', '--b\r\n\ndata\r\n--b--'],
    ['after all the headers', `--b\r\nX: 1\n\n${'data'.repeat(100)}`],
    ['after the closing delimiter', '--b\r\n\r\ndata\r\n--b--\n'],
    ['after a later delimiter', '--b\r\n\r\ndata\r\n--b\nX: 1\n\ndata'],
  ])('%s', (_, text) => {
    expect(recordEveryWay('b', text, { headerBytes: 64 })).toMatchObject({
      error: 'BareLineFeedError',
      status: 400,
    })
  })

  test('but not in content', () => {
    expect(dataOf('--b\r\n\r\n\n\ndata\n--b\n\n--b--\n\n\r\n--b--\r\n')).toEqual([
      '\n\ndata\n--b\n\n--b--\n\n',
    ])
  })
})

describe('limits', () => {
  const three = '--b\r\n\r\n1\r\n--b\r\n\r\n22\r\n--b\r\n\r\n333\r\n--b--\r\n'

  test('MP-33 too many parts are refused with 413', () => {
    expect(recordEveryWay('b', three, { parts: 3 }).error).toBeUndefined()
    expect(recordEveryWay('b', three, { parts: 2 })).toMatchObject({
      parts: [{ isEnded: true }, { isEnded: true }],
      error: 'TooManyPartsError',
      status: 413,
    })
  })

  test('MP-33 a part over its limit is refused with 413', () => {
    expect(recordEveryWay('b', three, { partBytes: 3 }).error).toBeUndefined()
    expect(recordEveryWay('b', three, { partBytes: 2 })).toMatchObject({
      parts: [{ data: '1' }, { data: '22' }, { data: '33', isEnded: false }],
      error: 'PartTooLargeError',
      status: 413,
    })
  })

  test('MP-12 MP-33 a body over its limit is refused with 413, preamble and epilogue counted', () => {
    const body = `preamble\r\n${three}epilogue`
    const bodyBytes = body.length
    expect(recordEveryWay('b', body, { bodyBytes }).error).toBeUndefined()
    for (const limit of [bodyBytes - 1, three.length, 1]) {
      expect(recordEveryWay('b', body, { bodyBytes: limit })).toMatchObject({
        error: 'BodyTooLargeError',
        status: 413,
      })
    }
  })

  test('a message tells the limit', () => {
    const reader = new MultipartReader('b', silent, { parts: 2 })
    expect(() => reader.push(Buffer.from(three))).toThrow('more than 2 parts')
  })
})
