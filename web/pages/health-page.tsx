/** @jsxImportSource hono/jsx */
import type { DatabaseFacts, Lateness, Signs, Throughput } from '../../db/health.ts'
import { Layout, type Shell } from '../layout.tsx'
import { Chart } from '../parts/chart.tsx'
import { durationText } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

/** Beyond it, a receiver of webhooks is to be looked at, though nothing has been given up yet. */
export const deliveryLagLimitMs = 600_000

export interface HealthView {
  database: DatabaseFacts & { answerMs: number }
  signs: Signs
  space: { totalBytes: number; freeBytes: number } | undefined
  isWritable: boolean
  byHour: Throughput[]
  byDay: Throughput[]
  /** Seconds from the first instance to stable. */
  timesToStable: number[]
  /** By the hour. */
  lateness: Lateness[]
}

interface HealthPageProps {
  shell?: Shell | undefined
  view: HealthView
}

export function HealthPage({ shell, view }: HealthPageProps) {
  return (
    <Layout title="Health" current="health" shell={shell} live={paths.live('health')}>
      <h1>Health</h1>
      <div id="checks">
        <Checks view={view} />
      </div>
      {shell !== undefined && shell.may === undefined && (
        <p class="muted">
          Nobody signs in here: whoever reaches this address may see and do everything. The first
          password or token closes it, for good: <code>stowage password NAME --role operator</code>
        </p>
      )}
      <div id="charts" class="charts">
        <Charts view={view} />
      </div>
    </Layout>
  )
}

export function healthRegions(view: HealthView): LiveRegion[] {
  // The charts have `<details>`, and move slowly: whoever wants them newer loads the page again.
  return [{ id: 'checks', content: <Checks view={view} /> }]
}

interface Check {
  name: string
  isWell: boolean
  says: string
}

function checksOf({ database, signs, space, isWritable }: HealthView): Check[] {
  const full = space && 1 - space.freeBytes / space.totalBytes
  return [
    {
      name: 'Database',
      isWell: true,
      says: `Postgres ${database.version} answers in ${Math.max(1, Math.round(database.answerMs))} ms; ${bytesText(database.byteLength)}, ${countOf(database.migrationCount, 'migration')}, change ${countText(database.lastSeq)}`,
    },
    {
      name: 'Store',
      isWell: isWritable,
      says: isWritable ? 'can be written' : 'cannot be written: nothing can be received',
    },
    {
      name: 'Disk',
      isWell: (full ?? 0) < 0.9,
      says:
        space === undefined
          ? 'cannot be told here'
          : `${Math.floor((full ?? 0) * 100)} % full, ${bytesText(space.freeBytes)} free`,
    },
    {
      name: 'Scheduler',
      isWell: signs.schedulerLagMs < 60_000,
      says:
        signs.schedulerLagMs < 1000
          ? 'nothing is overdue'
          : `${durationText(signs.schedulerLagMs)} behind`,
    },
    {
      name: 'Webhooks',
      isWell: signs.deadDeliveryCount === 0 && signs.deliveryLagMs <= deliveryLagLimitMs,
      says: webhookWords(signs),
    },
    {
      name: 'Damage',
      isWell: signs.damagedStudyCount === 0,
      says:
        signs.damagedStudyCount === 0
          ? 'none is known of'
          : `${countOf(signs.damagedStudyCount, 'study', 'studies')} with bytes that are not what came`,
    },
  ]
}

function webhookWords({ deadDeliveryCount, deliveryLagMs }: Signs): string {
  const wrong = [
    ...(deadDeliveryCount > 0
      ? [`${countOf(deadDeliveryCount, 'message')} could not be delivered`]
      : []),
    ...(deliveryLagMs > deliveryLagLimitMs
      ? [`the oldest message is ${durationText(deliveryLagMs)} late, and is tried again`]
      : []),
  ]
  return wrong.length === 0 ? 'nothing is stuck' : wrong.join('; ')
}

function Checks({ view }: { view: HealthView }) {
  return (
    <table class="checks">
      <caption class="unseen">Checks</caption>
      <thead>
        <tr>
          <th scope="col">Check</th>
          <th scope="col">Sign</th>
          <th scope="col">What is known</th>
        </tr>
      </thead>
      <tbody>
        {checksOf(view).map(({ name, isWell, says }) => (
          <tr>
            <th scope="row">{name}</th>
            <td>
              {isWell ? (
                <Badge icon="tick" word="Well" tone="success" />
              ) : (
                <Badge icon="cross" word="Look" tone="danger" />
              )}
            </td>
            <td>{says}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Charts({ view: { byHour, byDay, timesToStable, lateness } }: { view: HealthView }) {
  const stored = byHour.reduce((sum, one) => sum + one.storedCount, 0)
  const bytes = byDay.reduce((sum, one) => sum + one.byteLength, 0)
  const latestMs = Math.max(0, ...lateness.map((one) => one.latestMs))
  return (
    <>
      <Chart
        title={`${countOf(stored, 'instance')} stored in the last 24 hours`}
        valueName="Stored"
        text={countText}
        columns={byHour.map(({ at, storedCount, refusedCount }) => ({
          label: at.toISOString().slice(11, 16),
          value: storedCount,
          wrong: refusedCount,
        }))}
      />
      <Chart
        title={`${bytesText(bytes)} received in the last 30 days`}
        valueName="Received"
        text={bytesText}
        columns={byDay.map(({ at, byteLength }) => ({
          label: at.toISOString().slice(0, 10),
          value: byteLength,
        }))}
      />
      <Chart
        title={
          timesToStable.length === 0
            ? 'No study has become stable yet'
            : `Median ${durationText(medianOf(timesToStable) * 1000)} from first instance to stable`
        }
        valueName="Studies"
        text={countText}
        columns={histogramOf(timesToStable)}
      />
      <Chart
        title={
          latestMs === 0
            ? 'No study became stable by its quiet time in the last 24 hours'
            : `Stable at most ${durationText(latestMs)} after the quiet time, in 24 hours`
        }
        valueName="Latest"
        text={durationText}
        columns={lateness.map((one) => ({
          label: one.at.toISOString().slice(11, 16),
          value: one.latestMs,
        }))}
      />
    </>
  )
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** By powers of two seconds, from 1 s to half a day. */
function histogramOf(seconds: number[]) {
  return Array.from({ length: 16 }, (_, power) => {
    const [from, to] = [power === 0 ? 0 : 2 ** power, 2 ** (power + 1)]
    return {
      label: `under ${durationText(to * 1000).replaceAll('\u00a0', ' ')}`,
      value: seconds.filter((one) => one >= from && (one < to || power === 15)).length,
    }
  })
}
