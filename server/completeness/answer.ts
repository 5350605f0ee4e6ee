import type { Database } from '../../db/database.ts'
import {
  listEvidence,
  listMissing,
  listSeriesVerdicts,
  verdictWithoutInstances,
} from '../../db/evidence.ts'
import type { Verdict } from '../../db/schema.ts'

/** Of a study, what an answer shows at most; the rest of what is missing is paged. */
const shownStatements = 1000
const shownSeries = 1000
const shownMissing = 1000

/** Whether a study is whole, and the evidence for it; as `/api` and the page show it. */
export async function completenessOf(
  db: Database,
  study: {
    studyInstanceUID: string
    verdict: Verdict
    instanceCount: number
    expectedInstanceCount: number | null
  },
) {
  const { studyInstanceUID, verdict, instanceCount, expectedInstanceCount: expected } = study
  const [evidence, series, missing] = await Promise.all([
    listEvidence(db, studyInstanceUID, shownStatements),
    listSeriesVerdicts(db, studyInstanceUID, shownSeries),
    listMissing(db, studyInstanceUID, { after: '', limit: shownMissing }),
  ])
  const fewer = expected === null ? 0 : Math.max(0, expected - instanceCount)
  return {
    verdict,
    received: instanceCount,
    /** Null: nobody said how many; 0 is a number. */
    expected,
    missingCount: Math.max(fewer, missing.length),
    /** SOP Instance UIDs, where they are known; the first of them. */
    missing,
    series,
    evidence: evidence.map((one) =>
      Object.fromEntries(Object.entries(one).filter(([, value]) => value !== null && value !== '')),
    ),
  }
}

/** The same of a study that has no instance: it was only spoken of. Without evidence it is unknown. */
export async function expectedCompleteness(db: Database, studyInstanceUID: string) {
  const said = await verdictWithoutInstances(db, studyInstanceUID)
  return completenessOf(db, { studyInstanceUID, instanceCount: 0, ...said })
}

export type CommitmentState = 'none' | 'some' | 'all' | 'failed'

/** Whether the storage of what is here was committed. (PS3.4 J) */
export function commitmentOf({
  instanceCount,
  committedInstanceCount: committed,
  damagedInstanceCount: failed,
}: {
  instanceCount: number
  committedInstanceCount: number
  damagedInstanceCount: number
}): { state: CommitmentState; committed: number; failed: number } {
  const state =
    failed > 0 ? 'failed' : committed === 0 ? 'none' : committed < instanceCount ? 'some' : 'all'
  return { state, committed, failed }
}
