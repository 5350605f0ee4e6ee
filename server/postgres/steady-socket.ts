import { Socket } from 'node:net'

/**
 * A socket whose error is told in the moment it closes, and not some time before.
 *
 * In between, postgres.js 3.4.9 goes on handing statements to the connection, and forgets them when it closes: they are never
 * answered, and neither is anything that comes to this connection later. That is the moment in which whoever was told that
 * his statement failed asks again. (Under TLS it is the socket above this one that is told, and the gap remains.)
 */
class SteadySocket extends Socket {
  #isConnected = false
  #error: Error | undefined

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'connect') this.#isConnected = true
    // Before that it is given nothing; and Bun may tell of no close then.
    if (event === 'error' && this.#isConnected) {
      this.#error ??= args[0] as Error
      return true
    }
    // Bun may tell of one more after it closed, when nobody listens.
    if (event === 'error' && this.listenerCount('error') === 0) return true
    if (event === 'close' && this.#error !== undefined) super.emit('error', this.#error)
    return super.emit(event, ...args)
  }
}

/** What postgres.js has read of its options. */
interface Target {
  path?: string | false
  host: string[]
  port: number[]
}

/** For the option `socket` of postgres.js: a connection to its target; where there are several hosts, to one after the other. */
export function steadySockets(): (target: Target) => Socket {
  let index = 0
  return ({ path, host, port }) => {
    const socket = new SteadySocket()
    if (path) return socket.connect(path)
    const at = index++ % host.length
    // For the name that a certificate is checked against.
    Object.assign(socket, { host: host[at], port: port[at] })
    return socket.connect(port[at] as number, host[at] as string)
  }
}
