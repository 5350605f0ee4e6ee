import { Buffer } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * An answer's body from a generator of chunks: pulled as fast as the client takes them, ended early
 * when it goes away. The generator is not begun before the first read: nobody reads the body of an
 * answer to HEAD, nor cancels it, and a file that was opened for it would stay open.
 *
 * When the generator throws after the first bytes were sent, the connection is broken off, so that
 * nobody takes what came for all. (WA-S15)
 */
export function streamOf(
  chunks: Pick<AsyncGenerator<Uint8Array, void, void>, 'next' | 'return'>,
  failed: (error: unknown) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const { done, value } = await chunks.next()
          if (done) controller.close()
          else controller.enqueue(value as Uint8Array<ArrayBuffer>)
        } catch (error) {
          failed(error)
          controller.error(error)
        }
      },
      async cancel() {
        await chunks.return()
      },
    },
    { highWaterMark: 0 },
  )
}

/** Characters of text that go to the client at once. */
const blockCharacters = 64 * 1024

/** An answer's body from pieces of text, which are made as fast as the client takes them. */
export function streamOfText(pieces: Iterable<string>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return streamOf(blocksOf(pieces), () => {})
}

async function* blocksOf(pieces: Iterable<string>): AsyncGenerator<Uint8Array, void, void> {
  let block = ''
  for (const piece of pieces) {
    block += piece
    if (block.length < blockCharacters) continue
    yield Buffer.from(block)
    block = ''
    // A socket with room takes block after block, and all other requests would wait.
    await nextTurn()
  }
  if (block !== '') yield Buffer.from(block)
}
