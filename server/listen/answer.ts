import { Buffer } from 'node:buffer'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { WholeResponse } from '../http/whole-response.ts'
import { dropRest } from './linger.ts'

/**
 * Sends a response over `node:http`, as fast as the client takes it.
 *
 * - A client that goes away cancels the body.
 * - A body that fails after the head is out cuts the connection, so that nobody takes half an answer for a whole one.
 * - An answer that comes before the whole request was read says `Connection: close` and is held open until the sender
 *   had his chance to read it (see `dropRest`).
 *
 * @returns Undefined: it is sent, as most are that are at hand as a whole.
 * @throws What the body of the response threw; the connection is cut by then.
 */
export function sendAnswer(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> | undefined {
  if (!incoming.complete || !(response instanceof WholeResponse)) {
    return sendSlowly(response, incoming, outgoing)
  }
  sendWhole(response, headersOf(response), outgoing)
  return dropRest(incoming)
}

async function sendSlowly(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  // A quick handler answers while Node is still parsing what came with the head; one turn lets it finish.
  if (!incoming.complete) await nextTurn()
  const headers = headersOf(response)
  if (!incoming.complete) headers.connection = 'close'
  // The body of a GET means nothing, so its answer, which may be a whole study, does not wait for it.
  const isReading = incoming.method === 'GET' || incoming.method === 'HEAD'
  if (!incoming.complete && !isReading) return sendEarly(response, headers, incoming, outgoing)
  if (response instanceof WholeResponse) sendWhole(response, headers, outgoing)
  else await sendBody(response, headers, outgoing)
  await dropRest(incoming)
}

function headersOf(response: Response): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {}
  // Not `for (const … of headers)`, which takes 60 µs on Deno.
  response.headers.forEach((value, name) => {
    headers[name] = value
  })
  if ('set-cookie' in headers) headers['set-cookie'] = response.headers.getSetCookie()
  return headers
}

// The whole answer is sent with its length, so that it ends for the client although the connection stays open for
// what he is still sending: ending the answer is what makes Node close. Such an answer refuses what was being sent, in
// a few hundred bytes.
async function sendEarly(
  response: Response,
  headers: OutgoingHttpHeaders,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const content = new Uint8Array(await response.arrayBuffer())
  if (content.byteLength > 0) headers['content-length'] = content.byteLength
  outgoing.writeHead(response.status, headers)
  outgoing.flushHeaders()
  if (content.byteLength > 0) outgoing.write(content)
  await dropRest(incoming)
  outgoing.end()
}

// Head and body go to the socket together.
function sendWhole(
  { status, content }: WholeResponse,
  headers: OutgoingHttpHeaders,
  outgoing: ServerResponse,
): void {
  if (typeof content === 'string') {
    headers['content-length'] = Buffer.byteLength(content)
    outgoing.writeHead(status, headers).end(content)
    return
  }
  headers['content-length'] = content.reduce((sum, piece) => sum + piece.byteLength, 0)
  outgoing.writeHead(status, headers)
  outgoing.cork()
  for (const piece of content) outgoing.write(piece)
  outgoing.end()
}

async function sendBody(
  response: Response,
  headers: OutgoingHttpHeaders,
  outgoing: ServerResponse,
): Promise<void> {
  if (response.body === null) {
    outgoing.writeHead(response.status, headers).end()
    return
  }
  const reader = response.body.getReader()
  function cancel(): void {
    reader.cancel(new Error('The client has left')).catch(() => {})
  }
  outgoing.on('close', cancel)
  let isDone = false
  try {
    // It may have closed before anybody listened.
    if (outgoing.destroyed) return
    // Most answers are one piece: those get a length instead of chunks.
    const first = await reader.read()
    let ahead: ReturnType<typeof reader.read> | undefined = reader.read()
    ahead.catch(() => {}) // told below, when it is waited for
    const whole = first.done || (await Promise.race([ahead, nextTurn(undefined)]))?.done
    if (whole) headers['content-length'] ??= first.value?.byteLength ?? 0
    outgoing.writeHead(response.status, headers)
    for (
      let piece = first;
      !piece.done;
      piece = await (ahead ?? reader.read()), ahead = undefined
    ) {
      if (!outgoing.write(piece.value)) await drained(outgoing)
      if (outgoing.destroyed) return
    }
    isDone = true
    outgoing.end()
  } catch (error) {
    outgoing.destroy()
    throw error
  } finally {
    outgoing.off('close', cancel)
    // Whoever makes the body has files open, and must hear that nobody takes it.
    if (!isDone) cancel()
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed) return resolve()
    function done(): void {
      outgoing.off('drain', done)
      outgoing.off('close', done)
      resolve()
    }
    outgoing.on('drain', done)
    outgoing.on('close', done)
  })
}
