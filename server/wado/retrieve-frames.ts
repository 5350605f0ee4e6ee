import type { Context } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy, choose, notAcceptable } from '../http/negotiation.ts'
import { HttpProblem } from '../http/problem.ts'
import type { Offer } from '../multipart/accept.ts'
import { explicitLittleEndian, frameSyntaxes } from '../pixels/syntaxes.ts'
import { UndecodableError } from '../pixels/worker-pool.ts'
import { answerParts, answerWhole, type Part } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { type Frames, frameInMemory, pixelsOf } from './frames.ts'
import type { KeptFrames } from './kept-frames.ts'
import { openInstance } from './open.ts'
import { frameListOf, instanceURLOf } from './paths.ts'

const octets = 'application/octet-stream'

/** Frames of an instance, one part each, in the order of the list (PS3.18 10.4.1.1.6; WA-R3, WA-S10). */
export async function retrieveFrames(
  c: Context<AppEnv>,
  deps: WadoDeps,
  kept: KeptFrames,
): Promise<Response> {
  const list = frameListOf(c.req.param('list') ?? '')
  const instance = await openInstance(c, deps)
  const frames = await kept.of(instance, deps.store)
  if (frames.isVideo && frames.image.numberOfFrames > 1) {
    throw new HttpProblem(
      406,
      'Cannot retrieve frames of a video, which is one stream: retrieve its bulk data, or /pixeldata',
    )
  }
  checkList(list, frames)
  const location = (frame: number) => `${instanceURLOf(c, instance)}/frames/${frame}`
  return answerFrames(c, deps, frames, list, location, Buffer.from(instance.digest).toString('hex'))
}

/** @throws {HttpProblem} 404 a number beyond the last frame (WA-S6) */
export function checkList(list: number[], frames: Frames): void {
  if ((list.at(-1) as number) > frames.count) {
    throw new HttpProblem(
      404,
      `Cannot retrieve frame ${list.at(-1)}: the instance has ${frames.count}`,
    )
  }
}

/** Answers with frames in the form that the client likes best. */
export async function answerFrames(
  c: Context<AppEnv>,
  { log, codecs }: WadoDeps,
  frames: Frames,
  list: number[],
  location: (frame: number) => string,
  digest: string,
): Promise<Response> {
  const offers = offersOf(frames, list.length === 1)
  const { offer } = choose(acceptedBy(c), offers)
  const target = offer.transferSyntaxUID
  const read = await readerOf(c, frames, list, target, codecs).catch((error) => {
    if (!(error instanceof UndecodableError)) throw error
    const stored = offers.filter(({ isStored }) => isStored)
    return notAcceptable(stored, ': the frame cannot be converted')
  })
  const contentType = `${offer.root ?? offer.type}; transfer-syntax=${target}`
  if (offer.root === undefined) {
    const frame = list[0] as number
    const isAsStored = target === frames.transferSyntaxUID
    return answerWhole(c, log, {
      contentType,
      length: isAsStored ? await frames.length(frame - 1) : undefined,
      version: `${digest} ${frame}`,
      read: (range) => (range ? cut(read(frame), range.offset, range.length) : read(frame)),
    })
  }
  async function* parts(): AsyncGenerator<Part, void, void> {
    for (const frame of list) {
      const headers: Part['headers'] = [
        ['Content-Type', contentType],
        ['Content-Location', location(frame)],
      ]
      yield { headers, read: () => read(frame) }
    }
  }
  return answerParts(c, log, offer.root, parts())
}

type FrameOffer = Offer & { transferSyntaxUID: string; isStored: boolean }

/** As stored first, for a client that takes anything; then decoded; then, of what is not compressed, encoded. */
function offersOf(frames: Frames, isSingle: boolean): FrameOffer[] {
  const stored = frames.transferSyntaxUID
  const offers: FrameOffer[] = []
  const add = (
    type: string,
    transferSyntaxUID: string,
    isDefaultSyntax: boolean,
    aliases: readonly string[] = [],
  ) => {
    const isStored = transferSyntaxUID === stored
    const common = { transferSyntaxUID, isDefaultSyntax, isStored }
    for (const root of [type, ...aliases]) {
      offers.push({ type: 'multipart/related', root, ...common })
    }
    if (isSingle) offers.push({ type, aliases, ...common })
  }
  if (!frames.isEncapsulated) {
    add(octets, stored, true)
    for (const [syntax, { mediaType, aliases, canEncode, isDefault }] of frameSyntaxes) {
      if (canEncode) add(mediaType, syntax, isDefault === true, aliases)
    }
    return offers
  }
  const { mediaType, aliases, canDecode } = frameSyntaxes.get(stored) ?? {}
  if (mediaType !== undefined && mediaType !== octets) add(mediaType, stored, true, aliases)
  // Many clients ask for octets with transfer-syntax=* and mean the code stream.
  add(octets, stored, !canDecode)
  if (canDecode) add(octets, explicitLittleEndian, true)
  return offers
}

/**
 * Reads frames in a transfer syntax. Where that takes work, the first frame is made at once, so that what cannot be done
 * is said with a status.
 */
async function readerOf(
  c: Context<AppEnv>,
  frames: Frames,
  list: number[],
  target: string,
  codecs: WadoDeps['codecs'],
): Promise<(frame: number) => AsyncGenerator<Uint8Array, void, void>> {
  if (target === frames.transferSyntaxUID) return (frame) => frames.read(frame - 1)
  const { signal } = c.req.raw
  const convert = async (frame: number): Promise<Uint8Array> => {
    if (frames.isEncapsulated) return (await pixelsOf(frames, frame - 1, codecs, signal)).bytes
    const { image } = frames
    const bytes = await frameInMemory(frames, frame - 1)
    const job = { kind: 'encode' as const, image, transferSyntaxUID: target, bytes }
    return (await codecs.run(job, signal)).bytes
  }
  let first: Uint8Array | undefined = await convert(list[0] as number)
  return async function* (frame) {
    const bytes = frame === list[0] && first !== undefined ? first : await convert(frame)
    first = undefined
    yield bytes
  }
}

async function* cut(
  chunks: AsyncIterable<Uint8Array>,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  let at = 0
  for await (const chunk of chunks) {
    const piece = chunk.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at))
    if (piece.length > 0) yield piece
    at += chunk.length
    if (at >= offset + length) return
  }
}
