import { describeFailureReason, rolledBackReason } from './failure-reasons.ts'
import type { Found } from './find-studies.ts'
import { counted, formatBytes } from './format.ts'
import type { StudyOutcome } from './send-study.ts'
import type { RefusedFile } from './store-response.ts'

/** Files named for one reason; the rest is counted. */
const namedFiles = 10

/** What is told at the end: what went wrong, study by study, then what became of everything. */
export function* renderSummary(found: Found, outcomes: StudyOutcome[]): Generator<string> {
  for (const outcome of outcomes) yield* renderTrouble(outcome)
  yield* renderFailedFiles(found)
  const reasons = outcomes.flatMap((one) => (isOfAll(one) ? (one.failure ?? []) : []))
  for (const reason of new Set(reasons)) yield `gave up   ${reason}`
  const stored = outcomes.filter((one) => one.state === 'stored')
  const counts = {
    stored: sum(outcomes, (one) => one.stored.length),
    refused: sum(outcomes, (one) => one.refused.length),
    warned: sum(outcomes, (one) => one.warnedCount),
    sent: sum(outcomes, (one) => one.study.files.length),
  }
  const bytes = sum(stored, (one) => one.study.byteLength)
  yield `stored    ${stored.length} of ${counted(outcomes.length, 'study')}, ${counts.stored} of ${counted(counts.sent, 'instance')}, ${formatBytes(bytes)} in whole studies`
  if (counts.warned > 0) {
    yield `warned    ${counted(counts.warned, 'instance')} of these; the server's page of transfers says of what`
  }
  if (counts.refused > 0) yield `refused   ${counted(counts.refused, 'instance')}`
  const lost = counts.sent - counts.stored - counts.refused
  if (lost > 0) yield `not sent  ${counted(lost, 'instance')}, or sent without a clear answer`
  if (found.skippedCount > 0) {
    const what =
      found.skippedCount === 1 ? 'that is no DICOM instance' : 'that are no DICOM instances'
    yield `skipped   ${counted(found.skippedCount, 'file')} ${what}`
  }
  if (found.failed.length > 0) yield `failed    ${counted(found.failed.length, 'file')}`
}

/** Whether everything that was found is stored. */
export function isAllStored(found: Found, outcomes: StudyOutcome[]): boolean {
  return found.failed.length === 0 && outcomes.every((one) => one.state === 'stored')
}

function* renderTrouble(outcome: StudyOutcome): Generator<string> {
  const { study, state, failure, refused, stored } = outcome
  if (state === 'stored') return
  const count = counted(study.files.length, 'instance')
  // Without an answer nobody knows; only the server's word makes it "not stored".
  const none = failure === undefined ? 'not stored' : 'not acknowledged as stored'
  const held = stored.length === 0 ? none : `${stored.length} stored`
  yield `study ${study.studyInstanceUID}: ${count}, ${state === 'untried' ? 'not sent' : held}`
  if (failure && !isOfAll(outcome)) yield `  ${failure}`
  for (const [failureReason, files] of byReason(refused)) {
    yield `  ${describeFailureReason(failureReason)}: ${counted(files.length, 'instance')}`
    // Nobody has to look at these: they are named by the others.
    const paths = failureReason === rolledBackReason ? [] : files.flatMap(({ path }) => path ?? [])
    for (const path of paths.slice(0, namedFiles)) yield `    ${path}`
    if (paths.length > namedFiles) yield `    and ${paths.length - namedFiles} more`
  }
}

/** It is nothing of the study: told once, after those whom it befell. */
function isOfAll({ isForAll, isAway }: StudyOutcome): boolean {
  return isForAll === true || isAway === true
}

function* renderFailedFiles({ failed, studies }: Found): Generator<string> {
  if (failed.length === 0) return
  yield `files that could not be sent: ${failed.length}`
  for (const { path, reason } of failed.slice(0, namedFiles)) yield `  ${path}: ${reason}`
  if (failed.length > namedFiles) yield `  and ${failed.length - namedFiles} more`
  if (studies.length > 0) yield '  if they belong to a study above, that study is not whole'
}

/** The guilty first: those rolled back with them are many, and say nothing. */
function byReason(refused: RefusedFile[]): [number, RefusedFile[]][] {
  const groups = new Map<number, RefusedFile[]>()
  for (const file of refused) {
    const group = groups.get(file.failureReason)
    if (group === undefined) groups.set(file.failureReason, [file])
    else group.push(file)
  }
  return [...groups].sort(
    ([a], [b]) => Number(a === rolledBackReason) - Number(b === rolledBackReason),
  )
}

function sum(outcomes: StudyOutcome[], of: (outcome: StudyOutcome) => number): number {
  return outcomes.reduce((total, one) => total + of(one), 0)
}
