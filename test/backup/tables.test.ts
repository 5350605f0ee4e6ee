import { expect, test } from 'vitest'
import { leftOut, listTables } from '../../server/backup/tables.ts'
import { testIntake } from '../support/intake.ts'

test('every table of the database is backed up, or left out on purpose', async () => {
  await using archive = await testIntake()
  const rows = await archive.db.sql<{ name: string }[]>`
    select relname as name
    from pg_class
    where relnamespace = 'public'::regnamespace
    and relkind in ('r', 'p')`
  const copied = (await listTables(archive.db.sql)).map(({ name }) => name)
  expect([...copied, ...leftOut].sort()).toEqual(rows.map(({ name }) => name).sort())
})
