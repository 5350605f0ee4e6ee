import { join } from 'node:path'
import postgres from 'postgres'
import { readPidFile } from '../../server/postgres/postmaster.ts'
import { DATABASE_NAME, DATABASE_USER } from '../../server/postgres/settings.ts'

/** How large a table is, in bytes. */
export interface TableSize {
  name: string
  rowCount: number
  heapBytes: number
  indexBytes: number
  /** What does not fit a row. */
  toastBytes: number
}

export interface DatabaseSize {
  instanceCount: number
  tables: TableSize[]
}

/** A connection of our own to the embedded Postgres of a running server. */
export class DatabaseProbe implements AsyncDisposable {
  readonly sql: postgres.Sql

  private constructor(sql: postgres.Sql) {
    this.sql = sql
  }

  /** @throws {Error} No server runs on the data folder, or its cluster lies elsewhere. */
  static async open(dataDir: string): Promise<DatabaseProbe> {
    const found = await readPidFile(join(dataDir, 'postgres'))
    if (found === undefined) throw new Error(`Cannot find the Postgres of ${dataDir}`)
    return new DatabaseProbe(
      postgres({
        ...{ host: found.socketFolder, port: found.port },
        ...{ database: DATABASE_NAME, username: DATABASE_USER },
        ...{ max: 1, idle_timeout: 0, max_lifetime: null, onnotice: () => {} },
      }),
    )
  }

  /** Row counts are those of the last `analyze`, except that of instances. */
  async measure(): Promise<DatabaseSize> {
    const [instances] = await this.sql`select count(*)::int as count from instances`
    const rows = await this.sql`
      select
        relname as name, greatest(reltuples, 0)::float8 as rows,
        pg_relation_size(oid)::float8 as heap, pg_indexes_size(oid)::float8 as indexes,
        pg_total_relation_size(oid)::float8 as total
      from pg_class
      where relnamespace = 'public'::regnamespace
      and relkind in ('r', 'p')
      order by pg_total_relation_size(oid) desc`
    return {
      instanceCount: instances?.count as number,
      tables: rows.map(({ name, rows: rowCount, heap, indexes, total }) => ({
        ...{ name, rowCount, heapBytes: heap, indexBytes: indexes },
        toastBytes: total - heap - indexes,
      })),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sql.end({ timeout: 5 })
  }
}
