import { listCommitments } from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { countRefusedAgain, listDeletions } from '../../db/deletions.ts'
import {
  listEvidence,
  listMissing,
  listSeriesVerdicts,
  verdictWithoutInstances,
} from '../../db/evidence.ts'
import { listSeries } from '../../db/listing.ts'
import {
  countTransferSyntaxes,
  listArrivals,
  listStudyChanges,
  listStudyFindings,
} from '../../db/study-life.ts'
import { readListedStudies, studiesUnderWay } from '../../db/study-list.ts'
import { countMissingInstances, integrityOf, listDamagedInstances } from '../../db/study-safety.ts'
import type { May } from '../../web/may.ts'
import type { StudyView } from '../../web/pages/study-page.tsx'
import { type EvidenceView, missingCounted } from '../../web/parts/evidence.tsx'
import { isUID } from '../dicom/uid.ts'
import { HttpProblem } from '../http/problem.ts'
import { readStudy } from './api.ts'
import { withFailures } from './commitment-pages.tsx'
import type { PageDeps } from './deps.ts'

/** As many of each as the page of a study lists. */
const listed = {
  series: 500,
  changes: 200,
  arrivals: 200,
  findings: 100,
  statements: 200,
  missing: 20,
  commitments: 10,
  damaged: 100,
  deletions: 20,
}

/** All that the page of a study shows. @throws {HttpProblem} 404, 410 */
export async function readStudyView(
  deps: PageDeps,
  studyInstanceUID: string,
  may: May | undefined,
): Promise<StudyView> {
  const { db, intake } = deps
  const { studyKey } = await readStudy(db, studyInstanceUID)
  const underWay = await studiesUnderWay(db, intake.untoldStudies)
  const [[study], life, safety, deletions, refusedAgainCount] = await Promise.all([
    readListedStudies(db, [studyKey], underWay),
    readLife(deps, studyInstanceUID, studyKey),
    readSafety(deps, studyInstanceUID, studyKey),
    listDeletions(db, { studyInstanceUID, limit: listed.deletions }),
    countRefusedAgain(db, studyInstanceUID),
  ])
  if (study === undefined) {
    // It was deleted while it was read.
    await readStudy(db, studyInstanceUID)
    throw new HttpProblem(404, 'There is no such study')
  }
  const { statements, ...rest } = safety
  return {
    study,
    ...life,
    ...rest,
    evidence: {
      ...statements,
      studyInstanceUID,
      verdict: study.verdict,
      instanceCount: study.instanceCount,
      expectedInstanceCount: study.expectedInstanceCount,
    },
    deletions,
    refusedAgainCount,
    means: { isPeerConfigured: deps.peerAsker.isConfigured, may },
    viewerURL: deps.viewerURL?.replaceAll('{StudyInstanceUID}', studyInstanceUID),
  }
}

async function readLife({ db }: PageDeps, studyInstanceUID: string, studyKey: number) {
  const [series, changes, arrivals, syntaxes, findings] = await Promise.all([
    listSeries(db, { studyKey }, listed.series),
    listStudyChanges(db, studyInstanceUID, listed.changes),
    listArrivals(db, studyKey, listed.arrivals),
    countTransferSyntaxes(db, studyKey),
    listStudyFindings(db, studyInstanceUID, listed.findings),
  ])
  return { series, changes, arrivals, syntaxes, ...findings }
}

async function readSafety({ db }: PageDeps, studyInstanceUID: string, studyKey: number) {
  const [statements, commitments, integrity, damaged] = await Promise.all([
    readStatements(db, studyInstanceUID),
    listCommitments(db, { studyInstanceUID, limit: listed.commitments + 1 }),
    integrityOf(db, studyKey),
    listDamagedInstances(db, studyKey, listed.damaged),
  ])
  return {
    statements,
    commitments: await withFailures(db, commitments.slice(0, listed.commitments)),
    hasMoreCommitments: commitments.length > listed.commitments,
    integrity,
    damaged,
  }
}

/** What is said of a study of which nothing is here. Undefined: nothing is. */
export async function readExpected(
  db: Database,
  studyInstanceUID: string,
): Promise<EvidenceView | undefined> {
  if (!isUID(studyInstanceUID)) return undefined
  const [statements, said] = await Promise.all([
    readStatements(db, studyInstanceUID),
    verdictWithoutInstances(db, studyInstanceUID),
  ])
  if (statements.evidence.length === 0) return undefined
  return { ...statements, ...said, studyInstanceUID, instanceCount: 0 }
}

async function readStatements(db: Database, studyInstanceUID: string) {
  const [found, series, missing, missingCount] = await Promise.all([
    listEvidence(db, studyInstanceUID, listed.statements + 1),
    listSeriesVerdicts(db, studyInstanceUID, listed.statements),
    listMissing(db, studyInstanceUID, { after: '', limit: listed.missing }),
    countMissingInstances(db, studyInstanceUID, missingCounted),
  ])
  return {
    evidence: found.slice(0, listed.statements),
    isCut: found.length > listed.statements,
    series,
    missing,
    missingCount,
  }
}
