import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type postgres from 'postgres'
import { OperatorError } from '../operator-error.ts'
import { MIGRATION_LOCK } from './advisory-locks.ts'

/** The database was migrated by a newer Stowage than this one. */
export class DatabaseNewerError extends OperatorError {
  override name = 'DatabaseNewerError'
}

export class MigrationError extends OperatorError {
  override name = 'MigrationError'
}

/** The tags of the migrations that were run now, how many there are in all, and whether functions were defined anew. */
export type MigrationReport = { applied: string[]; known: number; functionsDefined: boolean }

type AnySql = postgres.Sql<{ bigint: number }> | postgres.Sql
type Journal = { entries: { when: number; tag: string }[] }

/**
 * Runs the migrations that a database has not seen, in the journal's order, each in a transaction of its own; then
 * defines the SQL functions as they stand in `functions/`, where they are other ones. (Decision 16)
 *
 * Any number of servers may do this at once: a session lock lets one work while the others wait, and then find
 * nothing left to do. The table is drizzle's own, so drizzle's tools agree with ours; the loop is not, because
 * drizzle's client cannot run on a reserved connection, and its rule (newer than the newest) would leave out a migration
 * that was merged late.
 *
 * @param direct A connection that no pooler stands before; one is reserved.
 * @param only   The times (`when`) of the migrations to run, for tables as an older Stowage had them; then the functions
 *   are left as they are. Default all.
 * @throws {DatabaseNewerError} The newest migration in the database is not in our journal. Nothing was changed.
 * @throws {MigrationError}     A migration failed. It was rolled back; those before it stay.
 */
export async function migrateDatabase(
  direct: AnySql,
  { folder, only }: { folder: string; only?: readonly number[] },
): Promise<MigrationReport> {
  const journal = await readJournal(folder)
  const statements = new Map(
    readMigrationFiles({ migrationsFolder: folder }).map((file) => [file.folderMillis, file]),
  )
  const sql = await direct.reserve()
  try {
    await sql`select pg_advisory_lock(${MIGRATION_LOCK[0]}, ${MIGRATION_LOCK[1]})`
    const seen = await readApplied(sql)
    refuseNewer(seen, journal)
    const applied: string[] = []
    for (const { when, tag } of journal.entries) {
      const file = statements.get(when)
      if (seen.includes(when) || !file || only?.includes(when) === false) continue
      await runOne(sql, tag, file)
      applied.push(tag)
    }
    const functionsDefined =
      only === undefined && (await defineFunctions(sql, join(folder, 'functions')))
    return { applied, known: journal.entries.length, functionsDefined }
  } finally {
    // When the connection is what failed, the lock went with it.
    await sql`select pg_advisory_unlock(${MIGRATION_LOCK[0]}, ${MIGRATION_LOCK[1]})`.catch(() => {})
    sql.release()
  }
}

/** The migrations that this Stowage knows, in order. */
export async function readJournal(folder: string): Promise<Journal> {
  return JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8'))
}

async function readApplied(sql: AnySql): Promise<number[]> {
  await sql`create schema if not exists drizzle`
  await sql`
    create table if not exists drizzle.__drizzle_migrations (
      id serial primary key,
      hash text not null,
      created_at bigint
    )
  `
  const rows = await sql<{ when: string | number }[]>`
    select created_at as when
    from drizzle.__drizzle_migrations
    order by created_at
  `
  return rows.map((row) => Number(row.when))
}

function refuseNewer(seen: number[], journal: Journal): void {
  const newest = seen.at(-1)
  if (newest === undefined || journal.entries.some((entry) => entry.when === newest)) return
  throw new DatabaseNewerError(
    `Cannot use this database: a newer Stowage has changed it (its newest migration is of ${new Date(newest).toISOString()}, which this one does not know); start that version or a later one`,
  )
}

async function runOne(
  sql: AnySql,
  tag: string,
  file: { sql: string[]; folderMillis: number; hash: string },
): Promise<void> {
  await sql`begin`
  try {
    for (const statement of file.sql) {
      if (statement.trim() !== '') await sql.unsafe(statement)
    }
    await sql`
      insert into drizzle.__drizzle_migrations (hash, created_at)
      values (${file.hash}, ${file.folderMillis})
    `
    await sql`commit`
  } catch (cause) {
    throw await rolledBack(sql, `Cannot run migration ${tag}`, cause)
  }
}

/** Defines all functions in one transaction. @returns false: they were these already. */
async function defineFunctions(sql: AnySql, folder: string): Promise<boolean> {
  const definitions = await readDefinitions(folder)
  if (definitions === undefined) return false
  const hash = createHash('sha256').update(definitions).digest('hex')
  await sql`create table if not exists drizzle.__stowage_functions (hash text primary key)`
  const [defined] = await sql`select from drizzle.__stowage_functions where hash = ${hash}`
  if (defined !== undefined) return false
  await sql`begin`
  try {
    // Files name each other's functions; which one comes first does not matter.
    await sql`set local check_function_bodies = off`
    await sql.unsafe(definitions)
    await sql`delete from drizzle.__stowage_functions`
    await sql`insert into drizzle.__stowage_functions (hash) values (${hash})`
    await sql`commit`
    return true
  } catch (cause) {
    throw await rolledBack(sql, 'Cannot define the SQL functions', cause)
  }
}

/** Undefined: there is no such folder. */
async function readDefinitions(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => undefined)
  if (names === undefined) return undefined
  const files = names.filter((name) => name.endsWith('.sql')).sort()
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  return texts.join('\n')
}

async function rolledBack(sql: AnySql, what: string, cause: unknown): Promise<MigrationError> {
  await sql`rollback`.catch(() => {})
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MigrationError(`${what}: ${reason}`, { cause })
}
