import { DigestCheck } from './digest.ts'
import { HttpProblem } from './problem.ts'

export interface BodyLimits {
  /** Bytes of a body, as sent and as decoded. */
  requestBytes: number
  /** How many times larger than sent a gzip body may get, beyond its first 64 MiB. */
  inflateRatio: number
  /** How long a sender may send nothing while we wait for it. */
  idleMs: number
}

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
 * @throws {HttpProblem} 400 wrong digest or broken gzip, 408 the sender stalled, 413 too large
 */
export async function* readBody(
  request: Request,
  limits: BodyLimits,
  received: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  if (request.body === null) return
  const digest = new DigestCheck('Repr-Digest', request.headers.get('repr-digest'))
  let sentBytes = 0
  const raw = readRaw(request, request.body, limits, (bytes) => {
    sentBytes += bytes
    received(bytes)
  })
  if (encodingOf(request.headers) === 'identity') {
    for await (const chunk of raw) {
      digest.update(chunk)
      yield chunk
    }
  } else {
    let decodedBytes = 0
    for await (const chunk of gunzip(raw)) {
      decodedBytes += chunk.length
      if (decodedBytes > limits.requestBytes) throw tooLarge(limits)
      if (decodedBytes > freeInflatedBytes + limits.inflateRatio * sentBytes) {
        throw new HttpProblem(
          413,
          `Cannot store the request: its body inflates to more than ${limits.inflateRatio} times its size; send it without Content-Encoding`,
          { headers: { connection: 'close' } },
        )
      }
      digest.update(chunk)
      yield chunk
    }
  }
  digest.verify()
}

async function* readRaw(
  request: Request,
  body: ReadableStream<Uint8Array>,
  limits: BodyLimits,
  received: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const digest = new DigestCheck('Content-Digest', request.headers.get('content-digest'))
  const announced = request.headers.get('content-length')
  const reader = body.getReader()
  let receivedBytes = 0
  let isWaiting = false
  let isStalled = false
  // One timer for the whole body; only the time that we wait for the sender counts.
  const timer = setTimeout(() => {
    if (!isWaiting) return
    isStalled = true
    reader.cancel().catch(() => {})
  }, limits.idleMs)
  let isDone = false
  try {
    for (;;) {
      isWaiting = true
      timer.refresh()
      const result = await reader.read().catch((cause) => {
        throw isStalled ? stalled(limits) : new BodyCutError(receivedBytes, { cause })
      })
      isWaiting = false
      // A cancelled stream ends as if it were complete.
      if (isStalled) throw stalled(limits)
      if (result.done) break
      receivedBytes += result.value.length
      if (receivedBytes > limits.requestBytes) throw tooLarge(limits)
      digest.update(result.value)
      received(result.value.length)
      yield result.value
    }
    isDone = true
    if (announced !== null && receivedBytes !== Number(announced)) {
      throw new BodyCutError(receivedBytes)
    }
    digest.verify()
  } finally {
    clearTimeout(timer)
    if (!isDone) reader.releaseLock()
  }
}

async function* gunzip(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sourceError: unknown
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next()
        if (done) controller.close()
        else controller.enqueue(value as Uint8Array<ArrayBuffer>)
      } catch (error) {
        sourceError = error
        controller.error(error)
      }
    },
    async cancel() {
      await chunks.return(undefined)
    },
  })
  try {
    yield* source.pipeThrough(new DecompressionStream('gzip'))
  } catch (cause) {
    if (sourceError !== undefined) throw sourceError
    throw new HttpProblem(400, 'Cannot read the body: it is not valid gzip', { cause })
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

function stalled(limits: BodyLimits): HttpProblem {
  return new HttpProblem(
    408,
    `Cannot store the request: nothing arrived for ${limits.idleMs / 1000} s; nothing of it is stored, send it again`,
    { headers: { connection: 'close' } },
  )
}
