import { randomInt } from 'node:crypto'
import { createServer, connect as openSocket, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import {
  connectDatabase,
  DatabaseTooOldError,
  DatabaseUnreachableError,
} from '../../server/postgres/connect.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { freshDatabase } from '../support/database.ts'

function settings(databaseURL: string, databaseWaitMs: number) {
  return { databaseURL, databaseConnections: 2, databaseWaitMs }
}

/** A port that nothing listens on, below the ephemeral range. */
function somePort(): number {
  return randomInt(20_000, 32_000)
}

describe('a connection', () => {
  test('reads bigint as a number, and refuses one that a number cannot hold', async () => {
    await using db = await freshDatabase()
    expect(await db.sql`select 9007199254740991::bigint as size`).toEqual([{ size: 2 ** 53 - 1 }])
    await expect(db.sql`select 9007199254740993::bigint as size`).rejects.toThrow(/beyond 2\^53/)
    expect(await db.sql`select ${123}::bigint as size`).toEqual([{ size: 123 }])
  })

  test('says in Postgres whose it is', async () => {
    await using db = await freshDatabase()
    const [row] = await db.sql`select current_setting('application_name') as name`
    expect(row).toEqual({ name: 'stowage' })
  })

  test('prepares no statement when there is a way around a pooler', async () => {
    await using db = await freshDatabase()
    await using pooled = await connectDatabase(
      { ...settings(db.url, 0), databaseDirectURL: `${db.url}&port=5432` },
      { log: silentLog },
    )
    expect(pooled.sql.options.prepare).toBe(false)
    expect(pooled.direct.options.prepare).toBe(true)
  })
})

describe('a database that is not there', () => {
  test('is waited for', async () => {
    await using db = await freshDatabase()
    const target = await parseSocketURL(db.url)
    if (!target) return // an external Postgres; it has no socket to stand before
    const port = somePort()
    const lines: string[] = []
    const log = { ...silentLog, info: (line: string) => void lines.push(line) }
    const url = `postgresql://stowage@127.0.0.1:${port}/${db.name}`
    const connecting = connectDatabase(settings(url, 20_000), { log })
    await delay(300)
    const proxy = createServer((client) => {
      client.pipe(openSocket(`${target.host}/.s.PGSQL.${target.port}`)).pipe(client)
    })
    await listen(proxy, port)
    const database = await connecting
    expect(lines).toEqual(['Waiting for the database'])
    await database.end()
    proxy.close()
  })

  test('is used again when it is back, however often it was asked in vain', {
    timeout: 20_000,
  }, async () => {
    await using db = await freshDatabase()
    const target = await parseSocketURL(db.url)
    if (!target) return // an external Postgres; it has no socket to stand before
    const port = somePort()
    const proxy = createServer((client) => {
      const server = openSocket(`${target.host}/.s.PGSQL.${target.port}`)
      client.on('error', () => server.destroy())
      if (isAway) client.resetAndDestroy()
      else client.pipe(server).pipe(client)
    })
    let isAway = false
    await listen(proxy, port)
    const url = `postgresql://stowage@127.0.0.1:${port}/${db.name}`
    await using database = await connectDatabase(settings(url, 0), { log: silentLog })
    isAway = true
    // Doubled each time without a bound, the pause before the last of these would be longer than the test may take.
    for (let asked = 0; asked < 16; asked++) {
      await expect(database.sql`select 1`).rejects.toThrow()
    }
    isAway = false
    await expect.poll(() => database.sql`select 1 as one`.catch(() => [])).toEqual([{ one: 1 }])
    proxy.close()
  })

  test('is told about after the wait, without the password', async () => {
    const url = `postgresql://someone:secret@127.0.0.1:${somePort()}/stowage`
    const attempt = connectDatabase(settings(url, 0), { log: silentLog })
    await expect(attempt).rejects.toThrow(DatabaseUnreachableError)
    await expect(attempt).rejects.toThrow(/^Cannot use the database at 127\.0\.0\.1:\d+\/stowage: /)
    await expect(attempt).rejects.not.toThrow(/secret/)
  })

  test('is not waited for when it refuses us', async () => {
    await using db = await freshDatabase()
    const url = db.url.replace(db.name, 'no_such_database')
    await expect(connectDatabase(settings(url, 60_000), { log: silentLog })).rejects.toThrow(
      /database "no_such_database" does not exist/,
    )
  })
})

test('a Postgres before 15 is refused', async () => {
  const port = somePort()
  const old = fakePostgres(140_012, '14.12')
  await listen(old, port)
  const url = `postgresql://someone@127.0.0.1:${port}/stowage`
  const attempt = connectDatabase(settings(url, 0), { log: silentLog })
  await expect(attempt).rejects.toThrow(DatabaseTooOldError)
  await expect(attempt).rejects.toThrow('Cannot use Postgres 14.12: Stowage needs 15 or later')
  old.close()
})

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
}

/**
 * Speaks just enough of the protocol to be asked for its version: lets everybody in, and answers each statement with
 * the same row.
 *
 * @see PostgreSQL documentation, Message Formats
 */
function fakePostgres(version: number, name: string): Server {
  const message = (type: string, ...content: Buffer[]) => {
    const body = Buffer.concat(content)
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeInt32BE(body.length + 4, 1)
    return Buffer.concat([head, body])
  }
  const column = (label: string, type: number) => {
    const rest = Buffer.alloc(18)
    rest.writeInt32BE(type, 6)
    return Buffer.concat([Buffer.from(`${label}\0`), rest])
  }
  const field = (text: string) => {
    const head = Buffer.alloc(4)
    head.writeInt32BE(text.length)
    return Buffer.concat([head, Buffer.from(text)])
  }
  const two = Buffer.from([0, 2])
  const ready = message('Z', Buffer.from('I'))
  return createServer((client) => {
    let greeted = false
    client.on('error', () => {})
    client.on('data', (bytes) => {
      if (!greeted) {
        greeted = true
        client.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
        return
      }
      // Parse, bind, describe, execute and sync come in one piece, and end with sync.
      if (bytes.at(-5) !== 'S'.charCodeAt(0)) return
      client.write(
        Buffer.concat([
          message('1'),
          message('2'),
          message('T', two, column('version', 23), column('name', 25)),
          message('D', two, field(String(version)), field(name)),
          message('C', Buffer.from('SELECT 1\0')),
          ready,
        ]),
      )
    })
  })
}
