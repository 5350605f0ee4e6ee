import { type Database, openDatabase } from '../../db/database.ts'
import { type Environment, readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { connectExisting, refuseOtherSchema } from './existing-database.ts'

/**
 * Does a command's work on the database of the settings, which a server may be using.
 *
 * A credential that lies in an archive made by mistake closes nothing, and its owner believes that it does: none is made here.
 *
 * @param what What the command would do, as in "Cannot make the token".
 * @throws {ArchiveError} There is no archive, or it is of another Stowage.
 */
export async function withDatabase<T>(
  env: Environment,
  what: string,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  const orElse = ', or run "stowage migrate" first to begin a new archive'
  await using database = await connectExisting(readConfig(env), createLog('warn'), what, orElse)
  await refuseOtherSchema(database.direct, what)
  return await work(openDatabase(database.sql))
}
