import { parseArgs } from 'node:util'
import { moveRows } from '../backup/move.ts'
import { type Config, type Environment, readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { OperatorError } from '../operator-error.ts'
import { placeCluster } from '../postgres/cluster.ts'
import { connectDatabase } from '../postgres/connect.ts'
import { markMoved } from '../postgres/moved.ts'
import { MIGRATIONS_FOLDER, openDatabase } from '../postgres/open.ts'
import { findServersPostgres } from '../postgres/running.ts'
import { counted } from '../send/format.ts'
import { type CommandContext, EXIT_DONE, UsageError } from './command.ts'
import { Interruption } from './interruption.ts'

const help = `Usage: stowage migrate [--to URL]

Brings the database up to date, without serving.

  --to URL  Copies all rows of the embedded Postgres into an empty database of another Postgres, in one transaction, and
            compares them there. Stop the server first. From then on DATABASE_URL has to be set: the embedded one is
            kept as it was, and not used any more. Segments stay where they are.

Exit codes: 0 done; 1 not done, and nothing was changed; 130 interrupted, and nothing was changed.`

/** The database cannot be moved, and this is why. */
export class MoveError extends OperatorError {
  override name = 'MoveError'
}

/** `stowage migrate`: brings the database up to date, or moves it, and says what it did. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const to = parse(args)
  const config = readConfig(env)
  if (to !== undefined) return move(config, readTarget(env, to), print)
  await using opened = await openDatabase(config, createLog(config.logLevel))
  const { applied, known, functionsDefined } = opened.migrations
  for (const tag of applied) print(`applied ${tag}`)
  if (functionsDefined) print('defined the functions')
  print(`${applied.length} of ${known} migrations were new`)
  return EXIT_DONE
}

async function move(
  config: Config,
  target: Config,
  print: (line: string) => void,
): Promise<number> {
  const log = createLog('warn')
  if (config.databaseURL !== undefined) {
    throw new MoveError(
      'Cannot move: DATABASE_URL is set, so the database is another Postgres already; move it by "stowage backup" and "stowage restore"',
    )
  }
  if (await findServersPostgres(await placeCluster(config.dataDir, log))) {
    throw new MoveError(`Cannot move: a server runs on ${config.dataDir}; stop it first`)
  }
  using interruption = new Interruption()
  const { signal } = interruption
  try {
    await using from = await openDatabase(config, log)
    await using to = await connectDatabase(target, { log })
    const options = { migrationsFolder: MIGRATIONS_FOLDER, signal }
    const moved = await moveRows(from.direct, to.direct, options)
    const { host, port, database } = to.direct.options
    await markMoved(config.dataDir, `${host.join(',')}:${port.join(',')}/${database}`, new Date())
    for (const { name, rowCount } of moved)
      if (rowCount > 0) print(`${name}: ${counted(rowCount, 'row')}`)
    print('moved; now set DATABASE_URL to it, and start the server')
    return EXIT_DONE
  } catch (error) {
    if (!signal.aborted) throw error
    process.stderr.write('stowage: interrupted; nothing was changed\n')
    return interruption.exitCode
  }
}

/** The settings as they will be, so that the URL is checked as DATABASE_URL is. */
function readTarget(env: Environment, to: string): Config {
  try {
    return readConfig({ ...env, DATABASE_URL: to, DATABASE_DIRECT_URL: undefined })
  } catch {
    throw new UsageError(
      'Cannot move: --to takes what DATABASE_URL takes, postgres://user@host/database',
    )
  }
}

function parse(args: string[]): string | undefined {
  try {
    return parseArgs({ args, options: { to: { type: 'string' } } }).values.to
  } catch {
    // Not repeated: there may be a password in it.
    throw new UsageError(
      'Cannot run "stowage migrate" with these arguments: it takes --to URL or nothing; see "stowage migrate --help"',
    )
  }
}
