import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Instance } from '../../db/instances.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import type { Store } from '../../server/store/store.ts'
import { readMetadata, readMetadataArray } from '../../server/wado/metadata.ts'

const file = Buffer.from('0123456789')

/** Instances whose files lie in one segment, each with its metadata behind it. */
async function stored(all: object[], indices = [...all.keys()]) {
  const store = memoryStore()
  const segmentID = randomUUID()
  const writer = await store.create(segmentID)
  writer.append(Buffer.from('before'))
  let segmentOffset = 6
  const instances = all.map((metadata, index) => {
    const json = Buffer.from(JSON.stringify(metadata))
    writer.append(file)
    writer.append(json)
    const instance = {
      segmentID,
      segmentOffset,
      byteLength: file.length,
      metadataLength: json.length,
      studyInstanceUID: '1.2',
      seriesInstanceUID: '1.3',
      sopInstanceUID: `1.4.${indices[index]}`,
    } as Instance
    segmentOffset += file.length + json.length
    return instance
  })
  writer.append(Buffer.from('behind'))
  await writer.seal()
  return { store, instances }
}

async function arrayOf(store: Store, instances: Instance[]): Promise<unknown> {
  async function* each(): AsyncGenerator<Instance, void, void> {
    yield* instances
  }
  const blocks: Uint8Array[] = []
  for await (const block of readMetadataArray(each(), store, 'https://h/dicom-web/studies')) {
    blocks.push(block)
  }
  return JSON.parse(Buffer.concat(blocks).toString())
}

describe('Metadata (WA-R2)', () => {
  test('are as they were stored, with every BulkDataURI made absolute, and nothing that looks like one', async () => {
    const { store, instances } = await stored([
      {
        '00081030': { vr: 'LO', Value: ['"BulkDataURI":"x'] },
        '00420011': { vr: 'OB', BulkDataURI: 'bulkdata/00420011/0-2' },
        '7FE00010': { vr: 'OW', BulkDataURI: 'bulkdata/7FE00010/2-8' },
      },
    ])
    const base = 'https://h/dicom-web/studies/1.2/series/1.3/instances/1.4.0'
    const json = await readMetadata(instances[0] as Instance, store, 'https://h/dicom-web/studies')
    expect(JSON.parse(Buffer.from(json).toString())).toEqual({
      '00081030': { vr: 'LO', Value: ['"BulkDataURI":"x'] },
      '00420011': { vr: 'OB', BulkDataURI: `${base}/bulkdata/00420011/0-2` },
      '7FE00010': { vr: 'OW', BulkDataURI: `${base}/bulkdata/7FE00010/2-8` },
    })
  })
  test('of many instances are one array, whether they have one BulkDataURI, none, or very many', async () => {
    const uri = (element: number, base = '') => `${base}bulkdata/${element}/0-2`
    const metadataOf = (index: number, base?: string) => {
      const count = [1, 0, 0, 400, 0, 2][index % 6] as number
      const elements = Array.from({ length: count }, (_, i) => i + 10_000_000)
      return Object.fromEntries([
        ['00080018', { vr: 'UI', Value: [`1.4.${index}`] }],
        ...elements.map((each) => [each, { vr: 'OB', BulkDataURI: uri(each, base) }]),
        ['00104000', { vr: 'LT', Value: ['x'.repeat(index * 37)] }],
      ])
    }
    const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)
    // The first of two that fills the room of both, to the byte; one whose address is longer than those of others.
    for (const indices of [...[0, 1, 2, 3, 4, 6, 200].map(upTo), [11, 4], [0, 1, 2, 9999]]) {
      const { store, instances } = await stored(
        indices.map((index) => metadataOf(index)),
        indices,
      )
      const base = (index: number) =>
        `https://h/dicom-web/studies/1.2/series/1.3/instances/1.4.${index}/`
      const wanted = indices.map((index) => metadataOf(index, base(index)))
      expect(await arrayOf(store, instances)).toEqual(wanted)
    }
  })
  test('of an instance with very many BulkDataURIs are made in one go', async () => {
    const tags = Array.from({ length: 30_000 }, (_, i) => `${i + 10_000_000}`)
    const elements = tags.map((tag) => [tag, { vr: 'OB', BulkDataURI: 'bulkdata/1/0-2' }])
    const { store, instances } = await stored([Object.fromEntries(elements)])
    const [only] = (await arrayOf(store, instances)) as Record<string, { BulkDataURI: string }>[]
    expect(Object.keys(only ?? {})).toEqual(tags)
    const uri = 'https://h/dicom-web/studies/1.2/series/1.3/instances/1.4.0/bulkdata/1/0-2'
    expect(Object.values(only ?? {}).every(({ BulkDataURI }) => BulkDataURI === uri)).toBe(true)
  })
})
