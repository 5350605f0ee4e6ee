import { createHash, randomUUID } from 'node:crypto'
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Log } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import { type Account, canReach, chooseAccount, runAs } from './account.ts'
import type { Runtime } from './runtime.ts'
import { DATABASE_USER } from './settings.ts'

/** Where a cluster lies, whose it is, and where copies of the programs may be laid for him. */
export type ClusterPlace = { cluster: string; account: Account; copiesFolder: string }

export class ClusterError extends OperatorError {
  override name = 'ClusterError'
}

/** Where root puts what another account must reach, when the data folder is closed to it. */
const SHARED_STATE_FOLDER = '/var/lib/stowage'

/** Names the cluster's folder when it does not lie in the data folder. */
const POINTER_FILE = 'postgres.location'

/**
 * Decides where the cluster of a data folder lies, and as whom Postgres runs it.
 *
 * It lies in the data folder, unless we are root and the account that Postgres runs as cannot reach that folder
 * (a project cloned under /root or `mktemp -d`): then under `/var/lib/stowage`, with a pointer file in the data
 * folder, by which it is found again even after the data folder was moved.
 */
export async function placeCluster(dataDir: string, log: Log): Promise<ClusterPlace> {
  await makeDataFolder(dataDir)
  const home = await realpath(dataDir)
  const cluster = (await readPointer(home)) ?? join(home, 'postgres')
  const owner = await stat(cluster).catch(() => undefined)
  if (owner) {
    const account = await chooseAccount(owner.uid)
    if (!(await canReach(account, cluster))) {
      throw new ClusterError(
        `Cannot run Postgres in ${cluster} as ${account.name}: a folder above it is closed to that user; open it with "chmod o+x" or start the server as that user`,
      )
    }
    return { cluster, account, copiesFolder: copiesFolder(account, home) }
  }
  const account = await chooseAccount()
  if (await canReach(account, home)) {
    return { cluster, account, copiesFolder: copiesFolder(account, home) }
  }
  const elsewhere = await placeElsewhere(home, account)
  log.info('The database lies outside the data folder, which Postgres cannot enter', {
    database: elsewhere,
    dataDir: home,
    user: account.name,
  })
  return { cluster: elsewhere, account, copiesFolder: SHARED_STATE_FOLDER }
}

/**
 * Makes the cluster if there is none: in a folder beside its place, which is renamed into it when all is done,
 * so that a crash in the middle leaves nothing that looks like a cluster.
 *
 * Two servers may do this at once; the slower one throws its own away.
 */
export async function ensureCluster(
  { cluster, account }: ClusterPlace,
  runtime: Runtime,
  passwordFile?: string,
): Promise<void> {
  const version = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version !== undefined) {
    const major = runtime.version.split('.')[0]
    if (version.trim() === major) return
    throw new ClusterError(
      `Cannot open the database in ${cluster}: it is of Postgres ${version.trim()}, and this Stowage brings Postgres ${major}; dump it with the former and restore it, or set DATABASE_URL`,
    )
  }
  await sweepUnfinished(cluster)
  const unfinished = `${cluster}.new-${randomUUID().slice(0, 8)}`
  await mkdir(unfinished, { mode: 0o700 })
  if (account.switched) await chown(unfinished, account.uid, account.gid)
  const { code, output } = await runAs(account, runtime.initdb, [
    ...['--pgdata', unfinished, '--username', DATABASE_USER, '--encoding=UTF8'],
    // C.UTF-8 from Postgres itself: the order of names does not change with the system's C library.
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...['--data-checksums', '--no-instructions', '--auth-host=scram-sha-256'],
    ...(passwordFile ? ['--pwfile', passwordFile] : ['--auth-local=peer']),
  ])
  if (code !== 0) {
    await rm(unfinished, { recursive: true, force: true })
    throw new ClusterError(`Cannot make the database in ${cluster}: ${lastLines(output)}`)
  }
  await appendFile(join(unfinished, 'postgresql.conf'), "\ninclude_if_exists = 'stowage.conf'\n")
  try {
    await rename(unfinished, cluster)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    if (!(await stat(join(cluster, 'PG_VERSION')).catch(() => undefined))) throw error
  }
  await syncFolder(dirname(cluster))
}

/** Writes a file of the cluster that its account must be able to read; true when its content has changed. */
export async function writeClusterFile(
  { cluster, account }: ClusterPlace,
  name: string,
  content: string,
): Promise<boolean> {
  const path = join(cluster, name)
  if ((await readFile(path, 'utf8').catch(() => undefined)) === content) return false
  const unfinished = `${path}.new-${randomUUID().slice(0, 8)}`
  await writeFile(unfinished, content, { mode: 0o600 })
  if (account.switched) await chown(unfinished, account.uid, account.gid)
  await rename(unfinished, path)
  return true
}

export function lastLines(text: string, count = 5): string {
  return text.trim().split('\n').slice(-count).join(' | ')
}

async function makeDataFolder(dataDir: string): Promise<void> {
  // Root's data folder must let Postgres's account through to its cluster, but not let it look around.
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700
  const first = await mkdir(dataDir, { recursive: true, mode })
  if (first !== undefined) await chmod(dataDir, mode)
}

function copiesFolder(account: Account, home: string): string {
  return account.switched ? SHARED_STATE_FOLDER : home
}

async function readPointer(home: string): Promise<string | undefined> {
  const text = await readFile(join(home, POINTER_FILE), 'utf8').catch(() => undefined)
  return text?.trim()
}

// The pointer is written before the cluster is made, and only by whoever is first: two servers that start at once
// agree on one place, and a crash leaves no cluster that nothing points at. The name has a random part, because a
// data folder that was thrown away and made anew must not find the database of the old one.
async function placeElsewhere(home: string, account: Account): Promise<string> {
  await mkdir(SHARED_STATE_FOLDER, { recursive: true, mode: 0o755 })
  if (!(await canReach(account, SHARED_STATE_FOLDER))) {
    throw new ClusterError(
      `Cannot find a place for the database: neither ${home} nor ${SHARED_STATE_FOLDER} is open to ${account.name}; set STOWAGE_DATA_DIR to a folder that this user can reach`,
    )
  }
  const hash = createHash('sha256').update(home).digest('hex').slice(0, 8)
  const place = join(SHARED_STATE_FOLDER, `${hash}-${randomUUID().slice(0, 8)}`)
  const pointer = join(home, POINTER_FILE)
  const unfinished = `${pointer}.new-${randomUUID().slice(0, 8)}`
  await writeFile(unfinished, `${place}\n`, { mode: 0o600, flush: true })
  await link(unfinished, pointer).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await rm(unfinished)
  return (await readPointer(home)) as string
}

// What a crash in the middle of initdb left behind. An hour, so that a server that is still at it is left alone.
async function sweepUnfinished(cluster: string): Promise<void> {
  const folder = dirname(cluster)
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(cluster)}.new-`)) continue
    const path = join(folder, name)
    const facts = await stat(path).catch(() => undefined)
    if (facts && Date.now() - facts.mtimeMs > 3_600_000) {
      await rm(path, { recursive: true, force: true })
    }
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
