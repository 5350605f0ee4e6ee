import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { bodySourceOf } from './body-source.ts'
import { DigestCheck } from './digest.ts'
import { type IdleWait, IdleWatch } from './idle-watch.ts'
import { HttpProblem } from './problem.ts'

export interface BodyLimits {
  /** Bytes of a body, as sent and as decoded. */
  requestBytes: number
  /** How many times larger than sent a gzip body may get, beyond its first 64 MiB. */
  inflateRatio: number
  /** How long a sender may send nothing while we wait for it. */
  idleMs: number
  /** What a sender has to bring at least for each second that we wait for it, judged each time that `idleMs` of them are over. */
  leastBytesPerSecond?: number
}

/** Bytes that are inflated at once. */
const inflatedAtOnceBytes = 64 * 1024

const leastBytesPerSecondByDefault = 1024

/** Inflated bytes below which nobody asks for the ratio. */
const freeInflatedBytes = 64 * 1024 * 1024

/** The connection broke, or less came than was announced. Nobody may be there to hear an answer. */
export class BodyCutError extends Error {
  override name = 'BodyCutError'

  constructor(receivedBytes: number, options?: ErrorOptions) {
    super(`The body ended early, after ${receivedBytes} bytes`, options)
  }
}

/**
 * Checks what the headers say of the body, before anything of it is read: so it costs a sender
 * nothing to be refused, and one that waits for `100 Continue` sends nothing at all.
 *
 * @returns how many bytes are announced, where they are.
 * @throws {HttpProblem} 413 too large; 415 an encoding other than gzip
 */
export function checkBody(headers: Headers, limits: BodyLimits): number | undefined {
  encodingOf(headers)
  const text = headers.get('content-length')
  const announcedBytes = text === null ? undefined : Number(text)
  if (announcedBytes !== undefined && announcedBytes > limits.requestBytes) {
    throw tooLarge(limits)
  }
  return announcedBytes
}

/**
 * Reads the body of a request, decoded, in the chunks in which it arrives.
 *
 * @param received Is told how many bytes came from the network, after each chunk.
 * @throws {BodyCutError} the connection broke
 * @throws {HttpProblem} 400 wrong digest or broken gzip, 408 the sender stalled or is too slow, 413 too large
 */
export function readBody(
  request: Request,
  limits: BodyLimits,
  received: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const { headers } = request
  const ofContent = new DigestCheck('Content-Digest', headers.get('content-digest'))
  const ofRepresentation = new DigestCheck('Repr-Digest', headers.get('repr-digest'))
  if (encodingOf(headers) === 'identity') {
    return readSent(request, limits, received, [ofContent, ofRepresentation])
  }
  return readInflated(request, limits, received, ofContent, ofRepresentation)
}

const watch = new IdleWatch()

/** What came over the network. */
async function* readSent(
  request: Request,
  limits: BodyLimits,
  received: (bytes: number) => void,
  digests: DigestCheck[],
): AsyncGenerator<Uint8Array> {
  const source = bodySourceOf(request)
  if (source === null) return
  let receivedBytes = 0
  const pace = new Pace(limits)
  let isStalled = false
  // Only the time that we wait for the sender counts.
  const wait: IdleWait = {
    since: undefined,
    idleMs: limits.idleMs,
    tooLong() {
      isStalled = true
      source.cancel()
    },
  }
  watch.add(wait)
  try {
    for (;;) {
      const askedAt = performance.now()
      wait.since = askedAt
      let chunk: Uint8Array | undefined
      try {
        chunk = await source.read()
      } catch (cause) {
        throw isStalled ? stalled(limits) : new BodyCutError(receivedBytes, { cause })
      }
      wait.since = undefined
      // A body that is cancelled ends as if it were complete.
      if (isStalled) throw stalled(limits)
      if (chunk === undefined) break
      receivedBytes += chunk.length
      if (pace.isTooSlow(chunk.length, performance.now() - askedAt)) throw tooSlow(limits)
      if (receivedBytes > limits.requestBytes) throw tooLarge(limits)
      for (const digest of digests) digest.update(chunk)
      received(chunk.length)
      yield chunk
    }
  } finally {
    watch.remove(wait)
  }
  const announced = request.headers.get('content-length')
  if (announced !== null && receivedBytes !== Number(announced)) {
    throw new BodyCutError(receivedBytes)
  }
  for (const digest of digests) digest.verify()
}

/**
 * Whether a sender brings so little, in all that we waited for it, that it only keeps a place from others: one byte now and
 * then is never idle.
 */
class Pace {
  readonly #limits: BodyLimits
  #bytes = 0
  #waitedMs = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  isTooSlow(bytes: number, waitedMs: number): boolean {
    this.#bytes += bytes
    this.#waitedMs += waitedMs
    if (this.#waitedMs < this.#limits.idleMs) return false
    const isTooSlow = this.#bytes < (leastOf(this.#limits) * this.#waitedMs) / 1000
    this.#bytes = 0
    this.#waitedMs = 0
    return isTooSlow
  }
}

async function* readInflated(
  request: Request,
  limits: BodyLimits,
  received: (bytes: number) => void,
  ofContent: DigestCheck,
  ofRepresentation: DigestCheck,
): AsyncGenerator<Uint8Array> {
  let sentBytes = 0
  const sent = readSent(
    request,
    limits,
    (bytes) => {
      sentBytes += bytes
      received(bytes)
    },
    [ofContent],
  )
  let inflatedBytes = 0
  for await (const chunk of gunzip(sent)) {
    inflatedBytes += chunk.length
    if (inflatedBytes > limits.requestBytes) throw tooLarge(limits)
    if (inflatedBytes > freeInflatedBytes + limits.inflateRatio * sentBytes) {
      throw new HttpProblem(
        413,
        `Cannot store the request: its body inflates to more than ${limits.inflateRatio} times its size; send it without Content-Encoding`,
        { headers: { connection: 'close' } },
      )
    }
    ofRepresentation.update(chunk)
    yield chunk
  }
  ofRepresentation.verify()
}

/**
 * Inflates as much as somebody takes. Not by a `DecompressionStream`: that of Deno makes all that comes of a chunk at once, a
 * thousand times as much.
 */
async function* gunzip(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sourceError: unknown
  async function* sent(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks
    } catch (error) {
      sourceError = error
      throw error
    }
  }
  const inflater = createGunzip({ chunkSize: inflatedAtOnceBytes })
  // Whoever reads from the inflater meets its errors.
  pipeline(sent(), inflater).catch(() => {})
  try {
    yield* inflater
  } catch (cause) {
    if (sourceError !== undefined) throw sourceError
    throw new HttpProblem(400, 'Cannot read the body: it is not valid gzip', { cause })
  } finally {
    inflater.destroy()
  }
}

function encodingOf(headers: Headers): 'identity' | 'gzip' {
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() || 'identity'
  if (encoding === 'identity') return 'identity'
  if (encoding === 'gzip' || encoding === 'x-gzip') return 'gzip'
  throw new HttpProblem(
    415,
    'Cannot decode the body: its Content-Encoding is none of identity and gzip',
    { headers: { 'accept-encoding': 'gzip, identity' } },
  )
}

function tooLarge(limits: BodyLimits): HttpProblem {
  return new HttpProblem(
    413,
    `Cannot store the request: its body is larger than ${limits.requestBytes} bytes; send it in several requests`,
    { members: { limitBytes: limits.requestBytes }, headers: { connection: 'close' } },
  )
}

function leastOf(limits: BodyLimits): number {
  return limits.leastBytesPerSecond ?? leastBytesPerSecondByDefault
}

function tooSlow(limits: BodyLimits): HttpProblem {
  return new HttpProblem(
    408,
    `Cannot store the request: less than ${leastOf(limits)} bytes a second arrived for ${limits.idleMs / 1000} s; nothing of it is stored, send it again`,
    { headers: { connection: 'close' } },
  )
}

function stalled(limits: BodyLimits): HttpProblem {
  return new HttpProblem(
    408,
    `Cannot store the request: nothing arrived for ${limits.idleMs / 1000} s; nothing of it is stored, send it again`,
    { headers: { connection: 'close' } },
  )
}
