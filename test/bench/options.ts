import { parseArgs } from 'node:util'
import { type CaseID, caseIDs } from './cases.ts'
import { type ServerID, serverIDs } from './servers.ts'

export interface BenchOptions {
  rounds: number
  cases: CaseID[]
  servers: ServerID[]
  isQuick: boolean
  /** Small instances sent before the clock starts, so that a server is warm, and a tenth as many large ones; 0 for none. */
  warmCount: number
  /** Where to write the report. */
  jsonFile: string | undefined
  /** An earlier report, to compare with. */
  compareFile: string | undefined
  /** Where the servers' folders are made. Default the system's temporary folder. */
  folder: string | undefined
}

const quickServers: ServerID[] = ['node', 'onefile', 'orthanc-a']

export const usage = `Usage: npm run bench -- [OPTIONS]

Measures how fast Stowage takes studies, side by side with bare servers and with Orthanc.

  --queries          Searches and retrieval instead; has options of its own (--queries --help)
  --quick            About two minutes: 2 rounds, smaller sets; ${quickServers.join(', ')}
  --rounds N         Default 5
  --only CASE,...    ${caseIDs.join(', ')}
  --servers ID,...   ${serverIDs.join(', ')}
  --warm N           Small instances sent to each server before it is measured; default 4,000;
                     half of them 10 a request, half of them 1 a request; and N / 10 large ones, 50 a request
  --json FILE        Write all figures to a file
  --compare FILE     Print what changed against such a file
  --folder DIR       Where to put the servers' data: a real disk with 4 GB free
`

/** @throws {TypeError | RangeError} The arguments are wrong, in a sentence for people. */
export function readOptions(args: string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean' },
      rounds: { type: 'string' },
      only: { type: 'string' },
      servers: { type: 'string' },
      warm: { type: 'string' },
      json: { type: 'string' },
      compare: { type: 'string' },
      folder: { type: 'string' },
    },
  })
  if (values.help) return 'help'
  const isQuick = values.quick ?? false
  return {
    rounds: wholeNumber('--rounds', values.rounds, isQuick ? 2 : 5, 1),
    cases: chosen('--only', values.only, caseIDs, caseIDs),
    servers: chosen('--servers', values.servers, serverIDs, isQuick ? quickServers : serverIDs),
    isQuick,
    warmCount: wholeNumber('--warm', values.warm, 4000, 0),
    jsonFile: values.json,
    compareFile: values.compare,
    folder: values.folder,
  }
}

/** In the order of the list of all, whatever order they were named in. */
function chosen<ID extends string>(
  name: string,
  text: string | undefined,
  all: readonly ID[],
  fallback: readonly ID[],
): ID[] {
  if (text === undefined) return [...fallback]
  const named = text.split(',')
  const unknown = named.find((id) => !all.includes(id as ID))
  if (unknown !== undefined) {
    throw new RangeError(`Cannot take ${name} "${unknown}": known are ${all.join(', ')}`)
  }
  return all.filter((id) => named.includes(id))
}

export function wholeNumber(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
): number {
  const value = text === undefined ? fallback : Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`Cannot take ${name} "${text}": it is a whole number from ${least} on`)
}
