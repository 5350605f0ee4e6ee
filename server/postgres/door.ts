import { randomBytes, randomInt } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { ClusterPlace } from './cluster.ts'
import { type PidFile, readPidFile } from './postmaster.ts'
import type { Door } from './settings.ts'
import { ensureSocketFolder, SOCKET_PORT } from './socket.ts'

/** Ports to choose from where there are no sockets: below the ephemeral range, where a client's port would collide. */
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000

/** Chooses how clients reach a cluster that is about to start. */
export async function chooseDoor(place: ClusterPlace): Promise<Door> {
  if (process.platform !== 'win32') {
    const folder = await ensureSocketFolder(place.cluster, place.account)
    return { kind: 'socket', folder, port: SOCKET_PORT }
  }
  const password = await readFile(passwordFile(place), 'utf8')
  return { kind: 'tcp', port: await findFreePort(), password }
}

/** How clients reach a cluster that runs already, as it says itself: TMPDIR may have changed since it was started. */
export async function findDoor(place: ClusterPlace): Promise<Door | undefined> {
  const found: PidFile | undefined = await readPidFile(place.cluster)
  if (!found?.port) return undefined
  if (process.platform !== 'win32') {
    return { kind: 'socket', folder: found.socketFolder, port: found.port }
  }
  const password = await readFile(passwordFile(place), 'utf8')
  return { kind: 'tcp', port: found.port, password }
}

/** Makes the password where TCP is the only way in. Beside the cluster, readable by its owner only. */
export async function keepPassword(place: ClusterPlace): Promise<string | undefined> {
  if (process.platform !== 'win32') return undefined
  const password = randomBytes(32).toString('base64url')
  await writeFile(passwordFile(place), password, { mode: 0o600, flag: 'wx' }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    },
  )
  return passwordFile(place)
}

function passwordFile({ cluster }: ClusterPlace): string {
  return `${cluster}.password`
}

async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT)
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
}
