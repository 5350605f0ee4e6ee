import type { Instance } from '../../db/instances.ts'
import type { Store } from '../store/store.ts'
import { instancePath } from './paths.ts'

const key = Buffer.from('"BulkDataURI":"')

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
  const offset = instance.segmentOffset + instance.byteLength
  for await (const chunk of store.read(instance.segmentID, offset, instance.metadataLength)) {
    chunks.push(chunk)
  }
  const json = Buffer.concat(chunks)
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
