import type { Context } from 'hono'
import { versionOf } from '../../db/retrieve.ts'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import { takesCoding } from '../http/content-coding.ts'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy, choose } from '../http/negotiation.ts'
import { answerParts, answerWhole, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import type { KeptAnswers } from './kept-answers.ts'
import { readMetadata, readMetadataBlocks } from './metadata.ts'
import { type Opened, open } from './open.ts'
import { instanceURLOf, resourceOf, studiesURLOf } from './paths.ts'

const json = { type: 'application/dicom+json', aliases: ['application/json'] }
const xml = { type: 'multipart/related', root: 'application/dicom+xml' }

/** Metadata of a study, series or instance: one JSON array, or an XML document for each instance (WA-R2). */
export async function retrieveMetadata(
  c: Context<AppEnv>,
  deps: WadoDeps,
  kept: KeptAnswers,
): Promise<Response> {
  const path = resourceOf(c.req.param())
  const { offer } = choose(acceptedBy(c), [json, xml])
  // Before the instances are read: what comes meanwhile makes the tag too old, never too new.
  const version = path.sopInstanceUID === undefined ? await versionOf(deps.db, path) : undefined
  const studiesURL = studiesURLOf(c)
  // One instance alone is small.
  const isPacked = version !== undefined && takesCoding(c.req.header('accept-encoding'), 'gzip')
  const key = `${path.studyInstanceUID} ${path.seriesInstanceUID} ${version} ${studiesURL}`
  const answerPacked = (make: () => AsyncGenerator<Uint8Array, void, void>) =>
    answerWhole(c, deps.log, {
      contentType: json.type,
      version: `${version} ${studiesURL}`,
      encoding: 'gzip',
      read: () => kept.gzipped(key, make),
    })
  async function* array(instances: Opened['all']): AsyncGenerator<Uint8Array, void, void> {
    let separator = '['
    for await (const block of readMetadataBlocks(instances(), deps.store, studiesURL)) {
      yield Buffer.from(separator)
      yield block
      separator = ','
    }
    yield Buffer.from(']')
  }
  if (offer === json && isPacked && kept.has(key)) {
    return answerPacked(async function* () {
      yield* array((await open(deps, path)).all)
    })
  }
  const { first, all } = await open(deps, path)
  if (offer === json && isPacked) return answerPacked(() => array(all))
  if (offer === json) {
    return answerWhole(c, deps.log, {
      contentType: json.type,
      // With the address in it, for it is in the BulkDataURIs.
      version: `${version ?? Buffer.from(first.digest).toString('hex')} ${studiesURL}`,
      encoding: version === undefined ? undefined : 'identity',
      read: () => array(all),
    })
  }
  async function* parts(): AsyncGenerator<Part, void, void> {
    for await (const instance of all()) {
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
