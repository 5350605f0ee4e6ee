import { Buffer } from 'node:buffer'
import type { Instance } from '../../db/instances.ts'
import type { ReadRange } from '../dicom/fragments.ts'
import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'
import { inflate } from '../dicom/re-encode.ts'
import { swapped, wordBytes } from '../dicom/rewrite-data-set.ts'
import { vrCode } from '../dicom/vr.ts'
import { readMoving } from '../store/read-moving.ts'
import type { Store } from '../store/store.ts'

export const deflated = '1.2.840.10008.1.2.1.99'
export const explicitBigEndian = '1.2.840.10008.1.2.2'
export const implicitLittleEndian = '1.2.840.10008.1.2'

/** Bytes that are turned round at once. */
const pieceBytes = 1024 * 1024

/** The PS3.10 file of an instance, byte for byte. */
export async function* readFile(
  instance: Instance,
  store: Store,
): AsyncGenerator<Uint8Array, void, void> {
  yield* readMoving(store, instance, 0, instance.byteLength)
}

/** Its metadata, as they were made at receipt; BulkDataURIs are relative to the instance. */
export async function readModel(instance: Instance, store: Store): Promise<DicomJson> {
  const { byteLength, metadataLength } = instance
  const json = await gathered(readMoving(store, instance, byteLength, metadataLength))
  return JSON.parse(json.toString())
}

/** Reads ranges of the file as its metadata count them: of a deflated one, as if it were inflated. */
export function rangesOf(instance: Instance, store: Store): ReadRange {
  if (instance.transferSyntaxUID === deflated) {
    return (offset, length) => cutOut(inflate(readFile(instance, store)), offset, length)
  }
  return (offset, length) => readMoving(store, instance, offset, length)
}

/** A value that lies in the file, in little endian, whatever the file has. */
export async function* readValue(
  instance: Instance,
  store: Store,
  { vr, offset, length }: { vr: string; offset: number; length: number },
): AsyncGenerator<Uint8Array, void, void> {
  const read = rangesOf(instance, store)
  const word = instance.transferSyntaxUID === explicitBigEndian ? wordBytes(vrCode(vr)) : 1
  if (word === 1) {
    yield* read(offset, length)
    return
  }
  // By pieces, for words must not be cut.
  for (let at = 0; at < length; at += pieceBytes) {
    yield swapped(await gathered(read(offset + at, Math.min(pieceBytes, length - at))), word)
  }
}

/** Largest table that is held in memory: a palette, or where frames begin. */
const maximumTableBytes = 16 * 2 ** 20

/** The first bytes of a binary value, as many as a table may have, wherever it is; little endian. Undefined: there is none. */
export async function tableBytes(
  instance: Instance,
  store: Store,
  attribute: DicomJsonAttribute | undefined,
): Promise<Uint8Array | undefined> {
  if (attribute?.InlineBinary !== undefined) return Buffer.from(attribute.InlineBinary, 'base64')
  const range = /(\d+)-(\d+)$/.exec(attribute?.BulkDataURI ?? '')
  if (attribute === undefined || range === null) return undefined
  const offset = Number(range[1])
  const length = Math.min(Number(range[2]), maximumTableBytes)
  return gathered(readValue(instance, store, { vr: attribute.vr, offset, length }))
}

/** All chunks as one, in memory of its own. Only for what is known to be small enough. */
export async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    pieces.push(chunk)
    length += chunk.length
  }
  // Not Buffer.concat: small ones would lie in a pool, which cannot be moved to a worker.
  const whole = Buffer.from(new ArrayBuffer(length))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

async function* cutOut(
  chunks: AsyncIterable<Uint8Array>,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  let at = 0
  for await (const chunk of chunks) {
    const start = Math.max(0, offset - at)
    const end = Math.min(chunk.length, offset + length - at)
    if (start < end) yield chunk.subarray(start, end)
    at += chunk.length
    if (at >= offset + length) return
  }
}
