import { describe, expect, test } from 'vitest'
import {
  deflatedLittleEndian,
  dicomFile,
  implicitLittleEndian,
  jpegBaseline,
} from '../support/dicom-file.ts'
import {
  type DicomJsonElement,
  jsonOf,
  metadataOf,
  readInstance,
} from '../support/dicom-reading.ts'

/** The bytes of the file that a BulkDataURI points to. */
function bulkOf(file: Buffer, json: DicomJsonElement | undefined): Buffer {
  const match = /^bulkdata\/[0-9A-F.]+\/(\d+)-(\d+)$/.exec(json?.BulkDataURI ?? '')
  const offset = Number(match?.[1])
  return file.subarray(offset, offset + Number(match?.[2]))
}

describe('bulk data (JS-10)', () => {
  test('pixel data is always bulk, however small', () => {
    const file = dicomFile({ pixelBytes: Buffer.from('pixel!') })
    const json = metadataOf(readInstance(file))['7FE00010']
    expect(json).toEqual({ vr: 'OW', BulkDataURI: `bulkdata/7FE00010/${file.length - 6}-6` })
    for (const tag of ['7FE00008', '7FE00009']) {
      const element = { tag, vr: 'OF', value: Buffer.alloc(4) }
      expect(jsonOf(element, { pixelBytes: null })?.BulkDataURI).toMatch(/-4$/)
    }
    expect(metadataOf(readInstance(dicomFile({ pixelBytes: 0 })))['7FE00010']).toEqual({ vr: 'OW' })
  })

  test('encapsulated pixel data counts from its first item up to the delimiter', () => {
    const fragments = [Buffer.from('one!'), Buffer.from('three!')]
    const file = dicomFile({ transferSyntaxUID: jpegBaseline, pixelBytes: fragments })
    const json = metadataOf(readInstance(file))['7FE00010']
    expect(json?.vr).toBe('OB')
    const bytes = bulkOf(file, json)
    expect(bytes.toString('hex')).toBe(
      `feff00e000000000feff00e004000000${fragments[0]?.toString('hex')}feff00e006000000${fragments[1]?.toString('hex')}`,
    )
    expect(file.length - file.indexOf(bytes) - bytes.length).toBe(8)
  })

  test('elements after the pixel data are read', () => {
    const elements = [{ tag: 'FFFCFFFC', vr: 'OB', value: Buffer.from('pad!') }]
    for (const transferSyntaxUID of [implicitLittleEndian, jpegBaseline]) {
      const model = metadataOf(readInstance(dicomFile({ elements, transferSyntaxUID })))
      expect(model.FFFCFFFC?.InlineBinary).toBe(Buffer.from('pad!').toString('base64'))
    }
  })

  test('bytes are inline up to 1 KiB', () => {
    const of = (length: number) =>
      jsonOf({ tag: '00091010', vr: 'OB', value: Buffer.alloc(length) })
    expect(of(1024)).toHaveProperty('InlineBinary')
    expect(of(1026)).toHaveProperty('BulkDataURI')
  })

  test('text and numbers are inline up to 64 KiB', () => {
    const of = (vr: string, length: number) =>
      jsonOf({ tag: '00091010', vr, value: Buffer.alloc(length, '1') })
    for (const vr of ['UT', 'UC', 'UV', 'SV']) {
      expect(of(vr, 65_536)).toHaveProperty('Value')
      expect(of(vr, 65_544)).toHaveProperty('BulkDataURI')
    }
  })

  test('are named by their way through the sequences, and are where it says', () => {
    const value = (text: string) => Buffer.alloc(2000, text)
    const contour = (text: string) => [{ tag: '30060050', vr: 'DS', value: value(text) }]
    const roi = [{ tag: '30060040', vr: 'SQ', items: [contour('1'), contour('2'), contour('3')] }]
    const elements = [{ tag: '30060039', vr: 'SQ', items: [[], roi] }]
    const file = dicomFile({ elements })
    const model = metadataOf(readInstance(file, 1000, { inlineTextBytes: 1000 }))
    const text = JSON.stringify(model['30060039'])
    const uris = [...text.matchAll(/bulkdata\/([0-9A-F.]+)\/(\d+)-(\d+)/g)]
    expect(uris.map((match) => match[1])).toEqual([
      '30060039.2.30060040.1.30060050',
      '30060039.2.30060040.2.30060050',
      '30060039.2.30060040.3.30060050',
    ])
    for (const [index, match] of uris.entries()) {
      const bytes = bulkOf(file, { vr: 'DS', BulkDataURI: match[0] })
      expect(bytes.equals(value(String(index + 1)))).toBe(true)
    }
  })

  test('in a deflated file are counted as if it were inflated in place', () => {
    const options = { transferSyntaxUID: deflatedLittleEndian, sopInstanceUID: '1.2.3.4' }
    const plain = dicomFile({ sopInstanceUID: '1.2.3.4' })
    const json = metadataOf(readInstance(dicomFile(options)))['7FE00010']
    // The transfer syntax UID of a deflated file is four characters longer, padding included.
    const offset = plain.length - 512 + 2
    expect(json?.BulkDataURI).toBe(`bulkdata/7FE00010/${offset}-512`)
  })

  test('takes over once 4 MiB are inline, so that memory does not grow with the values (P3)', () => {
    const contours = Array.from({ length: 3000 }, (_, index) => [
      {
        tag: '30060050',
        vr: 'DS',
        value: '1.5\\'.repeat(index % 2 === 0 ? 2000 : 10).slice(0, -1),
      },
    ])
    const file = dicomFile({ elements: [{ tag: '30060040', vr: 'SQ', items: contours }] })
    const instance = readInstance(file)
    expect(file.length).toBeGreaterThan(11_000_000)
    expect(instance.metadata.length).toBeLessThan(5_000_000)
    const items = metadataOf(instance)['30060040']?.Value as Record<string, DicomJsonElement>[]
    expect(items[0]?.['30060050']).toHaveProperty('Value')
    expect(items[2998]?.['30060050']).toHaveProperty('BulkDataURI')
    expect(items[2999]?.['30060050']).toHaveProperty('Value')
  })
})
