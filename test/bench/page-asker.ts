// Asks for pages while others send: a process of its own, so that it measures the server and not its own waiting.
//
//     node --import tsx test/bench/page-asker.ts URL
//
// Ends when it is told to over IPC, and answers with what it measured.
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface PageTimes {
  /** Milliseconds until all of a page was there. */
  latencies: number[]
  /** What was answered with anything but 200. */
  problems: string[]
}

const url = process.argv[2] as string
const pages = ['/', '/transfers', '/health', '/feed']
const betweenMs = 200

/** People who look, each at one page after the other. */
const people = 4

const agent = new Agent({ keepAlive: true, maxSockets: people })
const times: PageTimes = { latencies: [], problems: [] }
let isOver = false
process.on('message', () => {
  isOver = true
})
process.on('disconnect', () => process.exit())
await Promise.all(Array.from({ length: people }, (_, turn) => look(turn)))
agent.destroy()
process.send?.(times)
process.disconnect()

async function look(first: number): Promise<void> {
  for (let turn = first; !isOver; turn++) {
    const page = pages[turn % pages.length] as string
    const askedAt = performance.now()
    const status = await ask(page).catch((error: Error) => error.message)
    times.latencies.push(performance.now() - askedAt)
    if (status !== 200) times.problems.push(`${page}: ${status}`)
    await delay(betweenMs)
  }
}

function ask(page: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = get(url + page, { agent, headers: { accept: 'text/html' } }, (answer) => {
      answer.resume()
      answer.on('error', reject)
      answer.on('end', () => resolve(answer.statusCode))
    })
    asked.on('error', reject)
  })
}
