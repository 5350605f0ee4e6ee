/**
 * Measures what instances take: bytes of rows with their indexes, bytes of segments beside those that were sent, memory of
 * the server, connections. Prints the table that docs/operations.md has.
 *
 *     node --import tsx test/bench/sizing.ts [SET...]
 *
 * Each set goes into an archive of its own, four requests at a time; 1 GB of disk.
 */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseProbe } from './database-probe.ts'
import { makeFolder } from './folder.ts'
import { LoadGenerator } from './load-generator.ts'
import { usageOf } from './processes.ts'
import { type SetName, setNames } from './sets.ts'
import { startStowage } from './stowage.ts'

interface Need {
  set: SetName
  instanceCount: number
  sentBytes: number
  rowBytes: number
  segmentBytes: number
  peakBytes: number
  connectionCount: number
}

/** Bytes a request brings: some CT slices, or many small instances. */
const perRequest: Record<SetName, number> = { small: 50, ct: 20, many: 10, big: 1 }

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !setNames.includes(name as SetName))
if (unknown.length > 0) {
  console.error(`sizing: there is no set "${unknown[0]}"; there are ${setNames.join(', ')}`)
  process.exit(2)
}
const needs: Need[] = []
using generator = new LoadGenerator()
for (const set of asked.length > 0 ? (asked as SetName[]) : setNames) needs.push(await measure(set))
console.log(render(needs))

async function measure(set: SetName): Promise<Need> {
  const folder = await makeFolder()
  try {
    await using server = await startStowage('node', folder)
    await using probe = await DatabaseProbe.open(folder)
    const before = await tableBytes(probe)
    const { instanceCount, byteLength, problems } = await generator.run({
      ...{ url: server.studiesURL, set, size: 'full', tag: 1, perRequest: perRequest[set] },
      ...{ concurrency: 4, isChunked: false, isConfirmed: true },
    })
    if (problems.length > 0) throw new Error(problems.join('; '))
    const peakBytes = usageOf(server.pids)?.peakBytes ?? Number.NaN
    const [connections] = await probe.sql`
      select count(*)::int as count from pg_stat_activity where application_name = 'stowage'`
    return {
      ...{ set, instanceCount, sentBytes: byteLength, peakBytes },
      rowBytes: (await tableBytes(probe)) - before,
      segmentBytes: bytesBelow(join(folder, 'segments')),
      connectionCount: connections?.count as number,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of all tables, with their indexes, as they are when what died is swept up. */
async function tableBytes(probe: DatabaseProbe): Promise<number> {
  await probe.sql`vacuum`
  const { tables } = await probe.measure()
  return tables.reduce((sum, one) => sum + one.heapBytes + one.indexBytes + one.toastBytes, 0)
}

function bytesBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, found) => sum + (found.isFile() ? found.size : 0), 0)
}

function render(all: Need[]): string {
  const lines = all.map((need) =>
    [
      '',
      `${need.set}: ${need.instanceCount} of ${kilobytes(need.sentBytes / need.instanceCount)}`,
      `${(need.rowBytes / need.instanceCount).toFixed(0)} bytes`,
      kilobytes((need.segmentBytes - need.sentBytes) / need.instanceCount),
      `${(need.peakBytes / 1e6).toFixed(0)} MB`,
      String(need.connectionCount),
      '',
    ]
      .join(' | ')
      .trim(),
  )
  return [
    '| instances | rows and indexes, each | metadata in the segment, each | memory of the server | connections |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

function kilobytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(0)} MB`
}
