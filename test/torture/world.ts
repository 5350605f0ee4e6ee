import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parseSocketURL } from '../../server/postgres/socket-url.ts'
import { type RoughNetwork, startRoughNetwork } from '../support/rough-network.ts'
import { freePort, type StowageServer, startServer, temporaryFolder } from '../support/server.ts'
import { type SharedPostgres, startSharedPostgres } from '../support/shared-postgres.ts'
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../support/small-disk.ts'

export const quietSeconds = 5

/** One server, and the network that its senders reach it by. */
export interface Host {
  server: StowageServer
  network: RoughNetwork
  /** It is being struck, or starts: that it does not answer is no wonder. */
  isDown: boolean
}

/** What is tortured: two servers, a Postgres and a store that both have, and the networks between them. */
export interface World extends AsyncDisposable {
  hosts: Host[]
  postgres: SharedPostgres
  /** Between the servers and Postgres. */
  databaseNetwork: RoughNetwork
  /** Where the store is; undefined: on the disk of the machine, which is not to be filled. */
  disk: SmallDisk | undefined
  /** Why a fault cannot be had here. */
  notRun: string[]
}

export async function makeWorld(diskBytes: number): Promise<World> {
  const made: AsyncDisposable[] = []
  const use = <T extends AsyncDisposable>(one: T): T => {
    made.unshift(one)
    return one
  }
  const end = async () => {
    for (const one of made.splice(0)) await one[Symbol.asyncDispose]()
  }
  try {
    return await build(use, end, diskBytes)
  } catch (error) {
    await end()
    throw error
  }
}

async function build(
  use: <T extends AsyncDisposable>(one: T) => T,
  end: () => Promise<void>,
  diskBytes: number,
): Promise<World> {
  const postgres = use(await startSharedPostgres())
  const real = await parseSocketURL(postgres.url)
  if (real === undefined) throw new Error('The embedded Postgres has no socket')
  const folder = await temporaryFolder()
  use({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) })
  const socket = (of: string) => ({ path: join(of, '.s.PGSQL.5432') })
  const databaseNetwork = use(await startRoughNetwork(socket(folder), socket(real.host)))
  const notRun: string[] = []
  const whyNot = await whyNoSmallDisk()
  if (whyNot !== undefined) notRun.push(`full disks, because ${whyNot}`)
  const disk = whyNot === undefined ? use(await mountSmallDisk(diskBytes, 1_000_000)) : undefined
  const storeDir = disk === undefined ? postgres.storeDir : join(disk.folder, 'segments')
  await mkdir(storeDir, { recursive: true })
  const settings = {
    databaseURL: postgres.url.replaceAll(encodeURIComponent(real.host), encodeURIComponent(folder)),
    env: {
      STOWAGE_STORE_DIR: storeDir,
      STOWAGE_QUIET_SECONDS: String(quietSeconds),
      STOWAGE_LEASE_SECONDS: '5',
      STOWAGE_DATABASE_CONNECTIONS: '8',
    },
  }
  const hosts: Host[] = []
  for (let n = 0; n < 2; n++) {
    const server = use(await startServer(settings))
    const port = await freePort()
    const network = use(await startRoughNetwork({ port }, { port: server.port }))
    hosts.push({ server, network, isDown: false })
  }
  return {
    hosts,
    postgres,
    databaseNetwork,
    disk,
    notRun,
    [Symbol.asyncDispose]: end,
  }
}

/** Starts a server again, however often it takes: what it needs may be struck as well. */
export async function startAgain(host: Host): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await host.server.start()
      host.isDown = false
      return
    } catch (error) {
      if (attempt === 20) throw error
      await host.server.kill()
      await sleep(500)
    }
  }
}

/** Bytes that are free where the store is. */
export async function freeBytes(disk: SmallDisk): Promise<number> {
  const { stdout } = await promisify(execFile)('df', ['--output=avail', '-B1', disk.folder])
  return Number(stdout.split('\n')[1])
}
