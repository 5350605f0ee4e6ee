/**
 * `npm run fuzz -- --target head --seconds 60`: feeds broken input to what reads strangers' input, guided by which code
 * it makes run. See docs/fuzzing.md.
 */
import { createHash } from 'node:crypto'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { CurrentInput } from './current-input.ts'
import type { Finding } from './fuzzer.ts'
import { type Run, table } from './table.ts'
import { targets } from './targets/all.ts'
import type { FuzzData, FuzzMessage, Progress } from './worker.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'all' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    folder: { type: 'string', default: '.fuzz' },
    'pause-while': { type: 'string' },
    table: { type: 'boolean', default: false },
  },
})

/** After so long the thread is ended: the input may never end. */
const endAfterMs = 10_000
const runsFile = join(values.folder, 'runs.jsonl')

if (values.table) {
  console.log(table(runsFile))
} else {
  const names = values.target === 'all' ? Object.keys(targets) : values.target.split(',')
  let findingCount = 0
  for (const name of names) {
    if (targets[name] === undefined) {
      console.error(`There is no target ${name}; there are ${Object.keys(targets).join(', ')}`)
      process.exit(2)
    }
    findingCount += (await fuzz(name, Number(values.seconds) / names.length)).findings.length
  }
  process.exitCode = findingCount === 0 ? 0 : 1
}

async function fuzz(target: string, seconds: number): Promise<Run> {
  const run: Run = {
    target,
    at: new Date().toISOString(),
    seconds: 0,
    executions: 0,
    blocks: 0,
    newInputs: 0,
    findings: [],
  }
  const seen = new Set<string>()
  const found = (finding: Finding) => {
    // One fault shows with many inputs: the place counts.
    const place = `${finding.kind} ${finding.kind === 'error' ? placeOf(finding.what) : ''}`
    if (seen.has(place)) return
    seen.add(place)
    const folder = join(values.folder, 'findings', target)
    mkdirSync(folder, { recursive: true })
    const name = `${finding.kind}-${createHash('sha256').update(finding.input).digest('hex').slice(0, 12)}`
    writeFileSync(join(folder, name), finding.input)
    writeFileSync(join(folder, `${name}.txt`), finding.what)
    run.findings.push(place)
    console.log(`${target}: ${finding.kind}, ${join(folder, name)}\n${finding.what.slice(0, 1500)}`)
  }
  let seed = Number(values.seed)
  let isStopped = false
  process.once('SIGTERM', () => {
    isStopped = true
  })
  // A thread that had to be ended is followed by another, until the time is over.
  while (run.seconds < seconds && !isStopped) {
    const last = await oneThread(target, seconds - run.seconds, seed++, found)
    run.seconds += last.seconds
    run.executions += last.executions
    run.newInputs += last.newInputs
    run.blocks = Math.max(run.blocks, last.blocks)
    if (!last.isDone && run.findings.length > 20) break
  }
  run.seconds = Math.round(run.seconds)
  mkdirSync(values.folder, { recursive: true })
  appendFileSync(runsFile, `${JSON.stringify(run)}\n`)
  console.log(
    `${target}: ${run.executions} executions in ${run.seconds} s, ${run.blocks} blocks of code, ` +
      `${run.newInputs} inputs kept, ${run.findings.length} findings`,
  )
  return run
}

function oneThread(
  target: string,
  seconds: number,
  seed: number,
  found: (finding: Finding) => void,
): Promise<Progress> {
  const current = new CurrentInput()
  const workerData: FuzzData = {
    target,
    seconds,
    seed,
    corpusFolder: join(values.folder, 'corpus', target),
    pauseFile: values['pause-while'],
    shared: current.shared,
  }
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  })
  let last: Progress = {
    executions: 0,
    seconds: 0,
    blocks: 0,
    corpus: 0,
    newInputs: 0,
    isDone: false,
  }
  // What was done until then is written down.
  const stop = () => void worker.terminate()
  process.once('SIGTERM', stop)
  return new Promise((resolve, reject) => {
    const watch = setInterval(() => {
      if (current.ageMs < endAfterMs) return
      found({ kind: 'hang', input: current.bytes, what: `over ${endAfterMs} ms` })
      last.seconds += endAfterMs / 1000
      void worker.terminate()
    }, 500)
    worker.on('message', (message: FuzzMessage) => {
      if ('finding' in message) found(message.finding)
      else last = message.progress
    })
    worker.on('error', (error: NodeJS.ErrnoException) => {
      if (current.ageMs === 0) return reject(error)
      const kind = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'error'
      found({ kind, input: current.bytes, what: error.stack ?? error.message })
      last.seconds += 1
    })
    worker.on('exit', () => {
      clearInterval(watch)
      process.removeListener('SIGTERM', stop)
      resolve(last)
    })
  })
}

/** The first line without its values, and the first two lines of ours. */
function placeOf(stack: string): string {
  const [first = '', ...lines] = stack.split('\n')
  const places = lines.filter((line) => line.includes('/server/')).slice(0, 2)
  return [first.slice(0, 60).replace(/[0-9]+/g, 'n'), ...places.map((line) => line.trim())]
    .join(' ')
    .replaceAll(/file:\/\/[^ ]*\/server\//g, 'server/')
}
