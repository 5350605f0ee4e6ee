import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { sentNamesIn } from './sent-names.ts'

export type Runtime = 'node' | 'bun' | 'deno'

/** Under which runtime the server of the end-to-end tests runs: `RUNTIME=bun npm run test:e2e`. */
export const runtime = (process.env.RUNTIME ?? 'node') as Runtime

/**
 * An external Postgres for the end-to-end tests, with the right to create databases. Without it each
 * server has its embedded one.
 */
export const externalDatabaseURL = process.env.TEST_DATABASE_URL

export interface ServerOptions {
  /** Settings beside those that the harness makes. */
  env?: Record<string, string>
  /** A data folder of an earlier server: it is used again, and is the caller's to remove. */
  dataDir?: string
  /** The database of an earlier server, where it is external. */
  databaseURL?: string | undefined
  /** Another checkout, whose server it is. */
  checkout?: string
}

const commands: Record<Runtime, string[]> = {
  node: [process.execPath, 'bin/stowage.mjs'],
  bun: ['bun', 'server/main.bun.ts'],
  deno: ['deno', 'run', '--allow-all', 'server/main.deno.ts'],
}

/**
 * Starts Stowage as a process of its own, as an administrator would, and waits until it is ready.
 *
 * `await using server = await startServer()` stops it at the end of the test and removes its data.
 */
export async function startServer(options: ServerOptions = {}): Promise<StowageServer> {
  const dataDir = options.dataDir ?? (await preparedFolder())
  const databaseURL = options.databaseURL ?? (await freshExternalDatabase())
  const server = new StowageServer(dataDir, databaseURL, options)
  await server.start()
  return server
}

/** So many servers with the same settings, on one external database. */
export async function startServers(
  count: number,
  options: ServerOptions & { databaseURL: string },
): Promise<StowageServer[] & AsyncDisposable> {
  const servers: StowageServer[] = []
  const all = Object.assign(servers, {
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((one) => one[Symbol.asyncDispose]()))
    },
  })
  try {
    for (let n = 0; n < count; n++) servers.push(await startServer(options))
    return all
  } catch (error) {
    await all[Symbol.asyncDispose]()
    throw error
  }
}

export class StowageServer implements AsyncDisposable {
  readonly dataDir: string
  readonly databaseURL: string | undefined
  readonly #options: ServerOptions
  #port = 0
  #child: ChildProcess | undefined
  #log = ''

  constructor(dataDir: string, databaseURL: string | undefined, options: ServerOptions) {
    this.dataDir = dataDir
    this.databaseURL = databaseURL
    this.#options = options
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    const scheme = this.env.STOWAGE_TLS_CERT_FILE === undefined ? 'http' : 'https'
    return `${scheme}://127.0.0.1:${this.#port}`
  }

  get dicomWeb(): string {
    return `${this.url}/dicom-web`
  }

  get pid(): number {
    return this.#child?.pid as number
  }

  /** Where the segments are. */
  get storeDir(): string {
    return this.#options.env?.STOWAGE_STORE_DIR ?? join(this.dataDir, 'segments')
  }

  /** Everything the server has said, of all its lives. */
  get log(): string {
    return this.#log
  }

  get env(): Record<string, string | undefined> {
    return {
      ...process.env,
      DATABASE_URL: this.databaseURL,
      STOWAGE_DATA_DIR: this.dataDir,
      STOWAGE_PORT: String(this.#port),
      STOWAGE_HOST: '127.0.0.1',
      // Half a second of processor time that hundreds of starts need not spend.
      STOWAGE_WARM_UP: 'off',
      // Which tests can read; the same entries as in JSON.
      STOWAGE_LOG_FORMAT: 'text',
      ...this.#options.env,
    }
  }

  /** Starts it, again after `kill` or `stop`, on the same data. */
  async start(): Promise<void> {
    this.#port ||= await freePort()
    const [command, ...args] = [...commands[runtime], 'serve'] as unknown as [string, ...string[]]
    const child = spawn(command, args, {
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.#options.checkout,
    })
    this.#child = child
    const keep = (chunk: Buffer) => {
      this.#log += chunk
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await this.until(async () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`The server ended at its start:\n${this.#log}`)
      }
      return this.#isReady()
    })
  }

  /** SIGKILL: nothing is cleaned up, and its embedded Postgres goes on. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM: the orderly end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** A connection of one's own to its database, for a look inside: `await using sql = await server.connect()`. */
  async connect(): Promise<postgres.Sql & AsyncDisposable> {
    // An embedded Postgres is reached as the server said when it was ready.
    const said = [...this.#log.matchAll(/ready .*database="?(postgresql:[^\s"]+)/g)].at(-1)?.[1]
    const url = this.databaseURL ?? (said as string)
    const options = { max: 1, onnotice: () => {} }
    const socket = await parseSocketURL(url)
    const sql = socket ? postgres({ ...socket, ...options }) : postgres(url, options)
    return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) })
  }

  /** Waits until a condition holds, asking again and again. */
  async until(condition: () => Promise<boolean>, seconds = 60): Promise<void> {
    for (const giveUpAt = Date.now() + seconds * 1000; ; ) {
      if (await condition()) return
      if (Date.now() > giveUpAt) throw new Error(`Waited for ${seconds} s in vain:\n${this.#log}`)
      await sleep(25)
    }
  }

  /** Runs another command of `stowage` on the same data. */
  async run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const [command, ...rest] = [...commands[runtime], ...args] as [string, ...string[]]
    const child = spawn(command, rest, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    const code = await new Promise<number | null>((end) => child.once('close', end))
    return { code, stdout, stderr }
  }

  /** The process of its embedded Postgres, also after the server itself was killed. */
  async postmasterPid(): Promise<number | undefined> {
    const pointer = await readFile(join(this.dataDir, 'postgres.location'), 'utf8').catch(() => '')
    const cluster = pointer.trim() || join(this.dataDir, 'postgres')
    const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
    return Number(text.split('\n')[0]) || undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    // A test that failed between a kill and the next start leaves its Postgres behind.
    const left = this.databaseURL === undefined ? await this.postmasterPid() : undefined
    if (left !== undefined && this.#options.dataDir === undefined) {
      // The pid may be another's by now; where it cannot be asked whose, it is let be.
      const command = await readFile(`/proc/${left}/cmdline`, 'utf8').catch(() => '')
      if (command.includes(this.dataDir)) process.kill(left, 'SIGQUIT')
    }
    if (this.#options.dataDir === undefined)
      await rm(this.dataDir, { recursive: true, force: true })
    if (this.#options.databaseURL === undefined && this.databaseURL !== undefined) {
      await dropExternalDatabase(this.databaseURL)
    }
    // P10: whatever was sent by this run, its servers' logs have no name and no ID of it.
    const found = sentNamesIn(this.#log)
    if (found.length > 0) {
      throw new Error(`The log has patient data that was sent: ${found.join(', ')}\n${this.#log}`)
    }
  }

  async #isReady(): Promise<boolean> {
    const url = `${this.url}/readyz`
    if (url.startsWith('https:')) return isAnswered(url)
    const answer = await fetch(url).catch(() => undefined)
    await answer?.body?.cancel()
    return answer?.status === 200
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolveEnd) => child.once('exit', resolveEnd))
    child.kill(signal)
    await ended
  }
}

/** Whether the answer is 200, whatever its certificate. */
function isAnswered(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get(url, { rejectUnauthorized: false, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    asked.on('error', () => resolve(false))
  })
}

/** A data folder of its own; with a database in it that is made and migrated, where one was prepared. */
async function preparedFolder(): Promise<string> {
  const folder = await temporaryFolder()
  const prepared = process.env.TEST_PREPARED_DATA
  if (prepared !== undefined && externalDatabaseURL === undefined) {
    // By cp, which keeps owners and permissions: Postgres insists on both.
    await promisify(execFile)('cp', ['-a', join(prepared, 'postgres'), folder])
  }
  return folder
}

/** A new folder that other users can enter too: an embedded Postgres under root runs as another user. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(resolve(tmpdir()), 'stowage-test-'))
  await chmod(folder, 0o755)
  return folder
}

/** A port that is free now, below the ephemeral range. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000)
    const isFree = await new Promise<boolean>((answer) => {
      const probe = createServer()
      probe.once('error', () => answer(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => answer(true)))
    })
    if (isFree) return port
  }
}

async function freshExternalDatabase(): Promise<string | undefined> {
  if (externalDatabaseURL === undefined) return undefined
  const name = `stowage_test_${randomUUID().replaceAll('-', '')}`
  const prepared = process.env.TEST_PREPARED_DATABASE
  const template = prepared === undefined ? '' : `template ${prepared} strategy file_copy`
  await withAdministrator((sql) => sql.unsafe(`create database ${name} ${template}`))
  const url = new URL(externalDatabaseURL)
  url.pathname = `/${name}`
  return url.href
}

async function dropExternalDatabase(databaseURL: string): Promise<void> {
  const name = new URL(databaseURL).pathname.slice(1)
  await withAdministrator((sql) => sql.unsafe(`drop database if exists ${name} with (force)`))
}

async function withAdministrator(work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(externalDatabaseURL as string, { max: 1, onnotice: () => {} })
  try {
    await work(sql)
  } finally {
    await sql.end()
  }
}
