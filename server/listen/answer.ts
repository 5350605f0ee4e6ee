import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { dropRest } from './linger.ts'

/**
 * Sends a response over `node:http`, as fast as the client takes it.
 *
 * - A client that goes away cancels the body.
 * - A body that fails after the head is out cuts the connection, so that nobody takes half an answer for a whole one.
 * - An answer that comes before the whole request was read says `Connection: close` and is held open until the sender
 *   had his chance to read it (see `dropRest`).
 *
 * @throws What the body of the response threw; the connection is cut by then.
 */
export async function sendAnswer(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  outgoing.statusCode = response.status
  for (const [name, value] of response.headers) {
    if (name === 'set-cookie') outgoing.appendHeader(name, value)
    else outgoing.setHeader(name, value)
  }
  // A quick handler answers while Node is still parsing what came with the head; one turn lets it finish.
  if (!incoming.complete) await nextTurn()
  // The body of a GET means nothing, so its answer, which may be a whole study, does not wait for it.
  const isReading = incoming.method === 'GET' || incoming.method === 'HEAD'
  if (!incoming.complete && !isReading) return sendEarly(response, incoming, outgoing)
  if (!incoming.complete) outgoing.setHeader('connection', 'close')
  await sendBody(response, outgoing)
  await dropRest(incoming)
}

// The whole answer is sent with its length, so that it ends for the client although the connection stays open for
// what he is still sending: ending the answer is what makes Node close. Such an answer refuses what was being sent, in
// a few hundred bytes.
async function sendEarly(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const content = new Uint8Array(await response.arrayBuffer())
  outgoing.setHeader('connection', 'close')
  if (response.body !== null) outgoing.setHeader('content-length', content.byteLength)
  outgoing.flushHeaders()
  if (content.byteLength > 0) outgoing.write(content)
  await dropRest(incoming)
  outgoing.end()
}

async function sendBody(response: Response, outgoing: ServerResponse): Promise<void> {
  if (response.body === null) {
    outgoing.end()
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
    if (whole && !outgoing.hasHeader('content-length')) {
      outgoing.setHeader('content-length', first.value?.byteLength ?? 0)
    }
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
