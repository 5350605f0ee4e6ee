import { Socket } from 'node:net'

/** Bytes of what postgres.js sends in order to cancel a statement; it is answered by the end of the connection. */
const CANCEL_BYTES = 16

/** So often a close is put off. One is enough, unless others hand it statements meanwhile. */
const MOST_DELAYS = 100

const later = new Error('There is something to be written first')

/**
 * A socket that tells postgres.js 3.4.9 of its loss once, and in a moment when postgres.js can take it.
 *
 * If postgres.js hears of an error some time before the close, it goes on handing statements to the connection in between,
 * and forgets them. So both are told at the same time. What it writes goes out in an immediate; if it hears of a close
 * before that, it takes the immediate back and goes on believing that there is one: this connection never sends anything
 * again, and whoever is given it waits for ten seconds in vain. So the close is told when nothing is about to be written.
 * (Under TLS it is the socket above this one that is told, and the gaps remain.)
 */
class SteadySocket extends Socket {
  /** Is connected, or will never be. */
  readonly opened: Promise<SteadySocket>
  #tellOpened = (_: this) => {}
  #state: 'opening' | 'open' | 'lost' | 'told' = 'opening'
  #error: Error | undefined
  #isReady = false
  #isLeft = false
  #delays = 0

  constructor() {
    super()
    this.opened = new Promise((resolve) => {
      this.#tellOpened = resolve
    })
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'data' && !this.#isReady) this.#isReady = endsWithReady(args[0] as Uint8Array)
    // Bun may tell of one more after it closed.
    if (event === 'error') {
      this.#error ??= args[0] as Error
      // Bun may tell of no close then.
      if (this.#state === 'opening') this.#lose()
      return true
    }
    if (event === 'close') {
      this.#lose()
      return true
    }
    const isHeard = super.emit(event, ...args)
    if (event === 'connect' && this.#state === 'opening') {
      this.#state = 'open'
      this.#tellOpened(this)
    }
    return isHeard
  }

  override write(chunk: Uint8Array | string, ...rest: never[]): boolean {
    if (chunk.length === CANCEL_BYTES) this.#isLeft = true
    if (this.#state !== 'lost' && this.#state !== 'told') return super.write(chunk, ...rest)
    const callback = rest.at(-1) as ((error: Error) => void) | undefined
    if (callback !== undefined) process.nextTick(callback, this.#reason())
    return true
  }

  override end(...args: never[]): this {
    // With a last message it is postgres.js that ends it, else what its base does when the other side has.
    if (args.length > 0) this.#isLeft = true
    return super.end(...args)
  }

  #lose(): void {
    if (this.#state === 'lost' || this.#state === 'told') return
    if (this.#state === 'opening') this.#tellOpened(this)
    this.#state = 'lost'
    setImmediate(() => this.#tell())
  }

  #tell(): void {
    // Closed before it was ready: to postgres.js that were a reason to try again at once, and for ever.
    const error = this.#error ?? (this.#isReady || this.#isLeft ? undefined : this.#reason())
    if (error !== undefined && this.listenerCount('error') > 0) super.emit('error', error)
    this.#delays++
    if (this.#tellClosed(error !== undefined)) this.#state = 'told'
    else setImmediate(() => this.#tell())
  }

  /** @returns false: not now. postgres.js begins by taking back its immediate, and can be stopped there. */
  #tellClosed(hadError: boolean): boolean {
    let isNow = true
    const { clearImmediate } = globalThis
    globalThis.clearImmediate = (immediate) => {
      if (!immediate || this.#delays === MOST_DELAYS) return clearImmediate(immediate)
      isNow = false
      throw later
    }
    try {
      for (const listener of this.rawListeners('close')) {
        // The one of postgres.js is asynchronous, but not before it has done this.
        const heard: Promise<void> = Promise.resolve(listener.call(this, hadError))
        heard.catch((error) => {
          if (error !== later) throw error
        })
      }
    } finally {
      globalThis.clearImmediate = clearImmediate
    }
    return isNow
  }

  #reason(): Error {
    return this.#error ?? Object.assign(new Error('Connection closed'), { code: 'ECONNRESET' })
  }
}

/** Whether Postgres says that it waits for statements: ReadyForQuery, six bytes, with which it ends what it sends. */
function endsWithReady(chunk: Uint8Array): boolean {
  return chunk.at(-6) === 0x5a && chunk.at(-2) === 5
}

/** What postgres.js has read of its options. */
interface Target {
  path?: string | false
  host: string[]
  port: number[]
  /** Seconds. */
  connect_timeout: number
}

/** For the option `socket` of postgres.js: a connection to its target; where there are several hosts, to one after the other. */
export function steadySockets(): (target: Target) => Promise<Socket> {
  let index = 0
  return async ({ path, host, port, connect_timeout: seconds }) => {
    const socket = new SteadySocket()
    const at = index++ % host.length
    if (path) socket.connect(path)
    else {
      // For the name that a certificate is checked against.
      Object.assign(socket, { host: host[at], port: port[at] })
      socket.connect(port[at] as number, host[at] as string)
    }
    const late = setTimeout(() => socket.destroy(tooLate(seconds)), seconds * 1000)
    await socket.opened
    clearTimeout(late)
    return socket
  }
}

function tooLate(seconds: number): Error {
  return Object.assign(new Error(`No connection within ${seconds} s`), { code: 'CONNECT_TIMEOUT' })
}
