import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  SegmentNotFoundError,
  SegmentTooShortError,
  type SegmentWriter,
  type Store,
  StoreError,
} from '../../server/store/store.ts'

/** A store of a test's own, which goes with it. */
export type TestStore = AsyncDisposable & { store: Store }

const MiB = 1024 * 1024

/** What every store promises, whatever it keeps its segments on. */
export function testStore(name: string, openStore: () => Promise<TestStore>): void {
  describe(`${name} as a store`, () => {
    test('gives back every range of what was appended, across chunks and their limits', async () => {
      await using opened = await openStore()
      const { store } = opened
      const content = randomBytes(5 * MiB + 17)
      const segmentID = await write(store, split(content, [1, 15, 65_536, 3 * MiB, 1, 2 * MiB]))
      const ranges = [
        [0, content.length],
        [0, 1],
        [MiB - 1, 2],
        [1, 3 * MiB],
        [content.length - 1, 1],
        [4 * MiB, MiB + 17],
      ] as const
      for (const [offset, length] of ranges) {
        const found = await read(store, segmentID, offset, length)
        expect(found.equals(content.subarray(offset, offset + length))).toBe(true)
      }
    })

    test('reads a range into memory of the caller', async () => {
      await using opened = await openStore()
      const { store } = opened
      const content = randomBytes(3 * MiB)
      const segmentID = await write(store, split(content, [MiB, 2 * MiB]))
      const into = Buffer.alloc(2 * MiB)
      await store.readInto(segmentID, 17, into)
      expect(into.equals(content.subarray(17, 17 + 2 * MiB))).toBe(true)
      const short = store.readInto(segmentID, 2 * MiB, into)
      await expect(short).rejects.toBeInstanceOf(SegmentTooShortError)
      const missing = store.readInto(randomUUID(), 0, into)
      await expect(missing).rejects.toBeInstanceOf(SegmentNotFoundError)
    })

    test('reads in chunks of at most a mebibyte, so that memory does not grow with the range', async () => {
      await using opened = await openStore()
      const { store } = opened
      const segmentID = await write(store, [randomBytes(5 * MiB)])
      const lengths: number[] = []
      for await (const chunk of store.read(segmentID, 3, 5 * MiB - 3)) lengths.push(chunk.length)
      expect(Math.max(...lengths)).toBeLessThanOrEqual(MiB)
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(5 * MiB - 3)
    })

    test('keeps chunks that come in tens of thousands of pieces in their order', async () => {
      await using opened = await openStore()
      const { store } = opened
      const content = randomBytes(300_000)
      const pieces = Array.from({ length: 30_000 }, (_, at) =>
        content.subarray(at * 10, at * 10 + 10),
      )
      const segmentID = await write(store, pieces)
      expect((await read(store, segmentID, 0, content.length)).equals(content)).toBe(true)
    })

    test('forgets what was rewound before anything of it was written', async () => {
      await using opened = await openStore()
      const writer = await opened.store.create(randomUUID())
      writer.append(Buffer.from('kept'))
      writer.append(Buffer.from('given back'))
      writer.rewind(4)
      expect(writer.byteLength).toBe(4)
      writer.append(Buffer.from(' and more'))
      await writer.seal()
      expect(await contentOf(opened.store, writer)).toBe('kept and more')
    })

    test('forgets what was rewound after it was written, also where it reached further', async () => {
      await using opened = await openStore()
      const writer = await opened.store.create(randomUUID())
      writer.append(Buffer.from('kept'))
      for (let chunks = 0; chunks < 12; chunks++) {
        writer.append(randomBytes(MiB))
        await writer.drain()
      }
      writer.rewind(4)
      writer.append(Buffer.from('!'))
      await writer.seal()
      expect(await contentOf(opened.store, writer)).toBe('kept!')
      const [entry] = await list(opened.store)
      expect(entry?.byteLength).toBe(5)
    })

    test('is empty after a rewind to its front, and can be written again', async () => {
      await using opened = await openStore()
      const writer = await opened.store.create(randomUUID())
      for (const word of ['first', 'second', 'third']) {
        writer.rewind(0)
        writer.append(Buffer.from(word))
        await writer.drain()
      }
      await writer.seal()
      expect(await contentOf(opened.store, writer)).toBe('third')
    })

    test('has on its medium what was synced, and takes more, also when it is kept', async () => {
      await using opened = await openStore()
      const { store } = opened
      const writer = await store.create(randomUUID())
      const content = randomBytes(3 * MiB)
      writer.append(content)
      await writer.sync()
      await store.keep(writer.segmentID)
      expect((await read(store, writer.segmentID, 0, 3 * MiB)).equals(content)).toBe(true)
      writer.append(Buffer.from('more'))
      await writer.sync()
      await writer.sync()
      expect((await read(store, writer.segmentID, 3 * MiB, 4)).toString()).toBe('more')
      writer.append(Buffer.from('given back'))
      await writer.drain()
      writer.rewind(3 * MiB + 4)
      writer.append(Buffer.from('!'))
      await writer.seal()
      expect((await read(store, writer.segmentID, 3 * MiB, 5)).toString()).toBe('more!')
      expect(await list(store)).toMatchObject([{ byteLength: 3 * MiB + 5, isKept: true }])
    })

    test('syncs what was appended before, while more is appended', async () => {
      await using opened = await openStore()
      const { store } = opened
      const writer = await store.create(randomUUID())
      const pieces = Array.from({ length: 20 }, () => randomBytes(100_000))
      const synced = pieces.map(async (piece, at) => {
        writer.append(piece)
        await writer.sync()
        return (await read(store, writer.segmentID, at * 100_000, 100_000)).equals(piece)
      })
      expect(await Promise.all(synced)).toEqual(Array(20).fill(true))
      await writer.abandon()
    })

    test('cuts off, when it is abandoned, what its user does not keep', async () => {
      await using opened = await openStore()
      const { store } = opened
      const writer = await store.create(randomUUID())
      writer.append(Buffer.from('committed'))
      await writer.sync()
      writer.append(Buffer.from(' and not'))
      await writer.sync()
      await writer.abandon(9)
      expect(await list(store)).toMatchObject([{ byteLength: 9 }])
    })

    test('cuts off at a sync what was given back since the last one', async () => {
      await using opened = await openStore()
      const { store } = opened
      const writer = await store.create(randomUUID())
      writer.append(Buffer.from('committed'))
      await writer.sync()
      await store.keep(writer.segmentID)
      writer.append(Buffer.from(' and not'))
      await writer.sync()
      writer.rewind(9)
      await writer.sync()
      expect(await list(store)).toMatchObject([{ byteLength: 9, isKept: true }])
      writer.append(Buffer.from(' later'))
      await writer.seal()
      expect((await read(store, writer.segmentID, 0, 15)).toString()).toBe('committed later')
    })

    test('reads several ranges at once into memory of the caller, in the order asked for', async () => {
      await using opened = await openStore()
      const { store } = opened
      const content = randomBytes(MiB)
      const segmentID = await write(store, split(content, [3, MiB - 3]))
      const ranges = [
        { offset: 500_000, length: 70_000 },
        { offset: 0, length: 2 },
        { offset: MiB, length: 0 },
        { offset: MiB - 1, length: 1 },
      ]
      const into = Buffer.alloc(70_003)
      await store.readRanges(segmentID, ranges, into)
      const wanted = ranges.map(({ offset, length }) => content.subarray(offset, offset + length))
      expect(into.equals(Buffer.concat(wanted))).toBe(true)
      const beyond = [...ranges, { offset: MiB - 1, length: 2 }]
      const read = store.readRanges(segmentID, beyond, Buffer.alloc(70_005))
      await expect(read).rejects.toThrow(SegmentTooShortError)
      await expect(store.readRanges(randomUUID(), ranges, into)).rejects.toThrow(
        SegmentNotFoundError,
      )
    })

    test('refuses a range that reaches past the end', async () => {
      await using opened = await openStore()
      const { store } = opened
      const segmentID = await write(store, [randomBytes(100)])
      for (const [offset, length] of [
        [0, 101],
        [100, 1],
        [5000, 1],
      ] as const) {
        await expect(read(store, segmentID, offset, length)).rejects.toThrow(SegmentTooShortError)
      }
      expect((await read(store, segmentID, 100, 0)).length).toBe(0)
    })

    test('says of a segment that is not there that it is not, even for a range of nothing', async () => {
      await using opened = await openStore()
      const { store } = opened
      await expect(read(store, randomUUID(), 0, 1)).rejects.toThrow(SegmentNotFoundError)
      await expect(read(store, randomUUID(), 0, 0)).rejects.toThrow(SegmentNotFoundError)
    })

    test('makes no segment of a name that is taken, and leaves the one that has it alone', async () => {
      await using opened = await openStore()
      const { store } = opened
      const segmentID = await write(store, [Buffer.from('first')])
      await expect(store.create(segmentID)).rejects.toThrow(StoreError)
      expect((await read(store, segmentID, 0, 5)).toString()).toBe('first')
    })

    test('deletes nothing that is kept, and says so', async () => {
      await using opened = await openStore()
      const { store } = opened
      const segmentID = await write(store, [Buffer.from('kept')])
      await store.keep(segmentID)
      expect(await store.delete(segmentID)).toBe(false)
      expect((await read(store, segmentID, 0, 4)).toString()).toBe('kept')
      expect(await list(store)).toMatchObject([{ segmentID, isKept: true }])
      await expect(store.keep(randomUUID())).rejects.toThrow(StoreError)
    })

    test('discards what is kept, where that is meant, and does not mind one that is gone', async () => {
      await using opened = await openStore()
      const { store } = opened
      const segmentID = await write(store, [Buffer.from('kept')])
      await store.keep(segmentID)
      await store.discard(segmentID)
      await store.discard(segmentID)
      expect(await list(store)).toEqual([])
    })

    test('deletes a segment, sealed or not, and does not mind one that is gone', async () => {
      await using opened = await openStore()
      const { store } = opened
      const sealed = await write(store, [Buffer.from('x')])
      const open = await store.create(randomUUID())
      open.append(Buffer.from('y'))
      await store.delete(sealed)
      await store.delete(sealed)
      await store.delete(open.segmentID)
      await store.delete(randomUUID())
      await open.abandon()
      await expect(read(store, sealed, 0, 1)).rejects.toThrow(SegmentNotFoundError)
      expect(await list(store)).toEqual([])
    })

    test('lists every segment with its length and instant, also those being written', async () => {
      await using opened = await openStore()
      const { store } = opened
      expect(await list(store)).toEqual([])
      const before = Date.now()
      const ids = new Set<string>()
      for (let length = 1; length <= 20; length++)
        ids.add(await write(store, [randomBytes(length)]))
      const open = await store.create(randomUUID())
      const entries = await list(store)
      expect(new Set(entries.map((entry) => entry.segmentID))).toEqual(
        new Set([...ids, open.segmentID]),
      )
      expect(entries.reduce((sum, entry) => sum + entry.byteLength, 0)).toBe(210)
      for (const { modifiedAt } of entries) {
        // File systems have clocks of their own, a few milliseconds coarse.
        expect(Math.abs(modifiedAt.getTime() - before)).toBeLessThan(10_000)
      }
      await open.abandon()
    })

    test('lets go of a segment that is abandoned, and refuses every call but another abandon', async () => {
      await using opened = await openStore()
      const writer = await opened.store.create(randomUUID())
      writer.append(randomBytes(3 * MiB))
      await writer.abandon()
      await writer.abandon()
      await expectRefusal(writer)
      await opened.store.delete(writer.segmentID)
      expect(await list(opened.store)).toEqual([])
    })

    test('takes nothing more for a segment that is sealed', async () => {
      await using opened = await openStore()
      const writer = await opened.store.create(randomUUID())
      writer.append(Buffer.from('all'))
      await writer.seal()
      await expectRefusal(writer)
      await writer.abandon()
      expect(await contentOf(opened.store, writer)).toBe('all')
    })

    test('writes many segments at once without mixing them', async () => {
      await using opened = await openStore()
      const { store } = opened
      const contents = Array.from({ length: 8 }, () => randomBytes(700_000))
      const ids = await Promise.all(
        contents.map((content) => write(store, split(content, [1000, 300_000, 65_536]))),
      )
      for (const [at, segmentID] of ids.entries()) {
        const content = contents[at] as Buffer
        expect((await read(store, segmentID, 0, content.length)).equals(content)).toBe(true)
      }
    })

    test('keeps an empty segment', async () => {
      await using opened = await openStore()
      const segmentID = await write(opened.store, [])
      expect((await read(opened.store, segmentID, 0, 0)).length).toBe(0)
    })

    test('answers a probe', async () => {
      await using opened = await openStore()
      await opened.store.probe()
    })
  })
}

/** Every call but `abandon` fails. */
export async function expectRefusal(writer: SegmentWriter): Promise<void> {
  expect(() => writer.append(Buffer.from('x'))).toThrow(StoreError)
  expect(() => writer.rewind(0)).toThrow(StoreError)
  expect(writer.isBehind).toBe(true)
  await expect(writer.drain()).rejects.toThrow(StoreError)
  await expect(writer.sync()).rejects.toThrow(StoreError)
  await expect(writer.seal()).rejects.toThrow(StoreError)
}

/** Writes a segment as an intake does: after each piece a drain, if there is something to wait for. */
export async function write(store: Store, pieces: Uint8Array[]): Promise<string> {
  const writer = await store.create(randomUUID())
  for (const piece of pieces) {
    writer.append(piece)
    if (writer.isBehind) await writer.drain()
  }
  await writer.seal()
  return writer.segmentID
}

export async function read(
  store: Store,
  segmentID: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.read(segmentID, offset, length)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function list(store: Store) {
  const entries = []
  for await (const entry of store.list()) entries.push(entry)
  return entries
}

async function contentOf(store: Store, writer: SegmentWriter): Promise<string> {
  return (await read(store, writer.segmentID, 0, writer.byteLength)).toString()
}

/** Pieces of these lengths, and of what is left. */
function split(content: Uint8Array, lengths: number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let at = 0
  for (const length of [...lengths, content.length]) {
    if (at < content.length) pieces.push(content.subarray(at, at + length))
    at += length
  }
  return pieces
}
