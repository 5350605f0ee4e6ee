import {
  databaseNow,
  instancesOfStudyByPlace,
  noteReadSegments,
  type ReadSegment,
  type UnverifiedInstance,
} from '../../db/verification.ts'
import { HttpProblem } from '../http/problem.ts'
import { fullSpeed } from './read-again.ts'
import { type Verified, type VerifyDeps, verify } from './verify.ts'

/** Studies that one server verifies at the same time because somebody asks. */
const atOnce = 2

/** Reads all bytes of a study again because somebody asks, now and at full speed. */
export class StudyVerifier {
  readonly #deps: VerifyDeps
  #running = 0

  constructor(deps: VerifyDeps) {
    this.#deps = deps
  }

  /**
   * What was found until whoever asked goes away is written down.
   * @throws {HttpProblem} 503 as many as may be are being verified
   */
  async verify(study: { studyKey: number }, signal: AbortSignal): Promise<Verified> {
    if (this.#running >= atOnce) {
      throw new HttpProblem(503, `Cannot verify now: ${atOnce} studies are being verified`, {
        headers: { 'retry-after': '5' },
      })
    }
    this.#running++
    try {
      const { db } = this.#deps
      const since = await databaseNow(db)
      const segments = new Map<number, ReadSegment>()
      const pages = noting(instancesOfStudyByPlace(db, study.studyKey), segments)
      const verified = await verify(this.#deps, pages, { ...fullSpeed, signal })
      if (verified.unreadableCount === 0) await noteReadSegments(db, [...segments.values()], since)
      return verified
    } finally {
      this.#running--
    }
  }
}

/** Passes instances on, and notes how much of which segment they are. */
async function* noting(
  pages: AsyncIterable<UnverifiedInstance[]>,
  segments: Map<number, ReadSegment>,
): AsyncGenerator<UnverifiedInstance[], void, void> {
  for await (const page of pages) {
    for (const { segmentKey, segmentOffset: lastOffset } of page) {
      const instanceCount = (segments.get(segmentKey)?.instanceCount ?? 0) + 1
      segments.set(segmentKey, { segmentKey, instanceCount, lastOffset })
    }
    yield page
  }
}
