import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { connectDatabase, type Sql } from '../../server/postgres/connect.ts'
import { connect, withDatabase } from './global-setup.ts'

/** A database of a test's own, migrated and empty. */
export type TestDatabase = AsyncDisposable & {
  name: string
  sql: Sql
  direct: Sql
  /** What psql takes, for a look inside while a test waits. */
  url: string
}

/**
 * Clones the migrated template: `await using db = await freshDatabase()`.
 *
 * At the end it is dropped, whoever is still connected.
 *
 * @param connections Of `sql`, at most.
 */
export async function freshDatabase(connections = 5): Promise<TestDatabase> {
  const { administratorURL, template } = inject('testPostgres')
  const name = `stowage_test_${randomUUID().replaceAll('-', '')}`
  const administrator = await connect(administratorURL)
  // By files: block by block through the WAL takes several times as long.
  await administrator`
    create database ${administrator(name)} template ${administrator(template)} strategy file_copy`
  const url = withDatabase(administratorURL, name)
  const database = await connectDatabase(
    { databaseURL: url, databaseConnections: connections, databaseWaitMs: 0 },
    { log: silentLog },
  )
  return {
    name,
    sql: database.sql,
    direct: database.direct,
    url,
    async [Symbol.asyncDispose]() {
      await database.end()
      await administrator`drop database ${administrator(name)} with (force)`
      await administrator.end()
    },
  }
}
