import type postgres from 'postgres'
import { describe, expect, test } from 'vitest'
import { commitWhen, TransactionLostError } from '../../db/commit-when.ts'
import { type Database, openDatabase } from '../../db/database.ts'
import { oneConnectionBeside } from '../../db/own-connections.ts'
import { freshDatabase, type TestDatabase } from '../support/database.ts'

interface Held extends AsyncDisposable {
  pool: TestDatabase['sql']
  one: Database
  insert(sql: Database['sql']): postgres.PendingQuery<postgres.Row[]>
  count(): Promise<number>
}

/** A table, and a connection that commits to it. */
async function table(): Promise<Held> {
  const database = await freshDatabase()
  const pool = database.sql
  await pool`create table things (n integer check (n > 0))`
  return {
    pool,
    one: openDatabase(oneConnectionBeside(pool, 60)),
    insert: (sql) => sql`
      with made as (
        insert into things select 1 where current_setting('transaction_deferrable') = 'on' returning n
      )
      select n from made`,
    count: async () => (await pool`select from things`).length,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

/** Something that is ready, or not, when the test says so; and the moment in which the work is done. */
function held(t: Held) {
  let [finish, fail] = [() => {}, (_: Error) => {}]
  const ready = new Promise<void>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  async function isWaiting(): Promise<number> {
    const rows = await t.pool<{ pid: number }[]>`
      select pid from pg_stat_activity
      where datname = current_database()
      and state = 'idle in transaction'
      and query like '%things%'`
    await expect.poll(async () => rows.length || (await isWaiting())).toBeGreaterThan(0)
    return rows[0]?.pid ?? isWaiting()
  }
  return { ready, finish, fail, isWaiting }
}

const atOnce = () => Promise.resolve()

describe('a transaction that is committed when something else is done', () => {
  test('has done its work by then, and is not visible before', async () => {
    await using t = await table()
    const { ready, finish, isWaiting } = held(t)
    const row = commitWhen(t.one, () => ready, t.insert)
    await isWaiting()
    expect(await t.count()).toBe(0)
    finish()
    expect(await row).toEqual({ n: 1 })
    expect(await t.count()).toBe(1)
  })

  test('has been told to Postgres when the other thing begins', async () => {
    await using t = await table()
    const told: string[] = []
    Object.assign(t.pool.options, { debug: (_: number, query: string) => told.push(query) })
    const one = openDatabase(oneConnectionBeside(t.pool, 60))
    await commitWhen(one, atOnce, t.insert)
    told.length = 0
    let toldBefore: string[] = []
    await commitWhen(
      one,
      async () => {
        toldBefore = [...told]
      },
      t.insert,
    )
    expect(toldBefore).toEqual([
      expect.stringContaining('begin'),
      expect.stringContaining('insert into things'),
    ])
  })

  test('is rolled back when the other thing fails, and the connection serves the next', async () => {
    await using t = await table()
    const { ready, fail, isWaiting } = held(t)
    const row = commitWhen(t.one, () => ready, t.insert)
    row.catch(() => {})
    await isWaiting()
    fail(new Error('The disk is full'))
    await expect(row).rejects.toThrow('The disk is full')
    expect(await t.count()).toBe(0)
    await commitWhen(t.one, atOnce, t.insert)
    expect(await t.count()).toBe(1)
  })

  test('is rolled back when its statement fails, and the connection serves the next', async () => {
    await using t = await table()
    const failing = commitWhen(t.one, atOnce, (sql) => sql`insert into things values (0)`)
    await expect(failing).rejects.toMatchObject({ code: '23514' })
    await commitWhen(t.one, atOnce, t.insert)
    expect(await t.count()).toBe(1)
  })

  test('is not said to be committed when its connection was lost after the work', async () => {
    await using t = await table()
    const { ready, finish, isWaiting } = held(t)
    const row = commitWhen(t.one, () => ready, t.insert)
    row.catch(() => {})
    const pid = await isWaiting()
    await t.pool`select pg_terminate_backend(${pid})`
    await expect
      .poll(async () => (await t.pool`select from pg_stat_activity where pid = ${pid}`).length)
      .toBe(0)
    finish()
    await expect(row).rejects.toThrow()
    expect(await t.count()).toBe(0)
    expect(await commitWhen(t.one, atOnce, t.insert)).toEqual({ n: 1 })
  })

  test('begins on a new connection when the last one was ended under its statement (P1)', async () => {
    await using t = await table()
    // As of a server that has committed before: all three statements are on their way at once.
    await commitWhen(t.one, atOnce, t.insert)
    const lost = commitWhen(
      t.one,
      atOnce,
      (sql) => sql`select pg_sleep(60) as "slept beside things"`,
    )
    lost.catch(() => {})
    await expect
      .poll(async () => {
        const rows = await t.pool`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query like '%slept beside%' and pid <> pg_backend_pid()`
        return rows.length
      })
      .toBeGreaterThan(0)
    await expect(lost).rejects.toThrow()
    expect(await commitWhen(t.one, atOnce, t.insert)).toEqual({ n: 1 })
    expect(await t.count()).toBe(2)
  })

  test('is not ended in the middle because its connection has an age at which others end', async () => {
    await using t = await table()
    Object.assign(t.pool.options, { max_lifetime: 1 })
    const one = openDatabase(oneConnectionBeside(t.pool, 60))
    const ready = new Promise<void>((resolve) => setTimeout(resolve, 1500))
    expect(await commitWhen(one, () => ready, t.insert)).toEqual({ n: 1 })
    expect(await t.count()).toBe(1)
  })

  test('is not said to be committed when it cannot be any more', async () => {
    await using t = await table()
    const { ready, finish, isWaiting } = held(t)
    const row = commitWhen(t.one, () => ready, t.insert)
    row.catch(() => {})
    await isWaiting()
    await expect(t.one.sql`select 1 / 0`).rejects.toThrow()
    finish()
    await expect(row).rejects.toThrow(TransactionLostError)
    expect(await t.count()).toBe(0)
  })

  test('does nothing where the connection was lost before the work, so that it is in no transaction', async () => {
    await using t = await table()
    const { sql } = t.one
    // What postgres.js does: the next connection never saw a "begin".
    const withoutBegin = new Proxy(sql, {
      apply(target, self, [strings, ...values]) {
        const isBegin = String(strings).startsWith('begin')
        return isBegin ? target`select` : Reflect.apply(target, self, [strings, ...values])
      },
    })
    const lost = commitWhen({ ...t.one, sql: withoutBegin }, atOnce, t.insert)
    await expect(lost).rejects.toThrow(TransactionLostError)
    expect(await t.count()).toBe(0)
  })
})
