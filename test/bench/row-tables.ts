import type { IntakePoint, RowCaseName } from './row-costs.ts'
import { formatNumber, formatSpread } from './statistics.ts'
import { renderTable } from './tables.ts'

/** How much slower the largest database may be than the smallest. */
const slowestFactor = 1.2
/** Bytes of the database for an instance, with indexes. */
const mostBytesPerInstance = 1024
const mostStartMs = 2000

/** What an instance costs at each size, and how much more than at the first. */
export function renderCurve(points: IntakePoint[]): string {
  const [first] = points
  const caseNames = Object.keys(first?.intake ?? {}) as RowCaseName[]
  const tables = caseNames.map((name) =>
    renderTable(
      `Cost of an instance, ${name}`,
      [
        ...['instances in the database', 'ms an instance', 'CPU ms an instance'],
        ...['time over onefile', 'time over the first size', 'CPU over the first size'],
      ],
      points.map(({ database, intake }) => {
        const { msPerInstance, cpuMsPerInstance, overOneFile } = intake[name]
        const start = first?.intake[name]
        return [
          database.instanceCount.toLocaleString('en-US'),
          formatSpread(msPerInstance),
          formatSpread(cpuMsPerInstance),
          formatSpread(overOneFile),
          formatNumber(msPerInstance.median / (start?.msPerInstance.median ?? Number.NaN)),
          formatNumber(
            (cpuMsPerInstance?.median ?? Number.NaN) /
              (start?.cpuMsPerInstance?.median ?? Number.NaN),
          ),
        ]
      }),
    ),
  )
  return [...tables, renderVerdicts(points)].join('\n\n')
}

/** What each table takes at the largest size. */
export function renderSizes(points: IntakePoint[]): string {
  const largest = points.at(-1)?.database
  if (largest === undefined) return ''
  const { instanceCount } = largest
  const perInstance = (bytes: number) => formatNumber(bytes / instanceCount)
  return renderTable(
    `Bytes for an instance, by table, with ${instanceCount.toLocaleString('en-US')} instances`,
    ['table', 'rows', 'heap', 'indexes', 'toast and maps', 'together'],
    largest.tables
      .filter(({ rowCount }) => rowCount > 0)
      .map(({ name, rowCount, heapBytes, indexBytes, toastBytes }) => [
        name,
        Math.round(rowCount).toLocaleString('en-US'),
        ...[heapBytes, indexBytes, toastBytes, heapBytes + indexBytes + toastBytes].map(
          perInstance,
        ),
      ]),
  )
}

function renderVerdicts(points: IntakePoint[]): string {
  const [first, last] = [points.at(0), points.at(-1)]
  if (first === undefined || last === undefined) return ''
  const say = (is: boolean) => (is ? 'yes' : 'no')
  const slower = (Object.keys(first.intake) as RowCaseName[]).map((name) => {
    const factor = last.intake[name].msPerInstance.median / first.intake[name].msPerInstance.median
    const reached = say(factor <= slowestFactor)
    return [
      `time over the first size, ${name}`,
      `at most ${slowestFactor}`,
      formatNumber(factor),
      reached,
    ]
  })
  const { tables, instanceCount } = last.database
  const bytes = tables.reduce((sum, t) => sum + t.heapBytes + t.indexBytes + t.toastBytes, 0)
  const size = bytes / instanceCount
  const start = last.startMs
  return renderTable(
    'To reach, at the largest size',
    ['what', 'to reach', 'measured', 'reached'],
    [
      ...slower,
      [
        'database bytes for an instance',
        `at most ${mostBytesPerInstance}`,
        formatNumber(size),
        say(size <= mostBytesPerInstance),
      ],
      ['start, ms', `at most ${mostStartMs}`, formatNumber(start), say(start <= mostStartMs)],
    ],
  )
}
