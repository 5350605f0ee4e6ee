/**
 * Measures how fast Stowage searches and gives back, side by side with Orthanc on the same studies, and with a bare
 * server that streams the same bytes from one file.
 *
 *     npm run bench -- --queries --help
 *
 * Each server gets 300 studies of ten instances and one of 600 (317 MB). In each round every read is asked of every
 * server for a while, right one after the other, so that what else the machine does hits all alike; ratios are those
 * of one round.
 */
import { spawn } from 'node:child_process'
import { chmodSync, createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { freePort } from '../support/server.ts'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { wholeNumber } from './options.ts'
import { end, lastWordsOf, untilReady } from './processes.ts'
import { type ReadSample, renderReads } from './read-tables.ts'
import { askFor, checkResults } from './reader.ts'
import { type Filled, reads } from './reads.ts'
import { type ServerID, serverIDs, servers } from './servers.ts'

const usage = `Usage: npm run bench -- --queries [OPTIONS]

  --rounds N         Default 3
  --seconds N        For each read of each server in each round; default 3
  --only TITLE,...   ${reads.map(({ title }) => title).join(', ')}
  --servers ID,...   Default node,orthanc-a
  --json FILE        Write all figures to a file
  --folder DIR       Where to put the servers' data: 2 GB
`

/** Ends what was begun. */
type Ending = () => Promise<void>

interface Asked extends Filled {
  id: ServerID
}

export async function runQueries(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      queries: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      servers: { type: 'string' },
      json: { type: 'string' },
      folder: { type: 'string' },
    },
  })
  if (values.help) {
    console.log(usage)
    return
  }
  const rounds = wholeNumber('--rounds', values.rounds, 3, 1)
  const seconds = wholeNumber('--seconds', values.seconds, 3, 1)
  const wanted = (values.servers ?? 'node,orthanc-a').split(',')
  const only = values.only?.split(',')
  const chosen = reads.filter(({ title }) => only === undefined || only.includes(title))
  const folder = await makeFolder(values.folder)
  mkdirSync(join(folder, 'shared'))
  const samples: ReadSample[] = []
  const running: Ending[] = []
  try {
    await measure()
  } finally {
    for (const stop of running.reverse()) await stop()
    rmSync(folder, { recursive: true, force: true })
  }
  if (values.json !== undefined) {
    const report = { version: 1, at: new Date().toISOString(), rounds, seconds, samples }
    writeFileSync(values.json, `${JSON.stringify(report, undefined, 1)}\n`)
  }
  console.log(renderReads(samples, chosen))

  async function measure(): Promise<void> {
    const asked: Asked[] = []
    for (const id of serverIDs.filter((one) => wanted.includes(one))) {
      const obstacle = await servers[id].findObstacle()
      if (obstacle !== undefined) console.error(`${id} is left out: ${obstacle}`)
      else asked.push(await startFilled(id, folder, running))
    }
    const [first] = asked
    const bareURL = first && (await startFileServer(first, folder, running))
    for (let round = 1; round <= rounds; round++) {
      for (const read of chosen) {
        for (const clients of read.clients) {
          const common = { headers: read.headers, clients, seconds }
          const keep = async (server: string, urls: string[]) => {
            const figures = await askFor({ ...common, urls })
            samples.push({ round, server, title: read.title, unit: read.unit, clients, ...figures })
            console.error(`round ${round}  ${server}  ${read.title}, ${clients} at a time`)
          }
          for (const one of asked) {
            if (round === 1) await checkResults(read, read.urls(one)[0] as string)
            await keep(one.id, read.urls(one))
          }
          if (read.target?.peer === 'file' && bareURL) await keep('file', [bareURL])
        }
      }
    }
  }
}

/** Starts a server and sends it what is read. */
async function startFilled(id: ServerID, folder: string, running: Ending[]): Promise<Asked> {
  const ownFolder = join(folder, id)
  mkdirSync(ownFolder)
  chmodSync(ownFolder, 0o755)
  const server = await servers[id].start(ownFolder, join(folder, 'shared'))
  running.push(async () => server[Symbol.asyncDispose]())
  using generator = new LoadGenerator()
  const { studiesURL, isConfirming: isConfirmed } = server
  const common = { url: studiesURL, isConfirmed, size: 'full', tag: 0, isChunked: false } as const
  await generator.run({ ...common, set: 'many', perRequest: 10, concurrency: 4 })
  await generator.run({ ...common, set: 'ct', perRequest: 50, concurrency: 1 })
  type Results = Record<string, { Value: [string] }>[]
  const ask = async (path: string): Promise<Results> =>
    (await fetch(`${studiesURL}${path}`, { headers: { accept: 'application/dicom+json' } })).json()
  const [found] = await ask('?PatientID=ct-00000000')
  const study = found?.['0020000D']?.Value[0] as string
  const instancePaths: string[] = []
  for (let number = 0; number < 20; number++) {
    const [other] = await ask(`?PatientID=many-${String(number).padStart(8, '0')}`)
    const uid = other?.['0020000D']?.Value[0]
    for (const one of await ask(`/${uid}/instances`)) {
      const [series, instance] = ['0020000E', '00080018'].map((tag) => one[tag]?.Value[0])
      instancePaths.push(`${uid}/series/${series}/instances/${instance}`)
    }
  }
  return { id, studiesURL, study, instancePaths }
}

/** Keeps the answer to the retrieval of the study in a file, and serves that. */
async function startFileServer(
  { studiesURL, study }: Filled,
  folder: string,
  running: Ending[],
): Promise<string> {
  const path = join(folder, 'answer')
  const headers = {
    accept: 'multipart/related; type="application/dicom"; transfer-syntax=*',
  }
  const answer = await fetch(`${studiesURL}/${study}`, { headers })
  await pipeline(Readable.fromWeb(answer.body as never), createWriteStream(path))
  const port = await freePort()
  const script = fileURLToPath(new URL('file-server.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, String(port), path], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(() => end(child, 'SIGKILL'))
  const url = `http://127.0.0.1:${port}/`
  await untilReady(url, child, lastWordsOf(child))
  return url
}
