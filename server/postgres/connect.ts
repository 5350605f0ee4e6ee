import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { endPool } from '../../db/own-connections.ts'
import type { Log } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import type { EmbeddedConnection } from './embedded-types.ts'
import { parseSocketURL } from './socket-url.ts'
import { steadySockets } from './steady-socket.ts'
import { tlsOfURL } from './tls.ts'

/** The postgres.js client of this project: `bigint` columns come as numbers. */
export type Sql = postgres.Sql<{ bigint: number }>

/** The two ways to the database. */
export type Database = AsyncDisposable & {
  /** A pool for everything that fits one transaction. May lead through a pooler. */
  sql: Sql
  /** Few connections that no pooler stands before: `listen`, session locks, migrations. */
  direct: Sql
  end(): Promise<void>
}

export type DatabaseSettings = {
  databaseURL?: string | undefined
  databaseDirectURL?: string | undefined
  /** How many connections `sql` opens at most. */
  databaseConnections: number
  /** Milliseconds to wait for a database that is not up yet. */
  databaseWaitMs: number
}

export class DatabaseUnreachableError extends OperatorError {
  override name = 'DatabaseUnreachableError'
}

export class DatabaseTooOldError extends OperatorError {
  override name = 'DatabaseTooOldError'
}

/** `server_version_num` of the oldest Postgres that has all we use. */
const OLDEST_VERSION = 150_000

/** Connections of `direct`: one for migrations and locks each, one to spare; `listen` opens its own. */
const DIRECT_CONNECTIONS = 3

/** Milliseconds between attempts to reach a database, and between two lines about it. */
const RETRY_MS = 500
const REPORT_MS = 5_000

/**
 * Connects to the embedded Postgres if there is one, else to `DATABASE_URL`, and waits until it answers.
 *
 * @throws {DatabaseUnreachableError} It did not answer in time, or refused us; the sentence has no password.
 * @throws {DatabaseTooOldError}      It is older than Postgres 15.
 * @throws {DatabaseTLSError}         The URL asks for TLS in a way that cannot be.
 */
export async function connectDatabase(
  settings: DatabaseSettings,
  { embedded, log }: { embedded?: EmbeddedConnection | undefined; log: Log },
): Promise<Database> {
  const { databaseURL, databaseDirectURL } = settings
  // A way around implies something to go around: a pooler in transaction mode, which gives each transaction
  // another connection, where a statement prepared in the last one is unknown.
  const pooled = databaseDirectURL !== undefined && databaseDirectURL !== databaseURL
  const sql = await open(embedded ?? databaseURL, {
    max: settings.databaseConnections,
    prepare: !pooled,
    idle_timeout: 300,
  })
  const direct = await open(embedded ?? databaseDirectURL ?? databaseURL, {
    max: DIRECT_CONNECTIONS,
    // A session lock must not end because the connection is old.
    max_lifetime: null,
    idle_timeout: 0,
  })
  async function end(): Promise<void> {
    await Promise.all([endPool(sql), endPool(direct)])
  }
  try {
    const deadline = Date.now() + settings.databaseWaitMs
    await refuseOldPostgres(direct, deadline, log)
    shareArrayTypes(direct, sql)
    if (pooled) await untilItAnswers(sql, deadline, log)
    return { sql, direct, end, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

/**
 * Hands on the types of arrays, which the first connection has asked for, and lets no other one ask.
 *
 * postgres.js 3.4.9 would ask on each new connection, in a promise that nobody holds: one that broke at that moment ended
 * the process.
 */
function shareArrayTypes(from: Sql, to: Sql): void {
  type Known = { shared: { typeArrayMap: object } }
  Object.assign(to.options.parsers, from.options.parsers)
  Object.assign(to.options.serializers, from.options.serializers)
  const [known, unknown] = [from.options, to.options] as unknown as [Known, Known]
  Object.assign(unknown.shared.typeArrayMap, known.shared.typeArrayMap)
  from.options.fetch_types = false
  to.options.fetch_types = false
}

type Tuning = { max: number; prepare?: boolean; idle_timeout: number; max_lifetime?: null }

async function open(target: EmbeddedConnection | string | undefined, tuning: Tuning): Promise<Sql> {
  if (target === undefined) {
    throw new DatabaseUnreachableError('Cannot connect: no embedded Postgres and no DATABASE_URL')
  }
  const isURL = typeof target === 'string'
  const { url, tls } = isURL ? await tlsOfURL(target) : { url: '', tls: undefined }
  const options = {
    ...tuning,
    ssl: false,
    connect_timeout: 10,
    backoff: backoffSeconds,
    connection: { application_name: 'stowage' },
    socket: steadySockets(tls),
    // "relation exists, skipping" and the like are no news.
    onnotice: () => {},
    types: { bigint: { to: 20, from: [20], parse: parseBigint, serialize: String } },
  }
  // Of several hosts, one is written to. (What postgres.js does for "read-write" does not tell a standby.)
  if (/^\w+:\/\/(?:[^@/?]*@)?[^/?]*,/.test(url)) {
    Object.assign(options, { target_session_attrs: 'primary' })
  }
  const socket = isURL ? await parseSocketURL(url) : target
  return socket ? postgres({ ...socket, ...options }) : postgres(url, options)
}

/**
 * Seconds that a closed connection waits before it tries again, after so many failures of the pool in a row. The default
 * of postgres.js grows to 20 s: a Postgres that is back after 300 ms was then not used for many seconds, as each request
 * that needed another connection waited for that. Half a second is short for a person and long for a database.
 */
function backoffSeconds(failures: number): number {
  return Math.min(0.5, 0.01 * 2 ** failures) * (0.5 + Math.random() / 2)
}

// Sizes in bytes and counts stay far below 2^53. What does not would be wrong without anybody noticing.
function parseBigint(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`Cannot read the bigint ${text} as a number: it is beyond 2^53`)
  }
  return value
}

async function refuseOldPostgres(sql: Sql, deadline: number, log: Log): Promise<void> {
  await untilItAnswers(sql, deadline, log)
  const [row] = await sql<{ version: number; name: string }[]>`
    select
      current_setting('server_version_num')::int as version,
      current_setting('server_version') as name
  `
  if (row && row.version < OLDEST_VERSION) {
    throw new DatabaseTooOldError(
      `Cannot use Postgres ${row.name}: Stowage needs 15 or later; upgrade it, or unset DATABASE_URL to use the embedded one`,
    )
  }
}

async function untilItAnswers(sql: Sql, deadline: number, log: Log): Promise<void> {
  const where = `${sql.options.host.join(',')}:${sql.options.port.join(',')}/${sql.options.database}`
  let reportAt = 0
  for (;;) {
    try {
      await sql`select 1`
      return
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      if (!isPassing(cause) || Date.now() > deadline) {
        throw new DatabaseUnreachableError(`Cannot use the database at ${where}: ${reason}`, {
          cause,
        })
      }
      if (Date.now() > reportAt) {
        log.info('Waiting for the database', { at: where, reason })
        reportAt = Date.now() + REPORT_MS
      }
      await delay(RETRY_MS)
    }
  }
}

/** Errors of a database that is about to come up: not there yet, or there and saying so. */
const PASSING_ERRORS = new Set([
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
  '08006', // connection_failure, which poolers answer while their Postgres is away
  '08P01', // protocol_violation: PgBouncer's "server login failed"
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOENT',
    'ENOTFOUND',
    'EAI_AGAIN',
    'EHOSTUNREACH',
    'ETIMEDOUT',
    'EPIPE',
  ],
  ...['CONNECT_TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_ENDED'],
])

/** Whether an error of postgres.js only says that the database is not there at this moment. */
export function isPassing(error: unknown): boolean {
  return PASSING_ERRORS.has((error as { code?: string } | undefined)?.code ?? '')
}
