import { Buffer } from 'node:buffer'
import { inSizes, record, whole } from '../../multipart/record.ts'
import { multipartBody } from '../../support/stow.ts'
import type { Target } from '../target.ts'

const limits = {
  headerBytes: 600,
  paddingBytes: 40,
  parts: 300,
  partBytes: 9000,
  bodyBytes: 15_000,
}
const chunkings = [[1], [2, 7], [13, 1, 64], [500]]

/** The multipart reader: in whatever chunks the body comes, it tells the same, or the same error. */
export function multipart(): Target {
  const boundary = 'b'
  const text = (lines: string[]) => Buffer.from(lines.join('\r\n'))
  return {
    maxBytes: 20_000,
    seeds: [
      text(['--b', 'Content-Type: application/dicom', '', 'DICM', '--b', '', 'x', '--b--', '']),
      text([
        'preamble',
        '--b \t',
        'A: 1',
        'Content-Length: 3',
        '',
        'abc',
        '--b',
        '',
        '--b--',
        'end',
      ]),
      text(['--b', 'A: "x', ' y"', '', '', '', '--b', '--b--']),
      Buffer.from('--b\nA: 1\n\nabc\n--b--\n'),
      Buffer.from(
        multipartBody([Buffer.from('abc')])
          .toString()
          .replace(/stowage-test-boundary/g, 'b'),
      ),
    ],
    tokens: [
      '\r\n--b',
      '\r\n--b--',
      '--b\r\n',
      '\r\n',
      '\r\n\r\n',
      '\n--b\n',
      '--',
      'Content-Length: 0\r\n',
      'Content-Type: application/dicom\r\n',
      'Content-Type: multipart/related; boundary=b\r\n',
      ': ',
      ' ',
      '\t',
      '\0',
      '"',
    ],
    run(input) {
      const expected = JSON.stringify(record(boundary, input, whole, limits))
      const sizes = chunkings[input.length % chunkings.length] as number[]
      const told = JSON.stringify(record(boundary, input, inSizes(sizes), limits))
      if (told !== expected) throw new Error('Other chunks, other parts')
    },
  }
}
