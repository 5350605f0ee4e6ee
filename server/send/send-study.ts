import { newBoundary } from '../multipart/multipart-writer.ts'
import { bodyLength, FileChangedError, FileUnreadableError, readBody } from './body.ts'
import type { Study, StudyFile } from './find-studies.ts'
import { judge, type Verdict } from './judge.ts'
import type { Meter } from './meter.ts'
import { type Answer, defaultTimes, type PostTimes, post } from './post.ts'
import { judgeError, longestRetryAfterMs, retryDelayMs } from './retry.ts'
import type { RefusedFile } from './store-response.ts'

export interface Target {
  /** The DICOMweb base, without a slash at its end: `http://127.0.0.1:8104/dicom-web`. */
  baseURL: string
  handling: 'strict' | 'lenient'
  /** Sent with each request: credentials. Never shown. */
  headers: Record<string, string | string[]>
  /** Names the program, in User-Agent. */
  product: string
  /** How often a request is made again. */
  retries: number
}

export interface SendDeps {
  signal: AbortSignal
  meter: Meter
  /** Says a line to whoever watches. */
  say(line: string): void
  times?: PostTimes
  /** Waits after so many bytes of a body, where it is to be sent slowly. */
  pace?(bytes: number): Promise<unknown>
  /** Waits, or throws the reason of the signal. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** What became of one study. */
export interface StudyOutcome {
  study: Study
  /** `stored`: all of it, and the server named each instance. */
  state: 'stored' | 'incomplete' | 'interrupted' | 'untried'
  stored: StudyFile[]
  warnedCount: number
  refused: RefusedFile[]
  /** What went wrong, other than refusals. */
  failure?: string
  /** No other study would fare better. */
  isForAll?: boolean
  /** Nobody was there at last. Where nobody ever was, no other study would fare better. */
  isAway?: boolean
  elapsedMs: number
}

/** Below this, a round trip more costs more than a body sent in vain. */
const expectAboveBytes = 1024 * 1024

/** Bytes of an answer: a frame, and for each instance its UIDs, URL and reason in JSON, generously. */
const answerBytes = 1024 * 1024
const answerBytesEach = 4096

/**
 * Sends one study as one STOW-RS request, again and again where that may help. Sending again is
 * harmless: a server that has an instance with equal bytes says that it is stored.
 *
 * Never throws for what a server, a connection or a file does: that is the outcome.
 */
export async function sendStudy(
  study: Study,
  target: Target,
  deps: SendDeps,
): Promise<StudyOutcome> {
  const startedAt = Date.now()
  const nothing = { study, stored: [], warnedCount: 0, refused: [] }
  let expectsContinue = study.byteLength >= expectAboveBytes
  for (let attempt = 1; ; ) {
    const progress = { bytes: 0, instances: 0 }
    const verdict = await attemptOnce(study, target, { ...deps, expectsContinue, progress })
    const elapsedMs = Date.now() - startedAt
    if (verdict.kind === 'answered') {
      const { response, failure } = verdict
      const isStored =
        response.stored.length === study.files.length && response.refused.length === 0
      return {
        study,
        state: isStored && failure === undefined ? 'stored' : 'incomplete',
        stored: response.stored,
        warnedCount: response.warnedCount,
        refused: response.refused,
        ...(failure === undefined ? {} : { failure }),
        elapsedMs,
      }
    }
    if (verdict.kind === 'interrupted') {
      return { ...nothing, state: 'interrupted', failure: verdict.reason, elapsedMs }
    }
    deps.meter.takeBack(progress.bytes, progress.instances)
    if (verdict.kind === 'unexpected' && expectsContinue) {
      expectsContinue = false
      continue
    }
    const giveUp = reasonToGiveUp(verdict, attempt, target.retries)
    if (giveUp !== undefined || verdict.kind !== 'passing') {
      const isForAll = verdict.kind === 'failed' && verdict.isForAll === true
      const isAway = verdict.kind !== 'unexpected' && verdict.isAway === true
      return { ...nothing, state: 'incomplete', failure: giveUp ?? '', isForAll, isAway, elapsedMs }
    }
    const waitMs = retryDelayMs(attempt, verdict.retryAfterMs, Math.random())
    attempt++
    deps.say(
      `retry     ${study.studyInstanceUID}  ${verdict.reason}; again in ${(waitMs / 1000).toFixed(1)} s (attempt ${attempt} of ${target.retries + 1})`,
    )
    try {
      await deps.sleep(waitMs, deps.signal)
    } catch {
      const failure = `interrupted while it waited to be sent again: ${verdict.reason}`
      return { ...nothing, state: 'interrupted', failure, elapsedMs: Date.now() - startedAt }
    }
  }
}

type AttemptVerdict = Verdict | { kind: 'interrupted'; reason: string }

async function attemptOnce(
  study: Study,
  target: Target,
  deps: SendDeps & { expectsContinue: boolean; progress: { bytes: number; instances: number } },
): Promise<AttemptVerdict> {
  const { signal, meter, progress, expectsContinue } = deps
  const { files, studyInstanceUID } = study
  const boundary = newBoundary()
  const byteLength = bodyLength(files, boundary)
  let wireBytes = 0
  // The bar counts the bytes of files; the few of the multipart's frame are spread over them.
  const share = study.byteLength / byteLength
  const url = new URL(`${target.baseURL}/studies/${studyInstanceUID}`)
  let answer: Answer
  try {
    answer = await post(
      {
        url,
        headers: {
          ...target.headers,
          'user-agent': target.product,
          'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
          accept: 'application/dicom+json',
          prefer: `handling=${target.handling}`,
        },
        byteLength,
        body: paced(
          readBody(files, boundary, () => {
            progress.instances++
            meter.add(0, 1)
          }),
          deps.pace,
        ),
        answerBytes: answerBytes + answerBytesEach * files.length,
        expectsContinue,
        onSent(bytes) {
          wireBytes += bytes
          progress.bytes += bytes * share
          meter.add(bytes * share, 0)
        },
      },
      signal,
      deps.times ?? defaultTimes,
    )
  } catch (error) {
    if (signal.aborted) return { kind: 'interrupted', reason: interruption(wireBytes, byteLength) }
    if (error instanceof FileChangedError || error instanceof FileUnreadableError) {
      return { kind: 'failed', reason: error.message }
    }
    const { isPassing, isAway, reason } = judgeError(error, target.baseURL)
    return { kind: isPassing ? 'passing' : 'failed', reason, isAway }
  }
  return judge(answer, files, target.baseURL, Date.now())
}

async function* paced(
  body: AsyncIterable<Uint8Array>,
  pace: SendDeps['pace'],
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of body) {
    yield chunk
    await pace?.(chunk.length)
  }
}

function interruption(sentBytes: number, byteLength: number): string {
  return sentBytes < byteLength
    ? 'interrupted before all of it was sent'
    : 'interrupted before the answer came: all of it may be stored, or nothing'
}

/** Why the request is not made again; undefined when it is. */
function reasonToGiveUp(verdict: Verdict, attempt: number, retries: number): string | undefined {
  if (verdict.kind === 'failed') return verdict.reason
  if (verdict.kind === 'unexpected') return 'the server answered 417 to a request without Expect'
  if (verdict.kind !== 'passing') return undefined
  const { reason, retryAfterMs = 0 } = verdict
  if (retryAfterMs > longestRetryAfterMs) {
    return `${reason}, and wants to be left alone for ${Math.round(retryAfterMs / 1000)} s; send it again then`
  }
  if (attempt <= retries) return undefined
  return attempt === 1 ? reason : `${reason}, ${attempt} times`
}
