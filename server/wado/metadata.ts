import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import { readMoving } from '../store/read-moving.ts'
import { SegmentNotFoundError, type SegmentRange, type Store } from '../store/store.ts'
import { instancePath } from './paths.ts'

const key = Buffer.from('"BulkDataURI":"')
const comma = Buffer.from(',')

/** Metadata that are held at once: as many bytes, and as many instances. */
const blockBytes = 256 * 1024
const blockInstances = 64

/**
 * The metadata of instances, a block after the other, with commas between them: what lies in one segment is read at once.
 * The next block is on its way while the last one is taken.
 */
export async function* readMetadataBlocks(
  instances: AsyncIterable<Instance>,
  store: Store,
  studiesURL: string,
): AsyncGenerator<Uint8Array, void, void> {
  let before: Promise<Uint8Array> | undefined
  for await (const block of blocksOf(instances)) {
    const next = readBlock(block, store, studiesURL)
    // Told when it is waited for.
    next.catch(() => {})
    if (before !== undefined) yield await before
    before = next
  }
  if (before !== undefined) yield await before
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
  return readBlock([instance], store, studiesURL)
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

async function readBlock(
  instances: Instance[],
  store: Store,
  studiesURL: string,
): Promise<Uint8Array> {
  const { segmentID } = instances[0] as Instance
  const read = await store.readRanges(segmentID, instances.map(rangeOf)).catch((error) => {
    if (!(error instanceof SegmentNotFoundError)) throw error
    // It was moved, or deleted, since it was found.
    return Promise.all(instances.map((instance) => readMoved(instance, store)))
  })
  const pieces: Uint8Array[] = []
  for (const [i, json] of read.entries()) {
    if (i > 0) pieces.push(comma)
    addWithURLs(pieces, json, `${studiesURL}/${instancePath(instances[i] as Instance)}/`)
  }
  return Buffer.concat(pieces)
}

async function readMoved(instance: Instance, store: Store): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  const { byteLength, metadataLength } = instance
  for await (const chunk of readMoving(store, instance, byteLength, metadataLength)) {
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Behind the file. */
function rangeOf({ segmentOffset, byteLength, metadataLength }: Instance): SegmentRange {
  return { offset: segmentOffset + byteLength, length: metadataLength }
}

function addWithURLs(pieces: Uint8Array[], bytes: Uint8Array, base: string): void {
  const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let from = 0
  for (let at = json.indexOf(key); at !== -1; at = json.indexOf(key, from)) {
    pieces.push(json.subarray(from, at + key.length), Buffer.from(base))
    from = at + key.length
  }
  pieces.push(json.subarray(from))
}
