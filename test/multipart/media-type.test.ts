import { describe, expect, test } from 'vitest'
import {
  MediaTypeError,
  multipartBoundary,
  parseMediaType,
  rootMediaType,
} from '../../server/multipart/media-type.ts'
import { BoundaryError } from '../../server/multipart/multipart-errors.ts'

function boundaryOf(header: string): string {
  return multipartBoundary(parseMediaType(header))
}

function rootOf(header: string): string | undefined {
  return rootMediaType(parseMediaType(header))?.type
}

describe('Content-Type of a multipart request (PS3.18 8.7.1, RFC 2387, RFC 9110 8.3)', () => {
  test('MP-01 type is read quoted and unquoted', () => {
    expect(rootOf('multipart/related; type="application/dicom"; boundary=a')).toBe(
      'application/dicom',
    )
    expect(rootOf('multipart/related; type=application/dicom; boundary=a')).toBe(
      'application/dicom',
    )
  })

  test('MP-02 types and names lose their case, the boundary keeps it', () => {
    const header = 'Multipart/Related; TYPE="Application/DICOM"; Boundary=aB'
    expect(parseMediaType(header).type).toBe('multipart/related')
    expect(rootOf(header)).toBe('application/dicom')
    expect(boundaryOf(header)).toBe('aB')
  })

  test('MP-03 parameters come in any order, with spaces and tabs around ; and =', () => {
    const header = ' multipart/related\t ;\t boundary = a ; type\t=\t"application/dicom"\t;; '
    expect(boundaryOf(header)).toBe('a')
    expect(rootOf(header)).toBe('application/dicom')
  })

  test('MP-04 a quoted boundary holds spaces, punctuation and escapes', () => {
    expect(boundaryOf(`multipart/related; boundary="a b:c=d/e?f'g(h)i,j+k;l"`)).toBe(
      `a b:c=d/e?f'g(h)i,j+k;l`,
    )
    expect(boundaryOf('multipart/related; boundary="a\\b\\"c\\\\d;e"; type=x/y')).toBe('ab"c\\d;e')
  })

  test('MP-05 an unquoted boundary reaches to the next semicolon, whatever it holds', () => {
    expect(boundaryOf('multipart/related; boundary=a=b:c; type=x/y')).toBe('a=b:c')
    expect(boundaryOf('multipart/related; boundary=a b,(c)/@ ')).toBe('a b,(c)/@')
  })

  test('MP-06 a type with parameters of its own is compared without them', () => {
    const header =
      'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=a'
    expect(rootOf(header)).toBe('application/dicom')
    expect(boundaryOf(header)).toBe('a')
    const root = rootMediaType(parseMediaType(header))
    expect(root?.parameters.get('transfer-syntax')).toBe('1.2.840.10008.1.2.1')
  })

  test('MP-06 quotes may be nested by escapes', () => {
    const header = String.raw`multipart/related; type="application/dicom; a=\"x;y\""; boundary=a`
    expect(rootMediaType(parseMediaType(header))?.parameters.get('a')).toBe('x;y')
  })

  test.each([
    ['missing', 'multipart/related; type="application/dicom"'],
    ['empty', 'multipart/related; boundary=; type=x/y'],
    ['empty in quotes', 'multipart/related; boundary=""'],
    ['of 71 characters', `multipart/related; boundary=${'b'.repeat(71)}`],
    ['ending with a space', 'multipart/related; boundary="a "'],
    ['with a tab', 'multipart/related; boundary="a\tb"'],
    ['with a control character', 'multipart/related; boundary=a\x01b'],
    ['with CR LF', 'multipart/related; boundary="a\r\nb"'],
    ['outside of ASCII', 'multipart/related; boundary=\xe4'],
  ])('MP-07 a boundary %s is refused with 400', (_, header) => {
    expect(() => boundaryOf(header)).toThrow(BoundaryError)
    expect(() => boundaryOf(header)).toThrow(expect.objectContaining({ status: 400 }))
  })

  test('MP-07 a boundary of 70 characters is read', () => {
    expect(boundaryOf(`multipart/related; boundary=${'b'.repeat(70)}`)).toHaveLength(70)
  })

  test('MP-08 a missing type is told as such', () => {
    expect(rootOf('multipart/related; boundary=a')).toBeUndefined()
  })

  test.each([
    ['is empty', ''],
    ['has no slash', 'multipart; boundary=a'],
    ['has two slashes', 'multipart/related/x; boundary=a'],
    ['has a space in the type', 'multipart /related; boundary=a'],
    ['has a parameter without =', 'multipart/related; boundary'],
    ['has a parameter without a name', 'multipart/related; ="a"'],
    ['does not close its quotes', 'multipart/related; boundary="a; type=x/y'],
    ['ends in an escape', 'multipart/related; boundary="a\\'],
    ['goes on after the quotes', 'multipart/related; boundary="a"b'],
    ['has quotes inside of a value', 'multipart/related; boundary=a"b"'],
    ['has the same parameter twice', 'multipart/related; boundary=a; Boundary=a'],
    ['is two media types', 'multipart/related; boundary=a, multipart/related; boundary=a'],
  ])('ST-H1 a header that %s is refused with 400', (_, header) => {
    expect(() => parseMediaType(header)).toThrow(MediaTypeError)
    expect(() => parseMediaType(header)).toThrow(expect.objectContaining({ status: 400 }))
    expect(() => parseMediaType(header)).toThrow(SyntaxError)
  })

  test('a header of a million characters is read in linear time', () => {
    const spaces = ' '.repeat(1_000_000)
    const mediaType = parseMediaType(`a/b; c=d${spaces}e; f=${spaces}`)
    expect(mediaType.parameters.get('c')).toHaveLength(1_000_002)
    expect(mediaType.parameters.get('f')).toBe('')
    const escapes = '\\"'.repeat(500_000)
    expect(parseMediaType(`a/b; c="${escapes}"`).parameters.get('c')).toHaveLength(500_000)
    expect(() => parseMediaType(`a/b; c="${escapes}`)).toThrow(MediaTypeError)
  })
})
