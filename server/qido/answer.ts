import { Buffer } from 'node:buffer'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { streamOf } from '../http/stream.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { closing, newBoundary, partHeader } from '../multipart/multipart-writer.ts'

/** What a search can be answered in. (PS3.18 10.6.4; QI-S1) */
export const answerTypes = [
  { type: 'application/dicom+json', aliases: ['application/json'] },
  { type: 'multipart/related', root: 'application/dicom+xml' },
]

/**
 * An array of results, made while the client takes it; of one block, at once.
 *
 * @param blocks Members of a JSON array, as text. At least one.
 */
export async function jsonAnswer(
  blocks: AsyncGenerator<string, void, void>,
  hasOneBlock: boolean,
  headers: Headers,
  failed: (error: unknown) => void,
): Promise<Response> {
  headers.set('content-type', 'application/dicom+json')
  const first = await blocks.next()
  if (hasOneBlock) return new WholeResponse(`[${first.value ?? ''}]`, { headers })
  async function* array(): AsyncGenerator<Uint8Array, void, void> {
    yield Buffer.from(`[${first.value ?? ''}`)
    for await (const block of blocks) if (block !== '') yield Buffer.from(`,${block}`)
    yield Buffer.from(']')
  }
  return new Response(streamOf(array(), failed), { headers })
}

/** One part for each result, a document of the Native DICOM Model. (PS3.19 A.1) */
export async function xmlAnswer(
  blocks: AsyncGenerator<string, void, void>,
  headers: Headers,
  failed: (error: unknown) => void,
): Promise<Response> {
  const boundary = newBoundary()
  headers.set(
    'content-type',
    `multipart/related; type="application/dicom+xml"; boundary=${boundary}`,
  )
  const first = await blocks.next()
  async function* parts(): AsyncGenerator<Uint8Array, void, void> {
    let isFirst = true
    for (let block = first; !block.done; block = await blocks.next()) {
      for (const result of JSON.parse(`[${block.value}]`) as DicomJson[]) {
        yield partHeader(boundary, [['Content-Type', 'application/dicom+xml']], isFirst)
        yield Buffer.from(toNativeDicomModel(result))
        isFirst = false
      }
    }
    yield closing(boundary)
  }
  return new Response(streamOf(parts(), failed), { headers })
}
