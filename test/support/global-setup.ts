import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { silentLog } from '../../server/log.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { migrateDatabase } from '../../server/postgres/migrate.ts'
import { MIGRATIONS_FOLDER } from '../../server/postgres/open.ts'
import { isAlive, readPidFile } from '../../server/postgres/postmaster.ts'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'

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
  const { administratorURL, template } = started
  project.provide('testPostgres', { administratorURL, template })
  return async () => {
    await started[Symbol.asyncDispose]()
  }
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
  const administrator = await connect(administratorURL)
  async function stop(): Promise<void> {
    await administrator`drop database if exists ${administrator(template)}`
    await administrator.end()
    await embedded?.[Symbol.asyncDispose]()
  }
  try {
    await administrator`create database ${administrator(template)}`
    const inTemplate = await connect(administratorURL, template)
    try {
      await migrateDatabase(inTemplate, { folder: MIGRATIONS_FOLDER })
    } finally {
      // A template cannot be cloned, nor dropped, while somebody is connected to it.
      await inTemplate.end()
    }
    return { administratorURL, template, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const folderPrefix = 'stowage-postgres-'

async function startTemporaryPostgres() {
  await sweepAfterKilledRuns()
  const dataDir = await mkdtemp(join(tmpdir(), folderPrefix))
  await writeFile(join(dataDir, 'owner'), String(process.pid))
  // Under root Postgres runs as another user, who has to reach it.
  await chmod(dataDir, 0o711)
  const embedded = await startEmbeddedPostgres({ dataDir, log: silentLog })
  const administrator = await connect(embedded.url)
  // These databases are thrown away; nobody waits for a disk.
  await administrator`alter system set fsync = off`
  // A database is copied for most tests: with it each copy is written twice, and takes ten times as long.
  await administrator`alter system set full_page_writes = off`
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

/** Ends the Postgres of test runs that were killed, and removes their folders. */
async function sweepAfterKilledRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(folderPrefix)) continue
    const dataDir = join(tmpdir(), name)
    const owner = Number(await readFile(join(dataDir, 'owner'), 'utf8').catch(() => ''))
    if (!owner || isAlive(owner)) continue
    const postmaster = await readPidFile(join(dataDir, 'postgres'))
    if (postmaster && isAlive(postmaster.pid)) process.kill(postmaster.pid, 'SIGQUIT')
    await rm(dataDir, { recursive: true, force: true }).catch(() => {})
  }
}

/** A plain client of one connection, to a database of the same Postgres. */
export async function connect(url: string, database?: string): Promise<postgres.Sql> {
  const options = { max: 1, onnotice: () => {}, ...(database === undefined ? {} : { database }) }
  const socket = await parseSocketURL(url)
  return socket ? postgres({ ...socket, ...options }) : postgres(url, options)
}

/** The URL of another database of the same Postgres. */
export function withDatabase(url: string, database: string): string {
  return url.replace(/(:\/\/[^/?]*)(\/[^?]*)?/, `$1/${database}`)
}
