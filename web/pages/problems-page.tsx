/** @jsxImportSource hono/jsx */
import type { ProblemGroup, Refusal, Warning } from '../../db/study-life.ts'
import { Layout, type Shell } from '../layout.tsx'
import { Spark } from '../parts/chart.tsx'
import { Ago, Instant } from '../parts/instant.tsx'
import { countText } from '../parts/quantity.tsx'
import { Reason, reasonAdvice, reasonHex, reasonName } from '../parts/reason.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

interface ProblemsPageProps {
  shell?: Shell | undefined
  groups: ProblemGroup[]
}

/** What was refused, or stored with a warning, within 30 days: a line for each reason. */
export function ProblemsPage({ shell, groups }: ProblemsPageProps) {
  return (
    <Layout title="Problems" current="problems" shell={shell}>
      <h1>Problems</h1>
      {groups.length === 0 ? (
        <p class="empty">Nothing was refused, and nothing warned of, within 30 days.</p>
      ) : (
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
              <tr class="linked">
                <td>
                  <KindBadge kind={group.kind} />
                </td>
                <td>
                  <a href={paths.problem(group.kind, group.reason)} data-row>
                    <Reason reason={group.reason} />
                  </a>
                  <small>{reasonAdvice(group.reason)}</small>
                </td>
                <td class="number" data-label="Instances">
                  {countText(group.count)}
                </td>
                <td class="number" data-label="Studies">
                  {countText(group.studyCount)}
                </td>
                <td>
                  <Spark values={group.perDay} label={`By day: ${group.perDay.join(', ')}`} />
                </td>
                <td class="instant" data-label="First">
                  <Ago at={group.firstAt} />
                </td>
                <td class="instant" data-label="Last">
                  <Ago at={group.lastAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Layout>
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
    <Layout title="Problem" current="problems" shell={shell}>
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
      {problems.length === 0 ? (
        <p class="empty">None within 30 days.</p>
      ) : (
        <table>
          <caption>The newest {countText(problems.length)}</caption>
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
                  {one.studyInstanceUID && (
                    <a class="uid" href={paths.study(one.studyInstanceUID)}>
                      {one.studyInstanceUID}
                    </a>
                  )}
                </td>
                <td>
                  <a class="uid" href={paths.transfer(one.transferID)}>
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
      )}
    </Layout>
  )
}

function meaningOf(kind: ProblemGroup['kind']): string {
  return kind === 'refusal'
    ? 'These instances are not in the archive; their senders were told.'
    : 'These instances are stored as they came; their senders were told.'
}
