import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openDatabase } from '../../db/database.ts'
import { type BackupResult, makeBackup, pruneBackups } from '../backup/backup.ts'
import { backupFolder } from '../backup/snapshot.ts'
import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { counted, formatBytes } from '../send/format.ts'
import { fileStore } from '../store/file-store.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, readVersion, UsageError } from './command.ts'
import { connectExisting, refuseMissingStore, refuseOtherSchema } from './existing-database.ts'
import { Interruption } from './interruption.ts'

const help = `Usage: stowage backup FOLDER [--keep N]

Copies all rows, as they are at one moment, and the segments that they name. Servers go on meanwhile. Each backup has a
folder of its own in FOLDER, named by its time; segments that do not change any more lie in FOLDER/segments, once
for all backups. Keep FOLDER closed to others: it holds patients' names and the digests of credentials.

  --keep N  Afterwards deletes all but the newest N backups, with the segments that no other one needs

Exit codes: 0 done; 1 not done, or segments were missing from the store; 130 interrupted.`

/** `stowage backup`: rows and segments, consistent, while servers run. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const { path, keep } = parse(args)
  const config = readConfig(env)
  using interruption = new Interruption()
  const { signal } = interruption
  await using database = await connectExisting(config, createLog('warn'), 'back up')
  await refuseOtherSchema(database.direct, 'back up')
  await refuseMissingStore(database.direct, config.storeDir, 'back up')
  const folder = backupFolder(path)
  const deps = {
    db: openDatabase(database.direct),
    store: fileStore(config.storeDir),
    leaseMs: config.leaseMs,
    version: await readVersion(),
    signal,
    report: (line: string) => void process.stderr.write(`backing up: ${line}\n`),
  }
  try {
    const result = await makeBackup(deps, folder)
    for (const line of renderResult(result)) print(line)
    for (const name of keep === undefined ? [] : await pruneBackups(folder, keep)) {
      print(`deleted ${name}`)
    }
    return result.manifest.missing.length === 0 ? EXIT_DONE : EXIT_FAILED
  } catch (error) {
    if (!signal.aborted) throw error
    process.stderr.write('stowage: interrupted; this is no backup\n')
    return interruption.exitCode
  }
}

function* renderResult({ name, manifest, copiedCount, copiedBytes }: BackupResult) {
  const { instanceCount, segmentCount, segmentBytes, missing } = manifest
  for (const segmentID of missing) {
    yield `missing ${segmentID}: it is not in the store, or too short; see "stowage check"`
  }
  const all = `${counted(instanceCount, 'instance')}, ${counted(segmentCount, 'segment')}, ${formatBytes(segmentBytes)}`
  const copied = `${counted(copiedCount, 'segment')} of ${formatBytes(copiedBytes)}`
  yield `${name}: ${all}; ${copied} ${copiedCount === 1 ? 'was' : 'were'} new`
}

function parse(args: string[]): { path: string; keep: number | undefined } {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { keep: { type: 'string' } },
      allowPositionals: true,
    })
    const [path, ...more] = positionals
    if (path === undefined || more.length > 0) throw new Error('One folder')
    if (values.keep !== undefined && !/^[1-9]\d{0,5}$/.test(values.keep)) throw new Error('A count')
    return {
      path: resolve(path),
      keep: values.keep === undefined ? undefined : Number(values.keep),
    }
  } catch {
    throw new UsageError(
      `Cannot run "stowage backup" with ${args.join(' ') || 'nothing'}: it takes one folder, and --keep N; see "stowage backup --help"`,
    )
  }
}
