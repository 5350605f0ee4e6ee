import { type ModelDataSet, textOf } from '../dicom/data-set-model.ts'
import { DicomError, InvalidValueError } from '../dicom/errors.ts'
import type { Identity } from '../dicom/instance.ts'
import { decodeJson } from '../dicom/json-text.ts'
import { readInstanceJson } from '../dicom/model-from-json.ts'
import { readInstanceXml } from '../dicom/model-from-xml.ts'
import { type Piece, writePart10 } from '../dicom/part10-writer.ts'
import { decodeXml } from '../dicom/xml-encoding.ts'
import { HttpProblem } from '../http/problem.ts'
import { heavyBytes, type Turn } from '../http/turn.ts'
import type { Spool } from '../intake/spool.ts'
import type { Transfer } from '../intake/transfer.ts'
import type { BulkParts } from './bulk-parts.ts'
import { type MetadataReceiver, readMetadata } from './metadata-receiver.ts'

/**
 * Makes a PS3.10 file of the metadata of each instance and hands it to the transfer, as if it had been sent.
 *
 * One instance after the other: its metadata are in memory, its bulk data go by. Where metadata are large, only one
 * request of the server is at that at a time.
 *
 * @throws {MetadataSyntaxError} 400; {UnsupportedPartError} 415; {HttpProblem} 400 a part that nothing refers to;
 *   what `push` and `drain` of a transfer say
 */
export async function storeMetadata(
  { instances, bulk, model }: MetadataReceiver,
  spool: Spool,
  transfer: Transfer,
  turn: Turn,
): Promise<void> {
  let refusedCount = 0
  for (const metadata of instances) {
    using _turn = metadata.length > heavyBytes ? await turn.take() : undefined
    const { identity, pieces } = fileOf(await readMetadata(spool, metadata), model, bulk)
    transfer.beginPart()
    try {
      if (pieces instanceof DicomError) throw pieces
      await pushPieces(pieces, spool, transfer)
      transfer.endPart()
    } catch (error) {
      if (!(error instanceof DicomError)) throw error
      transfer.refusePart(identity, error)
      refusedCount++
    }
    await transfer.drain()
  }
  const { unused } = bulk
  // What could not be understood may well have referred to it.
  if (unused === undefined || refusedCount > 0) return
  throw new HttpProblem(
    400,
    `Cannot store the request: no metadata refer to part ${unused.partNumber}; compare its Content-Location with the BulkDataURIs`,
  )
}

/** The file of one instance in pieces, or why there can be none. */
function fileOf(
  bytes: Uint8Array,
  model: MetadataReceiver['model'],
  bulk: BulkParts,
): { identity: Identity; pieces: Piece[] | DicomError } {
  const { dataSet, error } =
    model === 'json' ? readInstanceJson(decodeJson(bytes)) : readInstanceXml(decodeXml(bytes))
  const identity = identityOf(dataSet)
  bulk.use(dataSet)
  if (error !== undefined) return { identity, pieces: error }
  try {
    const resolve = (...given: Parameters<BulkParts['resolve']>) => bulk.resolve(...given)
    return { identity, pieces: writePart10(dataSet, resolve) }
  } catch (problem) {
    if (!(problem instanceof DicomError)) throw problem
    return { identity, pieces: problem }
  }
}

async function pushPieces(pieces: Piece[], spool: Spool, transfer: Transfer): Promise<void> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      transfer.push(piece)
      await transfer.drain()
      continue
    }
    const decoder = piece.isText ? new TextDecoder('utf-8', { fatal: true }) : undefined
    for await (const chunk of spool.read(piece.offset, piece.length)) {
      checkUTF8(decoder, chunk)
      transfer.push(chunk)
      await transfer.drain()
    }
    checkUTF8(decoder)
  }
}

function checkUTF8(decoder: TextDecoder | undefined, chunk?: Uint8Array): void {
  try {
    if (chunk === undefined) decoder?.decode()
    else decoder?.decode(chunk, { stream: true })
  } catch {
    throw new InvalidValueError('bulk data of an attribute of text are not UTF-8')
  }
}

const identityTags: [name: keyof Identity, tag: number][] = [
  ['sopClassUID', 0x00080016],
  ['sopInstanceUID', 0x00080018],
  ['studyInstanceUID', 0x0020000d],
  ['seriesInstanceUID', 0x0020000e],
]

/** What the answer can name it by: only what looks like a UID, so that no other text gets there. */
function identityOf(dataSet: ModelDataSet): Identity {
  const identity: Identity = {}
  for (const [name, tag] of identityTags) {
    const text = textOf(dataSet, tag)?.trim() ?? ''
    if (/^[0-9.]{1,64}$/.test(text)) identity[name] = text
  }
  return identity
}
