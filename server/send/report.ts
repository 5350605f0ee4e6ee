import { csvLine } from '../csv.ts'
import { hexOf, meaningOf } from './failure-reasons.ts'
import type { Found } from './find-studies.ts'
import type { StudyOutcome } from './send-study.ts'

const columns = ['file', 'studyInstanceUID', 'sopInstanceUID', 'outcome', 'failureReason', 'why']

/**
 * What became of each file, as CSV with a line of names: `stored`, `refused`, `not acknowledged` (nobody said that it is stored; why
 * says what came instead), `not sent`, or `failed` (it could not be read). Files that are no DICOM are left out.
 */
export function* renderReport(found: Found, outcomes: StudyOutcome[]): Generator<string> {
  yield csvLine(columns)
  for (const outcome of outcomes) yield* linesOf(outcome)
  for (const { path, reason } of found.failed) yield csvLine([path, '', '', 'failed', '', reason])
}

function* linesOf(outcome: StudyOutcome): Generator<string> {
  const { study, state, refused, failure } = outcome
  const stored = new Set(outcome.stored)
  const reasons = new Map(refused.map(({ path, failureReason }) => [path, failureReason]))
  for (const file of study.files) {
    const reason = reasons.get(file.path)
    const line = (...rest: (string | undefined)[]) =>
      csvLine([file.path, study.studyInstanceUID, file.sopInstanceUID, ...rest])
    if (stored.has(file)) yield line('stored', '', '')
    else if (state === 'untried') yield line('not sent', '', '')
    else if (reason === undefined) yield line('not acknowledged', '', failure ?? refusedSome)
    else yield line('refused', hexOf(reason), meaningOf(reason))
  }
}

const refusedSome = 'the server refused some, and could not say which'
