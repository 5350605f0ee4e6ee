import { type Context, Hono } from 'hono'
import type { Handling } from '../../db/transfers.ts'
import { isUID } from '../dicom/uid.ts'
import { type BodyLimits, checkBody, readBody } from '../http/body.ts'
import { DigestCheck } from '../http/digest.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { streamOfText } from '../http/stream.ts'
import { Turn } from '../http/turn.ts'
import { WholeResponse } from '../http/whole-response.ts'
import { endEarly } from '../intake/end-early.ts'
import type { Intake } from '../intake/intake.ts'
import type { TransferOutcome } from '../intake/outcome.ts'
import type { Transfer } from '../intake/transfer.ts'
import { MultipartReader } from '../multipart/multipart-reader.ts'
import { checkPart } from '../multipart/part-policy.ts'
import { receiveMetadata } from './receive-metadata.ts'
import {
  type MetadataPayload,
  type Payload,
  parseAnswerType,
  parseDeclaration,
  parseHandling,
  parsePayload,
} from './request.ts'
import { encode, onlyStudyOf, responseModule, statusOf } from './response.ts'

export interface StowDeps {
  intake: Pick<Intake, 'open'>
  limits: BodyLimits & {
    /** Number of parts of one request. */
    parts: number
    /** Bytes of one part. */
    partBytes: number
  }
  /** What holds for a request without `Prefer: handling=...`. */
  handling: Handling
}

/** Instances up to which an answer is sent as a whole, with its length: some 350 KB. */
const wholeAnswerInstances = 1000

/**
 * STOW-RS: the Store transaction. (PS3.18 10.5)
 *
 * All that can be refused by the headers is refused before the body is read, and before
 * `100 Continue`. Then the body is one transfer: it is committed as a whole, or nothing of it is kept.
 */
export function stowRoutes(deps: StowDeps): Hono<AppEnv> {
  const turn = new Turn()
  return new Hono<AppEnv>()
    .post('/studies', (c) => store(c, undefined, deps, turn))
    .post('/studies/:study', (c) => store(c, c.req.param('study'), deps, turn))
}

async function store(
  c: Context<AppEnv>,
  studyInstanceUID: string | undefined,
  { intake, limits, handling: byDefault }: StowDeps,
  turn: Turn,
): Promise<Response> {
  const { headers } = c.req.raw
  if (studyInstanceUID !== undefined && !isUID(studyInstanceUID)) {
    throw new HttpProblem(
      400,
      'Cannot store to this study: its path has no valid Study Instance UID',
    )
  }
  const answerType = parseAnswerType(headers.get('accept'))
  const payload = parsePayload(headers.get('content-type'))
  const { handling, isPreferred } = parseHandling(headers.get('prefer'), byDefault)
  const declaredInstanceCount = parseDeclaration(headers, studyInstanceUID)
  const announcedBytes = checkBody(headers, limits)

  const request = {
    service: 'stow',
    handling,
    studyInstanceUID,
    announcedBytes,
    declaredInstanceCount,
    sender: c.env.address,
    sentBy: c.get('identity')?.name,
    senderProduct: headers.get('user-agent')?.slice(0, 200),
  } as const
  const transfer = await intake.open(request, c.get('span'))
  c.set('transferID', transfer.transferID)
  let outcome: TransferOutcome
  try {
    if (payload.form === 'metadata') {
      const url = `${c.get('baseURL')}${c.req.path}`
      await receiveMetadata(c.req.raw, url, payload, transfer, limits, turn)
    } else await receive(c.req.raw, payload, transfer, limits)
    outcome = await transfer.commit()
  } catch (error) {
    await endEarly(transfer, error)
    throw error
  }
  const studiesURL = `${c.get('baseURL')}/dicom-web/studies`
  const study = onlyStudyOf(outcome)
  const { contentType, pieces } = encode(responseModule(outcome, studiesURL), answerType)
  const init = {
    status: statusOf(outcome),
    headers: {
      'content-type': contentType,
      'cache-control': 'no-store',
      link: `<${c.get('baseURL')}/api/transfers/${outcome.transferID}>; rel="describedby"`,
      ...(isPreferred ? { 'preference-applied': `handling=${handling}` } : {}),
      ...(study === undefined
        ? {}
        : { location: `${studiesURL}/${study}`, 'content-location': `${studiesURL}/${study}` }),
    },
  }
  return outcome.stored.length + outcome.refused.length > wholeAnswerInstances
    ? new Response(streamOfText(pieces), init)
    : new WholeResponse([...pieces].join(''), init)
}

/** Reads the body of a request into a transfer. */
export async function receive(
  request: Request,
  payload: Exclude<Payload, MetadataPayload>,
  transfer: Transfer,
  limits: StowDeps['limits'],
): Promise<void> {
  const body = readBody(request, limits, (bytes) => {
    transfer.receivedBytes += bytes
  })
  if (payload.form === 'single') {
    transfer.beginPart()
    for await (const chunk of body) {
      transfer.push(chunk)
      await transfer.drain()
    }
    transfer.endPart()
    return
  }
  let digest: DigestCheck | undefined
  const reader = new MultipartReader(
    payload.boundary,
    {
      partBegin(headers) {
        checkPart(headers, transfer.partCount, 'application/dicom', payload.isTypeDeclared)
        transfer.beginPart()
        const declared = headers.get('content-digest')
        digest =
          declared === undefined
            ? undefined
            : new DigestCheck('Content-Digest', declared, `part ${transfer.partCount}`)
      },
      partData(bytes) {
        digest?.update(bytes)
        transfer.push(bytes)
      },
      partEnd() {
        digest?.verify()
        transfer.endPart()
      },
    },
    { parts: limits.parts },
  )
  for await (const chunk of body) {
    reader.push(chunk)
    if (transfer.isBehind) await transfer.drain()
  }
  reader.end()
}
