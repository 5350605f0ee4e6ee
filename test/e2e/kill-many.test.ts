import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'vitest'
import {
  expectClean,
  expectConsistent,
  settledHoldings,
  type TestStudy,
  testStudy,
} from '../support/archive.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { expectStoredAgain, expectTruth, isSearchable, random, report, send } from './kills.ts'

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
    isAway: boolean,
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
      await Promise.all(studies.map((study) => expectStoredAgain(server, study, isAway)))
      await expectConsistent(server, sql, uncommittedBytes * (round + 1))
    }
    await expectClean(server)
    report(name, stored)
  }

  test.concurrent('are each whole or not there when their server is killed', {
    timeout: 300_000,
  }, async () => {
    await using server = await startServer()
    await survives('small requests, server killed', server, senders * 50_000, false, async () => {
      await server.kill()
      await server.start()
    })
  })

  test.concurrent('are each whole or not there when the connections to the database are ended', {
    timeout: 300_000,
  }, async () => {
    await using server = await startServer()
    await using sql = await server.connect()
    await survives('small requests, connections ended', server, 0, true, async () => {
      await sql`
        select pg_terminate_backend(pid)
        from pg_stat_activity
        where datname = current_database()
        and application_name = 'stowage'`
    })
  })
})
