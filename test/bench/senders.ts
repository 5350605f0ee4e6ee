/**
 * Measures what many senders at once do to the server: its memory, whether anything is lost or wrong, and how long the page
 * takes meanwhile. Prints the row that docs/operations.md has.
 *
 *     node --import tsx test/bench/senders.ts [--senders 500] [--seconds 180] [--addresses 25] [--runtime node]
 *       [--transfers N] [--wait 200]
 *
 * Senders wait for so many milliseconds after each 16 KB, so that as many are under way at once as there are; half of them ask first (100-continue).
 * Afterwards every study that was acknowledged has to be there with all of its instances, its first one byte for byte;
 * one that was not, whole or not at all.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { makeFolder } from './folder.ts'
import { runSenders, type SentStudy } from './many-senders.ts'
import { wholeNumber } from './options.ts'
import type { PageTimes } from './page-asker.ts'
import { usageOf } from './processes.ts'
import { quantile } from './statistics.ts'
import { type Runtime, startStowage } from './stowage.ts'

const { values } = parseArgs({
  options: {
    senders: { type: 'string' },
    seconds: { type: 'string' },
    addresses: { type: 'string' },
    runtime: { type: 'string' },
    transfers: { type: 'string' },
    wait: { type: 'string' },
  },
})
const senders = wholeNumber('--senders', values.senders, 500, 1)
const seconds = wholeNumber('--seconds', values.seconds, 180, 1)
const addresses = wholeNumber('--addresses', values.addresses, 25, 1)
const betweenPiecesMs = wholeNumber('--wait', values.wait, 200, 0)
const runtime = (values.runtime ?? 'node') as Runtime
const folder = await makeFolder()

try {
  const env = values.transfers === undefined ? {} : { STOWAGE_MAX_TRANSFERS: values.transfers }
  await using server = await startStowage(runtime, folder, env)
  const origin = new URL(server.studiesURL).origin
  const asker = fork(fileURLToPath(new URL('page-asker.ts', import.meta.url)), [origin], {
    execArgv: ['--import', 'tsx'],
  })
  // Senders are other machines: what they cost must not be taken from the server.
  setPriority(10)
  const { studiesURL } = server
  const result = await runSenders({ studiesURL, senders, addresses, seconds, betweenPiecesMs })
  const said = once(asker, 'message')
  asker.send('end')
  const [page] = (await said) as [PageTimes]
  const { peakBytes, cpuMs } = usageOf(server.pids) ?? { peakBytes: Number.NaN, cpuMs: Number.NaN }
  const wrong = await verify(server.studiesURL, result.studies)
  const problems = [...result.problems, ...page.problems, ...wrong]
  const stored = result.studies.filter((study) => study.isStored).length
  console.log(
    `${result.requestCount} requests in ${seconds} s: ${stored} stored (${(result.byteLength / 1e6).toFixed(0)} MB), ` +
      `${result.refusedCount} refused and tried again; ${page.latencies.length} pages, p50 ` +
      `${quantile(page.latencies, 0.5).toFixed(0)} ms; ${(cpuMs / 1000).toFixed(0)} s of processor time; ${problems.length} problems`,
  )
  for (const problem of problems.slice(0, 10)) console.log(`  ${problem}`)
  console.log(
    [
      ...['', `${senders} on ${runtime}, ${seconds} s`, String(result.mostAtOnce)],
      ...[
        String(stored),
        String(result.refusedCount),
        String(result.problems.length + wrong.length),
      ],
      `${(peakBytes / 1e6).toFixed(0)} MB`,
      `${quantile(page.latencies, 0.99).toFixed(0)} ms`,
      '',
    ]
      .join(' | ')
      .trim(),
  )
  if (problems.length > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @returns what is not as the senders were told. */
async function verify(studiesURL: string, studies: SentStudy[]): Promise<string[]> {
  const wrong: string[] = []
  let next = 0
  async function reader(): Promise<void> {
    for (let study = studies[next++]; study !== undefined; study = studies[next++]) {
      const problem = await verifyOne(studiesURL, study)
      if (problem !== undefined) wrong.push(`${study.studyInstanceUID}: ${problem}`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, reader))
  return wrong
}

async function verifyOne(studiesURL: string, study: SentStudy): Promise<string | undefined> {
  const url = `${studiesURL}/${study.studyInstanceUID}`
  const search = await fetch(`${url}/instances?limit=100`)
  const items = search.status === 204 ? [] : ((await search.json()) as DicomJSON[])
  const found = new Set(items.map((item) => item['00080018']?.Value?.[0]))
  if (found.size === 0) return study.isStored ? 'nothing is there' : undefined
  const missing = study.sopInstanceUIDs.filter((sopInstanceUID) => !found.has(sopInstanceUID))
  if (missing.length > 0) return `${missing.length} of ${study.sopInstanceUIDs.length} are missing`
  const first = `${url}/series/${study.studyInstanceUID}.1/instances/${study.sopInstanceUIDs[0]}`
  const answer = await fetch(first, { headers: { accept: 'application/dicom' } })
  const bytes = Buffer.from(await answer.arrayBuffer())
  return bytes.equals(study.first) ? undefined : `answered ${answer.status} with other bytes`
}

type DicomJSON = Record<string, { Value?: unknown[] }>
