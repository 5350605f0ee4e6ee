import { rmdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import type { Log } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import { accountName } from './account.ts'
import { type ClusterPlace, writeClusterFile } from './cluster.ts'
import { isPassing } from './connect.ts'
import { chooseDoor, findDoor } from './door.ts'
import type { EmbeddedConnection, EmbeddedOptions, EmbeddedPostgres } from './embedded-types.ts'
import { DataFolderInUseError, type FolderLock, takeDataFolder } from './folder-lock.ts'
import {
  adoptPostmaster,
  type Postmaster,
  readPidFile,
  readStartOutput,
  reloadPostmaster,
  spawnPostmaster,
  stopPostmaster,
} from './postmaster.ts'
import type { Runtime } from './runtime.ts'
import {
  DATABASE_NAME,
  DATABASE_USER,
  type Door,
  renderHostRules,
  renderSettings,
} from './settings.ts'

export class PostgresStartError extends OperatorError {
  override name = 'PostgresStartError'
}

/** Starts that may fail, one after another, before the reason is told. The backends of a killed one cost one or two. */
const MAX_START_ATTEMPTS = 8

/** Milliseconds before Postgres is brought back: doubled with each failure up to the limit, never given up. */
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 10_000

/** Milliseconds between two looks at a Postgres that does not accept connections yet, and between two lines about it. */
const READY_POLL_MS = 50
const READY_REPORT_MS = 10_000

/**
 * The life of an embedded Postgres.
 *
 * # Starting
 * Postgres is adopted or spawned, then the lock of the data folder is taken in it. Servers that start at once meet
 * here: Postgres's own files let one process be the postmaster, the others adopt it, and one server gets the lock.
 *
 * # Running
 * The lock is a session of Postgres, so it ends with the server, however that ends. When the session or Postgres goes,
 * both are brought back. Should another server hold the lock by then, `onLost` is called and nothing more is done.
 *
 * # Stopping
 * Postgres is stopped while the lock is still held: a server that starts meanwhile waits for its end.
 * A server that never got the lock leaves Postgres alone: it is somebody else's.
 */
export class Supervisor implements EmbeddedPostgres {
  readonly #place: ClusterPlace
  readonly #runtime: Runtime
  readonly #options: EmbeddedOptions
  readonly #log: Log
  #door: Door | undefined
  #postmaster: Postmaster | undefined
  #lock: FolderLock | undefined
  #stopping: Promise<void> | undefined
  readonly #ending = new AbortController()
  #watching: Promise<void> = Promise.resolve()

  constructor(place: ClusterPlace, runtime: Runtime, options: EmbeddedOptions) {
    this.#place = place
    this.#runtime = runtime
    this.#options = options
    this.#log = options.log
  }

  get connection(): EmbeddedConnection {
    const door = this.#door
    if (!door) throw new PostgresStartError('Cannot connect to Postgres: it was not started')
    const common = { port: door.port, database: DATABASE_NAME, username: DATABASE_USER }
    return door.kind === 'socket'
      ? { ...common, host: door.folder }
      : { ...common, host: '127.0.0.1', password: door.password }
  }

  get url(): string {
    const { host, port } = this.connection
    return host.startsWith('/')
      ? `postgresql://${DATABASE_USER}@/${DATABASE_NAME}?host=${encodeURIComponent(host)}`
      : `postgresql://${DATABASE_USER}@${host}:${port}/${DATABASE_NAME}`
  }

  get pid(): number {
    return this.#postmaster?.pid ?? -1
  }

  async start(): Promise<void> {
    await this.#bringUp()
    this.#watching = this.#watch()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #end(): Promise<void> {
    this.#ending.abort()
    await this.#watching
    if (this.#lock && this.#postmaster) {
      await stopPostmaster(this.#place, this.#runtime, this.#postmaster)
      await this.#lock.release()
      // Made anew at each start; when somebody is starting already it is not empty, or is made once more.
      if (this.#door?.kind === 'socket') await rmdir(this.#door.folder).catch(() => {})
      this.#log.info('Postgres stopped', { pid: this.#postmaster.pid })
    }
  }

  /** Brings Postgres back until told to end. */
  async #watch(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#ending.signal.addEventListener('abort', () => resolve())
    })
    let retryMs = FIRST_RETRY_MS
    while (!this.#ending.signal.aborted) {
      await Promise.race([ended, this.#lock?.lost, this.#postmaster?.exited])
      if (this.#ending.signal.aborted) return
      this.#log.warn('The connection to Postgres was lost; it is brought back', { pid: this.pid })
      await this.#lock?.release()
      this.#lock = undefined
      while (!this.#lock && !this.#ending.signal.aborted) {
        await Promise.race([ended, delay(retryMs, undefined, { ref: false })])
        try {
          await this.#bringUp()
          retryMs = FIRST_RETRY_MS
        } catch (error) {
          if (error instanceof DataFolderInUseError) {
            this.#options.onLost?.(error)
            return
          }
          retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)
          this.#log.error('Postgres could not be brought back yet', {
            reason: messageOf(error),
            retryMs,
          })
        }
      }
    }
  }

  async #bringUp(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#tryOnce()
      if (!failure) return
      if (attempt === MAX_START_ATTEMPTS) throw new PostgresStartError(failure)
      await delay(100 * attempt)
    }
  }

  /** One attempt; the reason in words when another one may do better. */
  async #tryOnce(): Promise<string | undefined> {
    const startedAt = Date.now()
    const postmaster = (await this.#adopt()) ?? (await this.#spawn())
    this.#postmaster = postmaster
    const isReady = await this.#untilReady(postmaster)
    // Another server's Postgres may have been quicker, and then it is that one which answered on the socket.
    const isOurs = (await readPidFile(this.#place.cluster))?.pid === postmaster.pid
    if (!isReady || !isOurs) {
      // Or it ended: the backends of a killed one still hold the shared memory.
      const said = await readStartOutput(this.#place.cluster)
      return `Cannot start Postgres in ${this.#place.cluster}: ${said || 'it ended without a word'}`
    }
    try {
      this.#lock = await takeDataFolder(this.connection, this.#options.dataDir)
    } catch (error) {
      if (error instanceof DataFolderInUseError) throw error
      // The server that held the lock may have stopped Postgres under us.
      return `Cannot take the data folder: ${messageOf(error)}`
    }
    // Only now: before it was perhaps another server's, which must not be disturbed.
    if (postmaster.adopted && (await this.#writeConfiguration())) reloadPostmaster(postmaster)
    this.#log.info(
      postmaster.adopted ? 'Postgres was running and was taken over' : 'Postgres started',
      {
        pid: postmaster.pid,
        version: this.#runtime.version,
        ms: Date.now() - startedAt,
      },
    )
    return undefined
  }

  async #adopt(): Promise<Postmaster | undefined> {
    const postmaster = await adoptPostmaster(this.#place)
    if (!postmaster) return undefined
    // It writes where it listens a moment after its pid. An older one may listen elsewhere: TMPDIR was another.
    this.#door = (await findDoor(this.#place)) ?? (await chooseDoor(this.#place))
    return postmaster
  }

  async #spawn(): Promise<Postmaster> {
    this.#door = await chooseDoor(this.#place)
    await this.#writeConfiguration()
    return spawnPostmaster(this.#place, this.#runtime)
  }

  async #writeConfiguration(): Promise<boolean> {
    if (!this.#door) return false
    const door = this.#door
    // The two who can run a server on this cluster; psql as either of them works too.
    const names = new Set([await accountName(0), this.#place.account.name])
    const rules = renderHostRules(door, [...names])
    const changes = [
      await writeClusterFile(this.#place, 'stowage.conf', renderSettings(door)),
      await writeClusterFile(this.#place, 'pg_hba.conf', rules.hba),
      await writeClusterFile(this.#place, 'pg_ident.conf', rules.ident),
    ]
    return changes.includes(true)
  }

  /** Waits for the first connection, however long recovery takes; false when Postgres ends instead. */
  async #untilReady(postmaster: Postmaster): Promise<boolean> {
    let ended = false
    void postmaster.exited.then(() => {
      ended = true
    })
    let reportAt = Date.now() + READY_REPORT_MS
    while (!ended) {
      if (await accepts(this.connection)) return true
      if (this.#ending.signal.aborted) return false
      if (Date.now() > reportAt) {
        this.#log.info('Waiting for Postgres, which may be recovering', { pid: postmaster.pid })
        reportAt = Date.now() + READY_REPORT_MS
      }
      await delay(READY_POLL_MS)
    }
    return false
  }
}

async function accepts(connection: EmbeddedConnection): Promise<boolean> {
  const session = postgres({
    ...connection,
    database: 'postgres',
    max: 1,
    connect_timeout: 5,
    fetch_types: false,
    onnotice: () => {},
  })
  try {
    await session`select 1`
    return true
  } catch (error) {
    if (isPassing(error)) return false
    throw new PostgresStartError(`Cannot connect to Postgres: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    await session.end({ timeout: 1 })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
