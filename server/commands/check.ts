import { parseArgs } from 'node:util'
import { openDatabase } from '../../db/database.ts'
import { type CheckResult, check } from '../check/check.ts'
import { advice, type Report, renderFinding } from '../check/finding.ts'
import { type Config, readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import type { Sql } from '../postgres/connect.ts'
import { counted, formatBytes } from '../send/format.ts'
import { fileStore } from '../store/file-store.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, UsageError } from './command.ts'
import { connectExisting, refuseMissingStore, refuseOtherSchema } from './existing-database.ts'
import { Interruption } from './interruption.ts'

const help = `Usage: stowage check [--quick | --deep] [--json]

Compares what the database says with what the store holds: every instance's bytes with its digest, its
metadata, the counts of series, studies and patients, and whether anything belongs to nobody. May run
while servers store, and changes nothing but with --deep.

  --quick  Reads no files, so no digests are compared; all else is
  --deep   Writes down which instances are damaged or whole again, for the servers, the feed and
           storage commitment, and when each segment was read
  --json   One JSON object a line: each finding, and the summary at the end

Exit codes: 0 no problem; 1 problems were found; 2 it could not be checked; 130 interrupted.`

/** Nothing is known of the archive. */
const EXIT_NOT_CHECKED = 2

/** Milliseconds between two lines about how far it is. */
const REPORT_MS = 10_000

/** `stowage check`: says what is wrong with the archive, line by line. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const options = parse(args)
  const config = readConfig(env)
  using interruption = new Interruption()
  const { signal } = interruption
  try {
    const result = await checkWith(config, { ...options, signal }, print)
    return result.findingCount === 0 ? EXIT_DONE : EXIT_FAILED
  } catch (error) {
    if (signal.aborted) {
      process.stderr.write('stowage: interrupted; what was not looked at may be wrong\n')
      return interruption.exitCode
    }
    // 1 would say that problems were found. The stack helps with what nobody expected.
    const { message, stack } = error as Error
    process.stderr.write(`stowage: ${error instanceof OperatorError ? message : stack}\n`)
    return EXIT_NOT_CHECKED
  }
}

function parse(args: string[]): { quick: boolean; deep: boolean; json: boolean } {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        deep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    if (values.quick && values.deep) throw new Error('Either or')
    return values
  } catch {
    throw new UsageError(
      `Cannot run "stowage check" with ${args.join(' ')}: it takes --quick or --deep, and --json; see "stowage check --help"`,
    )
  }
}

type Options = { quick: boolean; deep: boolean; json: boolean; signal: AbortSignal }

async function checkWith(
  config: Config,
  options: Options,
  print: (line: string) => void,
): Promise<CheckResult> {
  const log = createLog('warn')
  await using database = await connectExisting(config, log, 'check')
  await refuseOtherSchema(database.sql, 'check')
  await refuseMissingStore(database.sql, config.storeDir, 'check')
  return await checkDatabase(database.sql, config, options, print)
}

/** Checks an archive that is open already, and prints what it finds. */
export async function checkDatabase(
  sql: Sql,
  { storeDir, leaseMs }: Pick<Config, 'storeDir' | 'leaseMs'>,
  { quick, deep, json, signal }: Options,
  print: (line: string) => void,
): Promise<CheckResult> {
  const totals = { instanceCount: 0, segmentCount: 0, byteLength: 0 }
  const timer = setInterval(() => {
    process.stderr.write(`checking: ${renderTotals(totals)} so far\n`)
  }, REPORT_MS)
  try {
    const report: Report = json
      ? (one) => print(JSON.stringify({ finding: { ...one, advice: advice[one.problem] } }))
      : (one) => print(renderFinding(one))
    const options = { isQuick: quick, isDeep: deep, leaseMs, signal }
    const result = await check(openDatabase(sql), fileStore(storeDir), options, report, totals)
    if (json) print(JSON.stringify({ summary: { ...result, quick } }))
    else for (const line of renderResult(result, quick)) print(line)
    return result
  } finally {
    clearInterval(timer)
  }
}

function* renderResult(result: CheckResult, isQuick: boolean): Generator<string> {
  const {
    receivingCount,
    leaselessCount,
    doomedCount,
    youngCount,
    uncommittedBytes,
    findingCount,
  } = result
  if (receivingCount > 0) {
    const over =
      leaselessCount > 0 ? `; ${leaselessCount} of a server that died, to be ended by the next` : ''
    yield `normal: ${counted(receivingCount, 'transfer')} under way${over}`
  }
  if (doomedCount > 0) yield `normal: ${counted(doomedCount, 'segment')} to be deleted soon`
  if (uncommittedBytes > 0)
    yield `normal: ${formatBytes(uncommittedBytes)} behind what was committed in shared segments, from servers that were killed; unless the database is older than the store, nobody needs that`
  if (youngCount > 0)
    yield `normal: ${counted(youngCount, 'object')} so young that their rows may be on their way`
  const left = isQuick ? ' (without digests)' : ''
  const problems = findingCount === 0 ? 'no problem' : counted(findingCount, 'problem')
  yield `${renderTotals(result)} checked${left}: ${problems} found`
}

function renderTotals(totals: Pick<CheckResult, 'instanceCount' | 'segmentCount' | 'byteLength'>) {
  const { instanceCount, segmentCount, byteLength } = totals
  return `${counted(instanceCount, 'instance')}, ${counted(segmentCount, 'segment')}, ${formatBytes(byteLength)}`
}
