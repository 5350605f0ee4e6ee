import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { findStudy } from '../../db/listing.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { StudyVerifier } from './study-verifier.ts'

export interface VerificationDeps {
  db: Database
  verifier: StudyVerifier
}

/** `POST /api/studies/{study}/verify`: reads all bytes of a study now, and answers what was found. */
export function verificationRoutes({ db, verifier }: VerificationDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/studies/:study/verify', async (c) => {
    const uid = c.req.param('study')
    const study = isUID(uid) ? await findStudy(db, uid) : undefined
    if (study === undefined) throw new HttpProblem(404, 'There is no such study')
    const { signal } = c.req.raw
    try {
      const found = await verifier.verify(study, signal)
      c.header('cache-control', 'no-store')
      return c.json({ studyInstanceUID: uid, ...found })
    } catch (error) {
      // Nobody is there to hear.
      if (signal.aborted) return c.body(null, 503)
      throw error
    }
  })
}
