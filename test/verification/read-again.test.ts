import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { UnverifiedInstance } from '../../db/verification.ts'
import { memoryStore } from '../../server/store/memory-store.ts'
import { type Store, StoreError } from '../../server/store/store.ts'
import {
  type Finding,
  fullSpeed,
  type ReadOptions,
  readAgain,
} from '../../server/verification/read-again.ts'

/** A segment of instances with metadata between them, and their rows. */
async function segmentOf(store: Store, lengths: number[], gap = 100) {
  const segmentID = randomUUID()
  const writer = await store.create(segmentID)
  const instances = lengths.map((byteLength, index): UnverifiedInstance => {
    const bytes = randomBytes(byteLength)
    const segmentOffset = writer.byteLength
    writer.append(bytes)
    writer.append(new Uint8Array(gap))
    return {
      sopInstanceUID: `1.2.${index}`,
      segmentKey: 1,
      segmentID,
      segmentOffset,
      byteLength,
      digest: createHash('sha256').update(bytes).digest(),
      isDamaged: false,
    }
  })
  await writer.seal()
  return instances
}

async function findingsOf(
  store: Store,
  instances: UnverifiedInstance[],
  options: ReadOptions = fullSpeed,
): Promise<Finding[]> {
  const findings: Finding[] = []
  let at = 0
  for await (const { instance, finding } of readAgain(store, instances, options)) {
    expect(instance).toBe(instances[at++])
    findings.push(finding)
  }
  expect(at).toBe(instances.length)
  return findings
}

function withDigest(one: UnverifiedInstance, text: string): UnverifiedInstance {
  return { ...one, digest: createHash('sha256').update(text).digest() }
}

describe('reading instances again', () => {
  test('finds each whole that is, small and large, side by side or apart, in several segments', async () => {
    const store = memoryStore()
    const mixed = [0, 1, 700, 40_000, 3_000_000, 5_000_000, 9_000_000, 512, 4_194_304]
    const instances = [
      ...(await segmentOf(store, mixed)),
      ...(await segmentOf(store, [10, 20, 30], 300_000)),
      ...(await segmentOf(store, [65_536])),
    ]
    expect(new Set(await findingsOf(store, instances))).toEqual(new Set(['whole']))
  })

  test('finds the one whose bytes differ, wherever it lies', async () => {
    const store = memoryStore()
    const instances = await segmentOf(store, [500, 100_000, 6_000_000, 200])
    for (const wrong of instances.keys()) {
      const rows = instances.map((one, at) => (at === wrong ? withDigest(one, 'other') : one))
      const expected = instances.map((_, at) => (at === wrong ? 'differs' : 'whole'))
      expect(await findingsOf(store, rows)).toEqual(expected)
    }
  })

  test('tells those behind the end of a segment from those before it, and those without one', async () => {
    const store = memoryStore()
    const [one, two, three] = (await segmentOf(store, [500, 500, 500])) as [U, U, U]
    const rows = [one, two, { ...three, byteLength: 5000 }]
    expect(await findingsOf(store, rows)).toEqual(['whole', 'whole', 'too short'])
    const gone = [
      { ...one, segmentID: randomUUID() },
      { ...two, segmentID: null },
    ]
    expect(await findingsOf(store, [...gone, three])).toEqual(['missing', 'missing', 'whole'])
  })

  test('says of bytes that the store cannot give that nothing is known of them', async () => {
    const store = memoryStore()
    const instances = await segmentOf(store, [500, 500, 500])
    const bad = instances[1]?.segmentOffset as number
    const broken: Store = {
      ...store,
      async readInto(segmentID, offset, into) {
        const reaches = offset <= bad && offset + into.length > bad
        if (reaches) throw new StoreError('read a segment', new Error('EIO'))
        return store.readInto(segmentID, offset, into)
      },
    }
    expect(await findingsOf(broken, instances)).toEqual(['whole', 'unreadable', 'whole'])
  })

  test('reads what lies side by side at once, within the size of an extent', async () => {
    const store = memoryStore()
    const instances = await segmentOf(
      store,
      Array.from({ length: 100 }, () => 10_000),
    )
    const reads: number[] = []
    const counting: Store = {
      ...store,
      readInto(segmentID, offset, into) {
        reads.push(into.length)
        return store.readInto(segmentID, offset, into)
      },
    }
    await findingsOf(counting, instances)
    expect(reads).toHaveLength(1)
    reads.length = 0
    await findingsOf(counting, instances, { extentBytes: 50_000, atOnce: 2 })
    expect(reads).toHaveLength(25)
    expect(Math.max(...reads)).toBeLessThanOrEqual(50_000)
  })

  test('stops when it is told to, and tells of its pace all bytes that it read', async () => {
    const store = memoryStore()
    const instances = await segmentOf(store, [100_000, 8_000_000, 100_000], 0)
    let bytes = 0
    const paced = async (more: number) => {
      bytes += more
    }
    await findingsOf(store, instances, { extentBytes: 1_000_000, atOnce: 1, paced })
    expect(bytes).toBe(8_200_000)
    const stopping = new AbortController()
    const reading = findingsOf(store, instances, {
      extentBytes: 1_000_000,
      atOnce: 1,
      signal: stopping.signal,
      paced: async () => stopping.abort(new Error('told to stop')),
    })
    await expect(reading).rejects.toThrow('told to stop')
  })
})

type U = UnverifiedInstance
