import {
  type CommandModule,
  EXIT_DONE,
  EXIT_FAILED,
  EXIT_USAGE,
  readVersion,
  UsageError,
} from './commands/command.ts'
import { ConfigError, type Environment, findNearest } from './config.ts'
import { renderSettingsHelp } from './config-table.ts'
import type { Host } from './listen/host.ts'
import { describeError } from './log.ts'
import { OperatorError } from './operator-error.ts'

type Command = { arguments: string; meaning: string; load(): Promise<CommandModule> }

// Loaded when called for: "stowage --help" need not load a database client.
const COMMANDS: Record<string, Command> = {
  serve: {
    arguments: '',
    meaning: 'Run the server (what happens without a command)',
    load: () => import('./commands/serve.ts'),
  },
  send: {
    arguments: 'DIR...',
    meaning: 'Send the DICOM files in folders to a DICOMweb server',
    load: () => import('./commands/send.ts'),
  },
  demo: {
    arguments: '',
    meaning: 'Send made-up studies to a running server, to see what it does',
    load: () => import('./commands/demo.ts'),
  },
  check: {
    arguments: '',
    meaning: 'Compare what the database says with what the store holds',
    load: () => import('./commands/check.ts'),
  },
  backup: {
    arguments: 'FOLDER',
    meaning: 'Copy rows and segments, while servers run, into a folder of backups',
    load: () => import('./commands/backup.ts'),
  },
  restore: {
    arguments: 'FOLDER',
    meaning: 'Put a backup into an empty archive, and check it',
    load: () => import('./commands/restore.ts'),
  },
  token: {
    arguments: 'create|list|revoke',
    meaning: 'Make, list and revoke tokens for programs',
    load: () => import('./commands/token.ts'),
  },
  password: {
    arguments: 'NAME',
    meaning: 'Set the password with which somebody signs in on the page',
    load: () => import('./commands/password.ts'),
  },
  migrate: {
    arguments: '[--to URL]',
    meaning: 'Bring the database up to date, without serving; or move it to another Postgres',
    load: () => import('./commands/migrate.ts'),
  },
}

/**
 * Runs the command that the arguments name.
 *
 * @returns The exit code. An `OperatorError` is told as one sentence; anything else is a fault and shows its stack.
 */
export async function runCommand(argv: string[], env: Environment, host: Host): Promise<number> {
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  try {
    const [first, ...rest] = argv
    if (first === '--help' || first === '-h' || first === 'help') {
      print(renderHelp())
      return EXIT_DONE
    }
    if (first === '--version' || first === '-V') {
      print(await readVersion())
      return EXIT_DONE
    }
    const isNamed = first !== undefined && !first.startsWith('-')
    const name = isNamed ? first : 'serve'
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (!command) throw new UsageError(describeUnknown(name))
    const { run } = await command.load()
    return await run({ args: isNamed ? rest : argv, env, host, print })
  } catch (error) {
    return tell(error)
  }
}

function renderHelp(): string {
  const commands = Object.entries(COMMANDS).map(
    ([name, command]) => `  ${`${name} ${command.arguments}`.trim().padEnd(26)}${command.meaning}`,
  )
  return [
    'Usage: stowage [COMMAND] [ARGUMENTS]',
    '',
    'A DICOMweb receiver and archive that stores whole studies or nothing, and can prove it.',
    '',
    'Commands:',
    ...commands,
    `  ${'--help'.padEnd(26)}Show this`,
    `  ${'--version'.padEnd(26)}Show the version`,
    '',
    'Settings, by environment variables:',
    renderSettingsHelp(),
  ].join('\n')
}

function describeUnknown(name: string): string {
  const nearest = findNearest(name, Object.keys(COMMANDS))
  const hint = nearest === undefined ? '' : `; is "${nearest}" meant?`
  return `Cannot run "${name}": there is no such command${hint || '; see "stowage --help"'}`
}

function tell(error: unknown): number {
  if (error instanceof OperatorError) {
    process.stderr.write(`stowage: ${error.message}\n`)
    return error instanceof UsageError || error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED
  }
  // Where it came from, and of its words only those that may be said: a failed query's hold values.
  const frames = error instanceof Error ? (error.stack ?? '').match(/^ {4}at .*$/gm) : null
  process.stderr.write(`stowage: ${[describeError(error), ...(frames ?? [])].join('\n')}\n`)
  return EXIT_FAILED
}
