import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { countStudies } from '../../db/listing.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Demonstration } from './demonstration.ts'

export interface DemoDeps {
  db: Database
  demonstration: Pick<Demonstration, 'start'>
}

/** `POST /api/demo`: made-up studies for an archive that has none yet; never among those of real people. */
export function demoRoutes({ db, demonstration }: DemoDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/demo', async (c) => {
    if ((await countStudies(db)) > 0) {
      throw new HttpProblem(
        409,
        'Cannot send the demonstration: there are studies here; "stowage demo" sends it all the same',
      )
    }
    const studyInstanceUIDs = demonstration.start()
    if (studyInstanceUIDs === undefined) {
      throw new HttpProblem(
        409,
        'Cannot send the demonstration: it is on its way already; or this server speaks TLS, and "stowage demo --url https://NAME" sends it',
      )
    }
    // From the button of the page, back to it: there it arrives.
    if (c.req.header('accept')?.includes('text/html')) return c.redirect('../', 303)
    return c.json({ studyInstanceUIDs }, 202)
  })
}
