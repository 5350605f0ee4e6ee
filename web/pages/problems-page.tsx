/** @jsxImportSource hono/jsx */
import type { ProblemGroup, Refusal, Warning } from '../../db/study-life.ts'
import { Layout, type Shell } from '../layout.tsx'
import { Spark } from '../parts/chart.tsx'
import { Ago, Instant } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { countText } from '../parts/quantity.tsx'
import { Reason, reasonAdvice, reasonHex, reasonName } from '../parts/reason.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { elementID, paths } from '../paths.ts'

interface ProblemsPageProps {
  shell?: Shell | undefined
  groups: ProblemGroup[]
}

/** What was refused, or stored with a warning, within 30 days: a line for each reason. */
export function ProblemsPage({ shell, groups }: ProblemsPageProps) {
  return (
    <Layout title="Problems" current="problems" shell={shell} live={paths.live('problems')}>
      <h1>Problems</h1>
      <section id="problems" aria-label="By reason">
        <ProblemTable groups={groups} />
      </section>
    </Layout>
  )
}

/** Each row, and the table when it has others. */
export function problemRegions(groups: ProblemGroup[]): LiveRegion[] {
  const rows: LiveRegion[] = groups.map((group) => ({
    id: rowID(group),
    isWhole: true,
    content: <ProblemRow group={group} />,
  }))
  const sign = groups.map(rowID).join()
  return [{ id: 'problems', sign, content: <ProblemTable groups={groups} /> }, ...rows]
}

function ProblemTable({ groups }: { groups: ProblemGroup[] }) {
  if (groups.length === 0) {
    return <p class="empty">Nothing was refused, and nothing warned of, within 30 days.</p>
  }
  return (
    <table class="problems">
      <caption>The last 30 days, by reason</caption>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Reason</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col" class="number">
            Studies
          </th>
          <th scope="col">Last 14 days</th>
          <th scope="col">First</th>
          <th scope="col">Last</th>
        </tr>
      </thead>
      <tbody>
        {groups.map((group) => (
          <ProblemRow group={group} />
        ))}
      </tbody>
    </table>
  )
}

function rowID({ kind, reason }: ProblemGroup): string {
  return elementID(kind, String(reason))
}

function ProblemRow({ group }: { group: ProblemGroup }) {
  const { kind, reason, count, studyCount, perDay, firstAt, lastAt } = group
  return (
    <tr id={rowID(group)} class="linked">
      <td>
        <KindBadge kind={kind} />
      </td>
      <td>
        <a href={paths.problem(kind, reason)} data-row>
          <Reason reason={reason} />
        </a>
        <small>{reasonAdvice(reason)}</small>
      </td>
      <td class="number" data-label="Instances">
        {countText(count)}
      </td>
      <td class="number" data-label="Studies">
        {countText(studyCount)}
      </td>
      <td>
        <Spark values={perDay} label={`By day: ${perDay.join(', ')}`} />
      </td>
      <td class="instant" data-label="First">
        <Ago at={firstAt} />
      </td>
      <td class="instant" data-label="Last">
        <Ago at={lastAt} />
      </td>
    </tr>
  )
}

function KindBadge({ kind }: { kind: ProblemGroup['kind'] }) {
  return kind === 'refusal' ? (
    <Badge icon="cross" word="Refused" tone="danger" />
  ) : (
    <Badge icon="warning" word="Warned" tone="waiting" />
  )
}

interface ProblemListPageProps {
  shell?: Shell | undefined
  kind: ProblemGroup['kind']
  reason: number
  problems: (Refusal | Warning)[]
}

/** The instances of one reason, the newest first. */
export function ProblemListPage({ shell, kind, reason, problems }: ProblemListPageProps) {
  return (
    <Layout
      title="Problem"
      current="problems"
      shell={shell}
      live={paths.live(`problems/${kind}/${reason}`)}
    >
      <p class="back">
        <a href={paths.problems} data-back>
          Problems
        </a>
      </p>
      <h1>
        {reasonName(reason)} ({reasonHex(reason)})
      </h1>
      <p>
        <KindBadge kind={kind} /> {meaningOf(kind)} {reasonAdvice(reason)}
      </p>
      <section id="instances" aria-label="Instances">
        <ProblemInstances problems={problems} />
      </section>
    </Layout>
  )
}

export function problemListRegions(problems: (Refusal | Warning)[]): LiveRegion[] {
  return [{ id: 'instances', content: <ProblemInstances problems={problems} /> }]
}

function ProblemInstances({ problems }: Pick<ProblemListPageProps, 'problems'>) {
  if (problems.length === 0) return <p class="empty">None within 30 days.</p>
  return (
    <table>
      <caption>
        {problems.length === 1 ? 'One instance' : `The newest ${countText(problems.length)}`}
      </caption>
      <thead>
        <tr>
          <th scope="col">Instance</th>
          <th scope="col">Detail</th>
          <th scope="col">Study</th>
          <th scope="col">Transfer</th>
          <th scope="col">When (UTC)</th>
        </tr>
      </thead>
      <tbody>
        {problems.map((one) => (
          <tr>
            <td class="uid">{one.sopInstanceUID ?? 'not readable'}</td>
            <td>{one.detail}</td>
            <td>
              {one.studyInstanceUID ? (
                <a class="uid" href={paths.study(one.studyInstanceUID)}>
                  {one.studyInstanceUID}
                </a>
              ) : (
                <span class="muted">not known</span>
              )}
            </td>
            <td>
              <a class="uid nowrap" href={paths.transfer(one.transferID)}>
                {one.transferID.slice(0, 8)}
              </a>
            </td>
            <td class="instant">
              <Instant at={'refusedAt' in one ? one.refusedAt : one.warnedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function meaningOf(kind: ProblemGroup['kind']): string {
  return kind === 'refusal'
    ? 'These instances are not in the archive; their senders were told.'
    : 'These instances are stored as they came; their senders were told.'
}
