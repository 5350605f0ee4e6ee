import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/server.ts'
import { end, lastWordsOf, untilReady } from './processes.ts'
import type { ServerKind } from './servers.ts'

/** A raw limit: what a Node server reaches that does nothing but what must be. */
export function sink(mode: 'discard' | 'onefile'): ServerKind {
  return {
    title: mode,
    findObstacle: async () => undefined,
    version: async () => process.version,
    async start(folder) {
      const port = await freePort()
      const startedAt = performance.now()
      const script = fileURLToPath(new URL('sink.ts', import.meta.url))
      const args = ['--import', 'tsx', script, String(port), mode, folder]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      const url = `http://127.0.0.1:${port}/studies`
      await untilReady(url, child, lastWordsOf(child))
      return {
        studiesURL: url,
        pids: [child.pid as number],
        startMs: performance.now() - startedAt,
        isConfirming: false,
        [Symbol.asyncDispose]: () => end(child, 'SIGKILL'),
      }
    },
  }
}
