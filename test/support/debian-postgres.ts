import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
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
