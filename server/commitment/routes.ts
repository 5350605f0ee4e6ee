import { type Context, Hono } from 'hono'
import { findCommitment, requestCommitment } from '../../db/commitments.ts'
import type { Database } from '../../db/database.ts'
import { isUID } from '../dicom/uid.ts'
import { type BodyLimits, checkBody, readBody } from '../http/body.ts'
import type { AppEnv } from '../http/env.ts'
import { callerOf } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { heavyBytes, Turn } from '../http/turn.ts'
import { describeError, type Log } from '../log.ts'
import type { Committer } from './committer.ts'
import { type Asked, parseModel, readRequest } from './request.ts'
import { parseAnswerModel, resultResponse, waitingResponse } from './response.ts'

export interface CommitmentDeps {
  db: Database
  committer: Committer
  log: Log
  limits: BodyLimits
  /** Bytes of the instances of a request up to which it is answered at once. */
  commitmentWaitBytes: number
  /** Something was requested: servers that have nothing to do may look. */
  changed(): void
}

/** Some 100,000 references. They are parsed as a whole: 10 ms of the loop for each MiB of JSON, 60 of XML. */
const requestBytes = 16 * 1024 * 1024
/** Bodies that one server holds at the same time, until they are parsed. */
const heldBytes = 64 * 1024 * 1024
/** How long a client waits for a result that should come at once, when many do. */
const patienceMs = 10_000

/** Storage commitment: request and result check. (PS3.18 chapter 13; SC-R1, SC-R2) */
export function commitmentRoutes(deps: CommitmentDeps): Hono<AppEnv> {
  const path = '/commitment-requests/:transaction'
  const room: Room = { turn: new Turn(), bytes: 0 }
  return new Hono<AppEnv>()
    .post(path, (c) => request(c, deps, room))
    .get(path, (c) => checkResult(c, deps))
}

/**
 * Writes the request down, then waits for its result if there is little to read; else the client asks for it.
 * (SC-R5, SC-R10)
 */
async function request(c: Context<AppEnv>, deps: CommitmentDeps, room: Room): Promise<Response> {
  const { db, committer } = deps
  const { headers, signal } = c.req.raw
  const transactionUID = transactionOf(c)
  const model = parseAnswerModel(headers.get('accept'))
  const made = await readAsked(c.req.raw, deps.limits, room, (asked) =>
    requestCommitment(db, {
      transactionUID,
      ...asked,
      requester: callerOf(c),
      requesterProduct: headers.get('user-agent')?.slice(0, 200),
    }),
  )
  if (made === undefined) {
    // PS3.18 13.4.3: also for an identical repeat. (SC-R9, SC-R11)
    throw new HttpProblem(
      409,
      'Cannot take this commitment request: its Transaction UID was used before; choose a new one for each request',
    )
  }
  deps.changed()
  if (made.byteLength > deps.commitmentWaitBytes) {
    committer.wake()
    return waitingResponse(made)
  }
  const finished = committer.finished(made.commitmentKey, patienceMs, signal)
  committer.wake()
  await finished
  return answerOf(transactionUID, model, deps)
}

async function checkResult(c: Context<AppEnv>, deps: CommitmentDeps): Promise<Response> {
  const transactionUID = transactionOf(c)
  return answerOf(transactionUID, parseAnswerModel(c.req.header('accept') ?? null), deps)
}

async function answerOf(
  transactionUID: string,
  model: ReturnType<typeof parseAnswerModel>,
  { db, log }: CommitmentDeps,
): Promise<Response> {
  const commitment = await findCommitment(db, transactionUID)
  if (commitment === undefined) {
    throw new HttpProblem(404, 'There is no commitment request with this Transaction UID')
  }
  if (commitment.state === 'waiting') return waitingResponse(commitment)
  if (commitment.state === 'discarded') {
    throw new HttpProblem(
      410,
      'The result of this commitment request is not kept any more; request the commitment again with a new Transaction UID',
    )
  }
  return resultResponse(db, commitment, model, (error) => {
    log.error('a commitment result broke off', { error: describeError(error) })
  })
}

/** @throws {HttpProblem} 400 */
function transactionOf(c: Context<AppEnv>): string {
  const transactionUID = c.req.param('transaction') ?? ''
  if (isUID(transactionUID)) return transactionUID
  throw new HttpProblem(400, 'Cannot find this commitment request: its path has no valid UID')
}

/** What the requests of one server hold in memory. */
interface Room {
  turn: Turn
  /** Of bodies that are being read, or wait to be parsed. */
  bytes: number
}

/** Reads a request and hands it on; of large ones, one after the other. */
async function readAsked<T>(
  request: Request,
  limits: BodyLimits,
  room: Room,
  use: (asked: Asked) => Promise<T>,
): Promise<T> {
  const model = parseModel(request.headers.get('content-type'))
  const own = { ...limits, requestBytes: Math.min(limits.requestBytes, requestBytes) }
  checkBody(request.headers, own)
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of readBody(request, own, () => {})) {
      chunks.push(chunk)
      bytes += chunk.length
      room.bytes += chunk.length
      if (room.bytes > heldBytes) {
        throw new HttpProblem(503, 'Cannot take this commitment request now: too many are coming', {
          headers: { 'retry-after': '5', connection: 'close' },
        })
      }
    }
    using _turn = bytes > heavyBytes ? await room.turn.take() : undefined
    return await use(readRequest(Buffer.concat(chunks.splice(0)), model))
  } finally {
    room.bytes -= bytes
  }
}
