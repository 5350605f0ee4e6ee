import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { FeedConsumer, linesOfSearch } from '../support/feed-consumer.ts'
import { SeededRandom } from '../support/random.ts'
import { type StowageServer, startServers } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { faultsOfStableEvents } from '../support/stable-events.ts'
import { stow } from '../support/stow.ts'

/** More with STOWAGE_TEST_LARGE=1; as often as TEST_REPEATS says. */
const size =
  process.env.STOWAGE_TEST_LARGE === '1'
    ? { servers: 8, senders: 16, studies: 200, killers: 2, seconds: 60 }
    : { servers: 3, senders: 6, studies: 30, killers: 1, seconds: 6 }
const repeats = Number(process.env.TEST_REPEATS ?? 1)
const quietSeconds = 2

interface Study {
  patientID: string
  studyInstanceUID: string
  series: string[]
}

describe('servers that share a database, killed and started again while many send to any of them (P4, P7)', () => {
  test.each(Array.from({ length: repeats }, (_, run) => run + 1))(
    'say each event once for each generation, none too early, none lost; a consumer of the feed knows what a search finds (OST-2, OST-3, OST-4, OST-7, OST-15, run %i)',
    async (run) => {
      const beganAt = Date.now()
      const random = new SeededRandom()
      await using postgres = await startSharedPostgres()
      const settings = {
        databaseURL: postgres.url,
        env: {
          STOWAGE_QUIET_SECONDS: String(quietSeconds),
          STOWAGE_STORE_DIR: postgres.storeDir,
          STOWAGE_LEASE_SECONDS: '3',
          STOWAGE_DATABASE_CONNECTIONS: '6',
        },
      }
      await using servers = await startServers(size.servers, settings)
      const studies = makeStudies(random)
      const untilAt = Date.now() + size.seconds * 1000
      let kills = 0
      let acknowledged = 0
      const down = new Set<StowageServer>()
      const killers = Array.from({ length: size.killers }, async () => {
        while (Date.now() < untilAt) {
          await sleep(random.between(100, 1500))
          const server = pick(
            servers.filter((one) => !down.has(one)),
            random,
          )
          down.add(server)
          await server.kill()
          kills++
          await sleep(random.between(0, 1500))
          await server.start()
          down.delete(server)
        }
      })
      const senders = Array.from({ length: size.senders }, async () => {
        while (Date.now() < untilAt) {
          const { series, ...study } = pick(studies, random)
          const files = Array.from({ length: 1 + Math.floor(random.next() * 4) }, () =>
            dicomFile({ ...study, seriesInstanceUID: pick(series, random) }),
          )
          // Again until somebody says that it is stored; it may be stored more than once, and counts once.
          for (;;) {
            const server = pick(servers, random)
            const answer = await stow(`${server.dicomWeb}/studies`, files).catch(() => undefined)
            if (answer?.status === 200) break
            expect([undefined, 503]).toContain(answer?.status)
            await sleep(50)
          }
          acknowledged += files.length
          await sleep(random.between(0, 400))
        }
      })
      await Promise.all([...killers, ...senders])

      const first = servers[0] as StowageServer
      await using sql = await first.connect()
      await first.until(async () => {
        const [row] = await sql`
          select
            (select count(*) from series where due_at is not null)
            + (select count(*) from studies where due_at is not null)
            + (select count(*) from patients where due_at is not null) as count`
        return Number(row?.count) === 0
      })
      const consumer = new FeedConsumer()
      await consumer.readOn(pick(servers, random).url, 1 + Math.floor(random.next() * 500))
      expect(faultsOfStableEvents(consumer.changes, quietSeconds * 1000)).toEqual([])
      expect(consumer.lines).toEqual(await linesOfSearch(pick(servers, random)))
      const [stored] = await sql`select count(*)::int as count from instances`
      expect(stored?.count).toBe(acknowledged)
      const rows = await sql`select study_instance_uid as uid, generation from studies`
      const stable = consumer.changes.filter(({ type }) => type === 'stable')
      for (const { uid, generation } of rows) {
        const own = stable.filter((one) => one.level === 'study' && one.studyInstanceUID === uid)
        expect(own.at(-1)?.generation).toBe(generation)
      }
      // Whichever server is asked, it says the same, of studies and of what was set at another one.
      for (const path of ['studies', 'quiet-rules', 'transfers']) {
        const query = path === 'studies' ? `studies/${rows[0]?.uid}` : path
        const says = await Promise.all(servers.map(({ url }) => textOf(`${url}/api/${query}`)))
        expect(new Set(says).size).toBe(1)
        if (path === 'studies') expect(says[0]).toContain('"state":"stable"')
      }
      const seconds = Math.round((Date.now() - beganAt) / 1000)
      console.info(
        `storm ${run}: ${kills} kills, ${acknowledged} instances of ${rows.length} studies, ${consumer.changes.length} changes, ${stable.length} stable events, ${seconds} s, seed ${random.seed}`,
      )
    },
    600_000,
  )
})

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text()
}

/** Two series each; every other patient has two studies. */
function makeStudies(random: SeededRandom): Study[] {
  const patients = Array.from({ length: Math.ceil((size.studies * 2) / 3) }, uniqueUID)
  return Array.from({ length: size.studies }, (_, n) => ({
    patientID: patients[n] ?? pick(patients, random),
    studyInstanceUID: uniqueUID(),
    series: [uniqueUID(), uniqueUID()],
  }))
}

function pick<T>(all: T[], random: SeededRandom): T {
  return all[Math.floor(random.next() * all.length)] as T
}
