import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import { readBulkData } from '../../server/wado/bulk-data.ts'
import { readMetadata } from '../../server/wado/metadata.ts'

const file = Buffer.from('0123456789')

/** An instance whose file lies in the middle of a segment, with its metadata behind it. */
async function stored(metadata: object, transferSyntaxUID = '1.2.840.10008.1.2.1') {
  const store = memoryStore()
  const segmentID = randomUUID()
  const json = Buffer.from(JSON.stringify(metadata))
  const writer = await store.create(segmentID)
  for (const bytes of [Buffer.from('before'), file, json, Buffer.from('behind')]) {
    writer.append(bytes)
  }
  await writer.seal()
  const instance = {
    segmentID,
    segmentOffset: 6,
    byteLength: file.length,
    metadataLength: json.length,
    transferSyntaxUID,
    studyInstanceUID: '1.2',
    seriesInstanceUID: '1.3',
    sopInstanceUID: '1.4',
  } as Instance
  return { store, instance }
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const chunk of chunks) pieces.push(chunk)
  return Buffer.concat(pieces).toString()
}

describe('Bulk data (WA-R4, WA-S12)', () => {
  test.each([
    ['2-3', '234'],
    ['0-10', '0123456789'],
    ['10-0', ''],
  ])('%s is that range of the file', async (range, expected) => {
    const { store, instance } = await stored({})
    const { length, chunks } = readBulkData(instance, range, store)
    expect(length).toBe(expected.length)
    expect(await textOf(chunks)).toBe(expected)
  })

  test.each(['', 'x', '0', '0-11', '11-0', '-1-2', '0-1e1', '99999999999999999999-1'])(
    '%s is 404: what lies outside of the file is nobody’s',
    async (range) => {
      const { store, instance } = await stored({})
      expect(() => readBulkData(instance, range, store)).toThrow(
        expect.objectContaining({ status: 404 }),
      )
    },
  )

  test.each(['1.2.840.10008.1.2.2', '1.2.840.10008.1.2.1.99'])(
    'of a file in %s is 406, also beyond its end: a deflated one counts as if inflated',
    async (syntax) => {
      const { store, instance } = await stored({}, syntax)
      expect(() => readBulkData(instance, '90-10', store)).toThrow(
        expect.objectContaining({ status: 406 }),
      )
    },
  )
})

describe('Metadata (WA-R2)', () => {
  test('are as they were stored, with every BulkDataURI made absolute, and nothing that looks like one', async () => {
    const { store, instance } = await stored({
      '00081030': { vr: 'LO', Value: ['"BulkDataURI":"x'] },
      '00420011': { vr: 'OB', BulkDataURI: 'bulkdata/00420011/0-2' },
      '7FE00010': { vr: 'OW', BulkDataURI: 'bulkdata/7FE00010/2-8' },
    })
    const base = 'https://h/dicom-web/studies/1.2/series/1.3/instances/1.4'
    const json = await readMetadata(instance, store, 'https://h/dicom-web/studies')
    expect(JSON.parse(Buffer.from(json).toString())).toEqual({
      '00081030': { vr: 'LO', Value: ['"BulkDataURI":"x'] },
      '00420011': { vr: 'OB', BulkDataURI: `${base}/bulkdata/00420011/0-2` },
      '7FE00010': { vr: 'OW', BulkDataURI: `${base}/bulkdata/7FE00010/2-8` },
    })
  })
})
