import type { Study } from './find-studies.ts'
import { counted, formatBytes } from './format.ts'
import { type SendDeps, type StudyOutcome, sendStudy, type Target } from './send-study.ts'

/**
 * Sends studies, a few at once, each as one request.
 *
 * Ends early, with the rest untried, when it is interrupted, when the server answers what it would
 * answer to all of them, or when nobody was ever there. One that was there and went away may come back.
 *
 * @returns an outcome for each study, in their order.
 */
export async function sendAll(
  studies: Study[],
  target: Target,
  concurrency: number,
  deps: SendDeps,
): Promise<StudyOutcome[]> {
  const outcomes = new Array<StudyOutcome>(studies.length)
  let next = 0
  let wasReached = false
  let isHopeless = false
  async function sendOn(): Promise<void> {
    while (next < studies.length) {
      const index = next++
      const study = studies[index] as Study
      if (isHopeless || deps.signal.aborted) {
        outcomes[index] = untried(study)
        continue
      }
      const outcome = await sendStudy(study, target, deps)
      outcomes[index] = outcome
      if (outcome.isAway !== true) wasReached = true
      if (outcome.isForAll === true || !wasReached) isHopeless = true
      deps.say(renderOutcome(outcome))
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, studies.length) }, sendOn))
  return outcomes
}

function untried(study: Study): StudyOutcome {
  return {
    study,
    state: 'untried',
    stored: [],
    warnedCount: 0,
    refused: [],
    elapsedMs: 0,
  }
}

/** One line for a study when it is done. */
function renderOutcome(outcome: StudyOutcome): string {
  const { study, state, stored, refused, elapsedMs } = outcome
  const label = state === 'incomplete' ? (refused.length > 0 ? 'refused' : 'failed') : state
  const head = `${label.padEnd(9)} ${study.studyInstanceUID}`
  const seconds = `${(elapsedMs / 1000).toFixed(1)} s`
  if (state === 'stored') {
    return `${head}  ${counted(stored.length, 'instance')}, ${formatBytes(study.byteLength)}, ${seconds}`
  }
  return `${head}  ${stored.length} of ${counted(study.files.length, 'instance')} stored, ${seconds}`
}
