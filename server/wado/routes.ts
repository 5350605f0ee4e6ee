import { type Context, Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import { type Instance, instancesOf } from '../../db/instances.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOf } from '../http/stream.ts'
import { describeError, type Log } from '../log.ts'
import { negotiate, type Offer, parseAccept } from '../multipart/accept.ts'
import { closing, newBoundary, partHeader } from '../multipart/multipart-writer.ts'
import type { Store } from '../store/store.ts'
import { readBulkData } from './bulk-data.ts'
import { readMetadata } from './metadata.ts'
import { instancePath, resourceOf } from './paths.ts'

export interface WadoDeps {
  db: Database
  store: Store
  log: Log
}

const multipartDicom = { type: 'multipart/related', root: 'application/dicom' }
const singleDicom = { type: 'application/dicom' }
const json = { type: 'application/dicom+json', aliases: ['application/json'] }

/** WADO-RS: the Retrieve transaction, instances as stored, and metadata. (PS3.18 10.4) */
export function wadoRoutes(deps: WadoDeps): Hono<AppEnv> {
  const study = '/studies/:study'
  const series = `${study}/series/:series`
  const instance = `${series}/instances/:instance`
  const instances = (c: Context<AppEnv>) => retrieveInstances(c, deps)
  const metadata = (c: Context<AppEnv>) => retrieveMetadata(c, deps)
  return new Hono<AppEnv>()
    .get(study, instances)
    .get(series, instances)
    .get(instance, instances)
    .get(`${study}/metadata`, metadata)
    .get(`${series}/metadata`, metadata)
    .get(`${instance}/metadata`, metadata)
    .get(`${instance}/bulkdata/:element/:range`, (c) => retrieveBulkData(c, deps))
}

async function retrieveInstances(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const path = resourceOf(c.req.param())
  // A single part can hold one instance only, so it is for the instance resource. (WA-N7)
  const offers =
    path.sopInstanceUID === undefined ? [multipartDicom] : [multipartDicom, singleDicom]
  const offer = choose(c, offers)
  const { first, all } = await open(deps, path)
  if (offer === singleDicom) {
    return new Response(streamOf(bytesOf(first, deps.store), failed(c, deps)), {
      headers: {
        'content-type': `application/dicom; transfer-syntax=${first.transferSyntaxUID}`,
        'content-length': String(first.byteLength),
        ...common,
      },
    })
  }
  const boundary = newBoundary()
  const studiesURL = studiesURLOf(c)
  async function* parts(): AsyncGenerator<Uint8Array, void, void> {
    let isFirst = true
    for await (const instance of all()) {
      yield partHeader(
        boundary,
        [
          ['Content-Type', `application/dicom; transfer-syntax=${instance.transferSyntaxUID}`],
          ['Content-Location', `${studiesURL}/${instancePath(instance)}`],
          ['Content-Length', String(instance.byteLength)],
        ],
        isFirst,
      )
      yield* bytesOf(instance, deps.store)
      isFirst = false
    }
    yield closing(boundary)
  }
  return new Response(streamOf(parts(), failed(c, deps)), {
    headers: {
      'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
      ...common,
    },
  })
}

async function retrieveMetadata(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const path = resourceOf(c.req.param())
  choose(c, [json])
  const { all } = await open(deps, path)
  const studiesURL = studiesURLOf(c)
  async function* array(): AsyncGenerator<Uint8Array, void, void> {
    let separator = '['
    for await (const instance of all()) {
      yield Buffer.from(separator)
      yield await readMetadata(instance, deps.store, studiesURL)
      separator = ','
    }
    yield Buffer.from(']')
  }
  return new Response(streamOf(array(), failed(c, deps)), {
    headers: { 'content-type': 'application/dicom+json', ...common },
  })
}

async function retrieveBulkData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const octets = { type: 'application/octet-stream' }
  const multipartOctets = { type: 'multipart/related', root: 'application/octet-stream' }
  const offer = choose(c, [multipartOctets, octets])
  const { first } = await open(deps, resourceOf(c.req.param()))
  const { length, chunks } = readBulkData(first, c.req.param('range') ?? '', deps.store)
  if (offer === octets) {
    return new Response(streamOf(chunks, failed(c, deps)), {
      headers: { 'content-type': octets.type, 'content-length': String(length), ...common },
    })
  }
  const boundary = newBoundary()
  async function* parts(): AsyncGenerator<Uint8Array, void, void> {
    const location = `${c.get('baseURL')}${new URL(c.req.url).pathname}`
    yield partHeader(
      boundary,
      [
        ['Content-Type', octets.type],
        ['Content-Location', location],
      ],
      true,
    )
    yield* chunks
    yield closing(boundary)
  }
  return new Response(streamOf(parts(), failed(c, deps)), {
    headers: {
      'content-type': `multipart/related; type="application/octet-stream"; boundary=${boundary}`,
      ...common,
    },
  })
}

const common = { 'cache-control': 'no-store', vary: 'Accept' }

function choose<T extends Offer>(c: Context<AppEnv>, offers: T[]): T {
  const choice = negotiate(parseAccept(c.req.query('accept') ?? c.req.header('accept')), offers)
  if (choice !== undefined) return choice.offer
  const available = offers.map(({ type, root }) => (root ? `${type}; type="${root}"` : type))
  throw new HttpProblem(
    406,
    `Cannot answer in any type that Accept lists; there is ${available.join(', ')}`,
    {
      members: { available },
    },
  )
}

/** @throws {HttpProblem} 404 there is no such resource (WA-S3) */
async function open(
  { db }: WadoDeps,
  path: ReturnType<typeof resourceOf>,
): Promise<{ first: Instance; all: () => AsyncGenerator<Instance, void, void> }> {
  const found = instancesOf(db, path)
  const { value: first } = await found.next()
  if (!first) throw new HttpProblem(404, 'Cannot retrieve this: it is not in the archive')
  const begin = first
  return {
    first,
    async *all() {
      yield begin
      yield* found
    },
  }
}

function bytesOf(instance: Instance, store: Store): AsyncGenerator<Uint8Array, void, void> {
  return chunksOf(store.read(instance.segmentID, instance.segmentOffset, instance.byteLength))
}

async function* chunksOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks
}

function failed(c: Context<AppEnv>, { log }: WadoDeps): (error: unknown) => void {
  return (error) => {
    log.error('an answer was broken off', {
      path: c.req.routePath,
      error: describeError(error),
    })
  }
}

function studiesURLOf(c: Context<AppEnv>): string {
  return `${c.get('baseURL')}/dicom-web/studies`
}
