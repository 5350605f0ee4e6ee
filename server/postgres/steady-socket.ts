import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import postgres from 'postgres'
import { BackendMessages } from './backend-messages.ts'
import { type PostgresTLS, secure } from './tls.ts'

/** What postgres.js has read of its options. */
interface Target {
  path?: string | false
  host: string[]
  port: number[]
  /** Seconds. */
  connect_timeout: number
}

/**
 * For the option `socket` of postgres.js: connections to its target; where there are several hosts, to one after the other.
 * A connection that cannot be made is a socket that breaks as soon as it is used.
 */
export function steadySockets(tls?: PostgresTLS): (target: Target) => Promise<Socket> {
  let index = 0
  return async ({ path, host, port, connect_timeout: seconds }) => {
    const at = index++ % host.length
    const isOnlyHost = host.length === 1
    const to = path ? { path } : { host: host[at] as string, port: port[at] as number }
    try {
      // For what postgres.js says of it.
      return Object.assign(keepSteady(await open(to, tls, seconds), isOnlyHost), to)
    } catch (error) {
      return keepSteady(new Socket(), isOnlyHost, error as Error)
    }
  }
}

async function open(
  to: { path: string } | { host: string; port: number },
  tls: PostgresTLS | undefined,
  seconds: number,
): Promise<Socket> {
  const signal = AbortSignal.timeout(seconds * 1000)
  const socket = connect(to)
  try {
    await once(socket, 'connect', { signal })
    return tls && 'host' in to ? await secure(socket, to.host, tls, signal) : socket
  } catch (error) {
    socket.on('error', () => {})
    socket.destroy()
    if (!signal.aborted) throw error
    throw Object.assign(new Error(`No connection within ${seconds} s`), { code: 'CONNECT_TIMEOUT' })
  }
}

/** Bytes of what postgres.js sends in order to cancel a statement; it is answered by the end of the connection. */
const CANCEL_BYTES = 16

/** So often a close is put off. One is enough, unless others hand it statements meanwhile. */
const MOST_DELAYS = 100

const later = new Error('There is something to be written first')

/**
 * Makes a socket tell postgres.js 3.4.9 of its loss once, and in a moment when postgres.js can take it.
 *
 * If postgres.js hears of an error some time before the close, it goes on handing statements to the connection in between,
 * and forgets them. So both are told at the same time. What it writes goes out in an immediate; if it hears of a close
 * before that, it takes the immediate back and goes on believing that there is one: this connection never sends anything
 * again, and whoever is given it waits for ten seconds in vain. So the close is told when nothing is about to be written.
 *
 * The error with which Postgres ends a connection it keeps, over the reconnect, until Postgres is ready again, and then rejects
 * the statement that is about to be sent. So that error is not handed on: the connection is lost with it; one that never
 * was ready is lost by it. (Decision 29)
 *
 * @param isOnlyHost Else an error of this socket makes postgres.js try the next one, not tell anybody.
 * @param error The socket is lost already, by this.
 */
function keepSteady(socket: Socket, isOnlyHost: boolean, error?: Error): Socket {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...args: unknown[]) => boolean
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const end = socket.end.bind(socket) as (...args: unknown[]) => Socket
  const messages = new BackendMessages()
  let isLost = false
  let isLeft = false
  let delays = 0
  if (error !== undefined || socket.destroyed) lose()
  return Object.assign(socket, {
    emit(event: string | symbol, ...args: unknown[]): boolean {
      if (event === 'data') hear(args[0] as Buffer)
      else if (event === 'error') error ??= args[0] as Error
      else if (event === 'close') lose()
      else return emit(event, ...args)
      return true
    },
    write(chunk: Uint8Array | string, ...rest: unknown[]): boolean {
      if (chunk.length === CANCEL_BYTES) isLeft = true
      if (!isLost) return write(chunk, ...rest)
      const callback = rest.at(-1) as ((error: Error) => void) | undefined
      if (callback !== undefined) process.nextTick(callback, reason())
      return true
    },
    end(...args: unknown[]): Socket {
      // With a last message it is postgres.js that ends it, else what its base does when the other side has.
      if (args.length > 0) isLeft = true
      return end(...args)
    },
  })

  function hear(chunk: Buffer): void {
    if (isLost) return
    const { bytes, fatal } = messages.take(chunk)
    if (bytes.length > 0) emit('data', bytes)
    if (fatal === undefined) return
    if (!messages.isReady) {
      if (!isOnlyHost) return void emit('data', fatal.bytes)
      error ??= new postgres.PostgresError(fatal.fields as never)
    }
    // What comes after it would be taken for an answer: a pooler may go on.
    socket.destroy()
    lose()
  }

  function lose(): void {
    if (isLost) return
    isLost = true
    setImmediate(tell)
  }

  function tell(): void {
    // Closed before it was ready: to postgres.js that were a reason to try again at once, and for ever.
    if (!messages.isReady && !isLeft) error ??= reason()
    if (error !== undefined && socket.listenerCount('error') > 0) emit('error', error)
    delays++
    if (!tellClosed()) setImmediate(tell)
  }

  /** @returns false: not now. postgres.js begins by taking back its immediate, and can be stopped there. */
  function tellClosed(): boolean {
    let isNow = true
    const { clearImmediate } = globalThis
    globalThis.clearImmediate = (immediate) => {
      if (!immediate || delays === MOST_DELAYS) return clearImmediate(immediate)
      isNow = false
      throw later
    }
    try {
      for (const listener of socket.rawListeners('close')) {
        // The one of postgres.js is asynchronous, but not before it has done this.
        const heard: Promise<void> = Promise.resolve(listener.call(socket, error !== undefined))
        heard.catch((thrown) => {
          if (thrown !== later) throw thrown
        })
      }
    } finally {
      globalThis.clearImmediate = clearImmediate
    }
    return isNow
  }

  function reason(): Error {
    return error ?? Object.assign(new Error('Connection closed'), { code: 'ECONNRESET' })
  }
}
