import type { Readable } from 'node:stream'
import { is, Table } from 'drizzle-orm'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import type postgres from 'postgres'
import * as schema from '../../db/schema.ts'

/** A connection, or a transaction. */
export type AnySql = postgres.ISql<{ bigint: number }>

/** One table as it is copied: no column that Postgres makes of others. */
export interface TableShape {
  name: string
  columns: string[]
}

/** Where a counter of keys stands. */
export interface Sequence {
  name: string
  lastValue: number
  /** False: `lastValue` is the next one. */
  isCalled: boolean
}

/** What belongs to the moment, not to the archive: transfers under way are not kept, and a lease is nobody else's. */
export const leftOut: readonly string[] = ['staged_instances', 'backup_lease']

/** The tables of this Stowage, each behind those that it refers to. */
export async function listTables(sql: AnySql): Promise<TableShape[]> {
  const names = Object.values(schema)
    .filter((value) => is(value, Table))
    .map((table) => getTableConfig(table as PgTable).name)
    .filter((name) => !leftOut.includes(name))
  const shapes = (await sql`
    select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace
    and c.relname = any(${names})
    and a.attnum > 0
    and not a.attisdropped
    and a.attgenerated = ''
    group by c.relname
    order by c.relname`) as unknown as TableShape[]
  const references = await sql<{ from: string; to: string }[]>`
    select c.conrelid::regclass::text as from, c.confrelid::regclass::text as to
    from pg_constraint c
    where c.contype = 'f'
    and c.connamespace = 'public'::regnamespace`
  return inOrder([...shapes], [...references])
}

function inOrder(shapes: TableShape[], references: { from: string; to: string }[]): TableShape[] {
  const ordered: TableShape[] = []
  while (shapes.length > 0) {
    const waiting = new Set(shapes.map(({ name }) => name))
    const free = shapes.filter(
      ({ name }) =>
        !references.some(({ from, to }) => from === name && to !== name && waiting.has(to)),
    )
    if (free.length === 0) throw new Error(`Tables refer to each other: ${[...waiting].join(', ')}`)
    ordered.push(...free)
    shapes = shapes.filter((shape) => !free.includes(shape))
  }
  return ordered
}

/** To be read after the rows: counters do not stand still in a snapshot, and may be ahead of them. */
export async function listSequences(sql: AnySql): Promise<Sequence[]> {
  const names = await sql<{ name: string }[]>`
    select s.relname as name
    from pg_class s
    join pg_depend d on d.objid = s.oid and d.deptype in ('a', 'i')
    join pg_class t on t.oid = d.refobjid
    where s.relkind = 'S'
    and s.relnamespace = 'public'::regnamespace
    and t.relname <> all(${[...leftOut]})
    order by s.relname`
  const sequences: Sequence[] = []
  for (const { name } of names) {
    const [row] = await sql<Omit<Sequence, 'name'>[]>`
      select last_value as "lastValue", is_called as "isCalled" from ${sql(name)}`
    sequences.push({ name, ...(row as Omit<Sequence, 'name'>) })
  }
  return sequences
}

export async function setSequences(sql: AnySql, sequences: readonly Sequence[]): Promise<void> {
  for (const { name, lastValue, isCalled } of sequences) {
    await sql`select setval(${`public.${quoted(name)}`}::regclass, ${lastValue}, ${isCalled})`
  }
}

/**
 * Values as text mean the same in every database: instants in UTC, dates as ISO 8601 has them.
 * To be called at the start of a transaction that copies.
 */
export async function speakPlainly(sql: AnySql): Promise<void> {
  await sql`set local timezone = 'UTC'`
  await sql`set local datestyle = 'ISO, YMD'`
  await sql`set local client_encoding = 'UTF8'`
}

/** The rows of a table, as COPY writes them: one a line. */
export async function readRows(
  sql: AnySql,
  { name, columns }: TableShape,
  into: (rows: Readable) => Promise<void>,
): Promise<void> {
  const list = columns.map(quoted).join(', ')
  const copy = sql.unsafe(`copy (select ${list} from public.${quoted(name)}) to stdout`)
  const rows = await copy.readable()
  // postgres.js pauses its connection when a reader is slow, and goes on when it reads again; one that has read the last
  // row does not, so that what Postgres says after it would be waited for for ever.
  rows.once('end', () => rows._read(0))
  await into(rows)
}

/** Takes the rows of a table, as COPY reads them. Keys stay what they were. */
export async function writeRows(sql: AnySql, { name, columns }: TableShape) {
  const list = columns.map(quoted).join(', ')
  return sql.unsafe(`copy public.${quoted(name)} (${list}) from stdin`).writable()
}

/** Takes out what migrations put into new tables. */
export async function emptyTables(sql: AnySql, tables: readonly TableShape[]): Promise<void> {
  const filled: string[] = []
  for (const { name } of tables) {
    const [row] = await sql`select exists (select from ${sql(name)}) as "isFilled"`
    if (row?.isFilled) filled.push(`public.${quoted(name)}`)
  }
  if (filled.length > 0) await sql.unsafe(`truncate ${filled.join(', ')} cascade`)
}

/** Whether anything was ever stored, said or set up here by anybody but a migration. */
export async function isUsed(sql: AnySql): Promise<boolean> {
  const seeded = ['feed', 'quiet_rules', ...leftOut]
  for (const { name } of await listTables(sql)) {
    if (seeded.includes(name)) continue
    const [row] = await sql`select exists (select from ${sql(name)}) as "isFilled"`
    if (row?.isFilled) return true
  }
  return false
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
