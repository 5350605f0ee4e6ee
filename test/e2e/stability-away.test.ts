import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { fakedClock, faketimeLibrary } from '../support/faked-clock.ts'
import { FeedConsumer, linesOfSearch } from '../support/feed-consumer.ts'
import { type StowageServer, startServer, startServers } from '../support/server.ts'
import { type SharedPostgres, startSharedPostgres } from '../support/shared-postgres.ts'
import { faultsOfStableEvents } from '../support/stable-events.ts'
import { multipartBody, multipartType, requestHead, stow } from '../support/stow.ts'

/** How long Postgres is away; more with STOWAGE_TEST_LARGE=1. */
const awayMs = process.env.STOWAGE_TEST_LARGE === '1' ? 10_000 : 3000

function settingsOf(postgres: SharedPostgres, quietSeconds: number) {
  return {
    databaseURL: postgres.url,
    env: {
      STOWAGE_QUIET_SECONDS: String(quietSeconds),
      STOWAGE_STORE_DIR: postgres.storeDir,
      STOWAGE_LEASE_SECONDS: '3',
    },
  }
}

function oneStudy() {
  return { patientID: uniqueUID(), studyInstanceUID: uniqueUID(), seriesInstanceUID: uniqueUID() }
}

async function send(server: StowageServer, files: Uint8Array[]): Promise<void> {
  expect((await stow(`${server.dicomWeb}/studies`, files)).status).toBe(200)
}

async function feedOf(server: StowageServer): Promise<FeedConsumer> {
  const consumer = new FeedConsumer()
  await consumer.readOn(server.url)
  return consumer
}

/** What it tells is right, and what a search finds. @returns the stable events, in order. */
async function stableOf(server: StowageServer, quietSeconds: number) {
  const consumer = await feedOf(server)
  expect(faultsOfStableEvents(consumer.changes, quietSeconds * 1000)).toEqual([])
  expect(consumer.lines).toEqual(await linesOfSearch(server))
  return consumer.changes.filter(({ type }) => type === 'stable')
}

async function untilStable(server: StowageServer, count: number): Promise<void> {
  await server.until(async () => {
    // A server whose Postgres comes back may answer one more 503.
    const { changes } = await feedOf(server).catch(() => ({ changes: [] }))
    return changes.filter(({ type }) => type === 'stable').length >= count
  })
}

/** The most of a request, and then nothing. */
function beginToSend(server: StowageServer, files: Uint8Array[]): Disposable & { forget(): void } {
  const body = multipartBody(files)
  const socket = connect(server.port, '127.0.0.1')
  const headers = { 'content-type': multipartType, 'content-length': body.length }
  socket.on('error', () => {})
  socket.write(requestHead('/dicom-web/studies', headers))
  socket.write(body.subarray(0, body.length - 100))
  const forget = () => void socket.destroy()
  return { forget, [Symbol.dispose]: forget }
}

const levels = ['series', 'study', 'patient']

describe('a sender that pauses (P4)', () => {
  test('three quiet times inside one request, and whose server is then killed: nothing before the lease is over, then what was committed, and only that (OTA-2, OTA-3, OST-4)', async () => {
    await using postgres = await startSharedPostgres()
    await using servers = await startServers(2, settingsOf(postgres, 3))
    const [dying, other] = servers as [StowageServer, StowageServer] & AsyncDisposable
    await using sql = await other.connect()
    const here = oneStudy()
    await send(dying, [dicomFile(here)])
    using sender = beginToSend(dying, [dicomFile(here), dicomFile(here)])
    await other.until(async () => (await sql`select from transfer_studies`).length === 1)
    await other.until(async () => {
      const [row] = await sql`
        select clock_timestamp() > max(last_received_at) + interval '9 s' as is_over from studies`
      return row?.is_over === true
    })
    expect((await feedOf(other)).changes.filter(({ type }) => type === 'stable')).toEqual([])
    await dying.kill()
    sender.forget()
    await untilStable(other, 3)
    const stable = await stableOf(other, 3)
    const [{ over } = { over: 0 }] = await sql`
      select extract(epoch from max(lease_until))::float8 * 1000 as over from transfers`
    expect(stable.map(({ level }) => level)).toEqual(levels)
    for (const { at, generation, instanceCount } of stable) {
      expect({ generation, instanceCount }).toEqual({ generation: 1, instanceCount: 1 })
      expect(Date.parse(at)).toBeGreaterThanOrEqual(Math.floor(over))
    }
    const states = () => sql`select state from transfers order by started_at`.values()
    await other.until(async () => !(await states()).flat().includes('receiving'))
    expect((await states()).flat()).toEqual(['committed', 'expired'])
    await dying.start()
    expect(await stableOf(dying, 3)).toHaveLength(3)
  })
})

describe('Postgres is away when an event is due (OST-5)', () => {
  test.each([
    ['stopped and started again', 'stop', 'start'],
    ['stopped in the middle of everything, without closing a connection', 'freeze', 'thaw'],
  ] as const)('%s: it comes later, once', async (_, leave, comeBack) => {
    await using postgres = await startSharedPostgres()
    await using servers = await startServers(2, settingsOf(postgres, 1))
    const [one, other] = servers as [StowageServer, StowageServer] & AsyncDisposable
    await send(one, [dicomFile(oneStudy())])
    await postgres[leave]()
    await sleep(awayMs)
    await postgres[comeBack]()
    const isReady = async () => (await fetch(`${other.url}/readyz`)).status === 200
    await other.until(isReady)
    await untilStable(other, 3)
    await send(one, [dicomFile(oneStudy())])
    await untilStable(one, 6)
    const stable = await stableOf(other, 1)
    expect(stable.map(({ level }) => level)).toEqual([...levels, ...levels])
  })
})

describe.skipIf(faketimeLibrary === undefined)(
  "a host's clock (skipped without libfaketime)",
  () => {
    test.each([3600, -3600])(
      'is stepped by %i s while something waits: nothing changes (OST-6)',
      async (seconds) => {
        const clock = await fakedClock()
        await using postgres = await startSharedPostgres()
        const { databaseURL, env } = settingsOf(postgres, 2)
        await using server = await startServer({ databaseURL, env: { ...env, ...clock.env } })
        const here = oneStudy()
        await send(server, [dicomFile(here)])
        await clock.step(seconds)
        const isOff = async () => {
          const { headers } = await fetch(`${server.url}/healthz`)
          const offMs = Date.parse(headers.get('date') as string) - Date.now()
          return Math.abs(offMs / 1000 - seconds) < 60
        }
        await server.until(isOff)
        await untilStable(server, 3)
        // The other servers are told what it is receiving, by the time that passes and not by its clock.
        await using sql = await server.connect()
        using sender = beginToSend(server, [dicomFile(oneStudy())])
        await server.until(async () => (await sql`select from transfer_studies`).length === 1)
        sender.forget()
        // The same for what comes while the clock is wrong, and for a server that starts with it.
        await send(server, [dicomFile(here)])
        await server.kill()
        await server.start()
        await untilStable(server, 6)
        const stable = await stableOf(server, 2)
        expect(stable.map(({ level, generation }) => `${level} ${generation}`)).toEqual([
          ...levels.map((level) => `${level} 1`),
          ...levels.map((level) => `${level} 2`),
        ])
      },
    )
  },
)
