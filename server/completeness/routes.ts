import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { listMissing, putEvidence, withdrawEvidence } from '../../db/evidence.ts'
import { findStudy } from '../../db/listing.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { callerOf } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { readJSON } from '../http/read-json.ts'
import { completenessOf, expectedCompleteness } from './answer.ts'
import type { PeerAsker } from './peer-asker.ts'
import { readDeclaration } from './request.ts'

export interface CompletenessDeps {
  db: Database
  /** Makes every server, and every page, look. */
  live: { changed(): void }
  peerAsker: Pick<PeerAsker, 'ask'>
}

/** Of 200,000 UIDs. */
const bodyLimits = { requestBytes: 16 * 1024 * 1024, inflateRatio: 100, idleMs: 10_000 }
const missingByDefault = 1000
const missingAtMost = 100_000

/** `/api/studies/{study}/evidence`: what a study should hold, as its sender and others say. */
export function completenessRoutes({ db, live, peerAsker }: CompletenessDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use('/studies/*', async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .get('/studies/:study/evidence', async (c) => {
      const answer = await readCompleteness(db, uidOf(c.req.param('study')))
      if (answer.evidence.length > 0 || answer.received > 0) return c.json(answer)
      throw new HttpProblem(404, 'There is no such study, and nobody said anything of it')
    })
    .put('/studies/:study/evidence', async (c) => {
      const studyInstanceUID = uidOf(c.req.param('study'))
      const claims = readDeclaration(await readJSON(c.req.raw, bodyLimits))
      await putEvidence(db, studyInstanceUID, {
        source: 'declared',
        origin: '',
        extent: 'all',
        claims,
        claimedBy: callerOf(c),
      })
      live.changed()
      return c.json(await readCompleteness(db, studyInstanceUID))
    })
    .delete('/studies/:study/evidence', async (c) => {
      const isWithdrawn = await withdrawEvidence(db, uidOf(c.req.param('study')), 'declared')
      if (!isWithdrawn) throw new HttpProblem(404, 'Nobody declared anything of this study')
      live.changed()
      return c.body(null, 204)
    })
    .post('/studies/:study/evidence/ask', async (c) => {
      const studyInstanceUID = uidOf(c.req.param('study'))
      if ((await peerAsker.ask(studyInstanceUID)) === undefined) {
        throw new HttpProblem(409, 'There is nobody to ask: STOWAGE_PEER_URL is not set')
      }
      return c.json(await readCompleteness(db, studyInstanceUID))
    })
    .get('/studies/:study/missing', async (c) => {
      const after = c.req.query('after') ?? ''
      const limit = limitOf(c.req.query('limit'))
      const page = { after, limit: limit + 1 }
      const found = await listMissing(db, uidOf(c.req.param('study')), page)
      return c.json({ sopInstanceUIDs: found.slice(0, limit), done: found.length <= limit })
    })
}

/** Also of a study that has no instance yet. */
async function readCompleteness(db: Database, studyInstanceUID: string) {
  const study = await findStudy(db, studyInstanceUID)
  return study === undefined
    ? expectedCompleteness(db, studyInstanceUID)
    : completenessOf(db, study)
}

function uidOf(text: string): string {
  if (isUID(text)) return text
  throw new HttpProblem(404, 'There is no such study: its path has no valid Study Instance UID')
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return missingByDefault
  if (/^[1-9]\d{0,8}$/.test(text)) return Math.min(Number(text), missingAtMost)
  throw new HttpProblem(400, 'Cannot list what is missing: "limit" is no whole number above 0')
}
