import type { IncomingMessage } from 'node:http'

/** The connection went away before the message was complete. What was read of its body is not the whole. */
export class ConnectionLostError extends Error {
  override name = 'ConnectionLostError'
}

/** Bytes held between the connection and a reader that is slower: enough to keep a disk busy, and all there is. */
const HIGH_WATER_BYTES = 512 * 1024
const LOW_WATER_BYTES = 128 * 1024

/**
 * The body of a request as a web stream, with what a store of whole studies needs of one.
 *
 * - It ends only if the message is complete. A connection that closes in the middle is an error for the reader,
 *   with Content-Length and with chunks alike.
 * - Nothing is taken from the connection before the first read, so a request can be refused before it is sent.
 * - A slow reader slows the sender: at most `HIGH_WATER_BYTES` wait here, uncopied.
 * - Cancelling leaves the connection alone, so that an answer can still be sent over it.
 *
 * @param onFirstRead Called once, when somebody wants the body: the moment to say 100 Continue.
 * @throws {ConnectionLostError} On reading.
 */
export function openBody(
  incoming: IncomingMessage,
  onFirstRead: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const queue: Uint8Array<ArrayBuffer>[] = []
  let queuedBytes = 0
  let opened = false
  let cancelled = false
  let finished: 'whole' | ConnectionLostError | undefined
  let wake: (() => void) | undefined

  function open(): void {
    opened = true
    onFirstRead()
    incoming.on('data', receive)
    incoming.on('end', () => finish(incoming.complete ? 'whole' : cut()))
    incoming.on('error', (cause) => finish(cut(cause)))
    incoming.on('close', () => finish(cut()))
    // Gone before anybody listened: none of these events comes any more.
    if (incoming.destroyed && !incoming.readableEnded) finish(cut())
  }

  function receive(chunk: Uint8Array<ArrayBuffer>): void {
    queue.push(chunk)
    queuedBytes += chunk.byteLength
    if (queuedBytes >= HIGH_WATER_BYTES) incoming.pause()
    wake?.()
  }

  function finish(how: 'whole' | ConnectionLostError): void {
    finished ??= how
    wake?.()
  }

  function somethingNew(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve
    })
  }

  return new ReadableStream(
    {
      async pull(controller) {
        if (!opened) open()
        while (queue.length === 0 && finished === undefined && !cancelled) await somethingNew()
        if (cancelled) return
        // What came before the cut is not handed out once the cut is known: it can only be thrown away.
        if (finished instanceof Error) throw finished
        const chunk = queue.shift()
        if (chunk === undefined) return controller.close()
        queuedBytes -= chunk.byteLength
        if (queuedBytes < LOW_WATER_BYTES && incoming.isPaused()) incoming.resume()
        controller.enqueue(chunk)
      },
      cancel() {
        cancelled = true
        queue.length = 0
        incoming.pause()
        // A read may be waiting: it ends with the stream.
        wake?.()
      },
    },
    { highWaterMark: 0 },
  )
}

function cut(cause?: unknown): ConnectionLostError {
  return new ConnectionLostError('Cannot read the rest of the body: the connection was closed', {
    cause,
  })
}
