import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A port of this machine, or a socket in a folder. */
export type Place = { port: number } | { path: string }

/** A way between two programs on which what happens to networks can be made to happen. */
export interface RoughNetwork extends AsyncDisposable {
  /** Where it is entered. */
  port: number
  /** Breaks all connections, for both sides. @returns how many there were. */
  cut(): number
  /** From now on nothing gets through in either direction, and nobody is told. New connections are taken, and silent. */
  hold(): void
  /** Everything that was held gets through. */
  release(): void
  /** Breaks each connection that is made from now on after so many bytes to the target; undefined: none. */
  cutAfter(bytes: number | undefined): void
}

/** @param from Where to listen; port 0 for a free one. @param to Where all goes on to. */
export async function startRoughNetwork(from: Place, to: Place): Promise<RoughNetwork> {
  const ways = new Set<Way>()
  let isHeld = false
  let most: number | undefined
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => {
    const far = connect({ ...to, allowHalfOpen: true })
    const way = new Way(near, far, most)
    ways.add(way)
    near.on('close', () => ways.delete(way))
    if (!isHeld) way.go()
  })
  server.listen(from)
  await once(server, 'listening')
  return {
    port: 'port' in from ? (server.address() as AddressInfo).port : 0,
    cut() {
      const count = ways.size
      for (const way of ways) way.cut()
      return count
    },
    hold() {
      isHeld = true
      for (const way of ways) way.hold()
    },
    release() {
      isHeld = false
      for (const way of ways) way.go()
    },
    cutAfter(bytes) {
      most = bytes
    },
    async [Symbol.asyncDispose]() {
      for (const way of ways) way.cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** One connection: what one side sends the other is given, as fast as it takes it. */
class Way {
  readonly #near: Socket
  readonly #far: Socket
  #isHeld = true

  constructor(near: Socket, far: Socket, mostBytes = Number.POSITIVE_INFINITY) {
    this.#near = near
    this.#far = far
    far.pause()
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('data', (bytes) => {
        if (one === near && near.bytesRead > mostBytes) return this.cut()
        if (!other.write(bytes)) one.pause()
      })
      other.on('drain', () => {
        if (!this.#isHeld) one.resume()
      })
      one.on('end', () => other.end())
      one.on('error', () => {})
      one.on('close', () => other.destroySoon())
    }
  }

  hold(): void {
    this.#isHeld = true
    this.#near.pause()
    this.#far.pause()
  }

  go(): void {
    this.#isHeld = false
    this.#near.resume()
    this.#far.resume()
  }

  cut(): void {
    for (const socket of [this.#near, this.#far]) {
      // A socket in a folder knows no reset.
      if (socket.remoteAddress === undefined) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
}
