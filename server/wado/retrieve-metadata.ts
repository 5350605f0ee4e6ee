import type { Context } from 'hono'
import { versionOf } from '../../db/retrieve.ts'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { takesCoding } from '../http/content-coding.ts'
import type { AppEnv } from '../http/env.ts'
import { gzipped } from '../http/gzip.ts'
import { acceptedBy, choose } from '../http/negotiation.ts'
import { answerParts, answerWhole, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import type { KeptAnswers } from './kept-answers.ts'
import { readMetadata, readMetadataArray } from './metadata.ts'
import { type Opened, open } from './open.ts'
import { instanceURLOf, resourceOf, studiesURLOf } from './paths.ts'

const json = { type: 'application/dicom+json', aliases: ['application/json'] }
const xml = { type: 'multipart/related', root: 'application/dicom+xml' }

/** Metadata of a study, series or instance: one JSON array, or an XML document for each instance (WA-R2). */
export async function retrieveMetadata(
  c: Context<AppEnv>,
  deps: WadoDeps,
  keptAs: Record<'gzip' | 'identity', KeptAnswers>,
): Promise<Response> {
  const path = resourceOf(c.req.param())
  const { offer } = choose(acceptedBy(c), [json, xml])
  // Before the instances are read: what comes meanwhile makes the tag too old, never too new.
  const version = path.sopInstanceUID === undefined ? await versionOf(deps.db, path) : undefined
  const studiesURL = studiesURLOf(c)
  // With the address in it, for it is in the BulkDataURIs.
  const entityVersion = (of: string) => `${of} ${studiesURL}`
  const array = ({ all }: Opened) => readMetadataArray(all(), deps.store, studiesURL)
  // One instance alone is small.
  if (offer === json && version !== undefined) {
    const encoding = takesCoding(c.req.header('accept-encoding'), 'gzip') ? 'gzip' : 'identity'
    const kept = keptAs[encoding]
    const key = `${path.studyInstanceUID} ${path.seriesInstanceUID} ${entityVersion(version)}`
    const opened = kept.has(key) ? undefined : await open(deps, path)
    async function* make(): AsyncGenerator<Uint8Array, void, void> {
      const whole = array(opened ?? (await open(deps, path)))
      yield* encoding === 'gzip' ? gzipped(whole) : whole
    }
    return answerWhole(c, deps.log, {
      contentType: json.type,
      version: entityVersion(version),
      encoding,
      read: () => kept.read(key, make),
    })
  }
  const opened = await open(deps, path)
  if (offer === json) {
    return answerWhole(c, deps.log, {
      contentType: json.type,
      version: entityVersion(Buffer.from(opened.first.digest).toString('hex')),
      read: () => array(opened),
    })
  }
  async function* parts(): AsyncGenerator<Part, void, void> {
    for await (const instance of opened.all()) {
      const model = await readMetadata(instance, deps.store, studiesURL)
      const document = Buffer.from(
        toNativeDicomModel(JSON.parse(Buffer.from(model).toString()) as DicomJson),
      )
      yield {
        headers: [
          ['Content-Type', 'application/dicom+xml'],
          ['Content-Location', `${instanceURLOf(c, instance)}/metadata`],
          ['Content-Length', String(document.length)],
        ],
        async *read() {
          yield document
        },
      }
    }
  }
  return answerParts(c, deps.log, xml.root, parts())
}
