import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import { connectDatabase, DatabaseUnreachableError } from '../../server/postgres/connect.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { steadySockets } from '../../server/postgres/steady-socket.ts'
import { startRoughNetwork } from '../support/rough-network.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'

test('a connection that breaks as it is being opened harms nobody, and arrays can be written and read after it', async () => {
  await using shared = await startSharedPostgres()
  const { host, ...connection } = (await parseSocketURL(shared.url)) as { host: string }
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
  await using shared = await startSharedPostgres()
  const { host, ...connection } = (await parseSocketURL(shared.url)) as { host: string }
  await using network = await startRoughNetwork({ port: 0 }, { path: `${host}/.s.PGSQL.5432` })
  await using database = await connectDatabase(
    { databaseConnections: 1, databaseWaitMs: 10_000 },
    {
      embedded: { ...connection, host: '127.0.0.1', port: network.port } as never,
      log: silentLog,
    },
  )
  const { sql } = database
  for (let round = 1; round <= 3; round++) {
    await sql`select 1`
    const running = outcomeOf(sql`select pg_sleep(60)`)
    // As one does who is told that his statement failed, and writes that down.
    const next = running.then(() => outcomeOf(sql`select 2`))
    while ((await sleepers()) === 0) await sleep(10)
    network.cut()
    expect(await running).toMatch(/ECONNRESET|CONNECTION_CLOSED/)
    expect(await next).toMatch(/answered|ECONNRESET|CONNECTION_CLOSED/)
    expect(await outcomeOf(sql`select 3`)).toBe('answered')
  }

  async function sleepers(): Promise<number> {
    const [row] = await database.direct`
      select count(*)::int as count from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`
    return row?.count
  }
}, 60_000)

test('a statement whose backend is ended fails alone: the next one is done, however late it comes', async () => {
  await using shared = await startSharedPostgres()
  await using database = await connectDatabase(
    { databaseURL: shared.url, databaseConnections: 1, databaseWaitMs: 0 },
    { log: silentLog },
  )
  const { sql, direct } = database
  for (let round = 1; round <= 3; round++) {
    const running = outcomeOf(sql`select pg_sleep(60)`)
    await endBackend(direct, 'select pg_sleep%')
    expect(await running).toMatch(/ECONNRESET|CONNECTION_CLOSED/)
    await sleep(300)
    expect(await outcomeOf(sql`select 1`)).toBe('answered')
  }
}, 60_000)

test('a connection that is refused after one was lost is told why, and the next statement is done', async () => {
  await using shared = await startSharedPostgres()
  const url = shared.url.replace(/\/[^/?]*\?/, '/closed_at_times?')
  await using around = await connectDatabase(
    { databaseURL: shared.url, databaseConnections: 1, databaseWaitMs: 0 },
    { log: silentLog },
  )
  await around.direct`create database closed_at_times`
  await using database = await connectDatabase(
    { databaseURL: url, databaseConnections: 1, databaseWaitMs: 0 },
    { log: silentLog },
  )
  const { sql } = database
  const running = outcomeOf(sql`select pg_sleep(60)`)
  await untilActive(around.direct, 'select pg_sleep%')
  await around.direct`alter database closed_at_times allow_connections false`
  await endBackend(around.direct, 'select pg_sleep%')
  await running
  // As of a Postgres that is starting up, or has no room: FATAL, before it is ready.
  expect(await outcomeOf(sql`select 1`)).toBe('55000')
  await around.direct`alter database closed_at_times allow_connections true`
  expect(await outcomeOf(sql`select 1`)).toBe('answered')
}, 60_000)

test('a pooler that says FATAL and goes on is not taken for one that answered', async () => {
  const ready = message('Z', 'I')
  const fatal = message('E', 'SFATAL\0VFATAL\0C58000\0Mno server\0\0')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', '\0\0\0\0'), ready]))
      socket.once('data', () => socket.write(Buffer.concat([fatal, ready])))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const options = { host: '127.0.0.1', port, max: 1, fetch_types: false, socket: steadySockets() }
  const sql = postgres(options as unknown as postgres.Options<never>)
  expect(await outcomeOf(sql`select 1`)).toMatch(/ECONNRESET|CONNECTION_CLOSED/)
  await sql.end({ timeout: 1 })
  server.close()
})

test('a connection that closes while something is about to be sent on it can be used again', async () => {
  await using shared = await startSharedPostgres()
  const target = (await parseSocketURL(shared.url)) as object
  const sockets: Socket[] = []
  const make = steadySockets()
  const keep = async (...of: Parameters<typeof make>) => {
    const socket = await make(...of)
    sockets.push(socket)
    return socket
  }
  const options = { ...target, max: 1, connect_timeout: 1, socket: keep, backoff: () => 0 }
  const sql = postgres(options as postgres.Options<never>)
  try {
    await sql`select 1`
    for (let round = 1; round <= 3; round++) {
      const sent = sql`select 2`.execute()
      // It is handed over in a microtask, and goes out in an immediate. Bun tells of a close in between.
      for (let i = 0; i < 5; i++) await null
      sockets.at(-1)?.emit('close', false)
      await expect(sent).rejects.toThrow(/CONNECTION_CLOSED/)
      expect(await sql`select 3 as three`).toEqual([{ three: 3 }])
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    await sql.end({ timeout: 1 })
  }
})

test.each([
  ['says nothing', ''],
  ['is no Postgres', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
])(
  'a database that ends each connection and %s is an error, and is not asked again at once',
  async (_, answer) => {
    let asked = 0
    const server = createServer((socket) => {
      asked++
      socket.on('error', () => {})
      socket.once('data', () => socket.end(answer))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = `postgres://stowage@127.0.0.1:${port}/stowage`
    try {
      await expect(
        connectDatabase(
          { databaseURL: url, databaseConnections: 1, databaseWaitMs: 0 },
          { log: silentLog },
        ),
      ).rejects.toThrow(DatabaseUnreachableError)
      expect(asked).toBe(1)
    } finally {
      server.close()
    }
  },
)

test('a database that takes a connection and says nothing is an error that names it', async () => {
  const server = createServer((socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const options = { host: '127.0.0.1', port, connect_timeout: 1, socket: steadySockets() }
  const sql = postgres(options as unknown as postgres.Options<never>)
  await expect(sql`select 1`).rejects.toThrow(`CONNECT_TIMEOUT 127.0.0.1:${port}`)
  await sql.end({ timeout: 1 })
  server.close()
})

/** What became of a statement: its error's code. */
async function outcomeOf(statement: Promise<unknown>): Promise<string> {
  const outcome = statement.then(
    () => 'answered',
    (error) => error.code,
  )
  return Promise.race([outcome, sleep(10_000, 'lost', { ref: false })])
}

/** Ends who runs a statement like this, as soon as he does. */
async function untilActive(sql: postgres.Sql<{ bigint: number }>, like: string): Promise<void> {
  for (let count = 0; count === 0; ) {
    const rows = await sql`
      select from pg_stat_activity where query like ${like} and state = 'active'`
    count = rows.length
  }
}

async function endBackend(sql: postgres.Sql<{ bigint: number }>, like: string): Promise<void> {
  for (let count = 0; count === 0; ) {
    const rows = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity where query like ${like} and state = 'active'`
    count = rows.length
  }
}

function message(type: string, body: string): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`)
  head.writeUInt32BE(4 + Buffer.byteLength(body), 1)
  return Buffer.concat([head, Buffer.from(body)])
}
