import { pipeline } from 'node:stream/promises'
import type { Sql } from '../postgres/connect.ts'
import { migrateDatabase, readJournal } from '../postgres/migrate.ts'
import { refuseUsed } from './restore.ts'
import { BackupError } from './snapshot.ts'
import {
  type AnySql,
  emptyTables,
  listSequences,
  listTables,
  readRows,
  setSequences,
  speakPlainly,
  type TableShape,
  writeRows,
} from './tables.ts'

/** What one table holds: rows, and a sum over what each of them says, in whatever order. */
interface Contents {
  rowCount: number
  sum: string
}

/**
 * Copies all rows of one database into an empty other one, in one transaction there, and compares what each table holds
 * before it commits. The source stays as it is.
 *
 * @param from Brought up to date, and used by no server.
 * @param to   Connections that no pooler stands before.
 * @throws {BackupError} the other one is not empty, or holds something else afterwards: then it is rolled back
 * @returns rows of each table
 */
export async function moveRows(
  from: Sql,
  to: Sql,
  { migrationsFolder, signal }: { migrationsFolder: string; signal: AbortSignal },
): Promise<{ name: string; rowCount: number }[]> {
  const known = (await readJournal(migrationsFolder)).entries.map(({ when }) => when)
  await refuseUsed(to, known, 'move')
  await migrateDatabase(to, { folder: migrationsFolder })
  const moved = await from.begin('isolation level repeatable read read only', (source) =>
    to.begin(async (target) => {
      await speakPlainly(source)
      await speakPlainly(target)
      const tables = await listTables(source)
      await emptyTables(target, tables)
      const counts: { name: string; rowCount: number }[] = []
      for (const table of tables) {
        const into = await writeRows(target, table)
        await readRows(source, table, (rows) => pipeline(rows, into, { signal }))
        const [was, is] = await Promise.all([contentsOf(source, table), contentsOf(target, table)])
        if (was.rowCount !== is.rowCount || was.sum !== is.sum) {
          throw new BackupError(
            `Cannot move: "${table.name}" has ${was.rowCount} rows here and ${is.rowCount} there, or they differ; nothing was changed`,
          )
        }
        counts.push({ name: table.name, rowCount: is.rowCount })
      }
      await setSequences(target, await listSequences(source))
      return counts
    }),
  )
  await to`analyze`
  return moved
}

async function contentsOf(sql: AnySql, { name, columns }: TableShape): Promise<Contents> {
  // 60 bits of each digest: sums of so many rows do not overflow, and say the same in every order.
  const [row] = await sql`
    select
      count(*) as "rowCount",
      coalesce(sum(('x' || left(md5(r::text), 15))::bit(60)::bigint), 0)::text as sum
    from (select ${sql(columns)} from ${sql(name)}) r`
  return row as unknown as Contents
}
