import { Buffer } from 'node:buffer'
import { Readable } from 'node:stream'
import { createInflateRaw } from 'node:zlib'
import { ByteReader } from './byte-reader.ts'
import { TruncatedError } from './errors.ts'
import { FileMetaReader } from './file-meta-reader.ts'
import { fileMetaAs } from './file-meta-writer.ts'
import { defaultLimits } from './limits.ts'
import { type Replacements, rewriteDataSet } from './rewrite-data-set.ts'
import { type TransferSyntax, transferSyntaxes } from './transfer-syntaxes.ts'

/** Bytes that are handed on at once. */
const blockBytes = 64 * 1024

/**
 * Encodes a PS3.10 file anew, as it is read: data set and File Meta Information in Explicit VR Little Endian, with
 * what is to take the place of its pixel data.
 *
 * Nothing is lost of values and of private elements. Sequences and items get undefined lengths, group lengths
 * (gggg,0000) are left out. Memory does not grow with the file.
 *
 * @param chunks The file from its first byte; it was read before without an error.
 * @param transferSyntaxUID What the File Meta Information says of the outcome.
 */
export async function* reEncode(
  chunks: AsyncIterable<Uint8Array>,
  transferSyntaxUID: string,
  replacements: Replacements = {},
): AsyncGenerator<Uint8Array, void, void> {
  const reader = new ByteReader(chunks)
  try {
    const { head, syntax } = await readHead(reader)
    yield fileMetaAs(head, transferSyntaxUID)
    const dataSet = syntax.deflated ? inflated(reader.rest()) : reader.rest()
    const isToBeWritten = syntax.implicit || syntax.bigEndian || replacements.pixelData
    if (isToBeWritten) yield* inBlocks(rewriteDataSet(dataSet, syntax, replacements))
    else yield* dataSet
  } finally {
    await reader.close()
  }
}

/** A file whose deflated data set is inflated; the File Meta Information stays as it is. */
export async function* inflate(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = new ByteReader(chunks)
  try {
    const { head } = await readHead(reader)
    yield head
    yield* inflated(reader.rest())
  } finally {
    await reader.close()
  }
}

/** Reads a file up to its data set. */
export async function readHead(
  reader: ByteReader,
): Promise<{ head: Buffer; syntax: TransferSyntax }> {
  const meta = new FileMetaReader(defaultLimits)
  for (let known = 0; ; ) {
    if (!(await reader.fill(known + 1))) throw new TruncatedError('the file has no data set')
    const isWhole = meta.push(reader.bytes.subarray(known))
    known = reader.bytes.length
    if (isWhole) break
  }
  const head = reader.take(meta.dataSetOffset)
  return { head, syntax: transferSyntaxes.get(meta.transferSyntaxUID) as TransferSyntax }
}

async function* inflated(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const source = Readable.from(chunks, { objectMode: true })
  const output = createInflateRaw()
  source.on('error', (error) => output.destroy(error))
  source.pipe(output)
  try {
    for await (const chunk of output) yield chunk
  } finally {
    source.destroy()
    output.destroy()
  }
}

/** Small pieces cost a promise each on their way out. */
async function* inBlocks(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let block: Uint8Array[] = []
  let length = 0
  for await (const piece of pieces) {
    block.push(piece)
    length += piece.length
    if (length < blockBytes) continue
    yield block.length === 1 ? piece : Buffer.concat(block)
    block = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(block)
}
