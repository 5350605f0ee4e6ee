import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../server/log.ts'
import {
  connectDatabase,
  type Database,
  DatabaseUnreachableError,
} from '../../server/postgres/connect.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { DatabaseTLSError } from '../../server/postgres/tls.ts'
import { hasOpenSSL, makeCertificate } from '../support/certificate.ts'
import { hasPostgres15, startPostgres15, startPostgresWithTLS } from '../support/debian-postgres.ts'
import { type RoughNetwork, startRoughNetwork } from '../support/rough-network.ts'
import { freePort, temporaryFolder } from '../support/server.ts'

describe.skipIf(!hasOpenSSL || !hasPostgres15)(
  'a database that is reached over TLS (skipped without openssl or Postgres 15)',
  () => {
    let postgres: AsyncDisposable
    let network: RoughNetwork
    let authority: string
    let stranger: string

    beforeAll(async () => {
      const folder = await temporaryFolder()
      const own = await makeCertificate(folder, 'own', 'DNS:localhost')
      authority = own.certFile
      stranger = (await makeCertificate(folder, 'stranger', 'DNS:localhost')).certFile
      const port = await freePort()
      postgres = await startPostgresWithTLS(port, own)
      network = await startRoughNetwork({ port: 0 }, { port })
    })

    afterAll(async () => {
      await network[Symbol.asyncDispose]()
      await postgres[Symbol.asyncDispose]()
    })

    function connect(host: string, query: string, { port } = network): Promise<Database> {
      const databaseURL = `postgres://stowage@${host}:${port}/postgres${query}`
      const settings = { databaseURL, databaseConnections: 1, databaseWaitMs: 0 }
      return connectDatabase(settings, { log: silentLog })
    }

    test.each([
      ['', false],
      ['?sslmode=disable', false],
      ['?sslmode=prefer', true],
      ['?sslmode=require', true],
      ['?sslmode=require&sslrootcert=AUTHORITY', true],
      ['?sslmode=verify-ca&sslrootcert=AUTHORITY', true],
    ])('is spoken to as the URL says with %j: encrypted is %s', async (query, isEncrypted) => {
      await using database = await connect('127.0.0.1', query.replace('AUTHORITY', authority))
      for (const sql of [database.sql, database.direct]) {
        const found = await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
        expect(found).toEqual([{ ssl: isEncrypted }])
      }
    })

    test('is listened to over TLS as well', async () => {
      await using database = await connect(
        'localhost',
        `?sslmode=verify-full&sslrootcert=${authority}`,
      )
      const heard = new Promise((resolve) => database.direct.listen('news', resolve))
      while (!(await isHeard(database))) await sleep(10)
      await database.sql`select pg_notify('news', 'good')`
      expect(await heard).toBe('good')
    })

    test.each([
      ['verify-full', '127.0.0.1', () => authority, /IP: 127\.0\.0\.1 is not in the cert/],
      ['verify-full', 'localhost', () => stranger, /self-signed certificate/],
      ['verify-ca', 'localhost', () => stranger, /self-signed certificate/],
      ['require', 'localhost', () => stranger, /self-signed certificate/],
    ])(
      'is not used with %s at %s when its certificate is another one',
      async (mode, host, file, why) => {
        const attempt = connect(host, `?sslmode=${mode}&sslrootcert=${file()}`)
        const error = await attempt.catch((thrown) => thrown)
        expect(error).toBeInstanceOf(DatabaseUnreachableError)
        expect(error.message).toMatch(why)
      },
    )

    test('that offers no TLS is spoken to in the clear with prefer, and not used with require', async () => {
      // Postgres offers none on its socket.
      await using offering = await startPostgres15()
      const { host } = (await parseSocketURL(offering.url)) as { host: string }
      await using plain = await startRoughNetwork({ port: 0 }, { path: `${host}/.s.PGSQL.5432` })
      await using database = await connect('127.0.0.1', '?sslmode=prefer', plain)
      expect(await database.sql`select 1 as one`).toEqual([{ one: 1 }])
      await expect(connect('127.0.0.1', '?sslmode=require', plain)).rejects.toThrow(
        'The database offers no TLS, which sslmode asks for',
      )
    })

    test.each([
      ['?sslmode=strict', 'sslmode is none of disable, prefer, require, verify-ca, verify-full'],
      [
        '?sslmode=verify-ca&sslrootcert=/nowhere.pem',
        'the file of sslrootcert cannot be read (ENOENT)',
      ],
    ])('is not tried with %s, and it is told why', async (query, why) => {
      const error = await connect('127.0.0.1', query).catch((thrown) => thrown)
      expect(error).toBeInstanceOf(DatabaseTLSError)
      expect(error.message).toContain(why)
    })

    test('answers every statement, and what comes after it, when its connections break', async () => {
      await using database = await connect('127.0.0.1', '?sslmode=require')
      const { sql } = database
      for (let round = 1; round <= 3; round++) {
        await sql`select 1`
        const running = said(sql`select pg_sleep(60)`)
        const next = running.then(() => said(sql`select 2`))
        while (!(await isAsleep(database))) await sleep(10)
        network.cut()
        expect(await running).toMatch(/ECONNRESET|CONNECTION_CLOSED/)
        expect(await next).toMatch(/answered|ECONNRESET|CONNECTION_CLOSED/)
        expect(await said(sql`select 3`)).toBe('answered')
      }
    })
  },
)

function said(statement: Promise<unknown>): Promise<string> {
  return Promise.race([
    statement.then(
      () => 'answered',
      (error) => error.code,
    ),
    sleep(10_000, 'lost', { ref: false }),
  ])
}

async function isAsleep({ direct }: Database): Promise<boolean> {
  const found = await direct`
    select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`
  return found.length > 0
}

async function isHeard({ sql }: Database): Promise<boolean> {
  const found = await sql`select from pg_stat_activity where query ilike 'listen%'`
  return found.length > 0
}
