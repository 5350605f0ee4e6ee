import { describe, expect, test } from 'vitest'
import { MultipartError } from '../../server/multipart/multipart-errors.ts'
import { checkPart } from '../../server/multipart/part-policy.ts'

function verdict(
  headers: Record<string, string>,
  index: number,
  isTypeDeclared?: boolean,
): number | string {
  try {
    checkPart(new Map(Object.entries(headers)), index, 'application/dicom', isTypeDeclared)
    return 'accepted'
  } catch (error) {
    if (error instanceof MultipartError) return error.status
    throw error
  }
}

const dicom = { 'content-type': 'application/dicom' }

describe('the kind of a part (PS3.18 8.6.1.2, RFC 2387)', () => {
  test('MP-08 the first part tells the type when the request does not', () => {
    expect(verdict(dicom, 0, false)).toBe('accepted')
    expect(verdict({ 'content-type': 'text/plain' }, 0, false)).toBe(415)
    expect(verdict({}, 0, false)).toBe(415)
  })

  test('MP-17 the first part may leave its type out, a later one may not', () => {
    expect(verdict({}, 0)).toBe('accepted')
    expect(verdict({}, 1)).toBe(415)
  })

  test('an empty type is none, whatever the part before it had', () => {
    expect(verdict(dicom, 0)).toBe('accepted')
    expect(verdict({ 'content-type': '' }, 1)).toBe(400)
  })

  test('MP-18 parameters and case of the type do not matter', () => {
    const contentType = 'Application/DICOM; transfer-syntax=1.2.840.10008.1.2.4.70'
    expect(verdict({ 'content-type': contentType }, 3)).toBe('accepted')
  })

  test.each(['text/plain', 'application/octet-stream', 'application/dicom+json'])(
    'MP-19 a part of type %s is refused with 415',
    (contentType) => {
      expect(verdict({ 'content-type': contentType }, 0)).toBe(415)
    },
  )

  test('MP-20 other headers are ignored', () => {
    expect(verdict({ ...dicom, 'content-id': '<1>', 'mime-version': '1.0', x: '' }, 0)).toBe(
      'accepted',
    )
  })

  test.each([
    ['binary', 'accepted'],
    ['8bit', 'accepted'],
    ['7BIT', 'accepted'],
    ['base64', 415],
    ['quoted-printable', 415],
    ['x-gzip', 415],
  ])('MP-22 Content-Transfer-Encoding %s: %s', (encoding, expected) => {
    expect(verdict({ ...dicom, 'content-transfer-encoding': encoding }, 0)).toBe(expected)
  })

  test('MP-30 a nested multipart is refused with 415', () => {
    const headers = { 'content-type': 'multipart/mixed; boundary=b' }
    expect(verdict(headers, 0)).toBe(415)
    expect(() => checkPart(new Map(Object.entries(headers)), 0, 'application/dicom')).toThrow(
      'Cannot accept part 1: it is a multipart body of its own',
    )
  })

  test('a type that cannot be parsed is refused with 400', () => {
    expect(verdict({ 'content-type': 'dicom' }, 0)).toBe(400)
    expect(verdict({ 'content-type': '' }, 0)).toBe(400)
  })

  test('no message quotes what the part says (P10)', () => {
    const headers = new Map([['content-type', 'image/doe-john; name="DOE^JOHN"']])
    expect(() => checkPart(headers, 4, 'application/dicom')).toThrow(/part 5/)
    expect(() => checkPart(headers, 4, 'application/dicom')).not.toThrow(/doe/i)
  })
})
