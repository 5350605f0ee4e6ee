import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { connectDatabase } from '../../server/postgres/connect.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { startRoughNetwork } from '../support/rough-network.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'

test('a connection that breaks as it is being opened harms nobody, and arrays can be written and read after it', async () => {
  await using postgres = await startSharedPostgres()
  const { host, ...connection } = (await parseSocketURL(postgres.url)) as { host: string }
  await using network = await startRoughNetwork({ port: 0 }, { path: `${host}/.s.PGSQL.5432` })
  await using database = await connectDatabase(
    { databaseConnections: 1, databaseWaitMs: 10_000 },
    {
      embedded: { ...connection, host: '127.0.0.1', port: network.port } as never,
      log: silentLog,
    },
  )
  const unheard: unknown[] = []
  const note = (error: unknown) => unheard.push(error)
  process.on('unhandledRejection', note)
  const { sql, direct } = database
  const names = ['a', 'b,"c"']
  try {
    // Wherever it breaks: the first message takes some 80 bytes, what follows it up to 400.
    for (let bytes = 60; bytes < 600; bytes += 20) {
      network.cutAfter(bytes)
      network.cut()
      await Promise.allSettled([sql`select ${names}::text[]`, direct`select ${names}::text[]`])
    }
    network.cutAfter(undefined)
    network.cut()
    await Promise.allSettled([sql`select 1`, direct`select 1`])
    for (const one of [sql, direct]) {
      expect(await one`select ${names}::text[] as names`).toEqual([{ names }])
    }
    expect(unheard).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
}, 60_000)

test('a statement that is begun while its connection breaks is answered, and so are those after it', async () => {
  await using postgres = await startSharedPostgres()
  const { host, ...connection } = (await parseSocketURL(postgres.url)) as { host: string }
  await using network = await startRoughNetwork({ port: 0 }, { path: `${host}/.s.PGSQL.5432` })
  await using database = await connectDatabase(
    { databaseConnections: 1, databaseWaitMs: 10_000 },
    {
      embedded: { ...connection, host: '127.0.0.1', port: network.port } as never,
      log: silentLog,
    },
  )
  const { sql } = database
  const says = (statement: Promise<unknown>) =>
    Promise.race([
      statement.then(
        () => 'answered',
        (error) => error.code,
      ),
      sleep(10_000, 'lost', { ref: false }),
    ])
  for (let round = 1; round <= 3; round++) {
    await sql`select 1`
    const running = says(sql`select pg_sleep(60)`)
    // As one does who is told that his statement failed, and writes that down.
    const next = running.then(() => says(sql`select 2`))
    while ((await sleepers()) === 0) await sleep(10)
    network.cut()
    expect(await running).toMatch(/ECONNRESET|CONNECTION_CLOSED/)
    expect(await next).toMatch(/answered|ECONNRESET|CONNECTION_CLOSED/)
    expect(await says(sql`select 3`)).toBe('answered')
  }

  async function sleepers(): Promise<number> {
    const [row] = await database.direct`
      select count(*)::int as count from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`
    return row?.count
  }
}, 60_000)
