import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Environment } from '../config.ts'
import type { Host } from '../listen/host.ts'
import { OperatorError } from '../operator-error.ts'

/** What a command is given to work with. */
export type CommandContext = {
  /** The arguments after the command's name. */
  args: string[]
  env: Environment
  host: Host
  /** Writes one line of the answer to standard output. */
  print(line: string): void
}

/** A command's module: `run` resolves to the exit code of the process. */
export type CommandModule = { run(context: CommandContext): Promise<number> }

/** Wrong arguments; exit code 2. */
export class UsageError extends OperatorError {
  override name = 'UsageError'
}

/** Exit codes: all went well; it could not be done; it was asked for in a wrong way. */
export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** For commands that take no arguments. @throws {UsageError} There are some. */
export function refuseArguments(command: string, args: string[]): void {
  try {
    parseArgs({ args, options: {}, allowPositionals: false })
  } catch {
    throw new UsageError(
      `Cannot run "stowage ${command}" with ${args.join(' ')}: it takes no arguments; settings are environment variables, see "stowage --help"`,
    )
  }
}

/** The version in package.json. */
export async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
