import { describe, expect, test } from 'vitest'
import { locateFrames, type ReadRange, readFrame } from '../../server/dicom/fragments.ts'

/** An item: tag, length, bytes. */
function item(bytes: Uint8Array): Buffer {
  const header = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0])
  header.writeUInt32LE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}

function offsets(...values: number[]): Buffer {
  const table = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) table.writeUInt32LE(value, index * 4)
  return table
}

function longOffsets(...values: number[]): Buffer {
  const table = Buffer.alloc(values.length * 8)
  for (const [index, value] of values.entries()) table.writeBigUInt64LE(BigInt(value), index * 8)
  return table
}

/** Frames of pixel data that begin at offset 7 of a file, each as text. */
async function framesIn(
  items: Uint8Array[],
  numberOfFrames: number,
  extendedOffsetTable?: Uint8Array,
): Promise<string[]> {
  const file = Buffer.concat([Buffer.alloc(7), ...items.map(item), Buffer.alloc(9)])
  const read: ReadRange = async function* (offset, length) {
    yield file.subarray(offset, offset + length)
  }
  const length = file.length - 16
  const spans = await locateFrames(read, { offset: 7, length, numberOfFrames, extendedOffsetTable })
  const frames: string[] = []
  for (const span of spans) {
    const chunks: Uint8Array[] = []
    for await (const chunk of readFrame(read, span)) chunks.push(chunk)
    frames.push(Buffer.concat(chunks).toString('latin1'))
  }
  return frames
}

const none = Buffer.alloc(0)
const [a, b, c] = ['aaaa', 'bb', 'cccccc'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
]
const start = Buffer.from([0xff, 0xd8, 0xff, 0xe0])

describe('Fragments of encapsulated pixel data (PS3.5 A.4)', () => {
  test('one frame is all of its fragments, whatever they are', async () => {
    expect(await framesIn([none, a, b, c], 1)).toEqual(['aaaabbcccccc'])
  })

  test('without a table a fragment is a frame', async () => {
    expect(await framesIn([none, a, b, c], 3)).toEqual(['aaaa', 'bb', 'cccccc'])
  })

  test('by the Basic Offset Table a frame may have several fragments', async () => {
    expect(await framesIn([offsets(0, 22), a, b, c], 2)).toEqual(['aaaabb', 'cccccc'])
  })

  test('by the Extended Offset Table, which goes before an empty basic one', async () => {
    expect(await framesIn([none, a, b, c], 2, longOffsets(0, 12))).toEqual(['aaaa', 'bbcccccc'])
  })

  test.each([
    ['points into an item', [offsets(0, 3, 22), a, b, c]],
    ['descends', [offsets(0, 22, 12), a, b, c]],
    ['points beyond the end', [offsets(0, 12, 4000), a, b, c]],
  ])('a table that %s is not believed', async (_, items) => {
    expect(await framesIn(items, 3)).toEqual(['aaaa', 'bb', 'cccccc'])
  })

  test('without a table, and with more fragments than frames, a frame begins where a code stream does', async () => {
    const frames = await framesIn([none, start, a, start, b, c], 2)
    expect(frames.map((frame) => frame.slice(4))).toEqual(['aaaa', 'bbcccccc'])
  })

  test.each([
    ['fragments that begin no code stream', [none, a, b, c], 2],
    ['fewer fragments than frames', [none, a], 2],
    ['a table that leaves out the first', [offsets(12, 22), a, b, c], 2],
  ])('%s cannot be told apart', async (_, items, count) => {
    await expect(framesIn(items, count)).rejects.toThrow('cannot be told apart')
  })
})
