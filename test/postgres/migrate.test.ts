import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { connectDatabase } from '../../server/postgres/connect.ts'
import {
  DatabaseNewerError,
  MigrationError,
  migrateDatabase,
} from '../../server/postgres/migrate.ts'
import { freshDatabase } from '../support/database.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-migrations-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** A database without our tables: the migrations under test are the only ones it has seen. */
async function emptyDatabase() {
  const db = await freshDatabase()
  await db.sql`drop schema drizzle cascade`
  return db
}

/** A folder as drizzle-kit writes it. The sooner in the list, the older. */
async function migrationsFolder(...files: [tag: string, sql: string][]): Promise<string> {
  const place = await mkdtemp(join(folder, 'case-'))
  await mkdir(join(place, 'meta'))
  const entries = files.map(([tag], idx) => ({
    idx,
    version: '7',
    tag,
    breakpoints: true,
    // From the tag's number, so that the same migration has the same time in each folder.
    when: 1_760_000_000_000 + Number.parseInt(tag, 10) * 1000,
  }))
  await writeFile(join(place, 'meta', '_journal.json'), JSON.stringify({ version: '7', entries }))
  for (const [tag, sql] of files) await writeFile(join(place, `${tag}.sql`), sql)
  return place
}

const first: [string, string] = [
  '0001_make_boxes',
  'create table boxes (id int);\n--> statement-breakpoint\ninsert into boxes values (1);',
]
const second: [string, string] = ['0002_count_boxes', 'insert into boxes values (2);']

describe('migrating', () => {
  test('runs each migration once, in order, and says which', async () => {
    await using db = await emptyDatabase()
    const one = await migrationsFolder(first)
    const both = await migrationsFolder(first, second)
    expect(await migrateDatabase(db.direct, { folder: one })).toEqual({
      applied: [first[0]],
      known: 1,
      functionsDefined: false,
    })
    expect(await migrateDatabase(db.direct, { folder: both })).toEqual({
      applied: [second[0]],
      known: 2,
      functionsDefined: false,
    })
    expect(await migrateDatabase(db.direct, { folder: both })).toEqual({
      applied: [],
      known: 2,
      functionsDefined: false,
    })
    expect(await db.sql`select id from boxes order by id`).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('lets four servers start at once, of which one does the work', async () => {
    await using db = await emptyDatabase()
    const both = await migrationsFolder(first, second)
    const servers = await Promise.all(
      [1, 2, 3, 4].map(() =>
        connectDatabase(
          { databaseURL: db.url, databaseConnections: 2, databaseWaitMs: 0 },
          { log: silentLog },
        ),
      ),
    )
    const reports = await Promise.all(
      servers.map(({ direct }) => migrateDatabase(direct, { folder: both })),
    )
    expect(reports.flatMap(({ applied }) => applied)).toEqual([first[0], second[0]])
    await Promise.all(servers.map((server) => server.end()))
  })

  test('runs a migration that was merged after a newer one had been applied', async () => {
    await using db = await emptyDatabase()
    const late: [string, string] = ['0002_merged_late', 'insert into boxes values (2);']
    const newer: [string, string] = ['0003_newer', 'insert into boxes values (3);']
    await migrateDatabase(db.direct, { folder: await migrationsFolder(first, newer) })
    const all = await migrationsFolder(first, late, newer)
    expect((await migrateDatabase(db.direct, { folder: all })).applied).toEqual([late[0]])
  })

  test('rolls back the one that fails, keeps those before it, and gives the lock back', async () => {
    await using db = await emptyDatabase()
    const broken: [string, string] = [
      '0002_breaks',
      'insert into boxes values (2);\n--> statement-breakpoint\nselect 1 / 0;',
    ]
    const attempt = migrateDatabase(db.direct, { folder: await migrationsFolder(first, broken) })
    await expect(attempt).rejects.toThrow(MigrationError)
    await expect(attempt).rejects.toThrow('Cannot run migration 0002_breaks: division by zero')
    expect(await db.sql`select id from boxes`).toEqual([{ id: 1 }])
    const mended = await migrationsFolder(first, second)
    expect((await migrateDatabase(db.direct, { folder: mended })).applied).toEqual([second[0]])
  })

  test('refuses a database that a newer Stowage has changed, and changes nothing', async () => {
    await using db = await emptyDatabase()
    await migrateDatabase(db.direct, { folder: await migrationsFolder(first, second) })
    const attempt = migrateDatabase(db.direct, { folder: await migrationsFolder(first) })
    await expect(attempt).rejects.toThrow(DatabaseNewerError)
    await expect(attempt).rejects.toThrow(/a newer Stowage has changed it/)
    expect(await db.sql`select id from boxes order by id`).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('defines the functions beside the migrations, again only when they are other ones', async () => {
    await using db = await emptyDatabase()
    const place = await migrationsFolder(first)
    const define = (files: Record<string, string>) =>
      Promise.all(
        Object.entries(files).map(([name, body]) =>
          writeFile(join(place, 'functions', name), body),
        ),
      )
    await mkdir(join(place, 'functions'))
    await define({
      // Of two files the first one may use what the second one defines.
      'a.sql':
        'create or replace function twice() returns int language sql as $$ select 2 * once() $$;',
      'b.sql': 'create or replace function once() returns int language sql as $$ select 1 $$;',
    })
    const migrate = async () =>
      (await migrateDatabase(db.direct, { folder: place })).functionsDefined
    const twice = async () => (await db.sql`select twice()`)[0]?.twice
    expect(await migrate()).toBe(true)
    expect(await twice()).toBe(2)
    expect(await migrate()).toBe(false)

    await define({
      'b.sql': 'create or replace function once() returns int language sql as $$ select 3 $$;',
    })
    expect(await migrate()).toBe(true)
    expect(await twice()).toBe(6)
  })

  test('keeps the functions that it had when one of the new ones cannot be defined', async () => {
    await using db = await emptyDatabase()
    const place = await migrationsFolder(first)
    const file = join(place, 'functions', 'a.sql')
    await mkdir(join(place, 'functions'))
    const one = 'create or replace function one() returns int language sql as $$ select 1 $$;'
    await writeFile(file, one)
    await migrateDatabase(db.direct, { folder: place })
    await writeFile(file, `${one.replace('select 1', 'select 2')} create function;`)
    await expect(migrateDatabase(db.direct, { folder: place })).rejects.toThrow(MigrationError)
    expect((await db.sql`select one()`)[0]?.one).toBe(1)
  })
})
