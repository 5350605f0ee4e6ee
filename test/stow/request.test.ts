import { describe, expect, test } from 'vitest'
import { parseAnswerType, parseHandling, parsePayload } from '../../server/stow/request.ts'

describe('Content-Type of a Store request (PS3.18 10.5.1.4)', () => {
  test.each([
    ['application/dicom', { form: 'single' }],
    [
      'multipart/related; type="application/dicom"; boundary=b',
      { form: 'multipart', boundary: 'b', isTypeDeclared: true },
    ],
    [
      'multipart/related; type="application/dicom; transfer-syntax=1.2"; boundary="a b"',
      { form: 'multipart', boundary: 'a b', isTypeDeclared: true },
    ],
    ['multipart/related; boundary=b', { form: 'multipart', boundary: 'b', isTypeDeclared: false }],
    [
      'multipart/related; type="application/dicom+json"; boundary=b',
      { form: 'metadata', model: 'json', type: 'application/dicom+json', boundary: 'b' },
    ],
    [
      'multipart/related; start="<1>"; type="application/dicom+xml; charset=UTF-8"; boundary=b',
      {
        form: 'metadata',
        model: 'xml',
        type: 'application/dicom+xml',
        boundary: 'b',
        start: '<1>',
      },
    ],
    ['application/dicom+json', { form: 'metadata', model: 'json', type: 'application/dicom+json' }],
  ])('%s is understood', (contentType, payload) => {
    expect(parsePayload(contentType)).toEqual(payload)
  })

  test.each([
    'multipart/related; type="application/dicom"; boundary=',
    'multipart/related; type="application/dicom"; boundary="b',
    'multipart/related; type="application/dicom"; boundary=b"',
    'multipart/related; type="application/dicom"; boundary=""',
    'multipart/related; type="application/dicom"; boundary="b"c',
    `multipart/related; type="application/dicom"; boundary=${'b'.repeat(70)}`,
    `multipart/related; type="application/dicom"; boundary=${'b'.repeat(71)}`,
    'multipart/related; type="application/dicom"; boundary=b; boundary=c',
    'multipart/related; type="application/dicom"; boundary="b\\c"',
    'multipart/related; type="application/dicom"; boundary="b-c.d_e+f\'g"',
    'multipart/related;type="application/dicom";boundary=b',
  ])('%s is the same in another order, and with another letter', (contentType) => {
    const [, type, boundary] = /(type=[^;]*); ?(.*)/.exec(contentType) ?? []
    const usual = outcomeOf(() => parsePayload(contentType))
    const others = [
      contentType.replace('multipart', 'Multipart'),
      `multipart/related; ${boundary}; ${type}`,
    ]
    for (const other of others) expect(outcomeOf(() => parsePayload(other))).toEqual(usual)
  })

  test.each([
    [null, 415],
    ['  ', 415],
    ['application/zip', 415],
    ['multipart/form-data; boundary=b', 415],
    // Before the boundary is looked at: another boundary would not help.
    ['multipart/related; type="application/json"', 415],
    ['multipart/related; type="application/dicom"', 400],
    ['multipart/related; type="application/dicom+json"', 400],
    ['application/dicom+json; charset=iso-8859-1', 415],
    ['multipart/related; type="application/dicom"; boundary=""', 400],
    ['dicom', 400],
  ])('%s is refused with %i', (contentType, status) => {
    expect(() => parsePayload(contentType)).toThrow(expect.objectContaining({ status }))
  })
})

describe('Accept of a Store request (ST-H4 to ST-H6)', () => {
  test.each([
    [null, 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['application/dicom+xml', 'xml'],
    ['multipart/related; type="application/dicom+xml"', 'multipart-xml'],
    ['application/dicom+json;q=0.1, application/dicom+xml;q=0.2', 'xml'],
    ['application/dicom+json;q=0, */*', 'xml'],
  ])('%s is answered in %s', (accept, type) => {
    expect(parseAnswerType(accept)).toBe(type)
  })

  test('what cannot be served is refused with 406', () => {
    expect(() => parseAnswerType('text/html')).toThrow(expect.objectContaining({ status: 406 }))
  })
})

describe('Prefer (RFC 7240 2, 4.4)', () => {
  test.each([
    [null, 'strict', false],
    ['', 'strict', false],
    ['handling=lenient', 'lenient', true],
    ['handling=strict', 'strict', true],
    [' HANDLING = "Lenient" ; x', 'lenient', true],
    ['wait=10, handling=lenient', 'lenient', true],
    ['handling=lenient, handling=strict', 'lenient', true],
    ['handling=unknown, handling=lenient', 'strict', false],
    ['handling', 'strict', false],
    ['xhandling=lenient', 'strict', false],
    ['return=minimal; handling=lenient', 'strict', false],
    ['x="a, handling=lenient"', 'strict', false],
    ['handling=lenient-ish', 'strict', false],
  ])('%s means %s', (prefer, handling, isPreferred) => {
    expect(parseHandling(prefer, 'strict')).toEqual({ handling, isPreferred })
  })

  test('without it the default holds', () => {
    expect(parseHandling('return=minimal', 'lenient')).toEqual({
      handling: 'lenient',
      isPreferred: false,
    })
  })
})

/** What comes of it, or what is thrown. */
function outcomeOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return (error as Error).message
  }
}
