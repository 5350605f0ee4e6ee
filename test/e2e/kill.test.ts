import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import {
  expectClean,
  expectConsistent,
  expectNothingOf,
  settledHoldings,
  testStudy,
} from '../support/archive.ts'
import { externalDatabaseURL, startServer } from '../support/server.ts'
import { multipartBody, requestHead } from '../support/stow.ts'
import {
  durationOf,
  expectStoredAgain,
  expectTruth,
  Moments,
  parsed,
  report,
  send,
} from './kills.ts'

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
