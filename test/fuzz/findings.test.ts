import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { readRequest as readCommitment } from '../../server/commitment/request.ts'
import { readDeclaration } from '../../server/completeness/request.ts'
import { readDeletionRequest } from '../../server/deletion/request.ts'
import { writeDecimal } from '../../server/dicom/decimal.ts'
import { MetadataError } from '../../server/dicom/errors.ts'
import { JsonBytes } from '../../server/dicom/json-bytes.ts'
import { readInstanceJson } from '../../server/dicom/model-from-json.ts'
import { readInstanceXml } from '../../server/dicom/model-from-xml.ts'
import { writePart10 } from '../../server/dicom/part10-writer.ts'
import { baseURLOf } from '../../server/http/base-url.ts'
import { DigestCheck } from '../../server/http/digest.ts'
import { HttpProblem } from '../../server/http/problem.ts'
import { render } from '../../server/pixels/render.ts'
import { defaultPoolLimits, UndecodableError, WorkerPool } from '../../server/pixels/worker-pool.ts'
import { parseParameters } from '../../server/qido/parameters.ts'
import { BulkParts } from '../../server/stow/bulk-parts.ts'
import { parsePayload } from '../../server/stow/request.ts'
import { renderedParameters } from '../../server/wado/rendered-parameters.ts'
import { imagePixel, rendering } from '../pixels/image.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { jsonOf, metadataOf, readInstance } from '../support/dicom-reading.ts'

/** What the fuzzer found, or reading with its eyes: each was answered 500, or took seconds, or all memory. */

/** With a cost that grows with the square, a test with this many characters would never end. */
const many = 4_000_000

describe('A name that every object has is no name of ours', () => {
  test('as the function of a window', () => {
    for (const name of ['constructor', '__proto__', 'tostring']) {
      expect(() => renderedParameters({ window: `1,1,${name}` })).toThrow(HttpProblem)
    }
  })

  test('as a parameter of a search: ignored, with a warning', () => {
    const query = new URLSearchParams('constructor=1&constructor=2&__proto__=3')
    expect(parseParameters('study', query).warnings).toEqual([
      'The constructor parameter is not known and has been ignored',
      'The constructor parameter is not known and has been ignored',
      'The __proto__ parameter is not known and has been ignored',
    ])
  })

  test('as an element of XML', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      const { error } = readInstanceXml(
        `<NativeDicomModel><${name}><Value number="1"/></${name}></NativeDicomModel>`,
      )
      expect(error).toBeInstanceOf(MetadataError)
    }
  })

  test('as a member of JSON: it is refused, and changes no other object', () => {
    const body = JSON.parse('{"__proto__":{"isChanged":true},"instanceCount":1}')
    expect(() => readDeclaration(body)).toThrow(HttpProblem)
    const { error } = readInstanceJson('{"__proto__":{"vr":"LO","Value":["a"]}}')
    expect(error).toBeInstanceOf(MetadataError)
    expect(({} as { isChanged?: boolean }).isChanged).toBeUndefined()
  })
})

test('a refusal names a member of the body, and does not say all of it again', async () => {
  const body = JSON.stringify({ ['a'.repeat(60_000)]: 1 })
  const refused = readDeletionRequest(new Request('http://a/', { method: 'DELETE', body }))
  await expect(refused).rejects.toThrow(/^.{0,120}$/)
})

test('a refusal does not say a media type or parameter of any length again', () => {
  const long = 'a'.repeat(4000)
  for (const type of [`multipart/${long}`, `application/dicom;${long}=1;${long}=2`]) {
    expect(() => parsePayload(type)).toThrow(/^.{0,300}$/)
  }
})

test('a declared series without its UID, or with a number as one, is refused', () => {
  for (const seriesInstanceUID of [undefined, 7, null, ['1.2']]) {
    const body = { series: [{ seriesInstanceUID, instanceCount: 1 }] }
    expect(() => readDeclaration(body)).toThrow('"seriesInstanceUID" of series 1 is no UID')
  }
})

test('a host that no URL can have is passed over, so that no request fails by it', () => {
  const policy = { baseURL: undefined, isTrustedProxy: () => true }
  for (const host of ['a.0x', '1.2.3.4.5', '256.1.1.1', '999']) {
    for (const given of [{ 'x-forwarded-host': host }, { forwarded: `host=${host}` }]) {
      const request = { url: 'http://inner:8104/x', headers: new Headers(given) } as Request
      expect(() => new URL(baseURLOf(request, '::1', policy))).not.toThrow()
    }
  }
})

describe('Long texts are read in time that grows with their length alone', () => {
  const reference = (uid: string) => ({
    '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
    '00081155': { vr: 'UI', Value: [uid] },
  })

  test('a UID with padding in its middle', () => {
    const item = reference(`1.2${' '.repeat(many)}3`)
    const body = Buffer.from(JSON.stringify({ '00081199': { vr: 'SQ', Value: [item] } }))
    expect(() => readCommitment(body, 'json')).toThrow(HttpProblem)
  })

  test('a name, with spaces or equals signs before its end', () => {
    const name = `a${' '.repeat(60_000)}b`
    for (let count = 0; count < 20; count++) {
      const element = { tag: '00104000', vr: 'PN', value: Buffer.from(`${name}\xe4`, 'latin1') }
      expect(jsonOf(element, { specificCharacterSet: 'ISO_IR 100' })?.Value).toEqual([
        { Alphabetic: `${name}ä` },
      ])
    }
    const { dataSet } = readInstanceJson(
      JSON.stringify({ '00100010': { vr: 'PN', Value: [{ Alphabetic: '='.repeat(many) }] } }),
    )
    expect(() => writePart10(dataSet, () => ({ ranges: [] }))).toThrow('an equals sign')
  })

  test.each([
    ['zeros before its last digit', `1.${'0'.repeat(many)}1`],
    ['digits, and is none', `${'1'.repeat(many)}x`],
    ['zeros at its end', `1.5${'0'.repeat(many)}`],
  ])('a decimal that has %s', (_, text) => {
    const out = new JsonBytes()
    const bytes = Buffer.from(text)
    writeDecimal(out, bytes, 0, bytes.length)
    expect(out.end).toBeGreaterThan(0)
  })

  test('a digest whose name goes on and on', () => {
    expect(() => new DigestCheck('Content-Digest', 'a'.repeat(many)).verify()).not.toThrow()
    expect(() => new DigestCheck('Content-Digest', `a${' '.repeat(many)}=`).verify()).not.toThrow()
  })

  test('a prefix of slashes', () => {
    const policy = { baseURL: undefined, isTrustedProxy: () => true }
    const headers = new Headers({ 'x-forwarded-prefix': `${'/'.repeat(many)}x` })
    expect(baseURLOf({ url: 'http://a/', headers } as Request, '::1', policy)).toBe('http://a')
  })
})

test('of a thousand digests of one algorithm the last one counts, and one is computed', () => {
  const right = 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='
  const check = new DigestCheck(
    'Content-Digest',
    `${'sha-256=:AAAA:, '.repeat(1000)}sha-256=:${right}:`,
  )
  check.update(Buffer.from('abc'))
  expect(() => check.verify()).not.toThrow()
})

describe('A few bytes cannot stand for any amount of memory', () => {
  test('numbers of values in XML', () => {
    const attribute =
      '<DicomAttribute tag="00081030" vr="LO"><Value number="400000">a</Value></DicomAttribute>'
    const text = `<NativeDicomModel>${attribute.repeat(3000)}</NativeDicomModel>`
    const { error, dataSet } = readInstanceXml(text)
    expect(error?.message).toContain('leaves out too many values')
    const valueCount = dataSet.reduce((sum, { values }) => sum + values.length, 0)
    expect(valueCount).toBeLessThan(1_000_000)
  })

  test('frames that one item after another refers to (MB-2)', () => {
    const bulk = new BulkParts('http://a/', { parts: 1000, inflateRatio: 100 })
    const mediaType = { type: 'application/octet-stream', parameters: new Map<string, string>() }
    for (let number = 1; number <= 1000; number++) {
      bulk.add(`b/frames/${number}`, { partNumber: number, mediaType, offset: 0, length: 1 })
    }
    const attribute = { tag: 0x7fe00010, vr: 'OW', values: [], bulkDataURI: 'b' }
    const item = [attribute, { tag: 0x00280008, vr: 'IS', values: ['1000'] }]
    const items = Array.from({ length: 20 }, () => item)
    const write = (count: number) =>
      writePart10([{ tag: 0x00081140, vr: 'SQ', values: items.slice(0, count) }], (one, dataSet) =>
        bulk.resolve(one, dataSet),
      )
    expect(() => write(2)).not.toThrow()
    expect(() => write(20)).toThrow('refer to more than 10000 parts')
  })

  test('one part that is referred to for ever (MB-2)', () => {
    const bulk = new BulkParts('http://a/', { parts: 1000, inflateRatio: 100 })
    const mediaType = { type: 'application/octet-stream', parameters: new Map<string, string>() }
    bulk.add('b', { partNumber: 1, mediaType, offset: 0, length: 2 ** 20 })
    const attribute = { tag: 0x00091001, vr: 'UN', values: [], bulkDataURI: 'b' }
    const refer = (times: number) => {
      for (let count = 0; count < times; count++) bulk.resolve(attribute, [attribute])
    }
    expect(() => refer(100)).not.toThrow()
    expect(() => refer(100)).toThrow('more than 100 times the bytes that came')
  })
})

describe('Broken pixels', () => {
  test.each(['MONOCHROME2', 'PALETTE COLOR'])(
    '%s of several samples is refused, not drawn at another size',
    (photometricInterpretation) => {
      const image = imagePixel({
        rows: 2,
        columns: 2,
        samplesPerPixel: 4,
        photometricInterpretation,
      })
      expect(() => render(image, new Uint8Array(32), rendering())).toThrow('several samples')
    },
  )

  test('a JPEG-LS stream that keeps its decoder busy for half a minute is given up after seconds', async () => {
    await using pool = new WorkerPool({ ...defaultPoolLimits, workers: 1, smallJobMs: 500 })
    const image = imagePixel({
      rows: 16,
      columns: 16,
      samplesPerPixel: 3,
      bitsAllocated: 8,
      bitsStored: 8,
      photometricInterpretation: 'RGB',
    })
    const bytes = Uint8Array.from(Buffer.from(endlessJpegLs, 'hex'))
    const transferSyntaxUID = '1.2.840.10008.1.2.4.80'
    const decoded = pool.run({ kind: 'decode', image, transferSyntaxUID, bytes })
    await expect(decoded).rejects.toThrow(UndecodableError)
    await expect(decoded).rejects.toThrow('it takes longer than 0.5')
  })
})

test('a file that says nothing but nesting is refused, whatever says it', () => {
  const item = Buffer.from('feff00e0ffffffff', 'hex')
  const sequence = Buffer.from('080040115351 0000ffffffff'.replace(' ', ''), 'hex')
  const deep = Buffer.concat(Array.from({ length: 100_000 }, () => [sequence, item]).flat())
  const file = Buffer.concat([dicomFile({ pixelBytes: null }).subarray(0, -200), deep])
  expect(() => metadataOf(readInstance(file))).toThrow()
  expect(() => readInstanceJson('{"00081140":{"vr":"SQ","Value":['.repeat(100_000))).toThrow(
    SyntaxError,
  )
  expect(() => readInstanceXml(`<NativeDicomModel>${'<Item number="1">'.repeat(100_000)}`)).toThrow(
    SyntaxError,
  )
  expect(() =>
    readCommitment(Buffer.from('{"00081199":{"vr":"SQ","Value":['.repeat(50_000)), 'json'),
  ).toThrow(HttpProblem)
})

/** Found by mutation of a stream of 16 x 16 pixels: a run of zeros, which the decoder takes for one code of 2^31 bits. */
const endlessJpegLs =
  'ffd8fff70011080010001003011100021100031100ffda000c0301000200030000020040000027a03800a4d22994baa5128742a0d028943a8c000006e3e7dfd7cfefe53a77ebe9e700140391000c4a500722fdeeb6cfd7553fa3fefd7dec469400800291c889ecdee217bf5a881e56735f79b8c579f8c63c01093f18fe333f999fae6575e4ccae3cf88000001c3c9102f10b6f0b885a'
