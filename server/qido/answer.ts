import { Buffer } from 'node:buffer'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { streamOf } from '../http/stream.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { closing, newBoundary, partHeader } from '../multipart/multipart-writer.ts'
import type { Results } from './results.ts'

/** What a search can be answered in. (PS3.18 10.6.4; QI-S1) */
export const answerTypes = [
  { type: 'application/dicom+json', aliases: ['application/json'] },
  { type: 'multipart/related', root: 'application/dicom+xml' },
]

/** An array of results; what has several blocks is made while the client takes it. */
export function jsonAnswer(
  { first, json }: Results,
  rest: AsyncGenerator<string, void, void>,
  headers: Headers,
  failed: (error: unknown) => void,
): Response {
  headers.set('content-type', 'application/dicom+json')
  if (json !== undefined) return new WholeResponse([json], { headers })
  async function* array(): AsyncGenerator<Uint8Array, void, void> {
    yield Buffer.from(`[${first}`)
    let isEmpty = first === ''
    for await (const block of rest) {
      // All of it was deleted meanwhile.
      if (block === '') continue
      yield Buffer.from(isEmpty ? block : `,${block}`)
      isEmpty = false
    }
    yield Buffer.from(']')
  }
  return new Response(streamOf(array(), failed), { headers })
}

/** One part for each result, a document of the Native DICOM Model. (PS3.19 A.1) */
export function xmlAnswer(
  { first }: Results,
  rest: AsyncGenerator<string, void, void>,
  headers: Headers,
  failed: (error: unknown) => void,
): Response {
  const boundary = newBoundary()
  headers.set(
    'content-type',
    `multipart/related; type="application/dicom+xml"; boundary=${boundary}`,
  )
  async function* blocks(): AsyncGenerator<string, void, void> {
    yield first
    yield* rest
  }
  async function* parts(): AsyncGenerator<Uint8Array, void, void> {
    let isFirst = true
    for await (const block of blocks()) {
      for (const result of JSON.parse(`[${block}]`) as DicomJson[]) {
        yield partHeader(boundary, [['Content-Type', 'application/dicom+xml']], isFirst)
        yield Buffer.from(toNativeDicomModel(result))
        isFirst = false
      }
    }
    yield closing(boundary)
  }
  return new Response(streamOf(parts(), failed), { headers })
}
