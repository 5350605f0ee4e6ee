import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { silentLog } from '../../server/log.ts'
import { connectDatabase } from '../../server/postgres/connect.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { migrateDatabase } from '../../server/postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'
import { connect } from './global-setup.ts'
import { externalDatabaseURL, temporaryFolder } from './server.ts'

/**
 * For vitest's `globalSetup`: what `startServer` begins with, made once for the run. Without it each of some hundred
 * servers would make a database cluster and migrate it, which takes longer than most tests.
 *
 * `TEST_PREPARED_DATA` is a data folder after its first start, of which each server gets a copy; or, with an external
 * Postgres, `TEST_PREPARED_DATABASE` is a migrated database there, which is cloned. (First starts on nothing have tests
 * of their own: test/postgres/embedded.test.ts, and the end-to-end tests that bring their data folder.)
 */
export async function setup(): Promise<() => Promise<void>> {
  return externalDatabaseURL === undefined ? prepareFolder() : prepareDatabase(externalDatabaseURL)
}

async function prepareFolder(): Promise<() => Promise<void>> {
  const dataDir = await temporaryFolder()
  const embedded = await startEmbeddedPostgres({ dataDir, log: silentLog })
  await using database = await connectDatabase(
    { databaseConnections: 2, databaseWaitMs: 0 },
    { embedded: embedded.connection, log: silentLog },
  )
  await migrateDatabase(database.direct, { folder: MIGRATIONS_FOLDER })
  await database.end()
  await embedded.stop()
  process.env.TEST_PREPARED_DATA = dataDir
  return () => rm(dataDir, { recursive: true, force: true })
}

async function prepareDatabase(url: string): Promise<() => Promise<void>> {
  const name = `stowage_prepared_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  const administrator = await connect(url)
  await administrator`create database ${administrator(name)}`
  const inside = await connect(url, name)
  await migrateDatabase(inside, { folder: MIGRATIONS_FOLDER })
  await inside.end()
  process.env.TEST_PREPARED_DATABASE = name
  return async () => {
    await administrator`drop database if exists ${administrator(name)} with (force)`
    await administrator.end()
  }
}
