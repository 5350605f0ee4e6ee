import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { timeLimit } from '../http/time-limit.ts'
import type { StudyFile } from '../send/find-studies.ts'
import { Meter } from '../send/meter.ts'
import { cannotReach, judgeError } from '../send/retry.ts'
import { type StudyOutcome, sendStudy } from '../send/send-study.ts'
import { type DemoStudy, demoStudies } from './studies.ts'

export interface DemoTarget {
  /** Origin of a Stowage: `http://127.0.0.1:8104`, with a path prefix if there is one, without a slash at its end. */
  url: string
  /** Sent with each request: credentials. Never shown. */
  headers: Record<string, string | string[]>
  product: string
}

export interface DemoDeps {
  signal: AbortSignal
  /** Says a line to whoever watches. */
  say(line: string): void
  /** How many times faster than for watching: 1, or Infinity for at once. */
  speed?: number
}

const atOnce = 2
const retries = 5
const requestMs = 30_000

/** @returns Why the server cannot be reached; undefined: it answers. */
export async function findAway(
  { url, headers, product }: DemoTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    using limit = timeLimit(requestMs, signal)
    const answer = await fetch(`${url}/healthz`, {
      headers: headersOf({ ...headers, 'user-agent': product }),
      signal: limit.signal,
    })
    // Whatever it says: the sending will tell what it takes.
    await answer.body?.cancel()
    return undefined
  } catch (error) {
    const { isAway, reason } = judgeError(error, url)
    return isAway ? reason : cannotReach(url, reason)
  }
}

/**
 * Makes the studies of a demonstration and sends each as one STOW-RS request, two at once, so slowly that one can watch.
 *
 * A study that is there already is left alone.
 *
 * @param set Says which studies, see {@link demoStudies}.
 * @returns Whether everything is there, and was refused, as it should be.
 */
export async function sendDemo(set: string, target: DemoTarget, deps: DemoDeps): Promise<boolean> {
  const waiting = demoStudies(set)
  let isFine = true
  async function sendOn(): Promise<void> {
    for (let study = waiting.shift(); study !== undefined; study = waiting.shift()) {
      if (deps.signal.aborted || !(await sendOne(study, target, deps))) isFine = false
    }
  }
  await Promise.all(Array.from({ length: atOnce }, sendOn))
  return isFine
}

async function sendOne(study: DemoStudy, target: DemoTarget, deps: DemoDeps): Promise<boolean> {
  const { studyInstanceUID, title } = study
  const folder = await mkdtemp(join(tmpdir(), 'stowage-demo-'))
  try {
    if (await isThere(study, target, deps.signal)) {
      deps.say(`there     ${studyInstanceUID}  ${title}: is there already`)
      return true
    }
    if (study.declaredInstanceCount !== undefined) await declare(study, target, deps)
    const files = await writeFiles(study, folder, deps.signal)
    deps.say(`sending   ${studyInstanceUID}  ${title}`)
    const outcome = await send(study, files, target, deps)
    return judgeOutcome(study, outcome, deps)
  } catch (error) {
    if (!deps.signal.aborted) {
      deps.say(`failed    ${studyInstanceUID}  ${judgeError(error, target.url).reason}`)
    }
    return false
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A file at a time, so that a server that sends to itself goes on serving. */
async function writeFiles(
  { files }: DemoStudy,
  folder: string,
  signal: AbortSignal,
): Promise<StudyFile[]> {
  const written: StudyFile[] = []
  for (const { sopInstanceUID, file } of files()) {
    signal.throwIfAborted()
    const path = join(folder, `${written.length + 1}.dcm`)
    await writeFile(path, file)
    written.push({ path, byteLength: file.length, sopInstanceUID })
    await turn()
  }
  return written
}

function send(
  study: DemoStudy,
  files: StudyFile[],
  { url, headers, product }: DemoTarget,
  { signal, say, speed = 1 }: DemoDeps,
): Promise<StudyOutcome> {
  const byteLength = files.reduce((sum, file) => sum + file.byteLength, 0)
  const { studyInstanceUID, seconds } = study
  const msEach = (seconds * 1000) / speed / byteLength
  return sendStudy(
    { studyInstanceUID, files, byteLength },
    { baseURL: `${url}/dicom-web`, handling: 'lenient', headers, product, retries },
    {
      signal,
      say,
      meter: new Meter({ bytes: byteLength, instances: files.length }, Date.now),
      sleep: (ms) => delay(ms, undefined, { signal }),
      ...(msEach > 0
        ? { pace: (bytes: number) => delay(bytes * msEach, undefined, { signal }) }
        : {}),
    },
  )
}

function judgeOutcome(study: DemoStudy, outcome: StudyOutcome, { say }: DemoDeps): boolean {
  const { stored, refused, failure, state } = outcome
  const isAsMeant =
    failure === undefined &&
    (study.refusedCount === 0
      ? state === 'stored'
      : refused.length === study.refusedCount && stored.length > 0)
  const label = failure === undefined ? 'stored' : 'failed'
  const words = [`${stored.length} stored`]
  if (refused.length > 0)
    words.push(`${refused.length} refused${isAsMeant ? ', as it should be' : ''}`)
  if (failure !== undefined) words.push(failure)
  say(`${label.padEnd(9)} ${study.studyInstanceUID}  ${study.title}: ${words.join(', ')}`)
  return isAsMeant
}

async function isThere(
  { studyInstanceUID }: DemoStudy,
  { url, headers, product }: DemoTarget,
  signal: AbortSignal,
): Promise<boolean> {
  using limit = timeLimit(requestMs, signal)
  const answer = await fetch(`${url}/dicom-web/studies?StudyInstanceUID=${studyInstanceUID}`, {
    headers: headersOf({ ...headers, accept: 'application/dicom+json', 'user-agent': product }),
    signal: limit.signal,
  })
  const text = await answer.text()
  // What it answers else, it will answer to the sending, where it is told.
  return answer.status === 200 && (JSON.parse(text) as unknown[]).length > 0
}

/** Says how many instances there are to be, where the server takes that. */
async function declare(
  { studyInstanceUID, declaredInstanceCount }: DemoStudy,
  { url, headers, product }: DemoTarget,
  { signal, say }: DemoDeps,
): Promise<void> {
  using limit = timeLimit(requestMs, signal)
  const answer = await fetch(`${url}/api/studies/${studyInstanceUID}/evidence`, {
    method: 'PUT',
    headers: headersOf({ ...headers, 'content-type': 'application/json', 'user-agent': product }),
    body: JSON.stringify({ instanceCount: declaredInstanceCount }),
    signal: limit.signal,
  })
  await answer.body?.cancel()
  if (answer.ok) return
  say(
    `notice    ${studyInstanceUID}  the server took no declaration (${answer.status}), so nobody will miss anything`,
  )
}

function headersOf(headers: DemoTarget['headers']): Headers {
  const made = new Headers()
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) made.append(name, value)
  }
  return made
}
