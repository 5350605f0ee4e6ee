import type { Context } from 'hono'
import type { Instance } from '../../db/instances.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import type { AppEnv } from '../http/env.ts'
import { choose, notAcceptable } from '../http/negotiation.ts'
import { HttpProblem } from '../http/problem.ts'
import { negotiate } from '../multipart/accept.ts'
import { gifHead, gifTail } from '../pixels/gif.ts'
import type { JobOutcome } from '../pixels/job.ts'
import type { PictureType } from '../pixels/rendering.ts'
import { UndecodableError } from '../pixels/worker-pool.ts'
import { acceptedRendered } from './accepted-rendered.ts'
import { answerParts, answerWhole, begun, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { type Frames, frameInMemory, framesOf, mustHaveDecoder } from './frames.ts'
import { LeftOut } from './left-out.ts'
import { open, openInstance } from './open.ts'
import { overlaysOf } from './overlays.ts'
import { frameListOf, instanceURLOf, resourceOf } from './paths.ts'
import { profileFor } from './profiles.ts'
import { isDocument, renderDocument } from './render-document.ts'
import {
  type RenderedParameters,
  renderedParameters,
  thumbnailParameters,
} from './rendered-parameters.ts'
import { frameDelayMs, renderingOf } from './rendering-of.ts'
import { checkList } from './retrieve-frames.ts'
import { readModel } from './stored-file.ts'

const jpeg = { type: 'image/jpeg' as const }
const png = { type: 'image/png' as const }
const gif = { type: 'image/gif' as const }

/** Images of a study or series of which one can be shown stands for it. */
const thumbnailTries = 5

/** An instance with what is needed to show frames of it. */
interface Shown {
  instance: Instance
  model: DicomJson
  frames: Frames
}

/** Pictures, or a document as text (PS3.18 10.4.1.1.3; WA-R6). Several are parts of one answer. */
export async function retrieveRendered(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const parameters = renderedParameters(c.req.query())
  const list = c.req.param('list')
  const path = resourceOf(c.req.param())
  if (path.sopInstanceUID === undefined) return renderMany(c, deps, parameters)
  const numbers = list === undefined ? undefined : frameListOf(list)
  const instance = await openInstance(c, deps)
  const model = await readModel(instance, deps.store)
  if (numbers === undefined && isDocument(model)) return renderDocument(c, deps, instance, model)
  const shown = { instance, model, frames: await framesOf(instance, deps.store, model) }
  if (numbers !== undefined) checkList(numbers, shown.frames)
  const isAnimated = numbers === undefined && shown.frames.count > 1
  if (isAnimated) return renderAnimation(c, deps, shown, parameters)
  const wanted = numbers ?? [1]
  const { offer } = choose(acceptedRendered(c), [jpeg, png, gif])
  if (wanted.length === 1) {
    return renderOne(c, deps, shown, wanted[0] as number, offer.type, parameters)
  }
  const pictures = wanted.map((frame) => ({ shown, frame }))
  return answerPictures(c, deps, asyncOf(pictures), offer.type, parameters, new LeftOut(c))
}

/** One small JPEG of a study, series, instance or frame, without a word about the patient (WA-R7). */
export async function retrieveThumbnail(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const parameters = thumbnailParameters(c.req.query())
  const list = c.req.param('list')
  const numbers = list === undefined ? undefined : frameListOf(list)
  const path = resourceOf(c.req.param())
  const { all } = await open(deps, path)
  choose(acceptedRendered(c), [jpeg])
  const leftOut = new LeftOut(c)
  let tries = 0
  for await (const shown of imagesOf(all(), deps, leftOut)) {
    if (numbers !== undefined) checkList(numbers, shown.frames)
    const frame = numbers?.[0] ?? Math.ceil(shown.frames.count / 2)
    const made = renderOne(c, deps, shown, frame, jpeg.type, parameters)
    const answer = await leftOut.unless(made)
    if (answer !== undefined) return answer
    if (++tries === thumbnailTries) break
  }
  throw leftOut.why ?? new HttpProblem(404, 'Cannot make a thumbnail: there is no image')
}

async function renderOne(
  c: Context<AppEnv>,
  deps: WadoDeps,
  shown: Shown,
  frame: number,
  type: PictureType,
  parameters: RenderedParameters,
): Promise<Response> {
  const { bytes } = await renderFrame(c, deps, shown, frame, type, parameters)
  return answerWhole(c, deps.log, {
    contentType: type,
    length: bytes.length,
    version: `${Buffer.from(shown.instance.digest).toString('hex')} ${frame} ${JSON.stringify(parameters)}`,
    async *read(range) {
      yield range ? bytes.subarray(range.offset, range.offset + range.length) : bytes
    },
  })
}

/** All frames as one GIF, made as fast as the client takes them. */
async function renderAnimation(
  c: Context<AppEnv>,
  deps: WadoDeps,
  shown: Shown,
  parameters: RenderedParameters,
): Promise<Response> {
  const entries = acceptedRendered(c)
  const { offer } =
    negotiate(entries, [gif]) ??
    notAcceptable(
      [gif],
      `, for it has ${shown.frames.count} frames, each of which is a picture at /frames/{number}/rendered`,
    )
  const { type } = offer
  const first = await renderFrame(c, deps, shown, 1, 'gif-frame', parameters)
  async function* read(): AsyncGenerator<Uint8Array, void, void> {
    const { columns, rows, samplesPerPixel } = first.image
    const channels = samplesPerPixel === 1 ? 1 : 3
    yield gifHead({ width: columns, height: rows, channels })
    yield first.bytes
    for (let frame = 2; frame <= shown.frames.count; frame++) {
      yield (await renderFrame(c, deps, shown, frame, 'gif-frame', parameters)).bytes
    }
    yield gifTail
  }
  return answerWhole(c, deps.log, { contentType: type, read })
}

/** Every image of a study or series; of one with several frames, each frame. */
async function renderMany(
  c: Context<AppEnv>,
  deps: WadoDeps,
  parameters: RenderedParameters,
): Promise<Response> {
  const { all } = await open(deps, resourceOf(c.req.param()))
  const { offer } = choose(acceptedRendered(c), [
    jpeg,
    png,
    gif,
    ...[jpeg, png, gif].map(({ type }) => ({ type: 'multipart/related', root: type })),
  ])
  const leftOut = new LeftOut(c)
  async function* pictures(): AsyncGenerator<{ shown: Shown; frame: number }, void, void> {
    for await (const shown of imagesOf(all(), deps, leftOut)) {
      for (let frame = 1; frame <= shown.frames.count; frame++) yield { shown, frame }
    }
  }
  const type = ('root' in offer ? offer.root : offer.type) as PictureType
  return answerPictures(c, deps, pictures(), type, parameters, leftOut)
}

async function answerPictures(
  c: Context<AppEnv>,
  deps: WadoDeps,
  pictures: AsyncGenerator<{ shown: Shown; frame: number }, void, void>,
  type: PictureType,
  parameters: RenderedParameters,
  leftOut: LeftOut,
): Promise<Response> {
  async function* parts(): AsyncGenerator<Part, void, void> {
    for await (const { shown, frame } of pictures) {
      const made = await leftOut.unless(renderFrame(c, deps, shown, frame, type, parameters))
      if (made === undefined) continue
      const { bytes } = made
      yield {
        headers: [
          ['Content-Type', type],
          ['Content-Location', `${instanceURLOf(c, shown.instance)}/frames/${frame}/rendered`],
          ['Content-Length', String(bytes.length)],
        ],
        async *read() {
          yield bytes
        },
      }
    }
  }
  const made = await begun(parts())
  if (made === undefined) {
    throw leftOut.why ?? new HttpProblem(404, 'Cannot render: there is no image')
  }
  return answerParts(c, deps.log, type, made, () => leftOut.status())
}

/** @throws {HttpProblem} 406 the frame cannot be decoded or shown */
async function renderFrame(
  c: Context<AppEnv>,
  deps: WadoDeps,
  { instance, model, frames }: Shown,
  frame: number,
  type: PictureType,
  { quality, window, viewport, hasOverlays, profile }: RenderedParameters,
): Promise<JobOutcome> {
  const { image, transferSyntaxUID } = frames
  const choice = type === 'image/jpeg' || type === 'image/png' ? profile : 'no'
  const iccProfile = await profileFor(instance, deps.store, model, choice)
  try {
    mustHaveDecoder(frames)
    const found = await renderingOf(instance, deps.store, model, image, frame - 1)
    const rendering = {
      ...found,
      ...(window === undefined ? {} : { window, voiLUT: undefined }),
      viewport,
      iccProfile,
      overlays: hasOverlays ? await overlaysOf(instance, deps.store, model, frame - 1) : [],
    }
    const bytes = await frameInMemory(frames, frame - 1)
    const delayMs = frameDelayMs(model)
    const job = { kind: 'render' as const, image, transferSyntaxUID, bytes, rendering }
    return await deps.codecs.run({ ...job, type, quality, delayMs }, c.req.raw.signal)
  } catch (error) {
    if (!(error instanceof UndecodableError)) throw error
    return notAcceptable([], ': the image cannot be rendered')
  }
}

/** Those of the instances that have pixel data. */
async function* imagesOf(
  instances: AsyncIterable<Instance>,
  { store }: WadoDeps,
  leftOut: LeftOut,
): AsyncGenerator<Shown, void, void> {
  for await (const instance of instances) {
    if (instance.rows === null || instance.columns === null) continue
    const model = await readModel(instance, store)
    const found = framesOf(instance, store, model).catch((error) => {
      // It has none, after all.
      if (error instanceof HttpProblem && error.status === 404) return undefined
      throw error
    })
    const frames = await leftOut.unless(found)
    if (frames !== undefined && frames.count > 0) yield { instance, model, frames }
  }
}

async function* asyncOf<T>(items: T[]): AsyncGenerator<T, void, void> {
  yield* items
}
