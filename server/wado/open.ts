import type { Context } from 'hono'
import { type Instance, instancesOf, type ResourcePath } from '../../db/instances.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { WadoDeps } from './deps.ts'
import { resourceOf } from './paths.ts'

/** All instances of a resource, in a stable order, of which the first is there. */
export interface Opened {
  first: Instance
  all(): AsyncGenerator<Instance, void, void>
}

/** @throws {HttpProblem} 404 there is no such resource (WA-S3) */
export async function open({ db }: WadoDeps, path: ResourcePath): Promise<Opened> {
  const found = instancesOf(db, path)
  const { value: first } = await found.next()
  if (!first) throw notFound()
  return {
    first,
    async *all() {
      yield first
      yield* found
    },
  }
}

/** The one instance that the path names. @throws {HttpProblem} 400, 404 */
export async function openInstance(c: Context<AppEnv>, deps: WadoDeps): Promise<Instance> {
  return (await open(deps, resourceOf(c.req.param()))).first
}

/** There is no such resource, or not under that study or series (WA-S3). */
export function notFound(): HttpProblem {
  return new HttpProblem(404, 'Cannot retrieve this: it is not in the archive')
}
