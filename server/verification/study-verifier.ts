import { instancesOfStudyByPlace } from '../../db/verification.ts'
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
      const pages = instancesOfStudyByPlace(this.#deps.db, study.studyKey)
      return await verify(this.#deps, pages, { ...fullSpeed, signal })
    } finally {
      this.#running--
    }
  }
}
