import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { OperatorError } from '../operator-error.ts'

/**
 * The operating system account that Postgres runs as.
 *
 * `switched` says that it is another one than ours: we are root, which Postgres refuses to run as.
 * Children then get `uid` and `gid`; Node, Bun and Deno all drop the supplementary groups with them.
 */
export type Account = { name: string; uid: number; gid: number; switched: boolean }

export class AccountError extends OperatorError {
  override name = 'AccountError'
}

/** The accounts that root may lend to Postgres, best first. */
const LENT_ACCOUNTS = ['postgres', '_postgres', 'nobody']

/**
 * Chooses the account for a cluster.
 *
 * @param ownerUid Who owns the cluster that exists already: only he can run it. Absent for a new one.
 * @throws {AccountError} The cluster belongs to somebody else and we are not root, or root finds nobody to lend.
 */
export async function chooseAccount(ownerUid?: number): Promise<Account> {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  // Windows knows no uid; there Postgres gives up administrator rights by itself.
  if (process.getuid === undefined) {
    return { name: userInfo().username, uid, gid, switched: false }
  }
  if (uid !== 0) {
    if (ownerUid !== undefined && ownerUid !== uid) {
      throw new AccountError(
        `Cannot run the embedded Postgres as ${await accountName(uid)}: its files belong to ${await accountName(ownerUid)}; start the server as that user or as root`,
      )
    }
    return { name: await accountName(uid), uid, gid, switched: false }
  }
  const known = await readPasswd()
  const lent =
    ownerUid === undefined
      ? LENT_ACCOUNTS.flatMap((name) => known.find((entry) => entry.name === name) ?? []).at(0)
      : known.find((entry) => entry.uid === ownerUid)
  if (!lent || lent.uid === 0) {
    throw new AccountError(
      'Cannot run the embedded Postgres as root: no user named postgres or nobody to run it as; start the server as another user or set DATABASE_URL',
    )
  }
  return { ...lent, switched: true }
}

/** The name that `getpwuid` gives, which is what Postgres compares in peer authentication. */
export async function accountName(uid: number): Promise<string> {
  const entry = (await readPasswd()).find((known) => known.uid === uid)
  if (entry) return entry.name
  // macOS keeps people out of /etc/passwd. Bun's userInfo() answers "unknown" when USER is not set.
  const { code, output } = await run('id', ['-un', String(uid)])
  return code === 0 ? output.trim() : `uid ${uid}`
}

/** Whether the account passes `test -x` (or another flag) on a path. Asked for real: modes do not tell all. */
export async function canReach(account: Account, path: string, flag = '-x'): Promise<boolean> {
  if (!account.switched) return true
  const { code } = await runAs(account, '/bin/sh', ['-c', `test ${flag} "$1"`, 'sh', path])
  return code === 0
}

export type RunResult = { code: number; output: string }

/** Runs a program to its end as the account and hands back what it said, both streams as one. */
export function runAs(account: Account, file: string, args: string[]): Promise<RunResult> {
  return run(file, args, account.switched ? { uid: account.uid, gid: account.gid } : {})
}

function run(file: string, args: string[], identity: { uid?: number; gid?: number } = {}) {
  return new Promise<RunResult>((resolve) => {
    // The root folder as working folder: the account may not be able to enter ours.
    const child = spawn(file, args, { ...identity, cwd: '/', env: postgresEnvironment() })
    let output = ''
    function collect(chunk: Buffer) {
      if (output.length < 65_536) output += chunk.toString()
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', (error) => resolve({ code: -1, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? -1, output }))
  })
}

/**
 * Our environment without what would change the behaviour of Postgres (`PGDATA`, `PGPORT`, locale) and
 * without our own settings, among which there may be the password of another database.
 */
export function postgresEnvironment(): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(PG|LC_|LANG|STOWAGE_|DATABASE_|NODE_)/.test(name),
  )
  return { ...(Object.fromEntries(inherited) as Record<string, string>), LC_ALL: 'C', TZ: 'UTC' }
}

async function readPasswd(): Promise<{ name: string; uid: number; gid: number }[]> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':')
    if (!name || name.startsWith('#') || uid === undefined || gid === undefined) return []
    return [{ name, uid: Number(uid), gid: Number(gid) }]
  })
}
