import type { Context } from 'hono'
import type { Instance } from '../../db/instances.ts'
import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { explicitLittleEndian } from '../pixels/syntaxes.ts'
import { answerParts, answerWhole, begun, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { framesOf, pixelsOf } from './frames.ts'
import { acceptedBy, choose } from './negotiation.ts'
import { open, openInstance } from './open.ts'
import { instanceURLOf, resourceOf } from './paths.ts'
import { answerFrames } from './retrieve-frames.ts'
import { readModel, readValue } from './stored-file.ts'

const octets = { type: 'application/octet-stream' }
export const bulkDataForm = { type: 'multipart/related', root: octets.type }

/** A value that metadata name by a BulkDataURI. */
interface BulkData {
  /** `7FE00010/1024-524288`: what stands behind `bulkdata/`. */
  name: string
  vr: string
  offset: number
  length: number
}

/** One value by its BulkDataURI (WA-R4, WA-S12). Compressed pixel data are frames, which have no octets of their own. */
export async function retrieveBulkData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const instance = await openInstance(c, deps)
  const name = `${c.req.param('element')}/${c.req.param('range')}`
  const model = await readModel(instance, deps.store)
  const found = bulkDataOf(model).find((value) => value.name === name)
  if (found === undefined) {
    throw new HttpProblem(404, 'Cannot retrieve this bulk data: its instance has none of this name')
  }
  if (name.startsWith('7FE00010/')) {
    const frames = await framesOf(instance, deps.store, model)
    if (frames.isEncapsulated) {
      const list = Array.from({ length: frames.count }, (_, index) => index + 1)
      const digest = digestOf(instance)
      const location = () => `${instanceURLOf(c, instance)}/bulkdata/${name}`
      return answerFrames(c, deps, frames, list, location, digest)
    }
  }
  const { offer } = choose(acceptedBy(c), [bulkDataForm, octets])
  const read = (offset = 0, length = found.length) =>
    readRange(instance, deps, found, offset, length)
  if (offer === octets) {
    return answerWhole(c, deps.log, {
      contentType: octets.type,
      length: found.length,
      version: `${digestOf(instance)} ${name}`,
      read: (range) => (range === undefined ? read() : read(range.offset, range.length)),
    })
  }
  async function* parts(): AsyncGenerator<Part, void, void> {
    yield partOf(c, instance, deps, found as BulkData)
  }
  return answerParts(c, deps.log, octets.type, parts())
}

/** All values of a study, series or instance that are bulk data, pixel data decoded (WA-R4). */
export async function retrieveAllBulkData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  return retrieveMany(c, deps, () => true)
}

/** The pixel data of a study, series or instance, decoded (WA-R5). */
export async function retrievePixelData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  return retrieveMany(c, deps, ({ name }) => /^7FE000(08|09|10)\//.test(name))
}

async function retrieveMany(
  c: Context<AppEnv>,
  deps: WadoDeps,
  isWanted: (value: BulkData) => boolean,
): Promise<Response> {
  const path = resourceOf(c.req.param())
  choose(acceptedBy(c), [bulkDataForm])
  const { all } = await open(deps, path)
  async function* parts(): AsyncGenerator<Part, void, void> {
    for await (const instance of all()) {
      const model = await readModel(instance, deps.store)
      for (const value of bulkDataOf(model).filter(isWanted)) {
        const isPixelData = value.name.startsWith('7FE00010/')
        const frames = isPixelData ? await framesOf(instance, deps.store, model) : undefined
        if (!frames?.isEncapsulated) {
          yield partOf(c, instance, deps, value)
          continue
        }
        const decode = (index: number) => pixelsOf(frames, index, deps.codecs, c.req.raw.signal)
        const first = await decode(0)
        yield {
          headers: headersOf(c, instance, value),
          async *read() {
            yield first.bytes
            for (let index = 1; index < frames.count; index++) yield (await decode(index)).bytes
          },
        }
      }
    }
  }
  const found = await begun(parts())
  if (found === undefined) {
    throw new HttpProblem(404, 'Cannot retrieve this: there is no such data in it')
  }
  return answerParts(c, deps.log, octets.type, found)
}

function partOf(c: Context<AppEnv>, instance: Instance, deps: WadoDeps, value: BulkData): Part {
  return {
    headers: [...headersOf(c, instance, value), ['Content-Length', String(value.length)]],
    read: () => readValue(instance, deps.store, value),
  }
}

function headersOf(c: Context<AppEnv>, instance: Instance, { name }: BulkData): Part['headers'] {
  return [
    ['Content-Type', `${octets.type}; transfer-syntax=${explicitLittleEndian}`],
    ['Content-Location', `${instanceURLOf(c, instance)}/bulkdata/${name}`],
  ]
}

/** A range of a value. Words that are turned round are read as a whole. */
async function* readRange(
  instance: Instance,
  { store }: WadoDeps,
  value: BulkData,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  const from = offset - (offset % 8)
  const to = Math.min(value.length, Math.ceil((offset + length) / 8) * 8)
  let at = from
  const range = { vr: value.vr, offset: value.offset + from, length: to - from }
  for await (const chunk of readValue(instance, store, range)) {
    const piece = chunk.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at))
    if (piece.length > 0) yield piece
    at += chunk.length
  }
}

/** Every BulkDataURI of a data set, items included. */
export function bulkDataOf(model: DicomJson): BulkData[] {
  const found: BulkData[] = []
  for (const attribute of Object.values(model)) {
    if (attribute.vr === 'SQ') {
      for (const item of attribute.Value ?? []) found.push(...bulkDataOf((item ?? {}) as DicomJson))
    }
    const value = bulkDataAt(attribute)
    if (value !== undefined) found.push(value)
  }
  return found
}

function bulkDataAt({ vr, BulkDataURI }: DicomJsonAttribute): BulkData | undefined {
  const [, name, offset, length] = /bulkdata\/(.+\/(\d+)-(\d+))$/.exec(BulkDataURI ?? '') ?? []
  if (name === undefined) return undefined
  return { name, vr, offset: Number(offset), length: Number(length) }
}

function digestOf(instance: Instance): string {
  return Buffer.from(instance.digest).toString('hex')
}
