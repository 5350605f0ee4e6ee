import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { dicomFile } from '../support/dicom-file.ts'
import { contentType, type PreparedRequest, prepareRequests } from './requests.ts'

export interface ManySenders {
  studiesURL: string
  senders: number
  /** Addresses from which they come, of the loopback network. Linux has all of 127.0.0.0/8. */
  addresses: number
  seconds: number
  /** Milliseconds between two pieces of 16 KB: how slow the line of a sender is; 0: as fast as it goes. */
  betweenPiecesMs: number
}

/** A study that a sender has, and what it was told of it. */
export interface SentStudy {
  studyInstanceUID: string
  sopInstanceUIDs: string[]
  /** Its first instance, as it was sent. */
  first: Buffer
  /** 200 was answered. Otherwise all of it may be there, or nothing. */
  isStored: boolean
}

export interface SendersResult {
  studies: SentStudy[]
  requestCount: number
  /** Answered 503 with `Retry-After`, and tried again. */
  refusedCount: number
  byteLength: number
  /** Most requests whose body was on its way at once. */
  mostAtOnce: number
  /** Whatever is none of 200 and 503 with `Retry-After`. */
  problems: string[]
}

/** Root of these UIDs; behind it the run, the sender, its round, the instance. */
const root = '1.2.826.0.1.3680043.10.1474.88'

/** What a sender brings in its turn: many slices mostly, a small document now and then, seldom something large. */
const kinds = [
  { instances: 10, pixelBytes: 20_000 },
  { instances: 10, pixelBytes: 20_000 },
  { instances: 1, pixelBytes: 2_000 },
  { instances: 3, pixelBytes: 100_000 },
  { instances: 1, pixelBytes: 2_000_000 },
]

/** What is sent at once. */
const pieceBytes = 16 * 1024

/**
 * So many senders at once, each of which sends one study after the other, comes again when it is told to,
 * and remembers what it was told.
 */
export async function runSenders(options: ManySenders): Promise<SendersResult> {
  const run = Date.now() % 1e9
  const until = performance.now() + options.seconds * 1000
  const result: SendersResult = {
    ...{
      studies: [],
      requestCount: 0,
      refusedCount: 0,
      byteLength: 0,
      mostAtOnce: 0,
      problems: [],
    },
  }
  const sending = { now: 0 }
  async function sender(number: number): Promise<void> {
    const localAddress = `127.0.1.${1 + (number % options.addresses)}`
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let round = 0; performance.now() < until; round++) {
      const { study, request } = makeStudy(`${root}.${run}.${number}.${round}`, number + round)
      result.studies.push(study)
      for (;;) {
        result.requestCount++
        const answer = await send({
          ...{ url: options.studiesURL, betweenPiecesMs: options.betweenPiecesMs },
          ...{ request, agent, localAddress, sending, result },
          asksFirst: number % 2 === 0,
        }).catch((error: Error) => error)
        if (answer instanceof Error) {
          result.problems.push(`No answer: ${answer.message}`)
          break
        }
        const { status, retryAfter } = answer
        if (status === 200) {
          study.isStored = true
          result.byteLength += request.byteLength
          break
        }
        if (status !== 503 || retryAfter === undefined) {
          result.problems.push(`Status ${status}, Retry-After ${retryAfter}`)
          break
        }
        result.refusedCount++
        if (performance.now() > until) break
        await delay(Number(retryAfter) * 1000)
      }
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: options.senders }, (_, number) => sender(number)))
  return result
}

function makeStudy(
  studyInstanceUID: string,
  turn: number,
): { study: SentStudy; request: PreparedRequest } {
  const { instances, pixelBytes } = kinds[turn % kinds.length] as (typeof kinds)[number]
  const made = Array.from({ length: instances }, (_, index) => {
    const sopInstanceUID = `${studyInstanceUID}.1.${index + 1}`
    const file = dicomFile({
      ...{ studyInstanceUID, seriesInstanceUID: `${studyInstanceUID}.1`, sopInstanceUID },
      ...{ patientID: `B${studyInstanceUID.slice(-12)}`, instanceNumber: index + 1, pixelBytes },
    })
    return { sopInstanceUID, pieces: [file], byteLength: file.length }
  })
  const [request] = prepareRequests(made, 'whole')
  return {
    request: request as PreparedRequest,
    study: {
      studyInstanceUID,
      sopInstanceUIDs: made.map((one) => one.sopInstanceUID),
      first: made[0]?.pieces[0] as Buffer,
      isStored: false,
    },
  }
}

interface Sending {
  url: string
  request: PreparedRequest
  agent: Agent
  localAddress: string
  betweenPiecesMs: number
  /** Waits for `100 Continue` before the body. */
  asksFirst: boolean
  sending: { now: number }
  result: SendersResult
}

async function send({
  url,
  request,
  agent,
  localAddress,
  betweenPiecesMs,
  asksFirst,
  sending,
  result,
}: Sending): Promise<{ status: number; retryAfter: string | undefined }> {
  const sent = httpRequest(url, {
    ...{ method: 'POST', agent, localAddress },
    headers: {
      'content-type': contentType,
      'content-length': request.byteLength,
      ...(asksFirst ? { expect: '100-continue' } : {}),
    },
  })
  let answer: IncomingMessage | undefined
  const answered = once(sent, 'response').then(([response]) => {
    answer = response as IncomingMessage
    answer.resume()
  })
  // Awaited at the end.
  answered.catch(() => {})
  if (asksFirst) await Promise.race([once(sent, 'continue'), answered])
  sending.now++
  result.mostAtOnce = Math.max(result.mostAtOnce, sending.now)
  try {
    for (const piece of piecesOf(request)) {
      if (answer !== undefined) break
      const hasRoom = sent.write(piece)
      if (betweenPiecesMs > 0) await Promise.race([delay(betweenPiecesMs), answered])
      else if (!hasRoom) await Promise.race([once(sent, 'drain'), answered])
    }
    if (answer === undefined) sent.end()
    await answered
  } finally {
    sending.now--
    // What is not sent need not be: the connection is of no use then.
    if (!sent.writableEnded) sent.destroy()
  }
  const { statusCode = 0, headers } = answer as unknown as IncomingMessage
  return { status: statusCode, retryAfter: headers['retry-after'] }
}

function* piecesOf({ groups }: PreparedRequest): Generator<Buffer> {
  for (const buffer of groups.flat()) {
    for (let at = 0; at < buffer.length; at += pieceBytes)
      yield buffer.subarray(at, at + pieceBytes)
  }
}
