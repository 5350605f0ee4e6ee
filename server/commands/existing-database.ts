import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import { placeCluster } from '../postgres/cluster.ts'
import { connectDatabase, type Sql } from '../postgres/connect.ts'
import { startEmbeddedPostgres } from '../postgres/embedded.ts'
import { DataFolderInUseError } from '../postgres/folder-lock.ts'
import { readJournal } from '../postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../postgres/open.ts'
import { findServersPostgres } from '../postgres/running.ts'

/** There is no archive here, or it is another Stowage's; the sentence begins with what cannot be done. */
export class ArchiveError extends OperatorError {
  override name = 'ArchiveError'
}

/** `sql` may lead through a pooler, `direct` does not. */
export type Connected = AsyncDisposable & { sql: Sql; direct: Sql }

/**
 * Connects to the database of the settings, and changes nothing in it.
 *
 * A server that runs on the data folder keeps its Postgres: that one is asked, over its own socket. Where
 * no server runs, Postgres is started for as long as the command takes.
 *
 * @param what   What the command would do, as in "Cannot check".
 * @param orElse What else can be done where there is no database.
 */
export async function connectExisting(
  config: Config,
  log: Log,
  what: string,
  orElse = '',
): Promise<Connected> {
  if (config.databaseURL !== undefined) return connectDatabase(config, { log })
  const { dataDir } = config
  const nothing = `Cannot ${what}: there is no database in ${dataDir}; set STOWAGE_DATA_DIR to the folder that the server uses${orElse}`
  // Else it would be made, and an empty archive is always in order.
  if (!(await isThere(dataDir, what))) throw new ArchiveError(nothing)
  const place = await placeCluster(dataDir, log)
  if (!(await isThere(join(place.cluster, 'PG_VERSION'), what))) throw new ArchiveError(nothing)
  const running = await findServersPostgres(place)
  if (running) return connectDatabase(config, { embedded: running, log })
  try {
    const embedded = await startEmbeddedPostgres({ dataDir, log })
    const database = await connectDatabase(config, { embedded: embedded.connection, log }).catch(
      async (error) => {
        await embedded.stop()
        throw error
      },
    )
    return {
      sql: database.sql,
      direct: database.direct,
      async [Symbol.asyncDispose]() {
        await database.end()
        await embedded.stop()
      },
    }
  } catch (error) {
    // A server started in between.
    const started = error instanceof DataFolderInUseError && (await findServersPostgres(place))
    if (!started) throw error
    return connectDatabase(config, { embedded: started, log })
  }
}

/** @throws {ArchiveError} The tables are not those that this Stowage knows. */
export async function refuseOtherSchema(sql: Sql, what: string): Promise<void> {
  const journal = await readJournal(MIGRATIONS_FOLDER)
  const rows = await sql<{ when: string | number }[]>`
    select created_at as when
    from drizzle.__drizzle_migrations`.catch((error) => {
    // undefined_table, invalid_schema_name: nothing was ever stored here.
    if (error.code === '42P01' || error.code === '3F000') return []
    throw error
  })
  const applied = new Set(rows.map(({ when }) => Number(when)))
  const known = new Set(journal.entries.map(({ when }) => when))
  if (applied.size === 0) {
    throw new ArchiveError(
      `Cannot ${what}: there are no tables of Stowage in the database; set DATABASE_URL or STOWAGE_DATA_DIR as the server has them, or run "stowage migrate" first`,
    )
  }
  if ([...known].some((when) => !applied.has(when))) {
    throw new ArchiveError(
      `Cannot ${what}: the database is older than this Stowage; restart the server, or run "stowage migrate" where none runs`,
    )
  }
  if ([...applied].some((when) => !known.has(when))) {
    throw new ArchiveError(
      `Cannot ${what}: a newer Stowage has changed this database; ${what} with that one`,
    )
  }
}

/** @throws {ArchiveError} Every segment is missing because the folder is: most likely it is not mounted, or another. */
export async function refuseMissingStore(sql: Sql, storeDir: string, what: string): Promise<void> {
  if (await isThere(storeDir, what)) return
  const [row] = await sql`select exists (select from instances) as "isInUse"`
  if (row?.isInUse) {
    throw new ArchiveError(
      `Cannot ${what}: there is no folder ${storeDir}; set STOWAGE_STORE_DIR to the one that the server uses, or mount it`,
    )
  }
}

async function isThere(path: string, what: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error) => {
      if (error.code === 'ENOENT') return false
      throw new ArchiveError(
        `Cannot ${what}: ${path} cannot be read (${error.code}); run this as the user of the server`,
      )
    },
  )
}
