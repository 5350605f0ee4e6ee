import type { Peer } from '../http/env.ts'
import type { Whose } from '../http/overload.ts'

/** The application as a runtime sees it: Hono's `app.fetch` fits. */
export type Fetch = (request: Request, peer: Peer) => Response | Promise<Response>

/** A certificate with its chain, and its key, as PEM. */
export type TlsFiles = { certFile: string; keyFile: string }

export type ListenOptions = {
  /** Speak TLS and nothing else. The files are read again when they change. */
  tls?: TlsFiles | undefined
  hostname: string
  /** 0: any free one. */
  port: number
  /** Most connections at once, in fair shares by network; further ones are closed at once. Default: any number. */
  maxConnections?: number
  /** Told of a connection that was closed for that. */
  onRefused?(whose: Whose): void
  /** Told what a handler threw, or a response's body: the client gets a bare 500, or a cut answer. */
  onFault(error: unknown): void
}

export type Listener = {
  /** For people and tests: `http://127.0.0.1:8104`. */
  url: string
  port: number
  /** Takes no new connection, lets the requests under way finish for so long, then cuts what is left. */
  stop(graceMs: number): Promise<void>
}

/** What differs between Node, Bun and Deno; made in the `main` of each, and nowhere else. */
export type Host = {
  name: 'node' | 'bun' | 'deno'
  listen(fetch: Fetch, options: ListenOptions): Promise<Listener>
}
