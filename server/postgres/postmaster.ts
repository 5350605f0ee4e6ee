import { execFile, spawn } from 'node:child_process'
import { chown, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { postgresEnvironment } from './account.ts'
import { type ClusterPlace, lastLines } from './cluster.ts'
import type { Runtime } from './runtime.ts'

/** A running Postgres: our own child, or one that we found running and took over. */
export type Postmaster = {
  pid: number
  adopted: boolean
  /** Resolves when the process is gone. Never rejects. */
  exited: Promise<void>
}

/** What a running Postgres says about itself in `postmaster.pid`. */
export type PidFile = { pid: number; port: number; socketFolder: string }

export async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => undefined)
  // PostgreSQL src/include/utils/pidfile.h: pid, data folder, start time, port, socket folder, address.
  const [pid, , , port, socketFolder] = text?.split('\n') ?? []
  if (!pid || !Number.isSafeInteger(Number(pid))) return undefined
  return { pid: Number(pid), port: Number(port ?? 0), socketFolder: socketFolder ?? '' }
}

/** Takes over the Postgres that a killed server left running on the cluster; undefined when there is none. */
export async function adoptPostmaster({ cluster }: ClusterPlace): Promise<Postmaster | undefined> {
  const found = await readPidFile(cluster)
  if (!found) return undefined
  if (await isPostmasterOf(found.pid, cluster)) {
    return { pid: found.pid, adopted: true, exited: pollUntilGone(found.pid, cluster) }
  }
  // After a crash of the machine the pid may be another process's by now, of the same account, and Postgres would
  // not start. (When no process has the pid, Postgres sees for itself that the file is stale.)
  if (isAlive(found.pid) && (await readPidFile(cluster))?.pid === found.pid) {
    await rm(join(cluster, 'postmaster.pid'), { force: true })
  }
  return undefined
}

/**
 * Starts Postgres on the cluster, in a session of its own: Ctrl-C in the terminal reaches only the server, and
 * Postgres is there until the server has finished.
 */
export async function spawnPostmaster(
  { cluster, account }: ClusterPlace,
  runtime: Runtime,
): Promise<Postmaster> {
  const folder = join(cluster, 'log')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (account.switched) await chown(folder, account.uid, account.gid)
  // A file and no pipe: Postgres outlives a killed server, and must not choke on what nobody reads any more.
  const output = await open(join(folder, 'start.log'), 'w', 0o600)
  try {
    const child = spawn(runtime.postgres, ['-D', cluster], {
      ...(account.switched ? { uid: account.uid, gid: account.gid } : {}),
      cwd: '/',
      env: postgresEnvironment(),
      detached: true,
      windowsHide: true,
      stdio: ['ignore', output.fd, output.fd],
    })
    const exited = new Promise<void>((resolve) => {
      child.on('exit', () => resolve())
      child.on('error', () => resolve())
    })
    child.unref()
    return { pid: child.pid ?? -1, adopted: false, exited }
  } finally {
    await output.close()
  }
}

/** What Postgres said before it had its own log: the reason why it did not start. */
export async function readStartOutput(cluster: string): Promise<string> {
  const text = await readFile(join(cluster, 'log', 'start.log'), 'utf8').catch(() => '')
  // "Redirecting log output" is said at each start and explains nothing.
  return lastLines(text.replace(/^.*(redirecting log output|Future log output).*$/gm, ''))
}

/** Ends Postgres: fast at first (open transactions roll back), the hard way when that takes too long. */
export async function stopPostmaster(
  { cluster }: ClusterPlace,
  runtime: Runtime,
  postmaster: Postmaster,
  patienceMs = 30_000,
): Promise<void> {
  for (const mode of ['fast', 'immediate'] as const) {
    if (process.platform === 'win32') {
      // There are no signals there; pg_ctl has its own way.
      await promisify(execFile)(runtime.pgCtl, ['stop', '-D', cluster, '-m', mode, '-W']).catch(
        () => {},
      )
    } else {
      kill(postmaster.pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    }
    const clock = new AbortController()
    const late = delay(patienceMs, true, { signal: clock.signal }).catch(() => false)
    const gone = await Promise.race([postmaster.exited.then(() => true), late.then(() => false)])
    clock.abort()
    if (gone) return
  }
}

/** Tells Postgres to read its settings again. */
export function reloadPostmaster(postmaster: Postmaster): void {
  if (process.platform !== 'win32') kill(postmaster.pid, 'SIGHUP')
}

async function pollUntilGone(pid: number, cluster: string): Promise<void> {
  while (await isPostmasterOf(pid, cluster)) await delay(1000, undefined, { ref: false })
}

/**
 * Whether the process is a Postgres on this cluster. The pid alone proves nothing: in a container that starts anew,
 * small pids belong to others each time.
 */
async function isPostmasterOf(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform === 'linux') {
    // Empty for a zombie, which is as good as gone.
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const [program = '', ...args] = command.split('\0')
    if (basename(program) !== 'postgres') return false
    return args.includes(cluster) || (await sameFolder(`/proc/${pid}/cwd`, cluster))
  }
  if (process.platform === 'win32') return true
  const { stdout } = await promisify(execFile)('ps', [
    '-ww',
    '-o',
    'command=',
    '-p',
    String(pid),
  ]).catch(() => ({ stdout: '' }))
  return stdout.includes('postgres') && stdout.includes(cluster)
}

// Postgres works in its data folder; reached over another path (a bind mount) it is still the same.
async function sameFolder(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)))
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

/** Whether there is such a process, whosever it is. */
export function isAlive(pid: number): boolean {
  return kill(pid, 0)
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    // EPERM: it is there, but it is not ours to signal.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
