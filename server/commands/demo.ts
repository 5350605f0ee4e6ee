import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { firstSet, ownURL } from '../demo/demonstration.ts'
import { findAway, sendDemo } from '../demo/send-demo.ts'
import { OperatorError } from '../operator-error.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, readVersion, UsageError } from './command.ts'
import { Interruption } from './interruption.ts'
import { parseHeaders } from './send.ts'

const help = `Usage: stowage demo [OPTIONS]

Makes four studies by code and sends them over STOW-RS to a running server, some so slowly that the page can be watched:
a CT of a chest, an ultrasound loop, a study of which less comes than was declared, and one with a file that is refused.
Takes less than a minute. The patients are made up; nothing but the server's address is asked for.

  --url URL               The server (default http://127.0.0.1:8104, or what STOWAGE_HOST and STOWAGE_PORT say)
  --new                   Other studies than the last time; without it, those that are there are left alone
  --fast                  As fast as it goes
  --header 'Name: value'  Sent with each request, for credentials; may be given several times

Exit codes: 0 all is as it should be; 1 something was not stored, or not refused; 2 wrong usage; 130 interrupted.`

/** `stowage demo`: shows a newcomer what the page does. */
export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const { url, isNew, speed, headers } = parseDemoArguments(args, env)
  using interruption = new Interruption()
  const target = { url, headers, product: `stowage-demo/${await readVersion()}` }
  const away = await findAway(target, interruption.signal)
  if (interruption.signal.aborted) return interruption.exitCode
  if (away !== undefined) {
    throw new OperatorError(
      `Cannot send the demonstration: ${away}; start the server, or write its address after --url`,
    )
  }
  print(`Watch it on ${url}`)
  const isFine = await sendDemo(isNew ? randomUUID() : firstSet, target, {
    signal: interruption.signal,
    say: print,
    speed,
  })
  if (interruption.signal.aborted) return interruption.exitCode
  return isFine ? EXIT_DONE : EXIT_FAILED
}

/** @throws {UsageError} It says what to write instead; never the value of a header. */
export function parseDemoArguments(args: string[], env: CommandContext['env']) {
  const { values } = parse(args)
  const { STOWAGE_HOST = '', STOWAGE_PORT = '8104' } = env
  return {
    url: parseURL(values.url ?? ownURL(STOWAGE_HOST, STOWAGE_PORT)),
    isNew: values.new,
    speed: values.fast ? Number.POSITIVE_INFINITY : 1,
    headers: parseHeaders(values.header),
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        url: { type: 'string' },
        new: { type: 'boolean', default: false },
        fast: { type: 'boolean', default: false },
        header: { type: 'string', multiple: true, default: [] },
      },
    })
  } catch (error) {
    const [sentence] = (error as Error).message.split('. ')
    throw new UsageError(`Cannot send the demonstration: ${sentence}; see "stowage demo --help"`)
  }
}

function parseURL(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new UsageError(
      'Cannot send the demonstration: write the server after --url, such as --url http://127.0.0.1:8104',
    )
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/dicom-web$/, '')}`
}
