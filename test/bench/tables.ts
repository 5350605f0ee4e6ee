import { type CaseID, caseIDs, cases, type Target, targets } from './cases.ts'
import { Figures, type Report } from './report.ts'
import { type ServerID, servers, stowageIDs } from './servers.ts'
import { formatNumber, formatSpread } from './statistics.ts'

/** A report as Markdown: rates, ratios of the same rounds, targets, and what it cost. */
export function renderReport(report: Report): string {
  const figures = new Figures(report)
  const measured = caseIDs.filter((id) => report.samples.some((sample) => sample.case === id))
  return [
    renderMachine(report),
    renderRates(report, figures, measured),
    renderRatios(report, figures, measured),
    renderTargets(report, figures, measured),
    renderCosts(report, figures, measured),
  ].join('\n\n')
}

function renderMachine({ machine, rounds, isQuick, warmCount, servers: ran, skipped }: Report) {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`
  const size = isQuick ? 'reduced sets (--quick): not for quoting' : 'full sets'
  return [
    `${machine.processors} x ${machine.model}, ${memory}, ${machine.platform}`,
    `Rounds: ${rounds}, ${size}; warmed with ${warmCount} small instances and a tenth of large ones; figures are median (min-max)`,
    ...ran.map(({ id, version }) => `- ${servers[id].title}: ${version ?? 'version unknown'}`),
    ...skipped.map(({ id, reason }) => `- ${servers[id].title}: skipped, ${reason}`),
  ].join('\n')
}

function renderRates(report: Report, figures: Figures, measured: CaseID[]): string {
  const ids = report.servers.map(({ id }) => id)
  return renderTable(
    'Rates',
    ['case', 'unit', ...ids.map((id) => servers[id].title)],
    measured.map((caseID) => [
      cases[caseID].title,
      cases[caseID].unit,
      ...ids.map((id) => formatSpread(figures.rate(caseID, id))),
    ]),
  )
}

function renderRatios(report: Report, figures: Figures, measured: CaseID[]): string {
  const peers: ServerID[] = ['onefile', 'orthanc-a', 'orthanc-b']
  const ours = stowageIDs.filter((id) => report.servers.some((server) => server.id === id))
  return renderTable(
    'Ratios of the same rounds',
    ['case', 'server', ...peers.map((id) => `over ${servers[id].title}`)],
    measured.flatMap((caseID) =>
      ours.map((id) => [
        cases[caseID].title,
        servers[id].title,
        ...peers.map((peer) => formatSpread(figures.ratio([caseID, id], [caseID, peer]))),
      ]),
    ),
  )
}

function renderTargets(report: Report, figures: Figures, measured: CaseID[]): string {
  const ours = stowageIDs.filter((id) => report.servers.some((server) => server.id === id))
  const isAsked = (target: Target) => !('of' in target) || measured.includes(target.of)
  return renderTable(
    'To reach',
    ['case', 'what', 'to reach', ...ours.flatMap((id) => [servers[id].title, 'reached'])],
    targets.filter(isAsked).map((target) => [
      'of' in target ? cases[target.of].title : 'start',
      ...describeTarget(target),
      ...ours.flatMap((id) => {
        const { value, isReached } = figures.judge(target, id)
        return [formatSpread(value), isReached === undefined ? '-' : isReached ? 'yes' : 'no']
      }),
    ]),
  )
}

/** What is measured, and the limit. */
function describeTarget(target: Target): [string, string] {
  if ('startMsAtMost' in target) {
    return ['start with an existing database, ms', `at most ${target.startMsAtMost}`]
  }
  if ('peakMBAtMost' in target) return ['peak memory, MB', `at most ${target.peakMBAtMost}`]
  if ('peakOverCase' in target) {
    return [`peak memory over "${cases[target.peakOverCase].title}"`, `at most ${target.atMost}`]
  }
  const over = target.over === 'itself' ? 'itself' : servers[target.over].title
  const ofCase = target.overCase === undefined ? '' : ` at "${cases[target.overCase].title}"`
  return [`rate over ${over}${ofCase}`, `at least ${target.atLeast}`]
}

function renderCosts(report: Report, figures: Figures, measured: CaseID[]): string {
  return renderTable(
    'Latency of a request, and what it cost the server (with its Postgres; memory without it)',
    [
      'case',
      'server',
      'p50 ms',
      'p99 ms',
      'CPU ms an instance',
      'of it Postgres',
      'peak memory MB',
    ],
    measured.flatMap((caseID) =>
      report.servers.map(({ id }) => [
        cases[caseID].title,
        servers[id].title,
        formatNumber(figures.latencyMs(caseID, id, 'p50')?.median),
        formatNumber(figures.latencyMs(caseID, id, 'p99')?.median),
        formatSpread(figures.cpuMsPerInstance(caseID, id)),
        formatNumber(figures.postgresCPUMsPerInstance(caseID, id)?.median),
        formatSpread(figures.peakMB(caseID, id)),
      ]),
    ),
  )
}

/** A heading and a Markdown table whose columns line up in a terminal too. */
export function renderTable(title: string, head: string[], rows: string[][]): string {
  const widths = head.map((name, column) =>
    Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? name).length)),
  )
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [
    `## ${title}`,
    '',
    line(head),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
  ].join('\n')
}
