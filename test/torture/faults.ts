import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { failCalls, whyNoFailingCalls } from '../support/failing-calls.ts'
import type { SeededRandom } from '../support/random.ts'
import { freeBytes, type Host, startAgain, type World } from './world.ts'

/** Something bad that can be done to the world, and that is over when `strike` resolves. */
export interface Fault {
  name: string
  /** What it is done to: of two at the same time each has another. */
  to: object
  /** @returns how often it was felt, where one strike is not one: calls that failed, connections that broke. */
  strike(): Promise<number | undefined>
}

/** All kinds, one for each server where it is a server that is struck. */
export function faultsOf(world: World, random: SeededRandom): Fault[] {
  const { postgres, databaseNetwork, disk, hosts } = world
  const faults: Fault[] = [
    {
      name: 'Postgres killed (SIGKILL)',
      to: postgres,
      strike: async () => void (await postgres.kill()),
    },
    {
      name: 'Postgres stopped for 1 to 6 s, connections open',
      to: postgres,
      async strike() {
        await postgres.freeze()
        await sleep(random.between(1000, 6000))
        await postgres.thaw()
        return undefined
      },
    },
    {
      name: 'all connections to Postgres broken',
      to: databaseNetwork,
      strike: async () => databaseNetwork.cut(),
    },
    {
      name: 'network to Postgres silent for 1 to 6 s',
      to: databaseNetwork,
      async strike() {
        databaseNetwork.hold()
        await sleep(random.between(1000, 6000))
        databaseNetwork.release()
        return undefined
      },
    },
  ]
  if (disk !== undefined) {
    faults.push({
      name: 'store full for 1 to 4 s',
      to: disk,
      async strike() {
        const ballast = join(disk.folder, 'ballast')
        const bytes = Math.max(1, (await freeBytes(disk)) - Math.floor(random.between(0, 100_000)))
        // What comes meanwhile may take some of it.
        await promisify(execFile)('fallocate', ['-l', String(bytes), ballast]).catch(() => {})
        await sleep(random.between(1000, 4000))
        await rm(ballast, { force: true })
        return undefined
      },
    })
  }
  for (const host of hosts) faults.push(...faultsOfServer(host, random, world.notRun))
  return faults
}

function faultsOfServer(host: Host, random: SeededRandom, notRun: string[]): Fault[] {
  const { server, network } = host
  async function restart(end: () => Promise<void>): Promise<undefined> {
    host.isDown = true
    await end()
    await sleep(random.between(0, 2000))
    await startAgain(host)
  }
  const faults: Fault[] = [
    {
      name: 'server killed (SIGKILL), started again',
      to: host,
      strike: () => restart(() => server.kill()),
    },
    {
      name: 'server ended (SIGTERM), started again',
      to: host,
      strike: () => restart(() => server.stop()),
    },
    {
      name: 'all connections of senders broken',
      to: network,
      strike: async () => network.cut(),
    },
    {
      name: 'connections of senders broken after so many bytes, for 2 s',
      to: network,
      async strike() {
        network.cutAfter(Math.floor(10 ** random.between(2, 6)))
        await sleep(2000)
        network.cutAfter(undefined)
        return undefined
      },
    },
    {
      name: 'network of senders silent for 1 to 6 s',
      to: network,
      async strike() {
        network.hold()
        await sleep(random.between(1000, 6000))
        network.release()
        return undefined
      },
    },
  ]
  const whyNot = whyNoFailingCalls()
  if (whyNot !== undefined) {
    const sentence = `calls to the system that fail, because ${whyNot}`
    if (!notRun.includes(sentence)) notRun.push(sentence)
    return faults
  }
  for (const [name, calls, error] of [
    ['syncs of files and folders fail (EIO)', 'fdatasync,fsync', 'EIO'],
    ['writes to files fail (EIO)', 'pwrite64,pwritev', 'EIO'],
    ['writes to files fail (ENOSPC)', 'pwrite64,pwritev', 'ENOSPC'],
    ['files cannot be made or opened (EMFILE)', 'openat', 'EMFILE'],
  ] as const) {
    faults.push({
      name,
      to: host,
      async strike() {
        const failing = await failCalls(server.pid, calls, error, '1+3')
        await sleep(random.between(1000, 3000))
        return failing.end()
      },
    })
  }
  return faults
}
