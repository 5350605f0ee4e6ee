import { describe, expect, test } from 'vitest'
import { negotiate, type Offer, parseAccept } from '../../server/multipart/accept.ts'

const explicitLittleEndian = '1.2.840.10008.1.2.1'
const jpegLossless = '1.2.840.10008.1.2.4.70'

const json = { type: 'application/dicom+json', aliases: ['application/json'] }
const xml = { type: 'application/dicom+xml' }
const xmlParts = { type: 'multipart/related', root: 'application/dicom+xml' }
const store = [json, xml, xmlParts]

function storeAnswer(header: string | undefined): Offer | undefined {
  return negotiate(parseAccept(header), store)?.offer
}

describe('Accept of a Store request (PS3.18 8.7.5, 10.5.4)', () => {
  test.each([
    ['ST-H4 no header', undefined, json],
    ['ST-H4 a blank header', ' ', json],
    ['WA-N2 everything', '*/*', json],
    ['application/*', 'application/*', json],
    ['DICOM JSON', 'application/dicom+json', json],
    ['ST-H6 JSON', 'application/json', json],
    ['JSON with a parameter', 'Application/JSON; charset=utf-8', json],
    ['XML', 'application/dicom+xml', xml],
    ['XML parts', 'multipart/related; type="application/dicom+xml"', xmlParts],
    ['WA-N15 XML parts unquoted', 'multipart/related;type=application/dicom+xml', xmlParts],
    ['WA-N15 multipart without type', 'multipart/related', xmlParts],
    ['multipart of anything', 'multipart/related; type="*/*"', xmlParts],
    ['WA-N3 the higher q', 'application/dicom+json;q=0.5, application/dicom+xml;q=0.501', xml],
    ['a tie, the first', 'application/dicom+xml, application/dicom+json', xml],
    ['a tie, the more specific', '*/*, application/dicom+xml', xml],
    ['a tie, the first of two full types', `application/json, ${'multipart/related'}`, json],
    ['WA-N3 q=0 for one', 'application/dicom+json;q=0, */*', xml],
    ['WA-N3 q=0 under its other name', 'application/json;q=0.0, */*', xml],
    ['WA-N3 a range below its type', 'application/*;q=0.9, application/dicom+json;q=0.1', xml],
    ['WA-N4 an unsupported one first', 'text/html, application/dicom+xml;q=0.2', xml],
    ['WA-N4 a malformed one first', 'nothing, ;, application/dicom+xml;q=0.2', xml],
    ['WA-N4 a malformed q', 'application/dicom+json;q=2, application/dicom+xml;q=0.2', xml],
    ['WA-N3 q with four decimals', 'application/dicom+json;q=0.1234, application/dicom+xml', xml],
    ['a q of Java 8', 'text/html, image/gif, *; q=.2, */*; q=.2', json],
    ['a comma in quotes', 'a/b; c="x, application/dicom+xml", application/json', json],
    ['an empty list element', ', ,application/json,', json],
  ])('%s is answered', (_, header, offer) => {
    expect(storeAnswer(header)).toBe(offer)
  })

  test.each([
    ['WA-N5 only unsupported types', 'text/html, image/*'],
    ['WA-N5 only malformed entries', 'json, */json, application/json; a'],
    ['only commas', ',,'],
    ['q=0 for everything', '*/*;q=0'],
    ['parts of another type', 'multipart/related; type="application/dicom"'],
    ['quotes that are never closed', 'a/b; c="x, application/json'],
    ['a broken type inside of type', 'multipart/related; type="dicom"'],
  ])('ST-H5 %s leaves nothing acceptable', (_, header) => {
    expect(storeAnswer(header)).toBeUndefined()
  })

  test('the deciding entry is told', () => {
    expect(negotiate(parseAccept('text/html, application/json;q=0.3'), store)?.entry).toMatchObject(
      { type: 'application/json', quality: 0.3 },
    )
  })
})

describe('Accept of a Retrieve request (PS3.18 8.7.3.5.2, 8.7.8)', () => {
  const part10 = { type: 'multipart/related', root: 'application/dicom' }
  const stored = { ...part10, transferSyntaxUID: jpegLossless }
  const transcoded = {
    ...part10,
    transferSyntaxUID: explicitLittleEndian,
    isDefaultSyntax: true,
  }
  const instance = [stored, transcoded]

  function retrieveAnswer(header: string): Offer | undefined {
    return negotiate(parseAccept(header), instance)?.offer
  }

  test.each([
    ['WA-N2 everything: as stored', '*/*', stored],
    ['WA-N15 no type: as stored', 'multipart/related', stored],
    ['WA-N11 no syntax', 'multipart/related; type="application/dicom"', transcoded],
    [
      'WA-N10 any syntax: as stored',
      'multipart/related; type="application/dicom"; transfer-syntax=*',
      stored,
    ],
    [
      'WA-N9 one syntax',
      `multipart/related; type="application/dicom"; transfer-syntax=${jpegLossless}`,
      stored,
    ],
    [
      'MP-06 one syntax inside of type',
      `multipart/related; type="application/dicom; transfer-syntax=${jpegLossless}"`,
      stored,
    ],
    [
      'WA-N9 the second of two syntaxes',
      `multipart/related; type="application/dicom"; transfer-syntax=1.2.3,\
       multipart/related; type="application/dicom"; transfer-syntax=${explicitLittleEndian};q=0.5`,
      transcoded,
    ],
    [
      'a syntax refused, any other accepted',
      `multipart/related; type="application/dicom"; transfer-syntax=${jpegLossless};q=0,\
       multipart/related; type="application/dicom"; transfer-syntax=*`,
      transcoded,
    ],
    ['the type before everything', 'multipart/related; type="application/dicom", */*', transcoded],
  ])('%s is answered', (_, header, offer) => {
    expect(retrieveAnswer(header)).toBe(offer)
  })

  test.each([
    [
      'WA-N13 a syntax that cannot be produced',
      'multipart/related; type="application/dicom"; transfer-syntax=1.2.3',
    ],
    [
      'two syntaxes in one entry',
      `multipart/related; type="application/dicom;transfer-syntax=1.2"; transfer-syntax=*`,
    ],
    [
      'a type refused in all of its syntaxes',
      'multipart/related; type="application/dicom";q=0, */*',
    ],
  ])('%s leaves nothing acceptable', (_, header) => {
    expect(retrieveAnswer(header)).toBeUndefined()
  })
})

describe('parseAccept', () => {
  test('orders by q, then from specific to general, then as they came', () => {
    const header =
      '*/*, a/*, multipart/related, b/b, a/a;q=0.5, c/c;level=1, d/d;q=0, ' +
      'multipart/related;type="a/b"'
    expect(parseAccept(header).map((entry) => entry.root ?? entry.type)).toEqual([
      'b/b',
      'c/c',
      'a/b',
      'multipart/related',
      'a/*',
      '*/*',
      'a/a',
      'd/d',
    ])
  })

  test('keeps the parameters, without q', () => {
    const [entry] = parseAccept('application/dicom+json; charset="utf-8"; Q=0.7')
    expect(entry?.parameters).toEqual(new Map([['charset', 'utf-8']]))
    expect(entry?.quality).toBe(0.7)
  })

  test('WA-N4 drops ranges that RFC 9110 12.5.1 does not know', () => {
    expect(parseAccept('*/json, a/b*, *x/b, multipart/related; type="*/b", a/b; a=1; a=1')).toEqual(
      [],
    )
  })

  test('looks at 100 entries', () => {
    expect(parseAccept('a/b,'.repeat(5000))).toHaveLength(100)
  })
})
