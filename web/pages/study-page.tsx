/** @jsxImportSource hono/jsx */
import type { Series, Study } from '../../db/instances.ts'
import { Layout } from '../layout.tsx'
import { dateText, personName } from '../parts/dicom-text.ts'
import { Instant } from '../parts/instant.tsx'
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { PatientName, patientFacts, studyFacts } from '../parts/study-row.tsx'
import { paths } from '../paths.ts'

interface StudyPageProps {
  study: Study
  /** Those that are listed; the study may have more. */
  series: Series[]
}

export function StudyPage({ study, series }: StudyPageProps) {
  const { studyInstanceUID, studyDescription } = study
  return (
    // The title is part of the browser's history, so it has no patient in it.
    <Layout title="Study" current="studies">
      <h1>{studyDescription ?? 'No description'}</h1>
      <p class="patient">
        <PatientName study={study} />
        <small>{patientFacts(study)}</small>
      </p>
      <StudyFacts study={study} />
      <SeriesTable study={study} series={series} />
      <h2>Retrieve</h2>
      <ul>
        <li>
          <a href={paths.studyInstances(studyInstanceUID)}>All instances</a> (multipart/related,
          WADO-RS)
        </li>
        <li>
          <a href={paths.studyMetadata(studyInstanceUID)}>Metadata</a> (DICOM JSON)
        </li>
      </ul>
    </Layout>
  )
}

function StudyFacts({ study }: { study: Study }) {
  const facts: [string, unknown][] = [
    ['Study', studyFacts(study)],
    ['Accession', study.accessionNumber],
    ['Study ID', study.studyID],
    ['Referred by', study.referringPhysicianName && personName(study.referringPhysicianName)],
    ['Series / instances', `${countText(study.seriesCount)} / ${countText(study.instanceCount)}`],
    ['Size', bytesText(study.byteLength)],
    ['First received (UTC)', <Instant at={study.firstReceivedAt} />],
    ['Last received (UTC)', <Instant at={study.lastReceivedAt} />],
    ['Study Instance UID', <span class="uid">{study.studyInstanceUID}</span>],
  ]
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

function SeriesTable({ study, series }: StudyPageProps) {
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
          <th scope="col">Number</th>
          <th scope="col">Modality</th>
          <th scope="col">Series</th>
          <th scope="col" class="number">
            Instances
          </th>
          <th scope="col" class="number">
            Size
          </th>
          <th scope="col">Last received (UTC)</th>
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
  const { seriesInstanceUID, seriesDescription, bodyPartExamined } = series
  const date = series.performedProcedureStepStartDate
  return (
    <tr>
      <td data-label="Number">{series.seriesNumber ?? ''}</td>
      <td data-label="Modality">{series.modality ?? ''}</td>
      <td>
        <a href={paths.seriesInstances(studyInstanceUID, seriesInstanceUID)}>
          {seriesDescription ?? <span class="muted">No description</span>}
        </a>
        <small>{[bodyPartExamined, date && dateText(date)].filter(Boolean).join(' · ')}</small>
      </td>
      <td class="number" data-label="Instances">
        {countText(series.instanceCount)}
      </td>
      <td class="number" data-label="Size">
        {bytesText(series.byteLength)}
      </td>
      <td class="instant" data-label="Last received">
        <Instant at={series.lastReceivedAt} />
      </td>
    </tr>
  )
}
