import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openDatabase } from '../../db/database.ts'
import { type CheckResult, check } from '../check/check.ts'
import { advice, type Report, renderFinding } from '../check/finding.ts'
import { type Config, readConfig } from '../config.ts'
import { createLog, type Log } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import { placeCluster } from '../postgres/cluster.ts'
import { connectDatabase, type Sql } from '../postgres/connect.ts'
import { startEmbeddedPostgres } from '../postgres/embedded.ts'
import { DataFolderInUseError } from '../postgres/folder-lock.ts'
import { MIGRATIONS_FOLDER } from '../postgres/open.ts'
import { findServersPostgres } from '../postgres/running.ts'
import { fileStore } from '../store/file-store.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, UsageError } from './command.ts'
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

/** It cannot be checked, and this is why. */
export class CheckError extends OperatorError {
  override name = 'CheckError'
}

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

async function checkWith(
  config: Config,
  {
    quick,
    deep,
    json,
    signal,
  }: { quick: boolean; deep: boolean; json: boolean; signal: AbortSignal },
  print: (line: string) => void,
): Promise<CheckResult> {
  const log = createLog('warn')
  await using database = await connect(config, log)
  await refuseOtherSchema(database.sql)
  await refuseMissingStore(database.sql, config.storeDir)
  const totals = { instanceCount: 0, segmentCount: 0, byteLength: 0 }
  const timer = setInterval(() => {
    process.stderr.write(`checking: ${renderTotals(totals)} so far\n`)
  }, REPORT_MS)
  try {
    const report: Report = json
      ? (one) => print(JSON.stringify({ finding: { ...one, advice: advice[one.problem] } }))
      : (one) => print(renderFinding(one))
    const db = openDatabase(database.sql)
    const options = { isQuick: quick, isDeep: deep, leaseMs: config.leaseMs, signal }
    const result = await check(db, fileStore(config.storeDir), options, report, totals)
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
    yield `normal: ${receivingCount} transfers are being received${over}`
  }
  if (doomedCount > 0) yield `normal: ${doomedCount} segments are about to be deleted`
  if (uncommittedBytes > 0)
    yield `normal: ${uncommittedBytes} bytes lie behind what was committed in shared segments, from servers that were killed; unless the database is older than the store, nobody needs them`
  if (youngCount > 0)
    yield `normal: ${youngCount} objects are so young that their rows may be on their way`
  const problems = findingCount === 1 ? '1 problem found' : `${findingCount || 'no'} problems found`
  const left = isQuick ? ' (without digests)' : ''
  yield `${renderTotals(result)} checked${left}: ${findingCount === 0 ? 'no problem found' : problems}`
}

function renderTotals(totals: Pick<CheckResult, 'instanceCount' | 'segmentCount' | 'byteLength'>) {
  return `${totals.instanceCount} instances, ${totals.segmentCount} segments, ${totals.byteLength} bytes`
}

type Connected = AsyncDisposable & { sql: Sql }

/**
 * Connects to the database of the settings, and changes nothing in it.
 *
 * A server that runs on the data folder keeps its Postgres: that one is asked, over its own socket. Where
 * no server runs, Postgres is started for as long as the check takes.
 */
async function connect(config: Config, log: Log): Promise<Connected> {
  if (config.databaseURL !== undefined) return connectDatabase(config, { log })
  const { dataDir } = config
  const nothing = `Cannot check: there is no database in ${dataDir}; set STOWAGE_DATA_DIR to the folder that the server uses`
  // Else it would be made, and an empty archive is always in order.
  if (!(await isThere(dataDir))) throw new CheckError(nothing)
  const place = await placeCluster(dataDir, log)
  if (!(await isThere(join(place.cluster, 'PG_VERSION')))) throw new CheckError(nothing)
  const running = await findServersPostgres(place)
  if (running) return connectDatabase(config, { embedded: running, log })
  try {
    const embedded = await startEmbeddedPostgres({ dataDir, log })
    const database = await connectDatabase(config, { embedded: embedded.connection, log }).catch(
      async (error) => {
        await embedded.stop()
        throw error
      },
    )
    return {
      sql: database.sql,
      async [Symbol.asyncDispose]() {
        await database.end()
        await embedded.stop()
      },
    }
  } catch (error) {
    // A server started in between.
    const started = error instanceof DataFolderInUseError && (await findServersPostgres(place))
    if (!started) throw error
    return connectDatabase(config, { embedded: started, log })
  }
}

/** @throws {CheckError} The tables are not those that this Stowage knows. A check does not migrate. */
async function refuseOtherSchema(sql: Sql): Promise<void> {
  const path = join(MIGRATIONS_FOLDER, 'meta', '_journal.json')
  const journal: { entries: { when: number }[] } = JSON.parse(await readFile(path, 'utf8'))
  const rows = await sql<{ when: string | number }[]>`
    select created_at as when
    from drizzle.__drizzle_migrations`.catch((error) => {
    // undefined_table, invalid_schema_name: nothing was ever stored here.
    if (error.code === '42P01' || error.code === '3F000') return []
    throw error
  })
  const applied = new Set(rows.map(({ when }) => Number(when)))
  const known = new Set(journal.entries.map(({ when }) => when))
  if ([...known].some((when) => !applied.has(when))) {
    throw new CheckError(
      'Cannot check: the database is older than this Stowage; run "stowage migrate" first',
    )
  }
  if ([...applied].some((when) => !known.has(when))) {
    throw new CheckError(
      'Cannot check: a newer Stowage has changed this database; check with that one',
    )
  }
}

/** @throws {CheckError} Every segment is missing because the folder is: most likely it is not mounted, or another. */
async function refuseMissingStore(sql: Sql, storeDir: string): Promise<void> {
  if (await isThere(storeDir)) return
  const [row] = await sql`select exists (select from instances) as "isInUse"`
  if (row?.isInUse) {
    throw new CheckError(
      `Cannot check: there is no folder ${storeDir}; set STOWAGE_STORE_DIR to the one that the server uses, or mount it`,
    )
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error) => {
      if (error.code === 'ENOENT') return false
      throw new CheckError(`Cannot check: ${path} cannot be read: ${error.code}`)
    },
  )
}
