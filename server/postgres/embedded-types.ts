import type { Log } from '../log.ts'

/** How postgres.js reaches the embedded Postgres. */
export type EmbeddedConnection = {
  /** A folder (of a socket) or an address. */
  host: string
  port: number
  database: string
  username: string
  password?: string
}

/** A Postgres that this server runs, watches, and stops. */
export type EmbeddedPostgres = AsyncDisposable & {
  readonly connection: EmbeddedConnection
  /** For people: what psql takes. Without the password, where there is one. */
  readonly url: string
  /** The process that runs now; another one after Postgres died and came back. */
  readonly pid: number
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  dataDir: string
  log: Log
  /** Called when the data folder was lost to another server: nothing is left but to end this one. */
  onLost?: (error: Error) => void
  /** The npm package with the programs; tests hand in a copy. */
  packageFolder?: string
}
