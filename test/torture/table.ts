import type { Ledger } from './ledger.ts'

interface Report {
  minutes: number
  senders: number
  ledger: Ledger
  strikes: Map<string, { times: number; felt: number | undefined }>
  notRun: string[]
  /** What `stowage check` said. */
  check: string
}

/** As Markdown, for docs/operations.md. */
export function printTable({ minutes, senders, ledger, strikes, notRun, check }: Report): void {
  const of = (what: string) => (ledger.counts.get(what) ?? 0).toLocaleString('en')
  const megabytes = (ledger.bytes / 1e6).toFixed(0)
  const rows: [string, string][] = [
    ['load', `${senders} senders for ${minutes} minutes, two servers`],
    [
      'stored',
      `${of('studies stored')} studies, ${ledger.instances.toLocaleString('en')} instances, ${megabytes} MB`,
    ],
    ...[...ledger.counts]
      .filter(([what]) => what.startsWith('answered'))
      .sort()
      .map(([what, times]): [string, string] => [`requests ${what}`, times.toLocaleString('en')]),
    ['studies refused whole, for one bad instance', of('studies refused whole')],
    ['studies deleted', of('studies deleted')],
    ['bad inputs', of('bad inputs')],
    ['reads meanwhile; not answered', `${of('reads')}; ${of('reads not answered')}`],
    ...[...strikes]
      .sort()
      .map(([name, { times, felt }]): [string, string] => [
        name,
        `${times} times${felt === undefined ? '' : `, ${felt.toLocaleString('en')} felt it`}`,
      ]),
    ['compared byte for byte at the end', `${of('studies compared')} studies`],
    ['changes in the feed; stable events', `${of('changes in the feed')}; ${of('stable events')}`],
    ['**lost, half visible, doubled, early, or answered wrongly**', `**${of('wrong')}**`],
    ['`stowage check`', check.trim().split('\n').at(-1) ?? ''],
  ]
  console.log('\n| what | how much |\n| --- | --- |')
  for (const [what, much] of rows) console.log(`| ${what} | ${much} |`)
  for (const one of notRun) console.log(`\nNot run: ${one}`)
}
