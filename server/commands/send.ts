import { stat, writeFile } from 'node:fs/promises'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findStudies } from '../send/find-studies.ts'
import { counted, formatBytes } from '../send/format.ts'
import { Meter } from '../send/meter.ts'
import { Progress, type Screen } from '../send/progress.ts'
import { renderReport } from '../send/report.ts'
import { sendAll } from '../send/send-all.ts'
import { isAllStored, renderSummary } from '../send/summary.ts'
import { type CommandContext, EXIT_DONE, EXIT_FAILED, readVersion, UsageError } from './command.ts'
import { Interruption } from './interruption.ts'

const help = `Usage: stowage send DIR|FILE... --to URL [OPTIONS]

Sends the DICOM files in folders to a DICOMweb server, each study as one STOW-RS request: of a study
the server keeps all, or nothing. Files that are no DICOM, and DICOMDIRs, are passed over.

  --to URL                The server's DICOMweb base, such as http://127.0.0.1:8104/dicom-web
  --lenient               Where some instances of a study are refused, let the server keep the others
  --concurrency N         Studies sent at once, 1 to 64 (default 2)
  --retries N             How often a request is made again when the server or the network is away, 0 to 100 (default 5)
  --report FILE           Write what became of each file, as CSV
  --header 'Name: value'  Sent with each request, for credentials; may be given several times

Exit codes: 0 everything is stored; 1 something was refused or failed; 2 wrong usage; 130 interrupted.`

export interface SendOptions {
  paths: string[]
  /** Without a slash at its end. */
  baseURL: string
  handling: 'strict' | 'lenient'
  concurrency: number
  retries: number
  /** Where to write what became of each file. */
  reportFile: string | undefined
  headers: Record<string, string | string[]>
}

/** `stowage send`: sends studies, and says what became of each. */
export async function run({ args, print }: CommandContext): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const options = parseSendArguments(args)
  for (const path of options.paths) {
    await stat(path).catch(() => {
      throw new UsageError(`Cannot send ${path}: there is no such file or folder`)
    })
  }
  // Before anything is sent: hours later would be a bad time to hear of it.
  if (options.reportFile !== undefined) await writeReport(options.reportFile, [])
  using interruption = new Interruption()
  // Awaited here: at the end of this block the signals are nobody's again.
  return await send(options, print, process.stderr, interruption)
}

/** @throws {UsageError} It says what to write instead; never the value of a header. */
export function parseSendArguments(args: string[]): SendOptions {
  const { values, positionals } = parse(args)
  if (positionals.length === 0) {
    throw new UsageError('Cannot send: name the folders or files; see "stowage send --help"')
  }
  return {
    paths: positionals,
    baseURL: parseBaseURL(values.to),
    handling: values.lenient ? 'lenient' : 'strict',
    concurrency: wholeNumber('--concurrency', values.concurrency, 1, 64),
    retries: wholeNumber('--retries', values.retries, 0, 100),
    reportFile: values.report,
    headers: parseHeaders(values.header),
  }
}

async function send(
  options: SendOptions,
  print: (line: string) => void,
  screen: Screen,
  interruption: Interruption,
): Promise<number> {
  const { signal } = interruption
  const found = await findStudies(options.paths, { signal }).catch((error) => {
    if (signal.aborted) return undefined
    throw error
  })
  if (found === undefined) {
    print('interrupted before anything was sent')
    return interruption.exitCode
  }
  const { studies } = found
  const bytes = studies.reduce((total, study) => total + study.byteLength, 0)
  const instances = studies.reduce((total, study) => total + study.files.length, 0)
  screen.write(
    `found     ${counted(studies.length, 'study')}, ${counted(instances, 'instance')}, ${formatBytes(bytes)}\n`,
  )
  const meter = new Meter({ bytes, instances }, Date.now)
  const progress = new Progress(screen, meter)
  const target = { ...options, product: `stowage-send/${await readVersion()}` }
  const outcomes = await sendAll(studies, target, options.concurrency, {
    signal,
    meter,
    say: (line) => progress.say(line),
    sleep: (ms, signal) => delay(ms, undefined, { signal }),
  }).finally(() => progress.stop())
  for (const line of renderSummary(found, outcomes)) print(line)
  if (options.reportFile !== undefined) {
    await writeReport(options.reportFile, renderReport(found, outcomes))
  }
  if (signal.aborted) return interruption.exitCode
  if (studies.length === 0) print('there was nothing to send')
  return studies.length > 0 && isAllStored(found, outcomes) ? EXIT_DONE : EXIT_FAILED
}

/** @throws {UsageError} It cannot be written. */
async function writeReport(path: string, lines: Iterable<string>): Promise<void> {
  await writeFile(path, lines).catch((error) => {
    throw new UsageError(`Cannot write the report to ${path}: ${(error as Error).message}`)
  })
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        lenient: { type: 'boolean', default: false },
        concurrency: { type: 'string', default: '2' },
        retries: { type: 'string', default: '5' },
        report: { type: 'string' },
        header: { type: 'string', multiple: true, default: [] },
      },
    })
  } catch (error) {
    // Its first sentence names the option; what follows explains how to write odd file names.
    const [sentence] = (error as Error).message.split('. ')
    throw new UsageError(`Cannot send: ${sentence}; see "stowage send --help"`)
  }
}

function parseBaseURL(text: string | undefined): string {
  const example = 'write the DICOMweb base, such as --to http://127.0.0.1:8104/dicom-web'
  if (text === undefined) throw new UsageError(`Cannot send: --to is missing; ${example}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`Cannot send: --to is no http or https URL; ${example}`)
  }
  if (url.username || url.password) {
    throw new UsageError(
      "Cannot send: --to holds a user and password; write --header 'Authorization: ...' instead",
    )
  }
  if (url.search || url.hash) {
    throw new UsageError(`Cannot send: --to has a query or a fragment; ${example}`)
  }
  // The base, whether it was given with a slash, or with the "studies" that comes after it.
  const path = url.pathname.replace(/\/+$/, '').replace(/\/studies$/, '')
  return `${url.origin}${path}`
}

function wholeNumber(option: string, text: string, lowest: number, highest: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < lowest || value > highest) {
    throw new UsageError(`Cannot send: ${option} takes a whole number, ${lowest} to ${highest}`)
  }
  return value
}

/** What the request itself says, and must stay true. */
const ownHeaders = new Set([
  'accept',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'prefer',
  'transfer-encoding',
  'user-agent',
])

/** @throws {UsageError} It never says the value of a header. */
export function parseHeaders(lines: string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      throw new UsageError("Cannot send: --header is not of the form 'Name: value'")
    }
    if (ownHeaders.has(name)) {
      throw new UsageError(
        `Cannot send: --header cannot set ${name}, which the request sets itself`,
      )
    }
    const known = headers[name]
    headers[name] = known === undefined ? value : [known, value].flat()
  }
  return headers
}
