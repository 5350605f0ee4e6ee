import type { Context } from 'hono'
import type { Instance, ResourcePath } from '../../db/instances.ts'
import { transferSyntaxesOf } from '../../db/retrieve.ts'
import type { AppEnv } from '../http/env.ts'
import { acceptedBy, choose, notAcceptable } from '../http/negotiation.ts'
import { type AcceptEntry, negotiate, type Offer } from '../multipart/accept.ts'
import { UndecodableError } from '../pixels/worker-pool.ts'
import { readMoving, readSmallMoving } from '../store/read-moving.ts'
import { answerPart, answerParts, answerWhole, begun, type Part, smallBytes } from './answer.ts'
import type { WadoDeps } from './deps.ts'
import { isUnable, LeftOut } from './left-out.ts'
import { notFound, open } from './open.ts'
import { instanceURLOf, resourceOf } from './paths.ts'
import { bulkDataForm, retrieveAllBulkData } from './retrieve-bulk-data.ts'
import { type Encoded, encodeAs, type SyntaxOffer, syntaxOffers } from './transcode.ts'

const multipartForm = { type: 'multipart/related', root: 'application/dicom' }
const singleForm = { type: 'application/dicom' }

/** Instances of a study or series, or one (PS3.18 10.4.1.1.1 to 10.4.1.1.3; WA-R1). */
export async function retrieveInstances(c: Context<AppEnv>, deps: WadoDeps): Promise<Response> {
  const path = resourceOf(c.req.param())
  if (path.sopInstanceUID !== undefined) return retrieveOne(c, deps, path)
  const entries = acceptedBy(c)
  const stored = await transferSyntaxesOf(deps.db, path)
  if (stored.length === 0) throw await notFound(deps, path)
  // A single part can hold one instance only, so it is for the instance resource. (WA-N7)
  const offers = stored.flatMap((syntax) => syntaxOffers(syntax, multipartForm))
  const { offer } = choose<Offer>(entries, [...offers, bulkDataForm])
  if (offer === bulkDataForm) return retrieveAllBulkData(c, deps)
  // Some can be had as the client wants, some not: it gets those, and hears that they are not all. (WA-N13, WA-S2)
  const isAll = stored.every((syntax) => offersOfOne(entries, syntax).part !== undefined)
  const { all } = await open(deps, path)
  return answerInstances(c, deps, path, all(), entries, new LeftOut(c, !isAll))
}

async function answerInstances(
  c: Context<AppEnv>,
  deps: WadoDeps,
  path: ResourcePath,
  instances: AsyncIterable<Instance>,
  entries: readonly AcceptEntry[],
  leftOut: LeftOut,
): Promise<Response> {
  const parts = await begun(partsOf(c, deps, instances, entries, leftOut))
  if (parts === undefined) throw leftOut.why ?? (await notFound(deps, path))
  return answerParts(c, deps.log, 'application/dicom', parts, () => leftOut.status())
}

async function retrieveOne(
  c: Context<AppEnv>,
  deps: WadoDeps,
  path: ResourcePath,
): Promise<Response> {
  const entries = acceptedBy(c)
  const { first, all } = await open(deps, path)
  const { offers, offer } = offersOfOne(entries, first.transferSyntaxUID)
  if (offer === undefined) return notAcceptable([...offers, bulkDataForm])
  if (offer === bulkDataForm) return retrieveAllBulkData(c, deps)
  if (offer.type === multipartForm.type) {
    const isAsStored = offer.transferSyntaxUID === first.transferSyntaxUID
    if (isAsStored && first.byteLength <= smallBytes && c.req.method === 'GET') {
      const bytes = await readSmallMoving(deps.store, first, 0, first.byteLength)
      return answerPart('application/dicom', partHeadersOf(c, first, offer, bytes.length), bytes)
    }
    return answerInstances(c, deps, path, all(), entries, new LeftOut(c))
  }
  const { signal } = c.req.raw
  const chosen = offer as SyntaxOffer
  const encoded = await encodedOrStored(first, chosen, deps, entries, signal).catch((error) => {
    if (!(error instanceof UndecodableError)) throw error
    const others = offers.filter(
      ({ transferSyntaxUID }) => transferSyntaxUID !== chosen.transferSyntaxUID,
    )
    return notAcceptable(others, ': the pixel data cannot be converted')
  })
  return answerWhole(c, deps.log, {
    contentType: `application/dicom; transfer-syntax=${encoded.transferSyntaxUID}`,
    length: encoded.length,
    version: Buffer.from(first.digest).toString('hex'),
    read: (range) =>
      range === undefined ? encoded.read() : fileRange(first, deps, range.offset, range.length),
  })
}

async function* fileRange(
  instance: Instance,
  { store }: WadoDeps,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  yield* readMoving(store, instance, offset, length)
}

async function* partsOf(
  c: Context<AppEnv>,
  deps: WadoDeps,
  instances: AsyncIterable<Instance>,
  entries: readonly AcceptEntry[],
  leftOut: LeftOut,
): AsyncGenerator<Part, void, void> {
  for await (const instance of instances) {
    const { part } = offersOfOne(entries, instance.transferSyntaxUID)
    if (part === undefined) continue
    const encoded = await leftOut.unless(
      encodedOrStored(instance, part, deps, entries, c.req.raw.signal),
    )
    if (encoded === undefined) continue
    yield {
      headers: partHeadersOf(c, instance, encoded, encoded.length),
      read: () => encoded.read(),
    }
  }
}

function partHeadersOf(
  c: Context<AppEnv>,
  instance: Instance,
  { transferSyntaxUID }: Pick<Offer, 'transferSyntaxUID'>,
  length: number | undefined,
): Part['headers'] {
  const headers: Part['headers'] = [
    ['Content-Type', `application/dicom; transfer-syntax=${transferSyntaxUID}`],
    ['Content-Location', instanceURLOf(c, instance)],
  ]
  if (length !== undefined) headers.push(['Content-Length', String(length)])
  return headers
}

interface OffersOfOne {
  /** How an instance can be had. */
  offers: SyntaxOffer[]
  /** The one of them, or its bulk data, that is liked best; undefined: none is acceptable. */
  offer: Offer | undefined
  /** The same, where it is to be one of several parts. */
  part: SyntaxOffer | undefined
}

/** By what is accepted, and by how the instance is stored: clients ask for thousands in the same way. */
const known = new WeakMap<readonly AcceptEntry[], Map<string, OffersOfOne>>()

function offersOfOne(entries: readonly AcceptEntry[], stored: string): OffersOfOne {
  const ofEntries = known.get(entries) ?? new Map<string, OffersOfOne>()
  known.set(entries, ofEntries)
  const before = ofEntries.get(stored)
  if (before !== undefined) return before
  const inParts = syntaxOffers(stored, multipartForm)
  const offers = [...inParts, ...syntaxOffers(stored, singleForm)]
  const made = {
    offers,
    offer: negotiate<Offer>(entries, [...offers, bulkDataForm])?.offer,
    part: negotiate(entries, inParts)?.offer,
  }
  ofEntries.set(stored, made)
  return made
}

/**
 * What cannot be decoded is sent as stored to a client that named no transfer syntax (PS3.18 8.7.3.5.2 allows it), so that
 * one broken image does not hide its study; who asked for one by name gets no other.
 */
async function encodedOrStored(
  instance: Instance,
  { transferSyntaxUID, ...form }: SyntaxOffer,
  deps: WadoDeps,
  entries: readonly AcceptEntry[],
  signal: AbortSignal,
): Promise<Encoded> {
  try {
    return await encodeAs(instance, transferSyntaxUID, deps, signal)
  } catch (error) {
    const stored = instance.transferSyntaxUID
    const asStored = { ...form, transferSyntaxUID: stored, isDefaultSyntax: true }
    if (!isUnable(error) || !negotiate(entries, [asStored])) throw error
    return encodeAs(instance, stored, deps, signal)
  }
}
