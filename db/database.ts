import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import * as schema from './schema.ts'

/** One pool, seen two ways: `orm` for plain reads, `sql` where locks, CTEs or functions matter. */
export interface Database {
  readonly sql: Sql<{ bigint: number }>
  readonly orm: PostgresJsDatabase<typeof schema>
}

/** Instants come back as ISO strings from `sql` and as Date from `orm`. */
export function openDatabase(sql: Sql<{ bigint: number }>): Database {
  return { sql, orm: drizzle(sql as unknown as Sql, { schema }) }
}
