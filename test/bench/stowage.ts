import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../support/server.ts'
import { ask, end, findProgram, lastWordsOf, untilReady } from './processes.ts'
import type { RunningServer, ServerKind } from './servers.ts'

export type Runtime = 'node' | 'bun' | 'deno'

const commands: Record<Runtime, [string, ...string[]]> = {
  node: [process.execPath, 'bin/stowage.mjs'],
  bun: ['bun', 'server/main.bun.ts'],
  deno: ['deno', 'run', '--allow-all', 'server/main.deno.ts'],
}

const titles: Record<Runtime, string> = {
  node: 'Stowage on Node',
  bun: 'Stowage on Bun',
  deno: 'Stowage on Deno',
}

const running = new Set<() => Promise<void>>()

/** Ends all that still run: for a signal in the middle of a measurement. */
export async function stopAllStowages(): Promise<void> {
  await Promise.all([...running].map((stop) => stop()))
}

/** Stowage with its embedded Postgres and default settings. */
export function stowage(runtime: Runtime): ServerKind {
  const [program] = commands[runtime]
  return {
    title: titles[runtime],
    async findObstacle() {
      return findProgram(program) || runtime === 'node' ? undefined : `no ${program} on the PATH`
    },
    version: () => ask(program, '--version'),
    async start(folder, shared) {
      const cluster = await freshCluster(shared)
      if (cluster !== undefined) await copyFolder(cluster, join(folder, 'postgres'))
      return startStowage(runtime, folder)
    },
  }
}

/** Starts Stowage on a data folder, empty or not, and waits until it is ready. @param settings Other than the defaults. */
export async function startStowage(
  runtime: Runtime,
  dataDir: string,
  settings: Record<string, string> = {},
): Promise<RunningServer> {
  const [program, ...args] = commands[runtime]
  const port = await freePort()
  const startedAt = performance.now()
  const child = spawn(program, [...args, 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own, so that Ctrl-C reaches only us: told twice, it would leave its Postgres running.
    detached: true,
    env: {
      ...defaultEnvironment(),
      STOWAGE_DATA_DIR: dataDir,
      STOWAGE_PORT: String(port),
      ...settings,
    },
  })
  const lastWords = lastWordsOf(child)
  const url = `http://127.0.0.1:${port}`
  let ended: Promise<void> | undefined
  const stop = () => {
    ended ??= end(child, 'SIGTERM').then(() => void running.delete(stop))
    return ended
  }
  running.add(stop)
  try {
    await untilReady(`${url}/readyz`, child, lastWords)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    studiesURL: `${url}/dicom-web/studies`,
    pids: [child.pid as number],
    startMs: performance.now() - startedAt,
    isConfirming: true,
    [Symbol.asyncDispose]: stop,
  }
}

/**
 * A cluster with the tables and no rows, made once a run: initdb takes seconds, and each measurement
 * begins with an empty store.
 *
 * @returns undefined where the cluster cannot lie in the data folder, and so cannot be copied.
 */
async function freshCluster(shared: string): Promise<string | undefined> {
  const dataDir = join(shared, 'stowage')
  const cluster = join(dataDir, 'postgres')
  if (!existsSync(dataDir)) {
    mkdirSync(dataDir)
    chmodSync(dataDir, 0o755)
    const server = await startStowage('node', dataDir)
    await server[Symbol.asyncDispose]()
  }
  return existsSync(join(cluster, 'PG_VERSION')) ? cluster : undefined
}

/** With owners and modes, on which Postgres insists. */
export async function copyFolder(from: string, to: string): Promise<void> {
  const copied = await ask('cp', '-a', from, to)
  if (copied === undefined) throw new Error(`Cannot copy ${from} to ${to}`)
}

/** Ours without the settings of a Stowage: defaults are measured. */
function defaultEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(STOWAGE_|DATABASE_|NODE_OPTIONS)/.test(name),
    ),
  )
}
