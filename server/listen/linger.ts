import type { IncomingMessage } from 'node:http'

/** Milliseconds, and bytes, for which the rest of a body is read and dropped after an early answer. */
const LINGER_MS = 30_000
const LINGER_IDLE_MS = 5_000
const LINGER_BYTES = 1024 ** 3

/**
 * Reads the rest of a body that nobody wants and drops it, until it ends, stalls, or is too much.
 *
 * Most clients read the answer only after they have sent everything. A server that answers 413 and closes makes the
 * kernel send a reset for the bytes that were not read, which destroys the answer on its way: the sender would see
 * a broken connection, and try the same again.
 *
 * @see RFC 9112 §9.6
 */
export function dropRest(incoming: IncomingMessage): Promise<void> | undefined {
  // Once it is complete, what waits is dropped, so that the connection can take the next request.
  if (!incoming.complete && !incoming.destroyed) return dropWhatComes(incoming)
  if (incoming.readableEnded) return
  incoming.removeAllListeners('data')
  incoming.resume()
}

function dropWhatComes(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let droppedBytes = 0
    const latest = setTimeout(done, LINGER_MS)
    const idle = setTimeout(done, LINGER_IDLE_MS)

    function drop(chunk: Uint8Array): void {
      droppedBytes += chunk.byteLength
      idle.refresh()
      if (droppedBytes > LINGER_BYTES) done()
    }

    function done(): void {
      clearTimeout(latest)
      clearTimeout(idle)
      for (const name of ['end', 'error', 'close']) incoming.off(name, done)
      incoming.off('data', drop)
      resolve()
    }

    for (const name of ['end', 'error', 'close']) incoming.on(name, done)
    incoming.removeAllListeners('data')
    incoming.on('data', drop)
    incoming.resume()
  })
}
