import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import { readMoving } from '../store/read-moving.ts'
import { SegmentNotFoundError, type SegmentRange, type Store } from '../store/store.ts'
import { instancePath } from './paths.ts'

const key = Buffer.from('"BulkDataURI":"')
const codeOf = (character: string) => character.charCodeAt(0)
const [arrayBegins, comma] = [codeOf('['), codeOf(',')]

/** Metadata that are held at once: as many bytes, and as many instances. */
const blockBytes = 256 * 1024
const blockInstances = 64

/**
 * The metadata of instances as one JSON array, a block after the other: what lies in one segment is read at once. The next
 * block is on its way while the last one is taken.
 */
export async function* readMetadataArray(
  instances: AsyncIterable<Instance>,
  store: Store,
  studiesURL: string,
): AsyncGenerator<Uint8Array, void, void> {
  let before: Promise<Uint8Array> | undefined
  for await (const block of blocksOf(instances)) {
    const next = readBlock(block, store, studiesURL, before === undefined ? arrayBegins : comma)
    // Told when it is waited for.
    next.catch(() => {})
    if (before !== undefined) yield await before
    before = next
  }
  if (before !== undefined) yield await before
  yield Buffer.from(before === undefined ? '[]' : ']')
}

/**
 * The metadata of one instance: one object of the DICOM JSON model, as it was written at receipt.
 *
 * Its BulkDataURIs are stored relative to the instance and are made absolute here. Quotes inside a
 * value are escaped, so the key with its quotes can stand nowhere else.
 */
export async function readMetadata(
  instance: Instance,
  store: Store,
  studiesURL: string,
): Promise<Uint8Array> {
  return (await readBlock([instance], store, studiesURL, comma)).subarray(1)
}

/** Neighbours of one segment, not too many at once. */
async function* blocksOf(
  instances: AsyncIterable<Instance>,
): AsyncGenerator<Instance[], void, void> {
  let block: Instance[] = []
  let bytes = 0
  for await (const instance of instances) {
    const isOther = block.length > 0 && block[0]?.segmentID !== instance.segmentID
    if (isOther || bytes >= blockBytes || block.length >= blockInstances) {
      yield block
      block = []
      bytes = 0
    }
    block.push(instance)
    bytes += instance.metadataLength
  }
  if (block.length > 0) yield block
}

/** @returns One behind the other, each behind a comma; the first one behind `first`. */
async function readBlock(
  instances: Instance[],
  store: Store,
  studiesURL: string,
  first: number,
): Promise<Uint8Array> {
  const { segmentID } = instances[0] as Instance
  const bases = instances.map((instance) => `${studiesURL}/${instancePath(instance)}/`)
  const ranges = instances.map(rangeOf)
  const length = ranges.reduce((sum, range) => sum + range.length, 0)
  // Most have one BulkDataURI, of their pixels.
  const room = bases.reduce((sum, base) => sum + 1 + base.length, 0)
  const block = Buffer.allocUnsafeSlow(room + length)
  const read = block.subarray(room)
  await store.readRanges(segmentID, ranges, read).catch(async (error) => {
    if (!(error instanceof SegmentNotFoundError)) throw error
    // It was moved, or deleted, since it was found.
    let at = 0
    const moved = instances.map((instance, index) => {
      const from = at
      at += (ranges[index] as SegmentRange).length
      return readMoved(instance, store, read.subarray(from, at))
    })
    await Promise.all(moved)
  })
  return withURLs(block, room, ranges, bases, first)
}

async function readMoved(instance: Instance, store: Store, into: Uint8Array): Promise<void> {
  const { byteLength, metadataLength } = instance
  let at = 0
  for await (const chunk of readMoving(store, instance, byteLength, metadataLength)) {
    into.set(chunk, at)
    at += chunk.length
  }
}

/** Behind the file. */
function rangeOf({ segmentOffset, byteLength, metadataLength }: Instance): SegmentRange {
  return { offset: segmentOffset + byteLength, length: metadataLength }
}

/**
 * Puts the address of each instance before its BulkDataURIs, and a comma before each. If there is room, all is moved to the front
 * meanwhile, in the same memory: to get some for another copy takes longer than to read what is copied.
 *
 * @param room Bytes at the front of the block that are free.
 */
function withURLs(
  block: Buffer,
  room: number,
  ranges: readonly SegmentRange[],
  bases: readonly string[],
  first: number,
): Uint8Array {
  const places: number[] = []
  let added = ranges.length
  let index = 0
  let end = room + (ranges[0] as SegmentRange).length
  for (let at = block.indexOf(key, room); at !== -1; at = block.indexOf(key, at + key.length)) {
    while (at >= end) end += (ranges[++index] as SegmentRange).length
    places.push(at + key.length)
    added += (bases[index] as string).length
  }
  const all = added <= room ? block : Buffer.allocUnsafeSlow(block.length - room + added)
  let from = room
  let to = 0
  let next = 0
  end = room
  const moveUntil = (until: number) => {
    block.copy(all, to, from, until)
    to += until - from
    from = until
  }
  for (const [index, { length }] of ranges.entries()) {
    end += length
    all[to++] = index === 0 ? first : comma
    while (next < places.length && (places[next] as number) <= end) {
      moveUntil(places[next++] as number)
      to += all.write(bases[index] as string, to, 'latin1')
    }
    moveUntil(end)
  }
  return all.subarray(0, to)
}
