import { describe, expect, test } from 'vitest'
import { expectClean, expectConsistent, settledHoldings, testStudy } from '../support/archive.ts'
import { externalDatabaseURL, type StowageServer, startServer } from '../support/server.ts'
import {
  durationOf,
  expectStoredAgain,
  expectTruth,
  isSearchable,
  Moments,
  report,
  send,
} from './kills.ts'

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
      await expectStoredAgain(server, study, true)
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
