import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const programs = '/usr/lib/postgresql/15/bin'
const isRoot = process.getuid?.() === 0

/** The oldest Postgres that Stowage takes, where Debian's package of it is installed. */
export const hasPostgres15 = existsSync(join(programs, 'postgres'))

/** Runs a new, empty Postgres 15 that is reached by its socket, and goes away with the test. */
export async function startPostgres15(): Promise<AsyncDisposable & { url: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-postgres15-'))
  if (isRoot) await promisify(execFile)('chown', ['postgres', folder])
  const data = join(folder, 'data')
  await run('initdb', '-D', data, '-U', 'stowage', '-A', 'trust', '-E', 'UTF8', '--no-sync')
  const options = `-c listen_addresses= -k ${folder} -c fsync=off`
  await run('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start')
  return {
    url: `postgresql://stowage@/postgres?host=${encodeURIComponent(folder)}`,
    async [Symbol.asyncDispose]() {
      await run('pg_ctl', '-D', data, '-m', 'immediate', 'stop')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The same over TCP and TLS. */
export async function startPostgresWithTLS(
  port: number,
  { certFile, keyFile }: { certFile: string; keyFile: string },
): Promise<AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-postgres15-'))
  const data = join(folder, 'data')
  // Its key may be read by itself only.
  await copyFile(certFile, join(folder, 'server.crt'))
  await copyFile(keyFile, join(folder, 'server.key'))
  await chmod(join(folder, 'server.key'), 0o600)
  if (isRoot) await promisify(execFile)('chown', ['-R', 'postgres', folder])
  await run('initdb', '-D', data, '-U', 'stowage', '-A', 'trust', '-E', 'UTF8', '--no-sync')
  const files = `-c ssl_cert_file=${folder}/server.crt -c ssl_key_file=${folder}/server.key`
  const options = `-p ${port} -c listen_addresses=127.0.0.1 -k ${folder} -c fsync=off -c ssl=on ${files}`
  await run('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start')
  return {
    async [Symbol.asyncDispose]() {
      await run('pg_ctl', '-D', data, '-m', 'immediate', 'stop')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Two Postgres 15: what the first one has told that it committed, the second one has. */
export interface PostgresPair extends AsyncDisposable {
  /** Names both. */
  url: string
  /** The first one is gone at once, and the second one takes its place. */
  failOver(): Promise<void>
}

export async function startPostgresPair(ports: [number, number]): Promise<PostgresPair> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-postgres15-'))
  if (isRoot) await promisify(execFile)('chown', ['postgres', folder])
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  const start = (data: string, port: number, more = '') => {
    const options = `-p ${port} -c listen_addresses=127.0.0.1 -k ${folder} -c fsync=off ${more}`
    return run('pg_ctl', '-D', data, '-w', '-l', `${data}.log`, '-o', options, 'start')
  }
  await run('initdb', '-D', first, '-U', 'stowage', '-A', 'trust', '-E', 'UTF8', '--no-sync')
  await start(first, ports[0])
  const source = ['-h', folder, '-p', String(ports[0]), '-U', 'stowage']
  await run('pg_basebackup', ...source, '-D', second, '-R', '-c', 'fast', '--no-sync')
  await start(second, ports[1])
  // From now on a commit is told when the second one has it too.
  await run('pg_ctl', '-D', first, '-m', 'fast', '-w', 'stop')
  await start(first, ports[0], "-c synchronous_standby_names='*'")
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',')
  let isOver = false
  return {
    url: `postgres://stowage@${hosts}/postgres`,
    async failOver() {
      isOver = true
      await run('pg_ctl', '-D', first, '-m', 'immediate', 'stop')
      await run('pg_ctl', '-D', second, '-w', 'promote')
    },
    async [Symbol.asyncDispose]() {
      if (!isOver) await run('pg_ctl', '-D', first, '-m', 'immediate', 'stop')
      await run('pg_ctl', '-D', second, '-m', 'immediate', 'stop')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

// Without pipes: the server would keep them open, and pg_ctl would never seem to end.
async function run(program: string, ...args: string[]): Promise<void> {
  const path = join(programs, program)
  const [command, ...rest] = isRoot
    ? ['runuser', '-u', 'postgres', '--', path, ...args]
    : [path, ...args]
  const child = spawn(command as string, rest, { stdio: 'ignore' })
  const code = await new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject))
  if (code !== 0) throw new Error(`${program} ended with ${code}`)
}
