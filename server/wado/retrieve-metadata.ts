import type { Context } from 'hono'
import { versionOf } from '../../db/retrieve.ts'
import { type DicomJson, toNativeDicomModel } from '../dicom/json-to-xml.ts'
import type { AppEnv } from '../http/env.ts'
import { answerParts, answerWhole, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { readMetadata, readMetadataBlocks } from './metadata.ts'
import { acceptedBy, choose } from './negotiation.ts'
import { open } from './open.ts'
import { instanceURLOf, resourceOf, studiesURLOf } from './paths.ts'

const json = { type: 'application/dicom+json', aliases: ['application/json'] }
const comma = Buffer.from(',')
const xml = { type: 'multipart/related', root: 'application/dicom+xml' }

/** Metadata of a study, series or instance: one JSON array, or an XML document for each instance (WA-R2). */
export async function retrieveMetadata(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const path = resourceOf(c.req.param())
  const { offer } = choose(acceptedBy(c), [json, xml])
  // Before the instances are read: what comes meanwhile makes the tag too old, never too new.
  const version = path.sopInstanceUID === undefined ? await versionOf(deps.db, path) : undefined
  const { first, all } = await open(deps, path)
  const studiesURL = studiesURLOf(c)
  if (offer === json) {
    return answerWhole(c, deps.log, {
      contentType: json.type,
      // With the address in it, for it is in the BulkDataURIs.
      version: `${version ?? Buffer.from(first.digest).toString('hex')} ${studiesURL}`,
      async *read() {
        let separator = '['
        for await (const block of readMetadataBlocks(all(), deps.store, studiesURL)) {
          const pieces = block.flatMap((one, i) => [i === 0 ? Buffer.from(separator) : comma, one])
          yield Buffer.concat(pieces)
          separator = ','
        }
        yield Buffer.from(']')
      },
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
