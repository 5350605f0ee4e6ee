import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../server/log.ts'
import { startEmbeddedPostgres } from '../../server/postgres/embedded.ts'
import { temporaryFolder } from './server.ts'

/** A Postgres of a test's own, which several servers may share, and which can go away and come back. */
export interface SharedPostgres extends AsyncDisposable {
  /** For `DATABASE_URL`, before and after a stop. */
  url: string
  /** A folder for the segments of the servers that share it. */
  storeDir: string
  /** It is gone, with all connections. */
  stop(): Promise<void>
  start(): Promise<void>
  /** SIGKILL to all its processes; it comes back by itself. Resolves when its first process is another one. */
  kill(): Promise<void>
  /** SIGSTOP to all its processes: connections stay, and nothing is answered. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

export async function startSharedPostgres(): Promise<SharedPostgres> {
  const dataDir = await temporaryFolder()
  const begin = () => startEmbeddedPostgres({ dataDir, log: silentLog })
  let running = await begin()
  let frozen: number[] = []
  const thaw = async () => {
    for (const pid of frozen.reverse()) process.kill(pid, 'SIGCONT')
    frozen = []
  }
  return {
    url: running.url,
    storeDir: join(dataDir, 'segments'),
    stop: () => running.stop(),
    async start() {
      running = await begin()
    },
    async kill() {
      const { pid } = running
      for (const one of [pid, ...(await childrenOf(pid))]) {
        try {
          process.kill(one, 'SIGKILL')
        } catch {
          // It ended meanwhile.
        }
      }
      while (running.pid === pid) await sleep(50)
    },
    async freeze() {
      // The postmaster first, so that it starts no more of them.
      frozen = [running.pid]
      process.kill(running.pid, 'SIGSTOP')
      frozen.push(...(await childrenOf(running.pid)))
      for (const pid of frozen) process.kill(pid, 'SIGSTOP')
    },
    thaw,
    async [Symbol.asyncDispose]() {
      await thaw()
      await running.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Linux. */
async function childrenOf(parent: number): Promise<number[]> {
  const children: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    // pid (name) state ppid ...
    const [, ppid] = status.slice(status.lastIndexOf(')') + 2).split(' ')
    if (Number(ppid) === parent) children.push(Number(name))
  }
  return children
}
