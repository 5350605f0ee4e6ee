import { type Context, Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import {
  allowResend,
  type Deletion,
  deleteResource,
  findDeletion,
  lastDeletionOf,
  listDeletions,
} from '../../db/deletions.ts'
import type { ResourcePath } from '../../db/instances.ts'
import { isUID } from '../dicom/uid.ts'
import type { AppEnv } from '../http/env.ts'
import { callerOf } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { readDeletionRequest } from './request.ts'

export interface DeletionDeps {
  db: Database
  /** Something was deleted: bytes are to be given back, and people look at something else. */
  deleted(): void
}

const study = '/studies/:study'
const resources = [
  study,
  `${study}/series/:series`,
  `${study}/series/:series/instances/:instance`,
] as const

/** `DELETE` on the resources of DICOMweb. The standard has no such transaction; this is what archives agree on. */
export function deleteRoutes({ db, deleted }: DeletionDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  for (const resource of resources) {
    app.delete(resource, async (c) => {
      const path = resourceOf(c)
      const request = await readDeletionRequest(c.req.raw)
      const result = await deleteResource(db, path, { ...request, sender: callerOf(c) })
      if (result.outcome === 'not-found') throw await notFound(db, path)
      if (result.outcome === 'committed') {
        const { committedInstanceCount } = result
        throw new HttpProblem(
          409,
          'Cannot delete this: its storage was committed; delete it with "force": true and a "reason"',
          { members: { committedInstanceCount } },
        )
      }
      deleted()
      return c.json(toDeletion(result.deletion), 200, {
        'cache-control': 'no-store',
        location: `${c.get('baseURL')}/api/deletions/${result.deletion.deletionKey}`,
      })
    })
  }
  return app
}

const deletionsByDefault = 100
const deletionsAtMost = 1000

/** `/api/deletions`, and `/allow-resend` of a study, a series, an instance. */
export function deletionRoutes({ db }: DeletionDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
    .get('/deletions', async (c) => {
      c.header('cache-control', 'no-store')
      const limit = numberOf(c, 'limit') ?? deletionsByDefault
      const deletions = await listDeletions(db, {
        limit: Math.min(limit, deletionsAtMost),
        before: numberOf(c, 'before'),
        studyInstanceUID: c.req.query('studyInstanceUID'),
      })
      return c.json({ deletions: deletions.map(toDeletion) })
    })
    .get('/deletions/:deletion', async (c) => {
      c.header('cache-control', 'no-store')
      const number = c.req.param('deletion')
      const found = /^[1-9]\d{0,14}$/.test(number)
        ? await findDeletion(db, Number(number))
        : undefined
      if (found === undefined) throw new HttpProblem(404, 'There is no such deletion')
      const { refusedInstanceCount } = found
      return c.json({ ...toDeletion(found), refusedInstanceCount })
    })
  for (const resource of resources) {
    app.post(`${resource}/allow-resend`, async (c) => {
      const { found, lifted } = await allowResend(db, resourceOf(c))
      if (found === 0) throw new HttpProblem(404, 'Nothing of this was deleted')
      return c.json({ allowedInstanceCount: lifted }, 200, { 'cache-control': 'no-store' })
    })
  }
  return app
}

/** Gone, if it was here once. */
async function notFound(db: Database, path: ResourcePath): Promise<HttpProblem> {
  const deletion = await lastDeletionOf(db, path)
  if (deletion === undefined) {
    return new HttpProblem(404, 'Cannot delete this: it is not in the archive')
  }
  const { deletionKey, deletedAt } = deletion
  return new HttpProblem(410, 'Cannot delete this: it is deleted already', {
    members: { deletion: deletionKey, deletedAt },
  })
}

function toDeletion(one: Deletion): Record<string, unknown> {
  const { deletionKey, reason, sender, seriesInstanceUID, sopInstanceUID, ...rest } = one
  const optional = { reason, sender, seriesInstanceUID, sopInstanceUID }
  return {
    deletion: deletionKey,
    ...rest,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null)),
  }
}

/** @throws {HttpProblem} 400 a part of the path is no UID */
function resourceOf(c: Context<AppEnv>): ResourcePath {
  const { study: studyInstanceUID, series, instance } = c.req.param() as Record<string, string>
  for (const uid of [studyInstanceUID, series, instance]) {
    if (uid !== undefined && !isUID(uid)) {
      throw new HttpProblem(400, 'Cannot do this: the path has no valid UID')
    }
  }
  return {
    studyInstanceUID: studyInstanceUID as string,
    seriesInstanceUID: series,
    sopInstanceUID: instance,
  }
}

/** @throws {HttpProblem} 400 */
function numberOf(c: Context<AppEnv>, name: string): number | undefined {
  const text = c.req.query(name)
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new HttpProblem(400, `Cannot list deletions: "${name}" is no whole number above 0`)
}
