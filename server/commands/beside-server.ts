import { type Database, openDatabase as overPool } from '../../db/database.ts'
import { type Environment, readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { placeCluster } from '../postgres/cluster.ts'
import { connectDatabase } from '../postgres/connect.ts'
import { openDatabase } from '../postgres/open.ts'
import { findServersPostgres } from '../postgres/running.ts'

/**
 * Does a command's work on the database of the settings: beside a server that runs on the data folder, over its
 * Postgres; where none runs, the database is opened (made, brought up to date) as a server would.
 */
export async function withDatabase<T>(
  env: Environment,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  const config = readConfig(env)
  const log = createLog('warn')
  const running =
    config.databaseURL === undefined
      ? await findServersPostgres(await placeCluster(config.dataDir, log))
      : undefined
  await using database =
    running === undefined
      ? await openDatabase(config, log)
      : await connectDatabase(config, { embedded: running, log })
  return await work(overPool(database.sql))
}
