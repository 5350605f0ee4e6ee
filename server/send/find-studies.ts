import { type Head, readHead } from './read-head.ts'
import { walk } from './walk.ts'

/** One file that holds an instance. */
export interface StudyFile {
  path: string
  /** As it was when it was found; a file that changes afterwards breaks off its request. */
  byteLength: number
  /** Undefined where the file has none: the server will refuse it. */
  sopInstanceUID: string | undefined
}

export interface Study {
  studyInstanceUID: string
  files: StudyFile[]
  byteLength: number
}

export interface FailedFile {
  path: string
  reason: string
}

export interface Found {
  /** In the order of their first files' paths. */
  studies: Study[]
  /** Files that are no DICOM, and DICOMDIRs. */
  skippedCount: number
  failed: FailedFile[]
}

/** Files read at once: on a network share one waits for each. */
const readers = 8

/**
 * Finds the DICOM files in folders, and which study each belongs to.
 *
 * Keeps path, size and SOP Instance UID of each file, and nothing else of it.
 *
 * @param onFile Told after each file, for somebody who watches.
 */
export async function findStudies(
  paths: string[],
  { signal, onFile = () => {} }: { signal?: AbortSignal; onFile?: () => void } = {},
): Promise<Found> {
  const byStudy = new Map<string, Study>()
  const found: Found = { studies: [], skippedCount: 0, failed: [] }
  const walking = walk(paths)
  async function readOn(): Promise<void> {
    for (;;) {
      signal?.throwIfAborted()
      const { value, done } = await walking.next()
      if (done) return
      const { path } = value
      if ('failure' in value) found.failed.push({ path, reason: `Cannot read it: ${value.reason}` })
      else sort(path, value.byteLength, await readHead(path))
      onFile()
    }
  }
  function sort(path: string, byteLength: number, head: Head): void {
    if (head.kind === 'other') found.skippedCount++
    else if (head.kind === 'broken') found.failed.push({ path, reason: head.reason })
    else {
      const { studyInstanceUID, sopInstanceUID } = head
      let study = byStudy.get(studyInstanceUID)
      if (study === undefined) {
        study = { studyInstanceUID, files: [], byteLength: 0 }
        byStudy.set(studyInstanceUID, study)
      }
      study.files.push({ path, byteLength, sopInstanceUID })
      study.byteLength += byteLength
    }
  }
  await Promise.all(Array.from({ length: readers }, readOn))
  // Whoever was read first comes first otherwise, and no two runs are alike.
  found.failed.sort(byPath)
  for (const study of byStudy.values()) study.files.sort(byPath)
  found.studies = [...byStudy.values()].sort((a, b) => byPath(firstOf(a), firstOf(b)))
  return found
}

function firstOf(study: Study): StudyFile {
  return study.files[0] as StudyFile
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}
