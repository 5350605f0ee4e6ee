import { Agent, get } from 'node:http'
import type { Read } from './reads.ts'

export interface Asking {
  urls: string[]
  headers: Record<string, string>
  clients: number
  seconds: number
}

export interface Asked {
  perSecond: number
  bytesPerSecond: number
  /** Milliseconds, one for each answer. */
  latencies: number[]
}

/** Asks for one URL after the other with so many clients at a time. @throws {Error} An answer is not 200. */
export async function askFor({ urls, headers, clients, seconds }: Asking): Promise<Asked> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const latencies: number[] = []
  let byteCount = 0
  let next = 0
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  async function client(): Promise<void> {
    do {
      const url = urls[next++ % urls.length] as string
      const askedAt = performance.now()
      const bytes = await read(url, headers, agent)
      byteCount += bytes
      latencies.push(performance.now() - askedAt)
    } while (performance.now() < until)
  }
  await Promise.all(Array.from({ length: clients }, client))
  const passed = (performance.now() - startedAt) / 1000
  agent.destroy()
  return { perSecond: latencies.length / passed, bytesPerSecond: byteCount / passed, latencies }
}

/** Asks once, so that a wrong answer is not measured. @throws {Error} It has another number of results. */
export async function checkResults({ results, headers }: Read, url: string): Promise<void> {
  if (results === undefined) return
  const answer = await fetch(url, { headers })
  const found = (await answer.json()) as unknown[]
  if (found.length === results) return
  throw new Error(`${url} has ${found.length} results, not ${results}`)
}

/** @returns Bytes of the answer, as they came. */
function read(url: string, headers: Record<string, string>, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers }, (answer) => {
      let byteCount = 0
      answer.on('data', (chunk: Buffer) => {
        byteCount += chunk.length
      })
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(byteCount)
        else reject(new Error(`${url} is answered ${answer.statusCode}`))
      })
    })
    request.on('error', reject)
  })
}
