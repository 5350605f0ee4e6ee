import type { Context } from 'hono'
import type { Instance } from '../../db/instances.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy, choose } from '../http/negotiation.ts'
import { HttpProblem } from '../http/problem.ts'
import { negotiate } from '../multipart/accept.ts'
import { frameBits } from '../pixels/image-pixel.ts'
import { explicitLittleEndian, frameSyntaxes } from '../pixels/syntaxes.ts'
import { answerParts, answerWhole, begun, type Part } from './answer.ts'
import { type BulkData, bulkDataOf, isPixelDataOfItem } from './bulk-data.ts'
import { foreignTexts, type ReadText } from './bulk-text.ts'
import type { WadoDeps } from './deps.ts'
import { contiguous, type Frames, framesOf, framesOfItem, pixelsOf } from './frames.ts'
import { isUnable, LeftOut } from './left-out.ts'
import { open, openInstance } from './open.ts'
import { instanceURLOf, resourceOf } from './paths.ts'
import { answerFrames } from './retrieve-frames.ts'
import { readModel, readValue } from './stored-file.ts'

const octets = { type: 'application/octet-stream' }
export const bulkDataForm = { type: 'multipart/related', root: octets.type }

/** One value by its BulkDataURI (WA-R4, WA-S12). Compressed pixel data are frames, which have no octets of their own. */
export async function retrieveBulkData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const instance = await openInstance(c, deps)
  const name = `${c.req.param('element')}/${c.req.param('range')}`
  const model = await readModel(instance, deps.store)
  const found = bulkDataOf(model).find((value) => value.name === name)
  if (found === undefined) {
    throw new HttpProblem(404, 'Cannot retrieve this bulk data: its instance has none of this name')
  }
  const frames = await framesOfValue(instance, deps, model, found)
  if (frames?.isEncapsulated) return answerAllFrames(c, deps, instance, frames, found)
  const { offer } = choose(acceptedBy(c), [bulkDataForm, octets])
  const text = (await foreignTexts(instance, deps.store, [found])).get(found)
  const read = (offset = 0, length = found.length) =>
    readRange(instance, deps, found, offset, length)
  if (offer === octets) {
    return answerWhole(c, deps.log, {
      contentType: octets.type,
      length: text === undefined ? found.length : undefined,
      version: `${digestOf(instance)} ${name}${text === undefined ? '' : ' UTF-8'}`,
      read: text ?? ((range) => (range === undefined ? read() : read(range.offset, range.length))),
    })
  }
  async function* parts(): AsyncGenerator<Part, void, void> {
    yield partOf(c, instance, deps, found as BulkData, text)
  }
  return answerParts(c, deps.log, octets.type, parts())
}

/** Those of a value that is pixel data of the instance or of an item; undefined: it is none. */
async function framesOfValue(
  instance: Instance,
  { store }: WadoDeps,
  model: DicomJson,
  { name, dataSet }: BulkData,
): Promise<Frames | undefined> {
  if (name.startsWith('7FE00010/')) return framesOf(instance, store, model)
  return isPixelDataOfItem(name) ? framesOfItem(instance, store, dataSet) : undefined
}

function answerAllFrames(
  c: Context<AppEnv>,
  deps: WadoDeps,
  instance: Instance,
  frames: Frames,
  value: BulkData,
): Promise<Response> {
  const list = Array.from({ length: frames.count }, (_, index) => index + 1)
  return answerFrames(c, deps, frames, list, () => uriOf(c, instance, value), digestOf(instance))
}

/** All values of a study, series or instance that are bulk data, pixel data decoded (WA-R4). */
export async function retrieveAllBulkData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  return retrieveMany(c, deps, () => true)
}

/** The pixel data of a study, series or instance, decoded (WA-R5); of a video, itself. */
export async function retrievePixelData(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const path = resourceOf(c.req.param())
  if (path.sopInstanceUID !== undefined) {
    const { first } = await open(deps, path)
    const isVideo = frameSyntaxes.get(first.transferSyntaxUID)?.isVideo === true
    const model = isVideo ? await readModel(first, deps.store) : {}
    const value = bulkDataOf(model).find(({ name }) => isPixelData(name))
    if (value !== undefined) {
      return answerAllFrames(c, deps, first, await framesOf(first, deps.store, model), value)
    }
  }
  return retrieveMany(c, deps, ({ name }) => isPixelData(name))
}

/** That of the instance, not of an item. */
function isPixelData(name: string): boolean {
  return /^7FE000(08|09|10)\//.test(name)
}

async function retrieveMany(
  c: Context<AppEnv>,
  deps: WadoDeps,
  isWanted: (value: BulkData) => boolean,
): Promise<Response> {
  const path = resourceOf(c.req.param())
  choose(acceptedBy(c), [bulkDataForm])
  const { all } = await open(deps, path)
  const leftOut = new LeftOut(c)
  async function* parts(): AsyncGenerator<Part, void, void> {
    for await (const instance of all()) {
      const model = await readModel(instance, deps.store)
      const values = bulkDataOf(model).filter(isWanted)
      const texts = await foreignTexts(instance, deps.store, values)
      for (const value of values) {
        const made = partOfAny(c, instance, deps, model, value, texts.get(value))
        const part = await leftOut.unless(made)
        if (part !== undefined) yield part
      }
    }
  }
  const found = await begun(parts())
  if (found === undefined) {
    throw leftOut.why ?? new HttpProblem(404, 'Cannot retrieve this: there is no such data in it')
  }
  return answerParts(c, deps.log, octets.type, found, () => leftOut.status())
}

/** A value as a part; compressed pixel data decoded, or as stored where they cannot be and that is acceptable, too. */
async function partOfAny(
  c: Context<AppEnv>,
  instance: Instance,
  deps: WadoDeps,
  model: DicomJson,
  value: BulkData,
  text: ReadText | undefined,
): Promise<Part> {
  const frames = await framesOfValue(instance, deps, model, value)
  if (!frames?.isEncapsulated) return partOf(c, instance, deps, value, text)
  const decode = (index: number) => pixelsOf(frames, index, deps.codecs, c.req.raw.signal)
  const { transferSyntaxUID } = frames
  try {
    const first = await decode(0)
    async function* pixels(count: number): AsyncGenerator<Uint8Array, void, void> {
      yield first.bytes
      for (let index = 1; index < count; index++) yield (await decode(index)).bytes
    }
    return {
      headers: headersOf(c, instance, value),
      read: () => contiguous(pixels(frames.count), frameBits(first.image)),
    }
  } catch (error) {
    const isTaken = negotiate(acceptedBy(c), [{ ...bulkDataForm, transferSyntaxUID }])
    if (!isUnable(error) || frames.count > 1 || !isTaken) throw error
    return { headers: headersOf(c, instance, value, transferSyntaxUID), read: () => frames.read(0) }
  }
}

function partOf(
  c: Context<AppEnv>,
  instance: Instance,
  deps: WadoDeps,
  value: BulkData,
  text?: ReadText,
): Part {
  if (text !== undefined) return { headers: headersOf(c, instance, value), read: text }
  return {
    headers: [...headersOf(c, instance, value), ['Content-Length', String(value.length)]],
    read: () => readValue(instance, deps.store, value),
  }
}

function headersOf(
  c: Context<AppEnv>,
  instance: Instance,
  value: BulkData,
  transferSyntaxUID = explicitLittleEndian,
): Part['headers'] {
  return [
    ['Content-Type', `${octets.type}; transfer-syntax=${transferSyntaxUID}`],
    ['Content-Location', uriOf(c, instance, value)],
  ]
}

function uriOf(c: Context<AppEnv>, instance: Instance, { name }: BulkData): string {
  return `${instanceURLOf(c, instance)}/bulkdata/${name}`
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

function digestOf(instance: Instance): string {
  return Buffer.from(instance.digest).toString('hex')
}
