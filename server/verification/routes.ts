import { Hono } from 'hono'
import { findStudy } from '../../db/listing.ts'
import { instancesOfStudyByPlace } from '../../db/verification.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { fullSpeed } from './read-again.ts'
import { type VerifyDeps, verify } from './verify.ts'

/** Studies that one server verifies at the same time because somebody asks. */
const atOnce = 2

/** `POST /api/studies/{study}/verify`: reads all bytes of a study now, and answers what was found. */
export function verificationRoutes(deps: VerifyDeps): Hono<AppEnv> {
  let running = 0
  return new Hono<AppEnv>().post('/studies/:study/verify', async (c) => {
    const uid = c.req.param('study')
    const study = isUID(uid) ? await findStudy(deps.db, uid) : undefined
    if (study === undefined) throw new HttpProblem(404, 'There is no such study')
    if (running >= atOnce) {
      throw new HttpProblem(503, `Cannot verify now: ${atOnce} studies are being verified`, {
        headers: { 'retry-after': '5' },
      })
    }
    running++
    const { signal } = c.req.raw
    try {
      const pages = instancesOfStudyByPlace(deps.db, study.studyKey)
      const found = await verify(deps, pages, { ...fullSpeed, signal })
      c.header('cache-control', 'no-store')
      return c.json({ studyInstanceUID: uid, ...found })
    } catch (error) {
      // Nobody is there to hear; what was found until now is written down.
      if (signal.aborted) return c.body(null, 503)
      throw error
    } finally {
      running--
    }
  })
}
