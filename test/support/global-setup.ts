import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { silentLog } from '../../server/log.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { migrateDatabase } from '../../server/postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'

/** Where the tests of a run find their Postgres, and the migrated database that they clone. */
export type TestPostgres = { administratorURL: string; template: string }

declare module 'vitest' {
  interface ProvidedContext {
    testPostgres: TestPostgres
  }
}

type Project = { provide(key: 'testPostgres', value: TestPostgres): void }

/** For vitest's `globalSetup`: one Postgres for the whole run. */
export async function setup(project: Project): Promise<() => Promise<void>> {
  const started = await startTestPostgres()
  project.provide('testPostgres', { ...started })
  return () => started[Symbol.asyncDispose]()
}

/**
 * Starts an embedded Postgres in a temporary folder, or uses the one of `TEST_DATABASE_URL` (whose user must be
 * allowed to create databases), and makes the template there.
 */
export async function startTestPostgres(): Promise<TestPostgres & AsyncDisposable> {
  const external = process.env.TEST_DATABASE_URL
  const embedded = external === undefined ? await startTemporaryPostgres() : undefined
  const administratorURL = external ?? (embedded as { url: string }).url
  const template = `stowage_template_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  const administrator = connect(administratorURL)
  await administrator`create database ${administrator(template)}`
  const inTemplate = connect(administratorURL, template)
  await migrateDatabase(inTemplate, { folder: MIGRATIONS_FOLDER })
  // A template cannot be cloned while somebody is connected to it.
  await inTemplate.end()
  return {
    administratorURL,
    template,
    async [Symbol.asyncDispose]() {
      await administrator`drop database ${administrator(template)}`
      await administrator.end()
      await embedded?.[Symbol.asyncDispose]()
    },
  }
}

async function startTemporaryPostgres() {
  const dataDir = await mkdtemp(join(tmpdir(), 'stowage-postgres-'))
  // Under root Postgres runs as another user, who has to reach it.
  await chmod(dataDir, 0o711)
  const embedded = await startEmbeddedPostgres({ dataDir, log: silentLog })
  const administrator = connect(embedded.url)
  // These databases are thrown away; nobody waits for a disk.
  await administrator`alter system set fsync = off`
  await administrator`select pg_reload_conf()`
  await administrator.end()
  return {
    url: embedded.url,
    async [Symbol.asyncDispose]() {
      await embedded.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** A plain client. postgres.js does not understand `?host=/folder`, which psql does. */
export function connect(url: string, database?: string): postgres.Sql {
  const folder = new URL(url.replace('@/', '@localhost/')).searchParams.get('host')
  const target = folder === null ? {} : { host: folder, port: 5432, username: 'stowage' }
  return postgres(folder === null ? url : '', {
    ...target,
    ...(database === undefined
      ? { database: new URL(url.replace('@/', '@localhost/')).pathname.slice(1) }
      : { database }),
    max: 1,
    onnotice: () => {},
  })
}
