import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { expectNothingOf, foundOf, type TestStudy } from '../support/archive.ts'
import { SeededRandom } from '../support/random.ts'
import type { StowageServer } from '../support/server.ts'
import { multipartBody, requestHead, stow } from '../support/stow.ts'

export const random = new SeededRandom()
console.log(`TEST_SEED=${random.seed} repeats these moments`)

/** What the sender of a request got: a whole answer, or none. */
export interface Answer {
  status: number
  text: string
}

/** A request as its sender sees it, to which something happens on its way. */
export interface Sending {
  /** Resolves when the last byte was handed to the kernel. */
  sent: Promise<void>
  /** Resolves when the connection is closed, in whatever way. */
  answered: Promise<Answer | undefined>
}

export function send(server: StowageServer, study: TestStudy): Sending {
  const body = multipartBody(study.files)
  const head = requestHead('/dicom-web/studies', {
    'content-length': body.length,
    accept: 'application/dicom+json',
    connection: 'close',
  })
  const socket = connect(server.port, '127.0.0.1')
  const pieces: Buffer[] = []
  socket.on('data', (piece) => pieces.push(piece))
  // A connection that breaks is what these tests are about; `close` follows.
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(head)
  const sent = new Promise<void>((resolve) => socket.write(body, () => resolve()))
  return {
    sent: Promise.race([sent, closed]),
    answered: closed.then(() => parsed(Buffer.concat(pieces).toString('latin1'))),
  }
}

export function parsed(text: string): Answer | undefined {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
  return status === undefined ? undefined : { status: Number(status), text }
}

/**
 * Whether what is there fits what the sender was told: a success means all of it, a promise that
 * nothing is stored means nothing, and everything else leaves these two and nothing between them.
 *
 * @returns whether all of it is there.
 */
export async function expectTruth(
  server: StowageServer,
  study: TestStudy,
  answer: Answer | undefined,
): Promise<boolean> {
  const count = study.files.length
  const search = await foundOf(server, study.studyInstanceUID)
  if (answer?.status === 200) expect(search).toBe(count)
  else if (answer?.text.includes('othing of it is stored')) expect(search).toBe(0)
  else expect([0, count]).toContain(search)
  if (search === 0) await expectNothingOf(server, study)
  if (answer !== undefined) expect([200, 503]).toContain(answer.status)
  return search === count
}

/**
 * The same request again stores what is not there yet, and nothing twice. (AT-05)
 *
 * @param isAway The database was struck. Its backends live, and answer, for some milliseconds after that, so nobody can
 *   wait for the moment from which all is well: as every sender, this one comes back when it is asked to (503 with
 *   Retry-After), and what it was told must be true each time.
 */
export async function expectStoredAgain(
  server: StowageServer,
  study: TestStudy,
  isAway = false,
): Promise<void> {
  let answer = await stow(`${server.dicomWeb}/studies`, study.files)
  for (let again = 0; isAway && answer.status === 503 && again < 20; again++) {
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
    await server.until(() => isSearchable(server, study))
    const told = { status: answer.status, text: JSON.stringify(answer.body) }
    await expectTruth(server, study, told)
    answer = await stow(`${server.dicomWeb}/studies`, study.files)
  }
  expect(answer.status).toBe(200)
  expect(answer.body['00081199'].Value).toHaveLength(study.files.length)
  expect(await foundOf(server, study.studyInstanceUID)).toBe(study.files.length)
}

/** Milliseconds that a request takes from its first byte to its answer. */
export async function durationOf(server: StowageServer, study: TestStudy): Promise<number> {
  const startedAt = performance.now()
  expect((await send(server, study).answered)?.status).toBe(200)
  return performance.now() - startedAt
}

/**
 * When to strike. One moment in three lies anywhere in the request; the others lie behind its last byte
 * and home in on the commit: later after a round of which nothing was stored, earlier after the opposite.
 */
export class Moments {
  readonly #durationMs: number
  #commitMs: number
  #round = 0

  constructor(durationMs: number) {
    this.#durationMs = durationMs
    this.#commitMs = durationMs / 3
  }

  async next(sending: Sending): Promise<void> {
    if (this.#round++ % 3 === 0) return void (await sleep(random.between(0, this.#durationMs)))
    await sending.sent
    await sleep(random.between(0.5, 1.5) * this.#commitMs)
  }

  learn(isStored: boolean): void {
    this.#commitMs = Math.max(1, this.#commitMs * (isStored ? 0.75 : 1.3))
  }
}

/** What became of the rounds of a test, so that one can see that both ends were reached. */
export function report(name: string, stored: boolean[]): void {
  const all = stored.filter((one) => one).length
  console.log(`${name}: all of it ${all} times, nothing ${stored.length - all} times`)
}

/** Whether the database answers again. */
export async function isSearchable(server: StowageServer, study: TestStudy): Promise<boolean> {
  const answer = await fetch(`${server.dicomWeb}/studies?PatientID=${study.patientID}`)
  await answer.body?.cancel()
  return answer.status < 300
}
