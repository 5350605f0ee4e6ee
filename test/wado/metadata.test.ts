import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import { readMetadata } from '../../server/wado/metadata.ts'

const file = Buffer.from('0123456789')

/** An instance whose file lies in the middle of a segment, with its metadata behind it. */
async function stored(metadata: object) {
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
    studyInstanceUID: '1.2',
    seriesInstanceUID: '1.3',
    sopInstanceUID: '1.4',
  } as Instance
  return { store, instance }
}

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
