import type { IncomingMessage } from 'node:http'
import type { BodySource } from '../http/body-source.ts'
import { ReadingTurns } from './reading-turns.ts'

/** The connection went away before the message was complete. What was read of its body is not the whole. */
export class ConnectionLostError extends Error {
  override name = 'ConnectionLostError'
}

/**
 * Bytes held between a connection and a reader that is slower, for one body and for all of a server together.
 *
 * (64 senders of 8 MB at once, the most that the server held: with 512 KiB for each whatever their number, and
 * 32 MiB queued for the disk, Deno 281 to 292 MB and Node 257 MB; with what stands here and 16 MiB, 227 and 185.)
 */
const HIGH_WATER_BYTES = 512 * 1024
const HIGH_WATER_BYTES_OF_ALL = 8 * 1024 * 1024
/** What any body may have, so that it moves: one read of a socket. */
const LEAST_HIGH_WATER_BYTES = 64 * 1024

/** Bodies that arrive now. */
let openBodies = 0

/** Bodies above which they are read in turns: those of fewer are read in one, which is short. */
const fewBodies = 16

const turns = new ReadingTurns()

/** Bytes above which a body is not read on, until three quarters of them are taken. */
function highWaterBytes(): number {
  return Math.max(
    LEAST_HIGH_WATER_BYTES,
    Math.min(HIGH_WATER_BYTES, HIGH_WATER_BYTES_OF_ALL / openBodies),
  )
}

/**
 * The body of a request, with what a store of whole studies needs of one.
 *
 * - It ends only if the message is complete. A connection that closes in the middle is an error for the reader,
 *   with Content-Length and with chunks alike.
 * - Nothing is taken from the connection before the first read, so a request can be refused before it is sent.
 * - A slow reader slows the sender: at most `HIGH_WATER_BYTES`, and one read more, wait here, uncopied.
 * - Cancelling leaves the connection alone, so that an answer can still be sent over it.
 */
export class RequestBody implements BodySource {
  readonly #incoming: IncomingMessage
  readonly #onFirstRead: () => void
  #isOpen = false
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isInLine = false
  #finished: 'whole' | 'cancelled' | ConnectionLostError | undefined
  #wake: (() => void) | undefined

  /** @param onFirstRead Called once, when somebody wants the body: the moment to say 100 Continue. */
  constructor(incoming: IncomingMessage, onFirstRead: () => void) {
    this.#incoming = incoming
    this.#onFirstRead = onFirstRead
  }

  /** @throws {ConnectionLostError} */
  async read(): Promise<Uint8Array | undefined> {
    if (!this.#isOpen) this.#open()
    while (this.#queue.length === 0 && this.#finished === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    // What came before the cut is not handed out once the cut is known: it can only be thrown away.
    if (this.#finished instanceof Error) throw this.#finished
    const chunk = this.#queue.shift()
    if (chunk === undefined) return undefined
    this.#queuedBytes -= chunk.byteLength
    if (this.#queuedBytes <= highWaterBytes() / 4) this.#resume()
    return chunk
  }

  cancel(): void {
    this.#queue = []
    this.#incoming.pause()
    this.#finish('cancelled')
  }

  #open(): void {
    const incoming = this.#incoming
    this.#isOpen = true
    openBodies++
    this.#onFirstRead()
    incoming.on('data', (chunk: Uint8Array) => this.#receive(chunk))
    incoming.on('end', () => (incoming.complete ? this.#finish('whole') : this.#cut()))
    incoming.on('error', (cause) => this.#cut(cause))
    incoming.on('close', () => this.#cut())
    // Gone before anybody listened: none of these events comes any more.
    if (incoming.destroyed && !incoming.readableEnded) this.#cut()
  }

  #receive(chunk: Uint8Array): void {
    if (this.#finished === 'cancelled') return
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.byteLength
    if (this.#queuedBytes >= highWaterBytes()) this.#incoming.pause()
    if (openBodies > fewBodies && !turns.take(chunk.byteLength)) this.#waitForTurn()
    this.#wake?.()
  }

  #waitForTurn(): void {
    if (this.#isInLine) return
    this.#isInLine = true
    this.#incoming.pause()
    turns.queue(() => {
      this.#isInLine = false
      if (this.#queuedBytes < highWaterBytes()) this.#resume()
    })
  }

  #resume(): void {
    if (this.#isInLine || this.#finished !== undefined) return
    if (this.#incoming.isPaused()) this.#incoming.resume()
  }

  #cut(cause?: unknown): void {
    if (this.#finished !== undefined) return
    this.#finish(
      new ConnectionLostError('Cannot read the rest of the body: the connection was closed', {
        cause,
      }),
    )
  }

  #finish(how: 'whole' | 'cancelled' | ConnectionLostError): void {
    if (this.#isOpen && this.#finished === undefined) openBodies--
    this.#finished ??= how
    this.#wake?.()
  }
}
