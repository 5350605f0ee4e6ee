import type { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { SeededRandom } from '../support/random.ts'
import { CurrentInput } from './current-input.ts'
import { type Finding, Fuzzer } from './fuzzer.ts'
import { targets } from './targets/all.ts'

/** What the thread is told at its start. */
export interface FuzzData {
  target: string
  seconds: number
  seed: number
  /** Where inputs that brought something new lie, by target, from this run and earlier ones. */
  corpusFolder: string
  pauseFile: string | undefined
  shared: SharedArrayBuffer
}

/** What the thread tells, again and again. */
export type FuzzMessage = { finding: Finding } | { progress: Progress }

export interface Progress {
  executions: number
  seconds: number
  blocks: number
  corpus: number
  newInputs: number
  isDone: boolean
}

const data = workerData as FuzzData
const makeTarget = targets[data.target]
if (makeTarget === undefined || parentPort === null) throw new Error('There is no such target')
const port = parentPort
const target = await makeTarget()
mkdirSync(data.corpusFolder, { recursive: true })
let newInputs = 0
const fuzzer = new Fuzzer(target, [...target.seeds, ...earlier()], {
  random: new SeededRandom(data.seed),
  current: new CurrentInput(data.shared),
  found: (finding) => port.postMessage({ finding } satisfies FuzzMessage),
  kept(input) {
    newInputs++
    const name = createHash('sha256').update(input).digest('hex').slice(0, 16)
    writeFileSync(join(data.corpusFolder, name), input)
  },
})
await fuzzer.begin()
let ms = 0
while (ms < data.seconds * 1000) {
  while (data.pauseFile !== undefined && existsSync(data.pauseFile)) await sleep(1000)
  const start = performance.now()
  await fuzzer.batch()
  ms += performance.now() - start
  tell(false)
}
await target.end?.()
tell(true)

function tell(isDone: boolean): void {
  const { executions, blockCount: blocks, corpusCount: corpus } = fuzzer
  const progress = { executions, seconds: ms / 1000, blocks, corpus, newInputs, isDone }
  port.postMessage({ progress } satisfies FuzzMessage)
}

function earlier(): Buffer[] {
  return readdirSync(data.corpusFolder).map((name) => readFileSync(join(data.corpusFolder, name)))
}
