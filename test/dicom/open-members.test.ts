import { describe, expect, test } from 'vitest'
import {
  type DicomElement,
  type DicomFileOptions,
  dicomFile,
  explicitLittleEndian,
  implicitLittleEndian,
} from '../support/dicom-file.ts'
import { metadataOf, readInstance } from '../support/dicom-reading.ts'

const implicit = { transferSyntaxUID: implicitLittleEndian }

describe('US or SS before the Pixel Representation that decides it (JS-23)', () => {
  const zeroVelocity = (value: number[]) => ({ tag: '00189810', vr: 'SS', value })
  const representation = (value: number) => ({ tag: '00280103', vr: 'US', value })
  const modelOf = (elements: DicomElement[], options: DicomFileOptions = {}) =>
    metadataOf(readInstance(dicomFile({ ...implicit, ...options, elements })))

  test('is what that says, and what follows stays where it is', () => {
    const values = [-1, -32_768, -10_000, 0, 7, 32_767]
    const without = modelOf([representation(1)])
    const { '00189810': found, ...others } = modelOf([zeroVelocity(values), representation(1)])
    expect(found).toEqual({ vr: 'SS', Value: values })
    expect(others).toEqual({
      ...without,
      '00080018': others['00080018'],
      '7FE00010': others['7FE00010'],
    })
    expect(modelOf([zeroVelocity([-1]), representation(0)])['00189810']).toEqual({
      vr: 'US',
      Value: [65_535],
    })
    expect(modelOf([zeroVelocity([]), representation(1)])['00189810']).toEqual({ vr: 'SS' })
  })

  test('is what it is where it is a sequence, as UN of undefined length is', () => {
    const unknown = { tag: '00189810', vr: 'UN', items: [[], []], undefinedLength: true }
    const explicit = { transferSyntaxUID: explicitLittleEndian }
    expect(modelOf([unknown, representation(1)], explicit)['00189810']).toEqual({
      vr: 'SQ',
      Value: [{}, {}],
    })
  })

  test('also as UN in Explicit VR, as bulk data, and in a file whose tags are in no order', () => {
    const unknown = { tag: '00189810', vr: 'UN', value: Buffer.from('ffff', 'hex') }
    const explicit = { transferSyntaxUID: explicitLittleEndian }
    expect(modelOf([unknown, representation(1)], explicit)['00189810']).toEqual({
      vr: 'SS',
      Value: [-1],
    })
    const odd = { tag: '00189810', vr: 'UN', value: Buffer.from('ffffff', 'hex') }
    expect(modelOf([odd, representation(1)], explicit)['00189810']).toEqual({
      vr: 'UN',
      InlineBinary: '////',
    })
    const long = zeroVelocity(Array(40_000).fill(-1))
    expect(modelOf([long, representation(1)])['00189810']).toEqual({
      vr: 'SS',
      BulkDataURI: expect.stringContaining('-80000'),
    })
    const elements = [
      { tag: '00280107', vr: 'SS', value: -2 },
      representation(1),
      { tag: '00280106', vr: 'SS', value: -3 },
    ]
    expect(modelOf(elements, { unsorted: true })).toMatchObject({
      '00280106': { vr: 'SS', Value: [-3] },
      '00280107': { vr: 'SS', Value: [-2] },
      '00280103': { vr: 'US', Value: [1] },
    })
  })

  test('however the file is cut into chunks', () => {
    const nested = {
      tag: '00081140',
      vr: 'SQ',
      items: [[zeroVelocity([-1])], [zeroVelocity([-2])]],
    }
    const file = dicomFile({
      ...implicit,
      elements: [nested, zeroVelocity([-3]), representation(1)],
    })
    const whole = metadataOf(readInstance(file))
    expect(whole['00081140']?.Value?.[1]).toEqual({ '00189810': { vr: 'SS', Value: [-2] } })
    for (const chunkBytes of [1, 3, 7]) {
      expect(metadataOf(readInstance(file, chunkBytes))).toEqual(whole)
    }
  })

  test('of an explicit US nothing changes', () => {
    const explicit = { transferSyntaxUID: explicitLittleEndian }
    const element = { tag: '00189810', vr: 'US', value: 65_535 }
    expect(modelOf([element, representation(1)], explicit)['00189810']).toEqual({
      vr: 'US',
      Value: [65_535],
    })
  })

  test('in items is what the nearest one says, whether it came before or comes after', () => {
    const item = (...elements: DicomElement[]) => ({ tag: '00081140', vr: 'SQ', items: [elements] })
    const of = (nested: DicomElement, outer: number) =>
      modelOf([nested, zeroVelocity([-2]), representation(outer)])
    const signed = { vr: 'SS', Value: [-1] }
    const unsigned = { vr: 'US', Value: [65_535] }
    const nested = zeroVelocity([-1])
    expect(of(item(nested), 1)).toMatchObject({
      '00081140': { Value: [{ '00189810': signed }] },
      '00189810': { vr: 'SS', Value: [-2] },
    })
    expect(of(item(item(nested)), 1)['00081140']).toMatchObject({
      Value: [{ '00081140': { Value: [{ '00189810': signed }] } }],
    })
    expect(of(item(nested, representation(0)), 1)).toMatchObject({
      '00081140': { Value: [{ '00189810': unsigned }] },
      '00189810': { vr: 'SS', Value: [-2] },
    })
    expect(of(item(nested, representation(1)), 0)).toMatchObject({
      '00081140': { Value: [{ '00189810': signed }] },
      '00189810': { vr: 'US', Value: [65_534] },
    })
    // Here the item's own comes first.
    const late = { tag: '00280106', vr: 'SS', value: -1 }
    const inner = { tag: '00283000', vr: 'SQ', items: [[{ tag: '00283002', vr: 'SS', value: -1 }]] }
    expect(of(item(representation(0), late, inner), 1)['00081140']).toMatchObject({
      Value: [{ '00280106': unsigned, '00283000': { Value: [{ '00283002': unsigned }] } }],
    })
    const around = {
      tag: '00283000',
      vr: 'SQ',
      items: [[zeroVelocity([-1]), representation(0)]],
    }
    expect(modelOf([representation(1), around])['00283000']?.Value).toMatchObject([
      { '00189810': unsigned },
    ])
  })

  test('of many items takes no longer than to read them', () => {
    const items = Array.from({ length: 20_000 }, () => [zeroVelocity([-1])])
    const sequence = { tag: '00081140', vr: 'SQ', items }
    const file = dicomFile({ ...implicit, elements: [sequence, representation(1)] })
    const startedAt = performance.now()
    const found = metadataOf(readInstance(file))['00081140']?.Value
    expect(performance.now() - startedAt).toBeLessThan(2000)
    expect(found?.at(-1)).toEqual({ '00189810': { vr: 'SS', Value: [-1] } })
  })
})
