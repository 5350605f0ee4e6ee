import type { Asked } from './reader.ts'
import type { Read } from './reads.ts'
import { formatNumber, formatSpread, quantile, spreadOf } from './statistics.ts'
import { renderTable } from './tables.ts'

/** One read of one server in one round. */
export interface ReadSample extends Asked {
  round: number
  server: string
  title: string
  unit: Read['unit']
  clients: number
}

/** Rates, latencies, and ratios of the same round, with what they have to be. */
export function renderReads(samples: ReadSample[], reads: Read[]): string {
  const rows = reads.flatMap((read) =>
    read.clients.flatMap((clients) => {
      const those = samples.filter((one) => one.title === read.title && one.clients === clients)
      const names = [...new Set(those.map(({ server }) => server))]
      return names.map((server) => rowOf(read, clients, server, those))
    }),
  )
  return renderTable(
    'Reads',
    ['read', 'clients', 'server', 'a second', 'unit', 'p50 ms', 'p99 ms', 'times its peer', 'goal'],
    rows,
  )
}

function rowOf(read: Read, clients: number, server: string, samples: ReadSample[]): string[] {
  const own = samples.filter((one) => one.server === server)
  const latencies = own.flatMap((one) => one.latencies)
  const ratios = own.flatMap((one) => {
    const peer = samples.find(
      (other) =>
        other.round === one.round && other.server.startsWith(read.target?.peer ?? 'orthanc'),
    )
    return peer === undefined || peer.server === server ? [] : rateOf(one) / rateOf(peer)
  })
  const isPeer = /^(orthanc|file)/.test(server)
  return [
    read.title,
    String(clients),
    server,
    formatSpread(spreadOf(own.map(rateOf))),
    read.unit,
    formatNumber(quantile(latencies, 0.5)),
    formatNumber(quantile(latencies, 0.99)),
    formatSpread(spreadOf(ratios)),
    isPeer || read.target === undefined ? '-' : `${read.target.times} x ${read.target.peer}`,
  ]
}

function rateOf({ unit, perSecond, bytesPerSecond }: ReadSample): number {
  return unit === 'MB' ? bytesPerSecond / 1e6 : perSecond
}
