/** @jsxImportSource hono/jsx */
import type { Series } from '../../db/instances.ts'
import type { ListedInstance } from '../../db/study-life.ts'
import { Layout, type Shell } from '../layout.tsx'
import { mayAll } from '../may.ts'
import { Instant } from '../parts/instant.tsx'
import { bytesText, countText } from '../parts/quantity.tsx'
import { Badge } from '../parts/state-badge.tsx'
import { transferSyntaxName } from '../parts/transfer-syntax.ts'
import { paths } from '../paths.ts'

interface SeriesPageProps {
  shell?: Shell | undefined
  studyInstanceUID: string
  series: Series
  instances: ListedInstance[]
  hasMore: boolean
  isFirst: boolean
}

/** The instances of one series, a hundred a page: pages go on by UID, so numbers order one that holds all. */
export function SeriesPage(props: SeriesPageProps) {
  const { shell, studyInstanceUID, series, instances, hasMore, isFirst } = props
  const { seriesInstanceUID, seriesDescription, seriesNumber, modality } = series
  const last = instances.at(-1)
  const isWhole = isFirst && !hasMore
  const shown = isWhole ? instances.toSorted(byNumber) : instances
  const may = shell?.may ?? mayAll
  return (
    <Layout title="Series" current="studies" shell={shell}>
      <p class="back">
        <a href={paths.study(studyInstanceUID)} data-back>
          The study
        </a>
      </p>
      <h1>{seriesDescription ?? 'Series without a description'}</h1>
      <p class="muted">
        {[modality, seriesNumber && `series ${seriesNumber}`].filter(Boolean).join(', ')}{' '}
        <span class="uid">{seriesInstanceUID}</span>
      </p>
      {may('POST /studies/:study/actions/:action') && (
        <p class="actions">
          <a
            class="button second"
            href={paths.askAction(studyInstanceUID, 'delete', { seriesInstanceUID })}
          >
            Delete series …
          </a>
        </p>
      )}
      <table class="instances">
        <caption>
          {isWhole
            ? `All ${countText(instances.length)} instances, by number`
            : `${countText(instances.length)} of ${countText(series.instanceCount)} instances, by UID`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Number</th>
            <th scope="col">Instance</th>
            <th scope="col">Transfer Syntax</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">Received (UTC)</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((one) => (
            <tr class="linked">
              <td data-label="Number">{one.instanceNumber}</td>
              <td>
                <a
                  class="uid"
                  href={paths.instance(studyInstanceUID, seriesInstanceUID, one.sopInstanceUID)}
                  data-row
                >
                  {one.sopInstanceUID}
                </a>
                <small>{pictureFacts(one)}</small>
              </td>
              <td data-label="Transfer Syntax">
                {transferSyntaxName(one.transferSyntaxUID)}{' '}
                {one.damagedAt && <Badge icon="broken" word="Damaged" tone="danger" />}
                {one.committedAt && <Badge icon="seal" word="Committed" tone="success" />}
              </td>
              <td class="number" data-label="Size">
                {bytesText(one.byteLength)}
              </td>
              <td class="instant" data-label="Received">
                <Instant at={one.receivedAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <nav class="paging" aria-label="Pages of the list">
        {!isFirst && <a href={paths.series(studyInstanceUID, seriesInstanceUID)}>First</a>}
        {hasMore && last && (
          <a href={paths.series(studyInstanceUID, seriesInstanceUID, last.sopInstanceUID)}>Next</a>
        )}
      </nav>
    </Layout>
  )
}

/** By Instance Number, which is text that should be a whole number; those without one are last. */
function byNumber(a: ListedInstance, b: ListedInstance): number {
  const [left, right] = [a, b].map(({ instanceNumber }) => {
    const number = Number.parseInt(instanceNumber ?? '', 10)
    return Number.isNaN(number) ? Number.MAX_SAFE_INTEGER : number
  }) as [number, number]
  return left - right
}

/** `512 × 512, 30 frames` */
export function pictureFacts({
  rows,
  columns,
  numberOfFrames,
}: Pick<ListedInstance, 'rows' | 'columns' | 'numberOfFrames'>): string {
  const size = rows && columns ? `${columns} × ${rows}` : undefined
  const frames = (numberOfFrames ?? 1) > 1 ? `${countText(numberOfFrames ?? 1)} frames` : undefined
  return [size, frames].filter(Boolean).join(', ')
}
