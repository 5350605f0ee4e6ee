import { readFileSync } from 'node:fs'

/** What one run with one target came to; a line of `runs.jsonl`. */
export interface Run {
  target: string
  /** When it began. */
  at: string
  seconds: number
  executions: number
  /** Blocks of the server's code that ran. 0: it ran in another process or thread, unseen. */
  blocks: number
  /** Inputs kept, for something new ran with them. */
  newInputs: number
  findings: string[]
}

/** The runs as a table of Markdown, a line for each target. */
export function table(runsFile: string): string {
  const runs = readFileSync(runsFile, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line): Run => JSON.parse(line))
  const names = [...new Set(runs.map((run) => run.target))].sort()
  const lines = names.map((name) =>
    row(
      name,
      runs.filter((run) => run.target === name),
    ),
  )
  return [
    '| target | minutes | executions | blocks of code | inputs kept | findings |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...lines,
    row('all', runs),
  ].join('\n')
}

function row(name: string, runs: Run[]): string {
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0)
  const blocks = name === 'all' ? 0 : Math.max(...runs.map((run) => run.blocks))
  const findings = new Set(runs.flatMap((run) => run.findings.map((one) => `${run.target} ${one}`)))
  return `| ${[
    name,
    (sum((run) => run.seconds) / 60).toFixed(1),
    sum((run) => run.executions).toLocaleString('en'),
    blocks || '',
    sum((run) => run.newInputs) || '',
    findings.size,
  ].join(' | ')} |`
}
