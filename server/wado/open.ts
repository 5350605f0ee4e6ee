import type { Context } from 'hono'
import { lastDeletionOf } from '../../db/deletions.ts'
import { disbelief } from '../../db/instance-lookup.ts'
import {
  type Instance,
  type InstanceKeys,
  instancesOf,
  type ResourcePath,
} from '../../db/instances.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { WadoDeps } from './deps.ts'
import { resourceOf } from './paths.ts'

/** All instances of a resource, in a stable order, of which the first is there. */
export interface Opened {
  first: Instance
  all(): AsyncGenerator<Instance, void, void>
}

/** @throws {HttpProblem} 404 there is no such resource (WA-S3); 410 it was deleted (WA-S4) */
export async function open(deps: WadoDeps, path: ResourcePath): Promise<Opened> {
  const found = path.sopInstanceUID === undefined ? instancesOf(deps.db, path) : one(deps, path)
  const { value: first } = await found.next()
  if (!first) throw await notFound(deps, path)
  return {
    first,
    async *all() {
      yield first
      yield* found
    },
  }
}

async function* one({ lookup }: WadoDeps, path: ResourcePath): ReturnType<typeof instancesOf> {
  const instance = await lookup.find(path as InstanceKeys)
  if (instance !== undefined) yield instance
}

/** The one instance that the path names. @throws {HttpProblem} 400, 404, 410 */
export async function openInstance(c: Context<AppEnv>, deps: WadoDeps): Promise<Instance> {
  return (await open(deps, resourceOf(c.req.param()))).first
}

/** There is no such resource, or not under that study or series (WA-S3); or there was one (WA-S4). */
export async function notFound({ db }: WadoDeps, path: ResourcePath): Promise<HttpProblem> {
  const deletion = await lastDeletionOf(db, path)
  if (deletion === undefined) {
    return new HttpProblem(404, 'Cannot retrieve this: it is not in the archive')
  }
  // Another server may still give what this one says is gone.
  await disbelief()
  const { deletionKey, deletedAt } = deletion
  return new HttpProblem(410, 'Cannot retrieve this: it was deleted', {
    members: { deletion: deletionKey, deletedAt },
  })
}
