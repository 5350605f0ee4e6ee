import { type Context, Hono } from 'hono'
import { InstanceLookup } from '../../db/instance-lookup.ts'
import type { AppEnv } from '../http/env.ts'
import type { WadoDeps } from './deps.ts'
import { KeptAnswers } from './kept-answers.ts'
import { KeptFrames } from './kept-frames.ts'
import { retrieveAllBulkData, retrieveBulkData, retrievePixelData } from './retrieve-bulk-data.ts'
import { retrieveFrames } from './retrieve-frames.ts'
import { retrieveInstances } from './retrieve-instances.ts'
import { retrieveMetadata } from './retrieve-metadata.ts'
import { retrieveRendered, retrieveThumbnail } from './retrieve-rendered.ts'

type Retrieve = (c: Context<AppEnv>, deps: WadoDeps) => Promise<Response>

/** WADO-RS: the Retrieve transaction (PS3.18 10.4). */
export function wadoRoutes(given: Omit<WadoDeps, 'lookup'>): Hono<AppEnv> {
  const study = '/studies/:study'
  const series = `${study}/series/:series`
  const instance = `${series}/instances/:instance`
  const deps: WadoDeps = { ...given, lookup: new InstanceLookup(given.db) }
  // Ten of one are as large as one of the other.
  const kept = { gzip: new KeptAnswers(), identity: new KeptAnswers() }
  const frames = new KeptFrames()
  const app = new Hono<AppEnv>()
  const at = (path: string, retrieve: Retrieve) => app.get(path, (c) => retrieve(c, deps))
  for (const resource of [study, series, instance]) {
    at(resource, retrieveInstances)
    at(`${resource}/metadata`, (c) => retrieveMetadata(c, deps, kept))
    at(`${resource}/bulkdata`, retrieveAllBulkData)
    at(`${resource}/pixeldata`, retrievePixelData)
    at(`${resource}/rendered`, retrieveRendered)
    at(`${resource}/thumbnail`, retrieveThumbnail)
  }
  at(`${instance}/bulkdata/:element/:range`, retrieveBulkData)
  at(`${instance}/frames/:list`, (c) => retrieveFrames(c, deps, frames))
  at(`${instance}/frames/:list/rendered`, retrieveRendered)
  at(`${instance}/frames/:list/thumbnail`, retrieveThumbnail)
  return app
}
