import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { chooseAccount, runAs } from '../../server/postgres/account.ts'
import { freePort } from '../support/server.ts'
import { ask, end, findProgram, isExecutable, lastWordsOf, untilReady } from './processes.ts'
import type { ServerKind } from './servers.ts'
import { copyFolder } from './stowage.ts'

/** Where the plug-ins lie: Debian's folder, or that of another Orthanc. */
const pluginFolder = process.env.ORTHANC_PLUGINS ?? '/usr/share/orthanc/plugins'
const dicomWebPlugin = join(pluginFolder, 'libOrthancDicomWeb.so')
const postgresPlugin = join(pluginFolder, 'libOrthancPostgreSQLIndex.so')

/**
 * Orthanc with its files in a folder, each synced, and its index in SQLite (a) or in Postgres (b); all
 * else its defaults. The Postgres of b is the system's, as initdb makes it.
 */
export function orthanc(index: 'sqlite' | 'postgres'): ServerKind {
  const isPostgres = index === 'postgres'
  return {
    title: isPostgres ? 'Orthanc b (Postgres)' : 'Orthanc a (SQLite)',
    async findObstacle() {
      if (findProgram('Orthanc') === undefined) {
        return 'no Orthanc on the PATH (Debian: orthanc, orthanc-dicomweb, orthanc-postgresql)'
      }
      if (!existsSync(dicomWebPlugin)) return `no ${dicomWebPlugin}`
      if (isPostgres && !existsSync(postgresPlugin)) return `no ${postgresPlugin}`
      if (isPostgres && postgresFolder() === undefined) return 'no Postgres server programs'
      return undefined
    },
    version: () => ask('Orthanc', '--version'),
    async start(folder, shared) {
      const database = isPostgres ? await startPostgres(folder, shared) : undefined
      const startedAt = performance.now()
      try {
        const { child, url } = await startOrthanc(folder, database?.port)
        return {
          studiesURL: `${url}/studies`,
          pids: [child.pid as number, ...(database === undefined ? [] : [database.pid])],
          startMs: performance.now() - startedAt,
          isConfirming: true,
          async [Symbol.asyncDispose]() {
            // Killed: nothing of it is kept, and its orderly end takes seconds.
            await end(child, 'SIGKILL')
            await database?.[Symbol.asyncDispose]()
          },
        }
      } catch (error) {
        await database?.[Symbol.asyncDispose]()
        throw error
      }
    },
  }
}

async function startOrthanc(
  folder: string,
  databasePort: number | undefined,
): Promise<{ child: ChildProcess; url: string }> {
  const httpPort = await freePort()
  const path = join(folder, 'orthanc.json')
  writeFileSync(path, JSON.stringify(configuration(folder, httpPort, databasePort)))
  const child = spawn('Orthanc', [path], { stdio: ['ignore', 'pipe', 'pipe'] })
  const url = `http://127.0.0.1:${httpPort}/dicom-web`
  try {
    await untilReady(`${url}/studies?limit=1`, child, lastWordsOf(child))
  } catch (error) {
    await end(child, 'SIGKILL')
    throw error
  }
  return { child, url }
}

function configuration(folder: string, httpPort: number, databasePort: number | undefined) {
  return {
    Name: 'bench',
    StorageDirectory: join(folder, 'storage'),
    IndexDirectory: join(folder, 'index'),
    HttpPort: httpPort,
    DicomServerEnabled: false,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    SyncStorageArea: true,
    Plugins: databasePort === undefined ? [dicomWebPlugin] : [dicomWebPlugin, postgresPlugin],
    DicomWeb: { Enable: true, Root: '/dicom-web/', EnableWado: false },
    ...(databasePort === undefined
      ? {}
      : {
          PostgreSQL: {
            EnableIndex: true,
            EnableStorage: false,
            Host: '127.0.0.1',
            Port: databasePort,
            Database: 'orthanc',
            Username: 'postgres',
            Password: 'none',
            Lock: true,
          },
        }),
  }
}

interface RunningPostgres extends AsyncDisposable {
  pid: number
  port: number
}

/** The newest of the system's, where Debian puts them, or where `initdb` is on the PATH. */
function postgresFolder(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).map(Number) : []
  const newest = versions
    .sort((a, b) => b - a)
    .map((version) => join(debian, String(version), 'bin'))
    .find((folder) => isExecutable(join(folder, 'initdb')))
  return newest ?? findProgram('initdb')?.replace(/\/initdb$/, '')
}

async function startPostgres(folder: string, shared: string): Promise<RunningPostgres> {
  const template = join(shared, 'orthanc-postgres')
  if (!existsSync(template)) {
    await makeCluster(template)
    await using made = await runPostgres(template)
    const sql = connect(made.port)
    await sql`create database orthanc`
    await sql.end()
  }
  const cluster = join(folder, 'postgres')
  await copyFolder(template, cluster)
  return runPostgres(cluster)
}

async function makeCluster(cluster: string): Promise<void> {
  const account = await chooseAccount()
  mkdirSync(cluster, { mode: 0o700 })
  if (account.switched) chownSync(cluster, account.uid, account.gid)
  const initdb = join(postgresFolder() ?? '', 'initdb')
  const args = ['-D', cluster, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C']
  const { code, output } = await runAs(account, initdb, args)
  if (code !== 0) throw new Error(`Cannot make a cluster for Orthanc: ${output}`)
}

async function runPostgres(cluster: string): Promise<RunningPostgres> {
  const account = await chooseAccount()
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories='].flatMap((setting) => [
    '-c',
    setting,
  ])
  const program = join(postgresFolder() ?? '', 'postgres')
  const child = spawn(program, ['-D', cluster, '-p', String(port), ...settings], {
    ...(account.switched ? { uid: account.uid, gid: account.gid } : {}),
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const lastWords = lastWordsOf(child)
  const stop = () => end(child, 'SIGINT')
  const sql = connect(port)
  for (const giveUpAt = Date.now() + 30_000; ; await delay(50)) {
    if (await sql`select 1`.catch(() => undefined)) break
    if (child.exitCode === null && Date.now() < giveUpAt) continue
    await sql.end()
    await stop()
    throw new Error(`The Postgres of Orthanc does not start:\n${lastWords()}`)
  }
  await sql.end()
  return { pid: child.pid as number, port, [Symbol.asyncDispose]: stop }
}

function connect(port: number): postgres.Sql {
  return postgres({
    ...{ host: '127.0.0.1', port, database: 'postgres', username: 'postgres' },
    ...{ max: 1, connect_timeout: 5, onnotice: () => {} },
  })
}
