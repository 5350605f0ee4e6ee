import { readConfig } from '../config.ts'
import { createLog } from '../log.ts'
import { openDatabase } from '../postgres/open.ts'
import { type CommandContext, EXIT_DONE, refuseArguments } from './command.ts'

/** `stowage migrate`: brings the database up to date, and says what it did. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  refuseArguments('migrate', args)
  const config = readConfig(env)
  await using opened = await openDatabase(config, createLog(config.logLevel))
  const { applied, known, functionsDefined } = opened.migrations
  for (const tag of applied) print(`applied ${tag}`)
  if (functionsDefined) print('defined the functions')
  print(`${applied.length} of ${known} migrations were new`)
  return EXIT_DONE
}
