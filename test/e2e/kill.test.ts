import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  expectClean,
  expectConsistent,
  expectNothingOf,
  foundOf,
  settledHoldings,
  type TestStudy,
  testStudy,
} from '../support/archive.ts'
import { SeededRandom } from '../support/random.ts'
import { externalDatabaseURL, type StowageServer, startServer } from '../support/server.ts'
import { multipartBody, requestHead, stow } from '../support/stow.ts'

const random = new SeededRandom()
console.log(`TEST_SEED=${random.seed} repeats these moments`)

/** What the sender of a request got: a whole answer, or none. */
interface Answer {
  status: number
  text: string
}

/** A request as its sender sees it, to which something happens on its way. */
interface Sending {
  /** Resolves when the last byte was handed to the kernel. */
  sent: Promise<void>
  /** Resolves when the connection is closed, in whatever way. */
  answered: Promise<Answer | undefined>
}

function send(server: StowageServer, study: TestStudy): Sending {
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

function parsed(text: string): Answer | undefined {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
  return status === undefined ? undefined : { status: Number(status), text }
}

/**
 * Whether what is there fits what the sender was told: a success means all of it, a promise that
 * nothing is stored means nothing, and everything else leaves these two and nothing between them.
 *
 * @returns whether all of it is there.
 */
async function expectTruth(
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

/** The same request again stores what is not there yet, and nothing twice. (AT-05) */
async function expectStoredAgain(server: StowageServer, study: TestStudy): Promise<void> {
  const answer = await stow(`${server.dicomWeb}/studies`, study.files)
  expect(answer.status).toBe(200)
  expect(answer.body['00081199'].Value).toHaveLength(study.files.length)
  expect(await foundOf(server, study.studyInstanceUID)).toBe(study.files.length)
}

/** Milliseconds that a request takes from its first byte to its answer. */
async function durationOf(server: StowageServer, study: TestStudy): Promise<number> {
  const startedAt = performance.now()
  expect((await send(server, study).answered)?.status).toBe(200)
  return performance.now() - startedAt
}

/**
 * When to strike. One moment in three lies anywhere in the request; the others lie behind its last byte
 * and home in on the commit: later after a round of which nothing was stored, earlier after the opposite.
 */
class Moments {
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
function report(name: string, stored: boolean[]): void {
  const all = stored.filter((one) => one).length
  console.log(`${name}: all of it ${all} times, nothing ${stored.length - all} times`)
}

const lanes = [
  { name: 'a request of 500 parts in one segment', parts: 500, pixelBytes: 512, env: {} },
  {
    name: 'a request of 500 parts in several segments',
    parts: 500,
    pixelBytes: 12_000,
    env: { STOWAGE_SEGMENT_BYTES: '1MiB' },
  },
]
const roundsEach = Number(process.env.TEST_KILLS ?? 50) / lanes.length

describe('a server that is killed at any moment (P1, P2, AT-11)', () => {
  test.concurrent.each(lanes)(
    `has all of $name or nothing, ${roundsEach} times`,
    { timeout: 600_000 },
    async ({ name, parts, pixelBytes, env }) => {
      // With a database of its own the next server knows at once that the last one is dead.
      await using server = await startServer({ env: { STOWAGE_LEASE_SECONDS: '3', ...env } })
      const moments = new Moments(await durationOf(server, testStudy(parts, pixelBytes)))
      const stored: boolean[] = []
      for (let round = 0; round < roundsEach; round++) {
        const study = testStudy(parts, pixelBytes)
        const sending = send(server, study)
        await moments.next(sending)
        await server.kill()
        const answer = await sending.answered
        await server.start()
        await using sql = await server.connect()
        // A commit that was running in the database goes on without its server.
        await settledHoldings(server, sql)
        await expectConsistent(server, sql)
        const isStored = await expectTruth(server, study, answer)
        moments.learn(isStored)
        stored.push(isStored)
        await expectStoredAgain(server, study)
        await settledHoldings(server, sql)
        await expectConsistent(server, sql)
      }
      await expectClean(server)
      report(name, stored)
    },
  )
})

/**
 * Many small requests at the same moment, which are committed in groups: each is there whole or not at all,
 * and as its sender was told.
 */
describe('small requests at once (P1, P2, AT-11)', () => {
  const senders = 12
  const rounds = Math.ceil(Number(process.env.TEST_KILLS ?? 50) / 5)

  async function survives(
    name: string,
    server: StowageServer,
    uncommittedBytes: number,
    strike: () => Promise<unknown>,
  ): Promise<void> {
    const ofOneRound = () => Array.from({ length: senders }, () => testStudy(8))
    const once = () => Promise.all(ofOneRound().map((study) => send(server, study).answered))
    // The first one pays for code that never ran before.
    await once()
    const startedAt = performance.now()
    await once()
    const durationMs = performance.now() - startedAt
    const stored: boolean[] = []
    for (let round = 0; round < rounds; round++) {
      const studies = ofOneRound()
      const sendings = studies.map((study) => send(server, study))
      await sleep(random.between(0, durationMs))
      await strike()
      const answers = await Promise.all(sendings.map(({ answered }) => answered))
      await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
      await server.until(() => isSearchable(server, studies[0] as TestStudy))
      await using sql = await server.connect()
      await settledHoldings(server, sql)
      for (const [index, study] of studies.entries()) {
        stored.push(await expectTruth(server, study, answers[index]))
      }
      await Promise.all(studies.map((study) => expectStoredAgain(server, study)))
      await expectConsistent(server, sql, uncommittedBytes * (round + 1))
    }
    await expectClean(server)
    report(name, stored)
  }

  test.concurrent('are each whole or not there when their server is killed', {
    timeout: 300_000,
  }, async () => {
    await using server = await startServer()
    await survives('small requests, server killed', server, senders * 50_000, async () => {
      await server.kill()
      await server.start()
    })
  })

  test.concurrent('are each whole or not there when the connections to the database are ended', {
    timeout: 300_000,
  }, async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    await survives('small requests, connections ended', server, 0, async () => {
      await sql`
        select pg_terminate_backend(pid)
        from pg_stat_activity
        where datname = current_database()
        and application_name = 'stowage'`
    })
  })
})

describe('a database that goes away at any moment (P1, P2, AT-11)', () => {
  const rounds = Number(process.env.TEST_DATABASE_KILLS ?? 8)

  /** The server goes on; each round one request, in the middle of which `strike` is called. */
  async function survives(
    name: string,
    server: StowageServer,
    strike: () => Promise<unknown>,
  ): Promise<void> {
    const moments = new Moments(await durationOf(server, testStudy(500)))
    const stored: boolean[] = []
    for (let round = 0; round < rounds; round++) {
      const study = testStudy(500)
      const sending = send(server, study)
      await moments.next(sending)
      await strike()
      const answer = await sending.answered
      expect(answer, 'the server lives, so it answers').toBeDefined()
      await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
      await server.until(() => isSearchable(server, study))
      await using sql = await server.connect()
      await settledHoldings(server, sql)
      await expectConsistent(server, sql)
      const isStored = await expectTruth(server, study, answer)
      moments.learn(isStored)
      stored.push(isStored)
      await expectStoredAgain(server, study)
    }
    await expectClean(server)
    expect(server.log).not.toMatch(/unhandled/i)
    expect(server.log, 'what somebody searched for (P10)').not.toMatch(/P-\d/)
    report(name, stored)
  }

  const strikes = [
    { name: 'killed, and its backends with it', signal: 'SIGQUIT', whom: 'postmaster' },
    { name: 'killed with SIGKILL', signal: 'SIGKILL', whom: 'postmaster' },
    { name: 'losing one backend to SIGKILL', signal: 'SIGKILL', whom: 'backend' },
  ] as const

  test.skipIf(externalDatabaseURL !== undefined).concurrent.each(strikes)(
    'leaves all or nothing after its Postgres was $name',
    { timeout: 300_000 },
    async ({ name, signal, whom }) => {
      await using server = await startServer()
      const strike = async () => {
        const pid = whom === 'postmaster' ? await server.postmasterPid() : await backendPid(server)
        if (pid !== undefined) process.kill(pid, signal)
      }
      await survives(name, server, strike)
    },
  )
  if (externalDatabaseURL !== undefined) {
    console.log('not run: kills of Postgres, because TEST_DATABASE_URL is not ours to kill')
  }

  test.concurrent('leaves all or nothing when all connections of the server are ended', {
    timeout: 300_000,
  }, async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    await survives('connections ended', server, async () => {
      await sql`
        select pg_terminate_backend(pid)
        from pg_stat_activity
        where datname = current_database()
        and application_name = 'stowage'`
    })
  })
})

describe('two servers on one database and one store', () => {
  if (externalDatabaseURL === undefined) {
    console.log('not run: two servers on one database, because TEST_DATABASE_URL is not set')
  }

  test.skipIf(externalDatabaseURL === undefined)(
    'the transfer of the one that died is ended by the other, which gives its bytes back (P1)',
    async () => {
      const env = { STOWAGE_LEASE_SECONDS: '3', STOWAGE_SEGMENT_BYTES: '1MiB' }
      await using one = await startServer({ env })
      await using other = await startServer({
        env: { ...env, STOWAGE_STORE_DIR: one.storeDir },
        databaseURL: one.databaseURL,
      })
      await using sql = await other.connect()
      await expectStoredAgain(one, testStudy(10))
      const before = await settledHoldings(other, sql)

      const study = testStudy(200, 50_000)
      const body = multipartBody(study.files)
      const socket = connect(one.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(requestHead('/dicom-web/studies', { 'content-length': body.length }))
      socket.write(body.subarray(0, body.length / 2))
      await other.until(async () => {
        const [row] = await sql`select count(*)::int as count from segments where state = 'open'`
        return row?.count > 2
      })
      await one.kill()

      const after = await settledHoldings(other, sql)
      expect(after).toEqual(before)
      await expectNothingOf(other, study)
      const [transfer] = await sql`select state from transfers order by started_at desc limit 1`
      expect(transfer?.state).toBe('expired')
      await expectStoredAgain(other, study)
      await expectConsistent(other, sql)
      await expectClean(other)
    },
  )

  test.skipIf(externalDatabaseURL === undefined)(
    'a server that slept through its lease stores nothing, and leaves nothing (P1)',
    async () => {
      const env = { STOWAGE_LEASE_SECONDS: '3' }
      await using one = await startServer({ env })
      await using other = await startServer({
        env: { ...env, STOWAGE_STORE_DIR: one.storeDir },
        databaseURL: one.databaseURL,
      })
      await using sql = await other.connect()
      const before = await settledHoldings(other, sql)
      const study = testStudy(2000)
      const body = multipartBody(study.files)
      const half = body.length / 2
      const socket = connect(one.port, '127.0.0.1')
      const answered = new Promise<string>((resolve) => {
        let text = ''
        socket.on('data', (piece) => {
          text += piece
          if (text.includes('\r\n\r\n')) socket.end()
        })
        socket.on('close', () => resolve(text))
        socket.on('error', () => {})
      })
      socket.write(requestHead('/dicom-web/studies', { 'content-length': body.length }))
      socket.write(body.subarray(0, half))
      await other.until(async () => (await sql`select from staged_instances limit 1`).length > 0)

      process.kill(one.pid, 'SIGSTOP')
      await other.until(
        async () => (await sql`select from transfers where state = 'expired'`).length > 0,
      )
      socket.write(body.subarray(half))
      process.kill(one.pid, 'SIGCONT')

      expect(parsed(await answered)?.status).toBe(503)
      expect(await settledHoldings(other, sql)).toEqual(before)
      await expectNothingOf(other, study)
      await expectStoredAgain(one, study)
      await expectConsistent(other, sql)
    },
  )
})

/** The backend that is at work for the server at this moment, or any of its. */
async function backendPid(server: StowageServer): Promise<number | undefined> {
  await using sql = await server.connect()
  const [row] = await sql`
    select pid
    from pg_stat_activity
    where application_name = 'stowage'
    and backend_type = 'client backend'
    order by state = 'active' desc, state_change desc
    limit 1`
  return row?.pid as number | undefined
}

async function isSearchable(server: StowageServer, study: TestStudy): Promise<boolean> {
  const answer = await fetch(`${server.dicomWeb}/studies?PatientID=${study.patientID}`)
  await answer.body?.cancel()
  return answer.status < 300
}
