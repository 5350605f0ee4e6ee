/**
 * Measures what an instance costs the server when its database already holds 1,000, and when it holds
 * 10,000,000 of them, and how large the database is.
 *
 *     node --import tsx test/bench/rows.ts --help
 *
 * The rows are made by SQL from one study that was really sent. At each size the server is started again,
 * then takes new studies, in turns with a bare server that writes one file: so that a busy hour of the
 * machine is not taken for a slow database.
 */
import { chmodSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DatabaseProbe } from './database-probe.ts'
import { makeFolder } from './folder.ts'
import { GeneratedRows } from './generated-rows.ts'
import { LoadGenerator } from './load-generator.ts'
import { wholeNumber } from './options.ts'
import { IntakeMeter, type IntakePoint } from './row-costs.ts'
import { renderCurve, renderSizes } from './row-tables.ts'
import { servers } from './servers.ts'
import { startStowage, stopAllStowages } from './stowage.ts'

const usage = `Usage: node --import tsx test/bench/rows.ts [OPTIONS]

  --sizes N,...   Instances in the database; default 1000,10000,100000,1000000,10000000
  --quick         Sizes 1000,10000,100000, and 3 rounds
  --rounds N      At each size; default 5
  --json FILE     Write all figures to a file
  --folder DIR    Where to put the data: 10,000,000 instances need 15 GB, and some minutes to be made
`

/** Of disk for an instance, with the log that Postgres writes ahead. */
const bytesPerInstance = 1200
const bytesForLog = 3e9

process.exitCode = await run(process.argv.slice(2))

async function run(args: string[]): Promise<number> {
  let options: ReturnType<typeof readRowOptions>
  try {
    options = readRowOptions(args)
  } catch (error) {
    console.error(`rows: ${(error as Error).message}\n\n${usage}`)
    return 2
  }
  if (options.isHelp) {
    console.log(usage)
    return 0
  }
  const folder = await makeFolder(options.folder)
  for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143 })) {
    process.once(signal, () => void stop(folder, code))
  }
  try {
    const sizes = options.sizes.filter((size) => hasRoom(folder, size))
    const points = await measureAll(folder, sizes, options.rounds)
    if (options.jsonFile !== undefined) {
      writeFileSync(options.jsonFile, `${JSON.stringify(points, undefined, 1)}\n`)
    }
    console.log(`${renderCurve(points)}\n\n${renderSizes(points)}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return 0
}

/** Ends the server with its Postgres, then this process. */
async function stop(folder: string, code: number): Promise<never> {
  await stopAllStowages()
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

function readRowOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean' },
      sizes: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'string' },
      folder: { type: 'string' },
    },
  })
  const usual = values.quick ? '1000,10000,100000' : '1000,10000,100000,1000000,10000000'
  return {
    isHelp: values.help ?? false,
    sizes: (values.sizes ?? usual)
      .split(',')
      .map((size) => wholeNumber('--sizes', size, 0, 1))
      .sort((a, b) => a - b),
    rounds: wholeNumber('--rounds', values.rounds, values.quick ? 3 : 5, 1),
    jsonFile: values.json,
    folder: values.folder,
  }
}

function hasRoom(folder: string, size: number): boolean {
  const { bavail, bsize } = statfsSync(folder)
  const hasIt = bavail * bsize > size * bytesPerInstance + bytesForLog
  if (!hasIt) console.error(`${size} instances are skipped: not enough room at ${folder}`)
  return hasIt
}

async function measureAll(folder: string, sizes: number[], rounds: number): Promise<IntakePoint[]> {
  const [dataDir, sinkFolder] = ['stowage', 'onefile'].map((name) => {
    const made = join(folder, name)
    mkdirSync(made)
    chmodSync(made, 0o755)
    return made
  }) as [string, string]
  using generator = new LoadGenerator()
  await using reference = await servers.onefile.start(sinkFolder, folder)
  const meter = new IntakeMeter(generator, reference.studiesURL)
  let rows = await prepareRows(dataDir, meter)
  const points: IntakePoint[] = []
  for (const size of sizes) {
    const filledAt = performance.now()
    rows = await fill(dataDir, rows, size)
    const fillSeconds = ((performance.now() - filledAt) / 1000).toFixed(0)
    await using server = await startStowage('node', dataDir)
    await using probe = await DatabaseProbe.open(dataDir)
    const database = await probe.measure()
    console.error(`${database.instanceCount} instances after ${fillSeconds} s; measuring`)
    const intake = await meter.measure(server, rounds)
    points.push({ startMs: server.startMs, database, intake })
  }
  return points
}

/** Sends the study that is copied, to a server with an empty store. */
async function prepareRows(dataDir: string, meter: IntakeMeter): Promise<GeneratedRows> {
  await using server = await startStowage('node', dataDir)
  await meter.sendStudyToCopy(server)
  await using probe = await DatabaseProbe.open(dataDir)
  const rows = await GeneratedRows.prepare(probe.sql)
  if (rows.leftAlone.length > 0) console.error(`Not copied: ${rows.leftAlone.join(', ')}`)
  return rows
}

async function fill(dataDir: string, rows: GeneratedRows, size: number): Promise<GeneratedRows> {
  await using _server = await startStowage('node', dataDir)
  await using probe = await DatabaseProbe.open(dataDir)
  const connected = rows.on(probe.sql)
  await connected.fillUpTo(size)
  return connected
}
