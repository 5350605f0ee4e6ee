import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOf } from '../http/stream.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { describeError, type Log } from '../log.ts'
import { closing, newBoundary, partHeader } from '../multipart/multipart-writer.ts'

/** One representation that is sent on its own. */
export interface Whole {
  contentType: string
  /** Bytes; undefined where they are known at the end only. */
  length?: number | undefined
  /** How the bytes are packed; `identity`: another client would have them packed. */
  encoding?: 'gzip' | 'identity' | undefined
  /** To be saved: no browser is to show it on the origin of the page. */
  isAttachment?: boolean
  /** What changes when the bytes do: it becomes the ETag. */
  version?: string | undefined
  /** The bytes; with a range only those, if `length` is known. */
  read(range?: ByteRange): AsyncGenerator<Uint8Array, void, void>
}

export interface ByteRange {
  offset: number
  length: number
}

export interface Part {
  headers: [name: string, value: string][]
  read(): AsyncIterable<Uint8Array>
}

// Kept by the client, but asked about each time: what is there may be taken away.
const common = { 'cache-control': 'private, no-cache', vary: 'Accept' }

/**
 * Parts of which the first is made at once, so that what cannot be made is said with a status. Undefined: there are
 * none.
 */
export async function begun(
  parts: AsyncGenerator<Part, void, void>,
): Promise<AsyncGenerator<Part, void, void> | undefined> {
  const { value: first } = await parts.next()
  if (!first) return undefined
  const begin = first
  async function* fromFirst(): AsyncGenerator<Part, void, void> {
    yield begin
    yield* parts
  }
  return fromFirst()
}

/**
 * Answers with one representation: 200; 304 or 412 as the request's conditions say (RFC 9110 13); 206 or 416 for a
 * range of bytes (RFC 9110 14, WA-S16). Several ranges at once are answered with the whole.
 */
export async function answerWhole(c: Context<AppEnv>, log: Log, whole: Whole): Promise<Response> {
  const { contentType, length, version, encoding, isAttachment } = whole
  const headers: Record<string, string> = { ...common, 'content-type': contentType }
  if (isAttachment) headers['content-disposition'] = 'attachment'
  if (encoding !== undefined) headers.vary = 'Accept, Accept-Encoding'
  if (encoding === 'gzip') headers['content-encoding'] = encoding
  const form = encoding === 'gzip' ? `${contentType} gzip` : contentType
  const etag = version === undefined ? undefined : etagOf(version, form)
  if (etag !== undefined) headers.etag = etag
  checkConditions(c, etag)
  if (isNotModified(c, etag)) {
    const { 'content-type': _, 'content-encoding': __, ...rest } = headers
    return new Response(null, { status: 304, headers: rest })
  }
  if (length === undefined) return stream(c, log, whole.read(), () => 200, headers)
  headers['accept-ranges'] = 'bytes'
  const range = rangeOf(c, length, etag)
  if (range === undefined) {
    const all = { ...headers, 'content-length': String(length) }
    return stream(c, log, whole.read(), () => 200, all)
  }
  return stream(c, log, whole.read(range), () => 206, {
    ...headers,
    'content-range': `bytes ${range.offset}-${range.offset + range.length - 1}/${length}`,
    'content-length': String(range.length),
  })
}

/**
 * Answers with several, as they are read (PS3.18 8.6.1.2).
 * @param status Asked for when it has to be said.
 */
export function answerParts(
  c: Context<AppEnv>,
  log: Log,
  root: string,
  parts: AsyncIterable<Part>,
  status: () => 200 | 206 = () => 200,
): Promise<Response> {
  const boundary = newBoundary()
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    let isFirst = true
    for await (const { headers, read } of parts) {
      yield partHeader(boundary, headers, isFirst)
      yield* read()
      isFirst = false
    }
    yield closing(boundary)
  }
  return stream(c, log, body(), status, {
    ...common,
    'content-type': typeOf(root, boundary),
  })
}

/** Answers with one part whose bytes are at hand. */
export function answerPart(root: string, headers: Part['headers'], bytes: Uint8Array): Response {
  const boundary = newBoundary()
  const pieces = [partHeader(boundary, headers, true), bytes, closing(boundary)]
  return new WholeResponse(pieces as Uint8Array<ArrayBuffer>[], {
    headers: { ...common, 'content-type': typeOf(root, boundary) },
  })
}

function typeOf(root: string, boundary: string): string {
  return `multipart/related; type="${root}"; boundary=${boundary}`
}

/** Bytes up to which an answer is read before it begins. */
export const smallBytes = 256 * 1024

/**
 * A small answer is read first and sent as a whole: that spares a web stream, which takes longer than to find and read a
 * small instance, and what cannot be read is said with a status. A larger one begins with what was read.
 */
async function stream(
  c: Context<AppEnv>,
  log: Log,
  chunks: AsyncGenerator<Uint8Array, void, void>,
  statusOf: () => number,
  headers: Record<string, string>,
): Promise<Response> {
  const path = c.req.routePath
  const request = c.get('requestID')
  const failed = (error: unknown) =>
    log.error('an answer was broken off', { request, path, error: describeError(error) })
  // Nobody reads the body of such an answer.
  if (c.req.method === 'HEAD') {
    return new Response(streamOf(chunks, failed), { status: statusOf(), headers })
  }
  const { pieces, isAll } = await beginning(chunks, c.req.raw.signal)
  // It was refused meanwhile (`limitRequests`): nobody takes this one.
  if (c.finalized) await chunks.return()
  const status = statusOf()
  if (isAll) return new WholeResponse(pieces, { status, headers })
  const all = {
    next: async () => {
      const value = pieces.shift()
      return value === undefined ? chunks.next() : { done: false as const, value }
    },
    return: () => chunks.return(),
  }
  return new Response(streamOf(all, failed), { status, headers })
}

async function beginning(
  chunks: AsyncGenerator<Uint8Array, void, void>,
  signal: AbortSignal,
): Promise<{ pieces: Uint8Array<ArrayBuffer>[]; isAll: boolean }> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for (let length = 0; length < smallBytes; ) {
    const { done, value } = await chunks.next()
    if (done) return { pieces, isAll: true }
    pieces.push(value as Uint8Array<ArrayBuffer>)
    length += value.length
    if (!signal.aborted) continue
    await chunks.return()
    throw signal.reason
  }
  return { pieces, isAll: false }
}

function etagOf(version: string, form: string): string {
  const hash = createHash('sha256').update(`${version}\n${form}`)
  return `"${hash.digest('base64url').slice(0, 27)}"`
}

/** If-Match is for what is there, so `*` holds. */
function checkConditions(c: Context<AppEnv>, etag: string | undefined): void {
  const ifMatch = c.req.header('if-match')
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  if (etag !== undefined && tagsOf(ifMatch).includes(etag)) return
  throw new HttpProblem(
    412,
    'Cannot retrieve this as it was: it has another ETag than If-Match says',
  )
}

function isNotModified(c: Context<AppEnv>, etag: string | undefined): boolean {
  const ifNoneMatch = c.req.header('if-none-match')
  if (ifNoneMatch === undefined || etag === undefined) return false
  // Weak comparison (RFC 9110 13.1.2).
  return ifNoneMatch.trim() === '*' || tagsOf(ifNoneMatch.replace(/W\//g, '')).includes(etag)
}

function tagsOf(field: string): string[] {
  return field.match(/(?:W\/)?"[^"]*"/g) ?? []
}

/** @throws {HttpProblem} 416 beyond the end */
function rangeOf(
  c: Context<AppEnv>,
  length: number,
  etag: string | undefined,
): ByteRange | undefined {
  const field = c.req.header('range')
  const ifRange = c.req.header('if-range')
  if (field === undefined || c.req.method !== 'GET') return undefined
  if (ifRange !== undefined && ifRange !== etag) return undefined
  const [, first, last] = /^bytes=\s*(\d{1,15})?-(\d{1,15})?\s*$/i.exec(field) ?? []
  if (first === undefined && last === undefined) return undefined
  const offset = first === undefined ? Math.max(0, length - Number(last)) : Number(first)
  const end =
    first === undefined || last === undefined ? length - 1 : Math.min(Number(last), length - 1)
  if (first !== undefined && last !== undefined && Number(last) < offset) return undefined
  if (offset >= length) {
    throw new HttpProblem(416, `Cannot send this range: there are ${length} bytes`, {
      headers: { 'content-range': `bytes */${length}` },
    })
  }
  return { offset, length: end - offset + 1 }
}
