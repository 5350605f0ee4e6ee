import type { Span } from '../trace.ts'
import type { Identity } from './identity.ts'
import type { Route } from './routes-of.ts'

/** What the runtime tells of a request beside the request itself. */
export interface Peer {
  /** The network address of the other end of the connection; for routes, of whoever is behind a trusted proxy. */
  address: string | undefined
}

export interface AppEnv {
  Bindings: Peer
  Variables: {
    /** The origin that the client knows, with a path prefix where a trusted proxy adds one. */
    baseURL: string
    /** See `routesOf`. */
    routes?: readonly Route[]
    /** Who asks; undefined where no credentials are asked for. */
    identity?: Identity
    /** What he may do, by route; undefined likewise. */
    may?: (route: string) => boolean
    /** Who has just signed in or out by this request. */
    signedIn?: string
    /** The request was not let through to its route. */
    isDenied?: boolean
    /** Under which the log and the answer know this request. */
    requestID: string
    /** What a trace shows of it. */
    span: Span
    /** The transfer that this request opened. */
    transferID?: string
  }
}
