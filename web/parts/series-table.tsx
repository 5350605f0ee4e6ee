/** @jsxImportSource hono/jsx */
import type { Series, Study } from '../../db/instances.ts'
import { elementID, paths } from '../paths.ts'
import { Commitment, Completeness } from './completeness.tsx'
import { Ago } from './instant.tsx'
import type { LiveRegion } from './live-message.tsx'
import { bytesText, countOf, countText } from './quantity.tsx'

interface SeriesTableProps {
  study: Study
  series: Series[]
}

/** Modalities of which no picture can be made. */
const withoutPicture = new Set(['SR', 'KO', 'PR', 'DOC', 'RTPLAN', 'RTSTRUCT', 'SEG', 'REG', 'ECG'])

/** Each row, and the table when it has others. */
export function seriesRegions({ study, series }: SeriesTableProps): LiveRegion[] {
  const { studyInstanceUID, seriesCount } = study
  const rows: LiveRegion[] = series.map((one) => ({
    id: elementID('series', one.seriesInstanceUID),
    isWhole: true,
    content: <SeriesRow studyInstanceUID={studyInstanceUID} series={one} />,
  }))
  const sign = `${seriesCount} ${series.map(({ seriesKey }) => seriesKey).join()}`
  const content = <SeriesTable study={study} series={series} />
  return [{ id: 'study-series', sign, content }, ...rows]
}

export function SeriesTable({ study, series }: SeriesTableProps) {
  const isCut = series.length < study.seriesCount
  return (
    <table class="series">
      <caption>
        {isCut
          ? `First ${countText(series.length)} of ${countText(study.seriesCount)} series`
          : countOf(series.length, 'series', 'series')}
      </caption>
      <thead>
        <tr>
          <th scope="col">Picture</th>
          <th scope="col">Series</th>
          <th scope="col">Modality</th>
          <th scope="col">Instances</th>
          <th scope="col" class="number">
            Size
          </th>
          <th scope="col">Last received</th>
        </tr>
      </thead>
      <tbody>
        {series.map((one) => (
          <SeriesRow studyInstanceUID={study.studyInstanceUID} series={one} />
        ))}
      </tbody>
    </table>
  )
}

function SeriesRow({ studyInstanceUID, series }: { studyInstanceUID: string; series: Series }) {
  const { seriesInstanceUID, seriesNumber, seriesDescription, bodyPartExamined } = series
  const facts = [seriesNumber && `Series ${seriesNumber}`, bodyPartExamined].filter(Boolean)
  return (
    <tr id={elementID('series', seriesInstanceUID)} class="linked">
      <td class="picture">
        {withoutPicture.has(series.modality ?? '') ? (
          <span class="muted">{series.modality}</span>
        ) : (
          <img
            src={`${paths.seriesInstances(studyInstanceUID, seriesInstanceUID)}/thumbnail?viewport=96,96`}
            width={48}
            height={48}
            alt=""
            loading="lazy"
          />
        )}
      </td>
      <td>
        <a href={paths.series(studyInstanceUID, seriesInstanceUID)} data-row>
          {seriesDescription ?? <span class="muted">No description</span>}
        </a>
        <small>{facts.join(' · ')}</small>
      </td>
      <td data-label="Modality">{series.modality}</td>
      <td class="whole" data-label="Instances">
        <Completeness of={series} />
        <Commitment of={series} />
      </td>
      <td class="number" data-label="Size">
        {bytesText(series.byteLength)}
      </td>
      <td class="instant" data-label="Last received">
        <Ago at={series.lastReceivedAt} />
      </td>
    </tr>
  )
}
