import { connect as dial, type Socket } from 'node:net'
import postgres from 'postgres'
import { describe, expect, test } from 'vitest'
import { endPool } from '../../db/own-connections.ts'
import { running } from '../../db/running.ts'
import type { Sql } from '../../server/postgres/connect.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { freshDatabase } from '../support/database.ts'

/** A pool of one connection, whose requests to cancel something wait until they are let go. */
async function poolWithLateCancel(databaseURL: string) {
  let letGo = () => {}
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let requested = () => {}
  const isRequested = new Promise<void>((resolve) => {
    requested = resolve
  })
  let delivered = () => {}
  const isDelivered = new Promise<void>((resolve) => {
    delivered = resolve
  })
  const target = await parseSocketURL(databaseURL)
  const url = target === undefined ? new URL(databaseURL) : undefined
  function socket(): Socket {
    const one = target
      ? dial(`${target.host}/.s.PGSQL.${target.port}`)
      : dial(Number(url?.port || 5432), url?.hostname)
    const write = one.write.bind(one) as (chunk: Buffer, callback?: () => void) => boolean
    one.write = ((chunk: Buffer, callback?: () => void) => {
      // CancelRequest: 16 bytes, with this code (PostgreSQL 18, 54.7).
      if (chunk.length !== 16 || chunk.readInt32BE(4) !== 80_877_102) return write(chunk, callback)
      requested()
      one.on('close', delivered)
      void gate.then(() => write(chunk, callback))
      return true
    }) as Socket['write']
    return one
  }
  const options = { max: 1, onnotice: () => {}, socket }
  const sql = (target
    ? postgres({ ...target, ...options } as postgres.Options<Record<string, never>>)
    : postgres(databaseURL, options as object)) as unknown as Sql
  return { sql, letGo, isRequested, isDelivered }
}

describe('A statement that is given up', () => {
  test('takes no other with it, however late Postgres hears of it', async () => {
    await using database = await freshDatabase()
    const pool = await poolWithLateCancel(database.url)
    try {
      const given = running(
        pool,
        (sql) => sql`select pg_sleep(0.2), 1 as one`,
        ([row]) => row,
      )
      await database.sql`select pg_sleep(0.05)`
      given.cancel()
      await pool.isRequested
      expect(await given).toMatchObject({ one: 1 })
      const next = running(
        pool,
        (sql) => sql`select pg_sleep(0.5), 2 as two`,
        ([row]) => row,
      )
      // Time enough for it to begin, if nothing kept it from that.
      await database.sql`select pg_sleep(0.1)`
      pool.letGo()
      await pool.isDelivered
      expect(await next).toMatchObject({ two: 2 })
    } finally {
      await endPool(pool.sql)
    }
  })

  test('gives its connection back, however it ends', async () => {
    await using database = await freshDatabase(1)
    for (const how of ['done', 'failed', 'cancelled', 'cancelled at the end'] as const) {
      const one = running(
        database,
        (sql) => (how === 'failed' ? sql`select 1 / 0` : sql`select pg_sleep(0.02)`),
        () => 1,
      )
      if (how === 'cancelled') setTimeout(() => one.cancel(), 5)
      if (how === 'cancelled at the end') setTimeout(() => one.cancel(), 20)
      await one.catch(() => {})
      const next = running(
        database,
        (sql) => sql`select 1 as one`,
        ([row]) => row,
      )
      expect(await next).toMatchObject({ one: 1 })
    }
  })

  test('is not begun when it was given up before it had a connection', async () => {
    await using database = await freshDatabase(1)
    const first = running(
      database,
      (sql) => sql`select pg_sleep(0.1)`,
      () => 1,
    )
    const second = running(
      database,
      (sql) => sql`select 1 / 0`,
      () => 1,
    )
    second.cancel()
    await expect(second).rejects.toThrow('Given up')
    expect(await first).toBe(1)
  })

  test('fails when its connection is lost, and the pool opens another', async () => {
    await using database = await freshDatabase(1)
    const lost = running(
      database,
      (sql) => sql`select pg_sleep(60)`,
      () => 1,
    )
    const failed = expect(lost).rejects.toThrow()
    const end = () => database.direct`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like '%pg_sleep(60)%' and state = 'active'
      and pid <> pg_backend_pid()`
    await expect.poll(async () => (await end()).length).toBe(1)
    await failed
    // The first one on a new connection of postgres.js may be told of the end of the old one.
    const one = () =>
      running(
        database,
        (sql) => sql`select 1 as one`,
        ([row]) => row,
      )
    expect(await one().catch(one)).toMatchObject({ one: 1 })
  })
})
