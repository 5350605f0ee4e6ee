/**
 * Measures how fast Stowage searches (QIDO-RS), side by side with Orthanc on the same studies.
 *
 *     node --import tsx test/bench/queries.ts --help
 *
 * Each server gets 300 studies of ten instances and one of 600. In each round every query is asked of every server for
 * a while, right one after the other, so that what else the machine does hits all alike; ratios are those
 * of one round.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { wholeNumber } from './options.ts'
import { type RunningServer, type ServerID, serverIDs, servers } from './servers.ts'
import { formatNumber, formatSpread, quantile, spreadOf } from './statistics.ts'
import { renderTable } from './tables.ts'

const usage = `Usage: node --import tsx test/bench/queries.ts [OPTIONS]

  --rounds N         Default 3
  --seconds N        For each query of each server in each round; default 3
  --clients N        Default 8
  --servers ID,...   Default node,orthanc-a
  --folder DIR       Where to put the servers' data: 1 GB
`

/** What is asked, and how many results there have to be. (Orthanc does not decode %5E.) */
function queriesOf(largeStudy: string): [title: string, path: string, results: number][] {
  return [
    ['studies?limit=50', '?limit=50', 50],
    ['beginning of a name', '?PatientName=Bench^Adler*&limit=50', 39],
    ['name', '?PatientName=Bench^Adler^00000008', 1],
    ['period', '?StudyDate=20210101-20221231&limit=50', 50],
    ['Patient ID', '?PatientID=many-00000007', 1],
    ['instances of 600', `/${largeStudy}/instances`, 600],
  ]
}

interface Sample {
  round: number
  server: ServerID
  query: string
  perSecond: number
  latencies: number[]
}

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    clients: { type: 'string' },
    servers: { type: 'string' },
    folder: { type: 'string' },
  },
})
if (values.help) console.log(usage)
else await run()

async function run(): Promise<void> {
  const rounds = wholeNumber('--rounds', values.rounds, 3, 1)
  const seconds = wholeNumber('--seconds', values.seconds, 3, 1)
  const clients = wholeNumber('--clients', values.clients, 8, 1)
  const wanted = (values.servers ?? 'node,orthanc-a').split(',')
  const folder = await makeFolder(values.folder)
  mkdirSync(join(folder, 'shared'))
  const running: { id: ServerID; server: RunningServer; largeStudy: string }[] = []
  const samples: Sample[] = []
  try {
    for (const id of serverIDs.filter((one) => wanted.includes(one))) {
      const obstacle = await servers[id].findObstacle()
      if (obstacle !== undefined) console.error(`${id} is left out: ${obstacle}`)
      else running.push(await startFilled(id, folder))
    }
    for (let round = 1; round <= rounds; round++) {
      for (const index of queriesOf('').keys()) {
        for (const { id, server, largeStudy } of running) {
          const [query, path, results] = queriesOf(largeStudy)[index] as [string, string, number]
          const measured = await ask(`${server.studiesURL}${path}`, { clients, seconds, results })
          samples.push({ round, server: id, query, ...measured })
          console.error(`round ${round}  ${id}  ${query}: ${formatNumber(measured.perSecond)}/s`)
        }
      }
    }
  } finally {
    for (const { server } of running) await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(render(samples, clients))
}

/** Starts a server and sends it what is searched. */
async function startFilled(id: ServerID, folder: string) {
  const ownFolder = join(folder, id)
  mkdirSync(ownFolder)
  chmodSync(ownFolder, 0o755)
  const server = await servers[id].start(ownFolder, join(folder, 'shared'))
  using generator = new LoadGenerator()
  const { studiesURL: url, isConfirming: isConfirmed } = server
  const common = { url, isConfirmed, size: 'full', tag: 0, isChunked: false } as const
  await generator.run({ ...common, set: 'many', perRequest: 10, concurrency: 4 })
  await generator.run({ ...common, set: 'small', limit: 600, perRequest: 'whole', concurrency: 1 })
  const answer = await fetch(`${url}?PatientID=small-00000000`)
  const [study] = (await answer.json()) as [{ '0020000D': { Value: [string] } }]
  return { id, server, largeStudy: study['0020000D'].Value[0] }
}

interface Asking {
  clients: number
  seconds: number
  results: number
}

/** @throws {Error} An answer is not 200, or has another number of results. */
async function ask(url: string, { clients, seconds, results }: Asking) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const first = JSON.parse((await read(url, agent)).toString()) as unknown[]
  if (first.length !== results)
    throw new Error(`${url} has ${first.length} results, not ${results}`)
  const latencies: number[] = []
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  async function client(): Promise<void> {
    while (performance.now() < until) {
      const askedAt = performance.now()
      await read(url, agent)
      latencies.push(performance.now() - askedAt)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const perSecond = latencies.length / ((performance.now() - startedAt) / 1000)
  agent.destroy()
  return { perSecond, latencies }
}

function read(url: string, agent: Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers: { accept: 'application/dicom+json' } }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(chunks))
        else reject(new Error(`${url} is answered ${answer.statusCode}`))
      })
    })
    request.on('error', reject)
  })
}

function render(samples: Sample[], clients: number): string {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) {
    const name = `${sample.query} ${sample.server}`
    groups.set(name, [...(groups.get(name) ?? []), sample])
  }
  const rows = [...groups.values()].map((group) => {
    const { query, server } = group[0] as Sample
    const latencies = group.flatMap((sample) => sample.latencies)
    const ratios = group.flatMap(({ round, perSecond }) => {
      const peer = samples.find(
        (one) => one.round === round && one.query === query && one.server.startsWith('orthanc'),
      )
      return peer === undefined || peer.server === server ? [] : perSecond / peer.perSecond
    })
    return [
      query,
      server,
      formatSpread(spreadOf(group.map(({ perSecond }) => perSecond))),
      formatNumber(quantile(latencies, 0.5)),
      formatNumber(quantile(latencies, 0.99)),
      formatSpread(spreadOf(ratios)),
    ]
  })
  return renderTable(
    `Searches, ${clients} clients at a time`,
    ['query', 'server', 'requests/s', 'p50 ms', 'p99 ms', 'times Orthanc'],
    rows,
  )
}
