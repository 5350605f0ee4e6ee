import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { examine, findSnapshot, type RestoreDeps, restore } from '../backup/restore.ts'
import { backupFolder } from '../backup/snapshot.ts'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { connectDatabase } from '../postgres/connect.ts'
import { startEmbeddedPostgres } from '../postgres/embedded.ts'
import { MIGRATIONS_FOLDER } from '../postgres/open.ts'
import { counted } from '../send/format.ts'
import { fileStore } from '../store/file-store.ts'
import { checkDatabase } from './check.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, UsageError } from './command.ts'
import { Interruption } from './interruption.ts'

const help = `Usage: stowage restore FOLDER [--backup NAME] [--no-check]

Puts the newest backup of FOLDER, or the one of that name, into the database and the store of the settings. Both must
be empty: nothing is overwritten. Then does what "stowage check --deep" does. No server may run on it meanwhile.

  --backup NAME  As "stowage backup" said it, and as its folder is called
  --no-check     Leaves the check out

Exit codes: 0 done, and nothing is wrong; 1 not done, or the check found something; 130 interrupted: run it again.`

/** `stowage restore`: an archive as it was when it was backed up, and the proof. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const options = parse(args)
  const config = readConfig(env)
  const log = createLog('warn')
  using interruption = new Interruption()
  const { signal } = interruption
  const folder = backupFolder(options.path)
  const deps: RestoreDeps = {
    store: fileStore(config.storeDir),
    migrationsFolder: MIGRATIONS_FOLDER,
    signal,
    report: (line) => void process.stderr.write(`restoring: ${line}\n`),
  }
  try {
    const snapshot = await findSnapshot(folder, options.name)
    await examine(deps, folder, snapshot)
    await using embedded =
      config.databaseURL === undefined
        ? await startEmbeddedPostgres({ dataDir: config.dataDir, log })
        : undefined
    await using database = await connectDatabase(config, { embedded: embedded?.connection, log })
    await restore(deps, database.direct, folder, snapshot)
    const { instanceCount, lastSeq, missing } = snapshot.manifest
    print(
      `${snapshot.name} is restored: ${counted(instanceCount, 'instance')}; the feed ends at ${lastSeq}`,
    )
    if (missing.length > 0) {
      print(
        `${counted(missing.length, 'segment')} missing from the store already, when it was made`,
      )
    }
    if (!options.isChecked) return EXIT_DONE
    const how = { quick: false, deep: true, json: false, signal }
    const { findingCount } = await checkDatabase(database.sql, config, how, print)
    return findingCount === 0 ? EXIT_DONE : EXIT_FAILED
  } catch (error) {
    if (!signal.aborted) throw error
    process.stderr.write('stowage: interrupted; run it again\n')
    return interruption.exitCode
  }
}

function parse(args: string[]): { path: string; name: string | undefined; isChecked: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { backup: { type: 'string' }, 'no-check': { type: 'boolean', default: false } },
      allowPositionals: true,
    })
    const [path, ...more] = positionals
    if (path === undefined || more.length > 0) throw new Error('One folder')
    return { path: resolve(path), name: values.backup, isChecked: !values['no-check'] }
  } catch {
    throw new UsageError(
      `Cannot run "stowage restore" with ${args.join(' ') || 'nothing'}: it takes one folder, --backup NAME and --no-check; see "stowage restore --help"`,
    )
  }
}
