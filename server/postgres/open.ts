import { fileURLToPath } from 'node:url'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { connectDatabase, type Sql } from './connect.ts'
import { startEmbeddedPostgres } from './embedded.ts'
import { type MigrationReport, migrateDatabase } from './migrate.ts'

/** The database of a command, connected and migrated. Disposing ends the connections, then our own Postgres. */
export type OpenedDatabase = AsyncDisposable & {
  sql: Sql
  direct: Sql
  migrations: MigrationReport
  /** Of the embedded Postgres, for psql. */
  url: string | undefined
}

/** Where the migrations lie. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))

/**
 * Opens the database that the settings name: the one of `DATABASE_URL`, or our own in the data folder.
 *
 * @param onLost See `EmbeddedOptions`.
 */
export async function openDatabase(
  config: Config,
  log: Log,
  onLost?: (error: Error) => void,
): Promise<OpenedDatabase> {
  const embedded =
    config.databaseURL === undefined
      ? await startEmbeddedPostgres({ dataDir: config.dataDir, log, ...(onLost ? { onLost } : {}) })
      : undefined
  try {
    const database = await connectDatabase(config, { embedded: embedded?.connection, log })
    try {
      const migrations = await migrateDatabase(database.direct, { folder: MIGRATIONS_FOLDER })
      if (migrations.applied.length > 0) {
        log.info('Database migrated', { applied: migrations.applied.join(',') })
      } else if (migrations.functionsDefined) {
        log.info('SQL functions defined anew')
      }
      return {
        sql: database.sql,
        direct: database.direct,
        migrations,
        url: embedded?.url,
        async [Symbol.asyncDispose]() {
          await database.end()
          await embedded?.stop()
        },
      }
    } catch (error) {
      await database.end()
      throw error
    }
  } catch (error) {
    await embedded?.stop()
    throw error
  }
}
