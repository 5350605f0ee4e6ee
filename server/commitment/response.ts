import { Buffer } from 'node:buffer'
import { type Commitment, type Reference, referencesOfCommitment } from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOf } from '../http/stream.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { negotiate, parseAccept } from '../multipart/accept.ts'
import type { Model } from './request.ts'

const offers = [
  { type: 'application/dicom+json', aliases: ['application/json'], model: 'json' as const },
  { type: 'application/dicom+xml', model: 'xml' as const },
]

/** In which form the result is wanted; without Accept as JSON. (SC-R4) @throws {HttpProblem} 406 */
export function parseAnswerModel(accept: string | null): Model {
  const choice = negotiate(parseAccept(accept), offers)
  if (choice !== undefined) return choice.offer.model
  const available = offers.map(({ type }) => type)
  throw new HttpProblem(
    406,
    `Cannot answer in any type that Accept lists; accept ${available.join(' or ')}`,
    { members: { available } },
  )
}

/** Instances up to which a result is sent as a whole, with its length: some 250 KB. */
const wholeAnswerInstances = 1000
/** Characters that are sent at once. */
const blockCharacters = 64 * 1024

/**
 * The result of a finished request: the Storage Commitment Response Module.
 *
 * As JSON it is read and sent page by page, so that memory does not grow with it; as XML it is made as a whole.
 *
 * @see PS3.18 13.5, J.2; checklist 4.2
 */
export async function resultResponse(
  db: Database,
  commitment: Commitment,
  model: Model,
  failed: (error: unknown) => void,
): Promise<Response> {
  const pieces = moduleOf(db, commitment)
  const type = offers.find((offer) => offer.model === model)?.type as string
  const init = {
    status: 200,
    headers: { 'content-type': type, 'cache-control': 'no-store', vary: 'Accept' },
  }
  if (model === 'json' && commitment.instanceCount > wholeAnswerInstances) {
    return new Response(streamOf(blocksOf(pieces), failed), init)
  }
  let text = ''
  for await (const piece of pieces) text += piece
  return new WholeResponse(
    model === 'json' ? text : toNativeDicomModel(JSON.parse(text) as DicomJson),
    init,
  )
}

async function* blocksOf(pieces: AsyncIterable<string>): AsyncGenerator<Uint8Array, void, void> {
  let block = ''
  for await (const piece of pieces) {
    block += piece
    if (block.length < blockCharacters) continue
    yield Buffer.from(block)
    block = ''
  }
  yield Buffer.from(block)
}

/** The module as DICOM JSON, in pieces. A sequence without items is left out. */
async function* moduleOf(
  db: Database,
  { commitmentKey, form, committedCount, failedCount }: Commitment,
): AsyncGenerator<string, void, void> {
  const sequences = [
    { tag: form === 'flat' ? '00081199' : '00081110', which: 'committed', count: committedCount },
    { tag: form === 'flat' ? '00081198' : '0008119B', which: 'failed', count: failedCount },
  ] as const
  let before = '{'
  for (const { tag, which, count } of sequences) {
    if (count === 0) continue
    yield `${before}"${tag}":{"vr":"SQ","Value":[`
    const references = referencesOfCommitment(db, commitmentKey, which)
    yield* form === 'flat' ? flatItems(references) : nestedItems(references)
    yield ']}'
    before = ','
  }
  yield '}'
}

async function* flatItems(references: AsyncIterable<Reference>): AsyncGenerator<string> {
  let comma = ''
  for await (const reference of references) {
    yield `${comma}${itemOf(reference)}`
    comma = ','
  }
}

/** Study, series and class are items around the instances; as in the request, where one follows another. */
async function* nestedItems(references: AsyncIterable<Reference>): AsyncGenerator<string> {
  let open: string[] | undefined
  for await (const reference of references) {
    const { studyInstanceUID, seriesInstanceUID, sopClassUID } = reference
    const names = [studyInstanceUID ?? '', seriesInstanceUID ?? '', sopClassUID]
    const level = open === undefined ? 0 : differsAt(open, names)
    if (open !== undefined) yield `${']}}'.repeat(levels.length - level)},`
    for (const [at, { tag, content }] of levels.entries()) {
      if (at < level) continue
      yield `{"${tag}":${uid(names[at] as string)},"${content}":{"vr":"SQ","Value":[`
    }
    yield itemOf(reference)
    open = names
  }
  if (open !== undefined) yield ']}}'.repeat(levels.length)
}

/** Each names itself, and holds the next one in a sequence. */
const levels = [
  { tag: '0020000D', content: '00081115' },
  { tag: '0020000E', content: '00081112' },
  { tag: '00081150', content: '0008114A' },
]

function differsAt(open: string[], names: string[]): number {
  const at = names.findIndex((name, index) => name !== open[index])
  return at === -1 ? levels.length : at
}

function itemOf({ sopClassUID, sopInstanceUID, failureReason }: Reference): string {
  const reason = failureReason === null ? '' : `,"00081197":{"vr":"US","Value":[${failureReason}]}`
  return `{"00081150":${uid(sopClassUID)},"00081155":${uid(sopInstanceUID)}${reason}}`
}

function uid(value: string): string {
  return `{"vr":"UI","Value":["${value}"]}`
}

/** Bytes a second that a server reads again, at least: what a client is told to wait for. */
const expectedBytesPerSecond = 100e6
const longestWaitSeconds = 60

/** The answer while it is not finished: no body, and when to look. (SC-R5, SC-R6) */
export function waitingResponse({
  byteLength,
  instanceCount = 0,
  checkedCount = 0,
}: {
  byteLength: number
  instanceCount?: number
  checkedCount?: number
}): Response {
  const left = instanceCount > 0 ? 1 - checkedCount / instanceCount : 1
  const seconds = Math.ceil((byteLength * left) / expectedBytesPerSecond)
  const retryAfter = Math.min(longestWaitSeconds, Math.max(1, seconds))
  return new Response(null, {
    status: 202,
    headers: { 'retry-after': String(retryAfter), 'cache-control': 'no-store' },
  })
}
