import { createHash } from 'node:crypto'
import { chown, lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OperatorError } from '../operator-error.ts'
import { type Account, canReach } from './account.ts'

export class SocketFolderError extends OperatorError {
  override name = 'SocketFolderError'
}

/** Bytes. The kernel's limit for the path of a socket is 107 (Linux) or 103 (macOS), and its name takes 14. */
const LONGEST_FOLDER = 80

/** Part of the name of the socket only: nothing listens on this port. */
export const SOCKET_PORT = 5432

/**
 * Makes the folder of the cluster's socket: short, the same at each start, and closed to everybody but the account.
 *
 * It is not in the data folder, whose path may be too long, and whose file system may not carry sockets
 * (NFS, folders shared with a virtual machine).
 *
 * @throws {SocketFolderError} Somebody else has made a folder of that name: he could read what passes through it.
 */
export async function ensureSocketFolder(cluster: string, account: Account): Promise<string> {
  const hash = createHash('sha256').update(cluster).digest('hex').slice(0, 12)
  const folder = join(await chooseTemporaryFolder(account), `stowage-${hash}`)
  const created = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      return false
    },
  )
  if (created && account.switched) await chown(folder, account.uid, account.gid)
  const facts = await lstat(folder)
  // Root may have made it a moment ago, in a server that starts beside us and has not yet given it away.
  const ours = facts.uid === account.uid || (account.switched && facts.uid === 0)
  if (!facts.isDirectory() || !ours || (facts.mode & 0o077) !== 0) {
    throw new SocketFolderError(
      `Cannot use ${folder} for the socket of Postgres: it is not a folder that only ${account.name} can enter; remove it or set TMPDIR`,
    )
  }
  if (account.switched && facts.uid === 0) await chown(folder, account.uid, account.gid)
  return folder
}

async function chooseTemporaryFolder(account: Account): Promise<string> {
  const preferred = tmpdir()
  const fits = Buffer.byteLength(preferred) + '/stowage-'.length + 12 <= LONGEST_FOLDER
  return fits && (await canReach(account, preferred)) ? preferred : '/tmp'
}
