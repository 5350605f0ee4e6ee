/** @jsxImportSource hono/jsx */
import type { Change } from '../../db/changes.ts'
import type { Deletion } from '../../db/deletions.ts'
import type { Series } from '../../db/instances.ts'
import type { Arrival, Refusal, Warning } from '../../db/study-life.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import type { DamagedInstance, Integrity as IntegrityFacts } from '../../db/study-safety.ts'
import { Layout, type Shell } from '../layout.tsx'
import { type May, mayAll } from '../may.ts'
import type { ListedCommitment } from '../parts/commitment-table.tsx'
import { Commitment, Completeness } from '../parts/completeness.tsx'
import { personName } from '../parts/dicom-text.ts'
import { Done } from '../parts/done.tsx'
import { Evidence, type EvidenceView } from '../parts/evidence.tsx'
import { Instant } from '../parts/instant.tsx'
import type { LiveRegion } from '../parts/live-message.tsx'
import { bytesText, countText } from '../parts/quantity.tsx'
import { SeriesTable, seriesRegions } from '../parts/series-table.tsx'
import { Badge, StudyBadge } from '../parts/state-badge.tsx'
import { StudyBand } from '../parts/study-band.tsx'
import { PatientFacts, PatientName, Settling, studyFacts } from '../parts/study-row.tsx'
import { StudyTimeline } from '../parts/study-timeline.tsx'
import { transferSyntaxName } from '../parts/transfer-syntax.ts'
import { paths } from '../paths.ts'
import { studyActionViews } from '../study-actions/all.tsx'
import type { Means } from '../study-actions/view.tsx'
import { Commitments, Findings, IntegrityOf } from './study-safety.tsx'

/** All that the page of a study shows. Lists are cut; what they are cut from is counted in the study. */
export interface StudyView {
  study: ListedStudy
  series: Series[]
  changes: Change[]
  arrivals: Arrival[]
  syntaxes: { transferSyntaxUID: string; count: number }[]
  refusals: Refusal[]
  warnings: Warning[]
  evidence: EvidenceView
  /** The newest that concern it. */
  commitments: ListedCommitment[]
  hasMoreCommitments: boolean
  integrity: IntegrityFacts
  damaged: DamagedInstance[]
  /** Of parts of it. */
  deletions: Deletion[]
  /** Deleted instances of it that are refused if they come again. */
  refusedAgainCount: number
  means: Means
  viewerURL?: string | undefined
}

interface StudyPageProps {
  shell?: Shell | undefined
  view: StudyView
  /** What was done just now, in a sentence. */
  done?: string | undefined
}

export function mayOf({ means }: Pick<StudyView, 'means'>): May {
  return means.may ?? mayAll
}

export function StudyPage({ shell, view, done }: StudyPageProps) {
  const { studyInstanceUID, studyDescription } = view.study
  return (
    // The title is part of the browser's history, so it has no patient in it.
    <Layout
      title="Study"
      current="studies"
      shell={shell}
      live={paths.live(`study/${studyInstanceUID}`)}
    >
      <p class="back">
        <a href={paths.studies} data-back>
          Studies
        </a>
      </p>
      <h1>{studyDescription ?? 'No description'}</h1>
      <Done said={done} />
      <div id="study-head">
        <StudyHead view={view} />
      </div>
      <section aria-labelledby="series-title">
        <h2 id="series-title">Series</h2>
        <div id="study-series">
          <SeriesTable study={view.study} series={view.series} />
        </div>
      </section>
      <section aria-labelledby="evidence-title">
        <h2 id="evidence-title">Evidence</h2>
        <div id="study-evidence">
          <Evidence view={view.evidence} may={mayOf(view)} />
        </div>
      </section>
      <section aria-labelledby="commitments-title">
        <h2 id="commitments-title">Commitments</h2>
        <div id="study-commitments">
          <Commitments view={view} />
        </div>
      </section>
      <section aria-labelledby="integrity-title">
        <h2 id="integrity-title">Integrity</h2>
        <div id="study-integrity">
          <IntegrityOf view={view} />
        </div>
      </section>
      <div id="study-findings">
        <Findings view={view} />
      </div>
      <section aria-labelledby="life-title">
        <h2 id="life-title">Its life</h2>
        <div id="study-life">
          <StudyLife view={view} />
        </div>
      </section>
      <Retrieve view={view} />
    </Layout>
  )
}

export function studyViewRegions(view: StudyView): LiveRegion[] {
  return [
    { id: 'study-head', content: <StudyHead view={view} /> },
    ...seriesRegions(view),
    { id: 'study-evidence', content: <Evidence view={view.evidence} may={mayOf(view)} /> },
    { id: 'study-commitments', content: <Commitments view={view} /> },
    { id: 'study-integrity', content: <IntegrityOf view={view} /> },
    { id: 'study-findings', content: <Findings view={view} /> },
    { id: 'study-life', content: <StudyLife view={view} /> },
  ]
}

/** What the open page of a study shows when somebody deletes it. */
export function goneRegions(studyInstanceUID: string): LiveRegion[] {
  return [
    {
      id: 'study-head',
      content: (
        <p class="notice" data-tone="waiting">
          This study was deleted meanwhile; what is below is how it was.{' '}
          <a href={paths.study(studyInstanceUID)}>Who did it, and why</a>
        </p>
      ),
    },
  ]
}

function StudyHead({ view }: { view: StudyView }) {
  const { study } = view
  return (
    <>
      <p class="patient">
        <PatientName study={study} />
        <PatientFacts study={study} />
      </p>
      <p class="verdict">
        <StudyBadge state={study.state} />
        <span>
          <Settling study={study} />
        </span>
        <Completeness of={study} />
        <Commitment of={study} />
        {study.damagedInstanceCount > 0 && (
          <Badge
            icon="broken"
            word={`${countText(study.damagedInstanceCount)} damaged`}
            tone="danger"
          />
        )}
      </p>
      <div class="actions">
        <a class="button second" href={paths.studyZip(study.studyInstanceUID)} download>
          Download ZIP
        </a>
        {view.viewerURL && (
          <a class="button second" href={view.viewerURL} target="_blank" rel="noreferrer">
            Open in viewer
          </a>
        )}
        {mayOf(view)('POST /studies/:study/actions/:action') &&
          studyActionViews
            .filter((one) => one.isOffered(study, view.means))
            .map((one) => one.view(study))}
      </div>
      <StudyFacts view={view} />
    </>
  )
}

function StudyFacts({ view: { study, series, syntaxes } }: { view: StudyView }) {
  const senders = [...new Set(series.flatMap(({ lastSender }) => lastSender ?? []))]
  const facts: [string, unknown][] = [
    ['Study', studyFacts(study)],
    ['Accession', study.accessionNumber],
    ['Study ID', study.studyID],
    ['Referred by', study.referringPhysicianName && personName(study.referringPhysicianName)],
    ['Series / instances', `${countText(study.seriesCount)} / ${countText(study.instanceCount)}`],
    ['Size', bytesText(study.byteLength)],
    [
      syntaxes.length === 1 ? 'Transfer Syntax' : 'Transfer Syntaxes',
      syntaxes
        .map(({ transferSyntaxUID, count }) =>
          syntaxes.length === 1
            ? transferSyntaxName(transferSyntaxUID)
            : `${transferSyntaxName(transferSyntaxUID)} (${countText(count)})`,
        )
        .join(', '),
    ],
    [senders.length === 1 ? 'Sender' : 'Senders', senders.slice(0, 5).join(', ')],
    ['First received (UTC)', <Instant at={study.firstReceivedAt} />],
    ['Last received (UTC)', <Instant at={study.lastReceivedAt} />],
    [
      'Stable events',
      countText(study.state === 'stable' ? study.generation : study.generation - 1),
    ],
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
      <div>
        <dt>Study Instance UID</dt>
        <dd>
          <span id="study-uid" class="uid">
            {study.studyInstanceUID}
          </span>{' '}
          <button
            class="quiet"
            type="button"
            data-copy="study-uid"
            aria-label="Copy the UID"
            hidden
          >
            Copy
          </button>
        </dd>
      </div>
    </dl>
  )
}

function StudyLife({ view }: { view: StudyView }) {
  return (
    <>
      <StudyBand {...view} />
      <StudyTimeline {...view} may={mayOf(view)} />
    </>
  )
}

function Retrieve({ view: { study } }: { view: StudyView }) {
  const { studyInstanceUID } = study
  return (
    <section aria-labelledby="retrieve-title">
      <h2 id="retrieve-title">Retrieve</h2>
      <ul>
        <li>
          <a href={paths.studyInstances(studyInstanceUID)}>All instances</a> (multipart/related,
          WADO-RS)
        </li>
        <li>
          <a href={paths.studyMetadata(studyInstanceUID)}>Metadata</a> (DICOM JSON)
        </li>
      </ul>
    </section>
  )
}
