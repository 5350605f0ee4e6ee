/**
 * Measures how fast Stowage takes studies, side by side with bare servers and with Orthanc, in rounds.
 *
 *     npm run bench -- --help
 *     npm run bench -- --queries --help    how fast it searches and gives back
 *
 * Each figure begins with a fresh server and an empty store. A round measures each case with every server,
 * one right after the other and in another order than the round before, so that what else the machine
 * does hits all alike; ratios are those of one round.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { Bench } from './bench.ts'
import { renderComparison } from './compare.ts'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { type BenchOptions, readOptions, usage } from './options.ts'
import { runQueries } from './queries.ts'
import type { Report } from './report.ts'
import { servers } from './servers.ts'
import { renderReport } from './tables.ts'

if (process.argv.includes('--queries')) await runQueries(process.argv.slice(2))
else {
  const options = readOptionsOrExit()
  if (options === 'help') console.log(usage)
  else process.exitCode = await run(options)
}

function readOptionsOrExit(): BenchOptions | 'help' {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}

async function run(options: BenchOptions): Promise<number> {
  const before: Report | undefined =
    options.compareFile === undefined
      ? undefined
      : JSON.parse(readFileSync(options.compareFile, 'utf8'))
  const folder = await makeFolder(options.folder)
  using generator = new LoadGenerator()
  const report = await startReport(options)
  const bench = new Bench(options, report, folder, generator)
  const stop = () => void bench.stop()
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    await bench.measureAll()
  } finally {
    rmSync(folder, { recursive: true, force: true })
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
  if (options.jsonFile !== undefined) {
    writeFileSync(options.jsonFile, `${JSON.stringify(report, undefined, 1)}\n`)
  }
  console.log(renderReport(report))
  if (before !== undefined) console.log(`\n${renderComparison(before, report)}`)
  if (bench.isStopped) return 130
  const failedCount = report.samples.filter((sample) => sample.problemCount > 0).length
  const expectedCount = options.rounds * options.cases.length * report.servers.length
  if (failedCount === 0 && report.samples.length === expectedCount) return 0
  const lostCount = expectedCount - report.samples.length
  console.error(`bench: ${failedCount} measurements with wrong answers, ${lostCount} that failed`)
  return 1
}

async function startReport(options: BenchOptions): Promise<Report> {
  const report: Report = {
    version: 1,
    at: new Date().toISOString(),
    isQuick: options.isQuick,
    rounds: options.rounds,
    warmCount: options.warmCount,
    machine: {
      processors: cpus().length,
      model: cpus()[0]?.model.trim() ?? 'unknown',
      memoryBytes: totalmem(),
      platform: `${process.platform} ${process.arch}`,
    },
    servers: [],
    skipped: [],
    samples: [],
  }
  for (const id of options.servers) {
    const reason = await servers[id].findObstacle()
    if (reason === undefined) report.servers.push({ id, version: await servers[id].version() })
    else report.skipped.push({ id, reason })
    if (reason !== undefined) console.error(`${servers[id].title} is skipped: ${reason}`)
  }
  return report
}
