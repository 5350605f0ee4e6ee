import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Found, findStudies } from '../../server/send/find-studies.ts'
import { Meter } from '../../server/send/meter.ts'
import type { PostTimes } from '../../server/send/post.ts'
import { sendAll } from '../../server/send/send-all.ts'
import type { StudyOutcome, Target } from '../../server/send/send-study.ts'
import { renderSummary } from '../../server/send/summary.ts'
import { type DicomFileOptions, dicomFile, uniqueUID } from '../support/dicom-file.ts'

/** A folder of a test's own. */
export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'stowage-send-'))
  return {
    path,
    async put(name: string, content: Uint8Array | string): Promise<string> {
      const file = join(path, name)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
      return file
    },
    /** Writes the instances of one study, `name-0.dcm` and so on. */
    async putStudy(name: string, count: number, options: DicomFileOptions = {}) {
      const studyInstanceUID = uniqueUID()
      const seriesInstanceUID = uniqueUID()
      const files: Buffer[] = []
      const uids: string[] = []
      for (let index = 0; index < count; index++) {
        const sopInstanceUID = uniqueUID()
        const file = dicomFile({ studyInstanceUID, seriesInstanceUID, sopInstanceUID, ...options })
        await this.put(`${name}-${index}.dcm`, file)
        files.push(file)
        uids.push(sopInstanceUID)
      }
      return { studyInstanceUID, files, uids }
    },
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
    },
  }
}

export interface Sent {
  found: Found
  outcomes: StudyOutcome[]
  /** What was said while it went. */
  said: string[]
  /** How long it would have waited between attempts. */
  waitsMs: number[]
  summary: string
}

/** Times that no test waits long for. */
export const shortTimes: PostTimes = { idleMs: 2000, answerMs: 2000, continueMs: 300 }

/** Sends what a folder holds, without waiting between attempts. */
export async function sendFolder(
  paths: string[],
  baseURL: string,
  options: Partial<Target> & {
    concurrency?: number
    signal?: AbortSignal
    times?: PostTimes
    found?: Found
    onWait?: () => void
  } = {},
): Promise<Sent> {
  const found = options.found ?? (await findStudies(paths))
  const said: string[] = []
  const waitsMs: number[] = []
  const target: Target = {
    baseURL,
    handling: options.handling ?? 'strict',
    headers: options.headers ?? {},
    product: 'stowage-send/test',
    retries: options.retries ?? 2,
  }
  const outcomes = await sendAll(found.studies, target, options.concurrency ?? 1, {
    signal: options.signal ?? new AbortController().signal,
    meter: new Meter({ bytes: 1, instances: 1 }, Date.now),
    say: (line) => said.push(line),
    times: options.times ?? shortTimes,
    async sleep(ms, signal) {
      waitsMs.push(ms)
      options.onWait?.()
      signal.throwIfAborted()
    },
  })
  return { found, outcomes, said, waitsMs, summary: [...renderSummary(found, outcomes)].join('\n') }
}
