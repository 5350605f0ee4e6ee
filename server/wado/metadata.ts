import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import { readMoving } from '../store/read-moving.ts'
import type { Store } from '../store/store.ts'
import { instancePath } from './paths.ts'

const key = Buffer.from('"BulkDataURI":"')

/** Metadata that are read at once: as many bytes, and as many instances. */
const blockBytes = 256 * 1024
const blockInstances = 64

/**
 * The metadata of instances, a block after the other, each instance by itself: in a block, what the store takes time for
 * is waited for together.
 */
export async function* readMetadataBlocks(
  instances: AsyncIterable<Instance>,
  store: Store,
  studiesURL: string,
): AsyncGenerator<Uint8Array[], void, void> {
  let block: Promise<Uint8Array>[] = []
  let bytes = 0
  for await (const instance of instances) {
    const json = readMetadata(instance, store, studiesURL)
    // Told when the block is waited for.
    json.catch(() => {})
    block.push(json)
    bytes += instance.metadataLength
    if (bytes < blockBytes && block.length < blockInstances) continue
    yield await Promise.all(block)
    block = []
    bytes = 0
  }
  if (block.length > 0) yield await Promise.all(block)
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
  const chunks: Uint8Array[] = []
  const { byteLength, metadataLength } = instance
  for await (const chunk of readMoving(store, instance, byteLength, metadataLength)) {
    chunks.push(chunk)
  }
  const [first = new Uint8Array()] = chunks
  const json =
    chunks.length > 1
      ? Buffer.concat(chunks)
      : Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  const prefix = Buffer.from(`${studiesURL}/${instancePath(instance)}/`)
  const pieces: Uint8Array[] = []
  let from = 0
  for (let at = json.indexOf(key); at !== -1; at = json.indexOf(key, from)) {
    pieces.push(json.subarray(from, at + key.length), prefix)
    from = at + key.length
  }
  if (from === 0) return json
  pieces.push(json.subarray(from))
  return Buffer.concat(pieces)
}
