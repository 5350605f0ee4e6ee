import { caseIDs, cases } from './cases.ts'
import { Figures, type Report } from './report.ts'
import { servers, stowageIDs } from './servers.ts'
import { formatNumber, type Spread } from './statistics.ts'
import { renderTable } from './tables.ts'

/**
 * What changed between two runs, as Markdown. Where both measured `onefile`, its ratio says more than the
 * rate: the machine may have been busier in one of them, or be another.
 */
export function renderComparison(before: Report, after: Report): string {
  const [old, now] = [new Figures(before), new Figures(after)]
  const rows = caseIDs.flatMap((caseID) =>
    stowageIDs.flatMap((id) => {
      if (now.rate(caseID, id) === undefined || old.rate(caseID, id) === undefined) return []
      const overOneFile = (figures: Figures) => figures.ratio([caseID, id], [caseID, 'onefile'])
      return [
        [
          cases[caseID].title,
          servers[id].title,
          change(old.rate(caseID, id), now.rate(caseID, id)),
          change(overOneFile(old), overOneFile(now)),
          change(old.cpuMsPerInstance(caseID, id), now.cpuMsPerInstance(caseID, id)),
          change(old.peakMB(caseID, id), now.peakMB(caseID, id)),
        ],
      ]
    }),
  )
  const table = renderTable(
    `Change since ${before.at}`,
    ['case', 'server', 'rate', 'rate over onefile', 'CPU ms an instance', 'peak memory MB'],
    rows,
  )
  const unequal = differences(before, after)
  return unequal.length === 0
    ? table
    : `${table}\n\nNot alike, so compare with care: ${unequal.join(', ')}`
}

function change(before: Spread | undefined, after: Spread | undefined): string {
  if (before === undefined || after === undefined) return '-'
  const percent = Math.round((after.median / before.median - 1) * 100)
  const sign = percent > 0 ? '+' : ''
  return `${formatNumber(before.median)} -> ${formatNumber(after.median)} (${sign}${percent} %)`
}

/** What must be the same for a comparison to mean something. */
function differences(before: Report, after: Report): string[] {
  return [
    ...(before.isQuick === after.isQuick ? [] : ['the size of the sets']),
    ...(before.warmCount === after.warmCount ? [] : ['the warming']),
    ...(before.machine.model === after.machine.model &&
    before.machine.processors === after.machine.processors
      ? []
      : ['the machine']),
  ]
}
