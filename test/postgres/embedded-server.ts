import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'

/** A server that does nothing but run the embedded Postgres of a folder, in a process of its own. */
export type ServerProcess = {
  child: ChildProcess
  /** What it said, both streams. */
  said(): string
  /** Resolves when it has the database, to its Postgres's pid; rejects when it ends before. */
  ready: Promise<number>
  exited: Promise<number | null>
}

const processes = new Set<ChildProcess>()

export function startServerProcess(dataDir: string): ServerProcess {
  const self = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, ['--import', 'tsx', self, dataDir])
  processes.add(child)
  let output = ''
  const exited = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      processes.delete(child)
      resolve(code)
    })
  })
  const ready = new Promise<number>((resolve, reject) => {
    function collect(chunk: Buffer): void {
      output += chunk
      const pid = /^ready (\d+)$/m.exec(output)?.[1]
      if (pid) resolve(Number(pid))
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    void exited.then((code) => reject(new Error(`The server ended with ${code}: ${output}`)))
  })
  ready.catch(() => {})
  return { child, said: () => output, ready, exited }
}

/** Whatever a failed test left running. */
export function killServerProcesses(): void {
  for (const child of processes) child.kill('SIGKILL')
}

/**
 * A folder whose Postgres, if any still runs, ends with the test, and with it what lies elsewhere for it.
 *
 * @param from A data folder whose Postgres is stopped, to begin with a copy of: that is quicker than making a cluster.
 */
export async function temporaryDataFolder({ mode = 0o711, from = '' } = {}) {
  const parent = await mkdtemp(join(tmpdir(), 'stowage-embedded-'))
  await chmod(parent, mode)
  const dataDir = join(parent, 'data')
  if (from !== '') await promisify(execFile)('cp', ['-a', from, dataDir])
  return {
    parent,
    dataDir,
    async [Symbol.asyncDispose]() {
      const elsewhere = await readFile(join(dataDir, 'postgres.location'), 'utf8').catch(() => '')
      const cluster = elsewhere.trim() || join(dataDir, 'postgres')
      const pid = Number(
        (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0],
      )
      if (pid > 1) {
        process.kill(pid, 'SIGQUIT')
        await untilGone(pid)
      }
      await rm(cluster, { recursive: true, force: true })
      await rm(parent, { recursive: true, force: true })
    },
  }
}

export async function untilGone(pid: number): Promise<void> {
  for (let i = 0; i < 200 && isAlive(pid); i++) await delay(50)
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Runs one query on an embedded Postgres, and again for some seconds while there is no connection. */
export async function ask<T extends object>(
  connection: postgres.Options<Record<string, never>>,
  query: string,
  patienceMs = 0,
): Promise<T[]> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const sql = postgres({ ...connection, max: 1, onnotice: () => {} })
    try {
      return (await sql.unsafe(query)) as unknown as T[]
    } catch (error) {
      if (Date.now() >= deadline) throw error
      await delay(50)
    } finally {
      await sql.end()
    }
  }
}

// Started as a process of its own: the server.
const [, script, dataDir] = process.argv
if (script === fileURLToPath(import.meta.url) && dataDir) {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  const log = { debug: say, info: say, warn: say, error: say }
  try {
    const embedded = await startEmbeddedPostgres({ dataDir, log })
    process.on('SIGTERM', () => void embedded.stop().then(() => process.exit(0)))
    say(`ready ${embedded.pid}`)
    setInterval(() => {}, 1000)
  } catch (error) {
    say((error as Error).message)
    process.exit(1)
  }
}
