/**
 * Two servers on one Postgres and one store are sent studies, good, broken and bad ones, by many at once, while all that
 * can happen to them happens: see `faults.ts`. Readers look at every study all the time: all of a request is seen, or
 * nothing. At the end everything that was acknowledged is retrieved and compared, and `stowage check` looks at the rest.
 *
 *     npm run torture -- [--minutes 10] [--senders 24] [--faults 'SIGKILL|EIO'] [--long]
 *
 * `--faults` takes the kinds whose names match; `--long` is an hour. Prints a table, and ends with 1 where anything is wrong. `TEST_SEED=…` repeats what is sent and struck, not the moments.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type FeedChange, FeedConsumer } from '../support/feed-consumer.ts'
import { SeededRandom } from '../support/random.ts'
import { faultsOfStableEvents } from '../support/stable-events.ts'
import { type Fault, faultsOf } from './faults.ts'
import { Ledger } from './ledger.ts'
import { printTable } from './table.ts'
import { keepReading, keepSending, retrieve, type Traffic } from './traffic.ts'
import { makeWorld, quietSeconds, startAgain, type World } from './world.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    senders: { type: 'string', default: '24' },
    faults: { type: 'string', default: '' },
    long: { type: 'boolean', default: false },
  },
})
const minutes = values.long ? 60 : Number(values.minutes)
const senders = Number(values.senders)
const wanted = new RegExp(values.faults)
const readers = 4

const random = new SeededRandom()
console.log(`TEST_SEED=${random.seed}; ${senders} senders, ${minutes} minutes`)
const ledger = new Ledger()
/** What something is being done to, and what. */
const struck = new Map<object, string>()
const strikes = new Map<string, { times: number; felt: number | undefined }>()

{
  await using world = await makeWorld(Math.ceil(minutes * 0.4) * 2 ** 30)
  const untilAt = Date.now() + minutes * 60_000
  const givingUpAt = untilAt + 180_000
  const telling = setInterval(tell, 15_000).unref()
  const traffic: Traffic = { world, ledger, random, untilAt, givingUpAt }
  await Promise.all([
    ...Array.from({ length: senders }, () => keepSending(traffic)),
    ...Array.from({ length: readers }, () => keepReading(traffic)),
    ...Array.from({ length: 2 }, () => keepStriking(world, untilAt)),
    watchServers(world, untilAt),
  ])
  console.log('Now all is compared')
  await compareAll(traffic)
  await readFeed(world)
  const check = await (world.hosts[0] as World['hosts'][0]).server.run('check')
  if (check.code !== 0) ledger.wrong(`stowage check ended with ${check.code}: ${check.stdout}`)
  clearInterval(telling)
  printTable({ minutes, senders, ledger, strikes, notRun: world.notRun, check: check.stdout })
}
for (const wrong of ledger.wrongs) console.log(`WRONG ${wrong}`)
process.exitCode = ledger.wrongs.length === 0 ? 0 : 1

function tell(): void {
  const counts = [...ledger.counts].map(([what, times]) => `${what}: ${times}`).join(', ')
  const under = [...struck.values()].join(', ')
  console.log(`${new Date().toISOString().slice(11, 19)} ${counts}; now: ${under || 'nothing'}`)
}

/** Something bad every second or two, to what nothing else is done to at that moment. */
async function keepStriking(world: World, untilAt: number): Promise<void> {
  const faults = faultsOf(world, random).filter(({ name }) => wanted.test(name))
  while (Date.now() < untilAt) {
    await sleep(random.between(200, 2500))
    const possible = faults.filter(({ to }) => !struck.has(to))
    const fault = possible[Math.floor(random.next() * possible.length)]
    if (fault === undefined) continue
    struck.set(fault.to, fault.name)
    const slow = setTimeout(() => tellSlow(fault, world), 60_000)
    const felt = await fault.strike()
    clearTimeout(slow)
    struck.delete(fault.to)
    const before = strikes.get(fault.name)
    strikes.set(fault.name, {
      times: (before?.times ?? 0) + 1,
      felt: felt === undefined ? undefined : (before?.felt ?? 0) + felt,
    })
  }
}

/** Whatever was struck is well again within a minute, which is what a server may take to end and to start. */
function tellSlow({ name, to }: Fault, { hosts }: World): void {
  const host = hosts.find((one) => one === to)
  ledger.wrong(
    `"${name}" is not over after a minute${host ? `: ${host.server.log.slice(-3000)}` : ''}`,
  )
  console.log(ledger.wrongs.at(-1))
}

/** A server that ends although nobody ended it is a fault, and is started again. */
async function watchServers(world: World, untilAt: number): Promise<void> {
  while (Date.now() < untilAt) {
    await sleep(250)
    for (const host of world.hosts) {
      if (host.isDown || isRunning(host.server.pid)) continue
      ledger.wrong(`a server ended by itself: ${host.server.log.slice(-2000)}`)
      host.isDown = true
      await startAgain(host)
    }
  }
}

/** All that was acknowledged is there, byte for byte, and nothing else of it. */
async function compareAll(traffic: Traffic): Promise<void> {
  const { hosts } = traffic.world
  for (const { server } of hosts)
    await server.until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
  const left = [...ledger.studies]
  const compare = async () => {
    for (let study = left.pop(); study !== undefined; study = left.pop()) {
      const host = hosts[left.length % hosts.length] as (typeof hosts)[number]
      let isRight = false
      for (let attempt = 1; attempt <= 5 && !isRight; attempt++) {
        isRight = await retrieve(traffic, study, host)
      }
      if (isRight) ledger.count('studies compared')
      else ledger.wrong(`${study.studyInstanceUID} could not be compared`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, compare))
}

/** A feed without gaps, with one stable event for each generation of what is left. */
async function readFeed(world: World): Promise<void> {
  const { server } = world.hosts[0] as World['hosts'][0]
  await using sql = await server.connect()
  await server.until(async () => {
    const [row] = await sql`
      select
        (select count(*)::int from studies where due_at is not null)
        + (select count(*)::int from patients where due_at is not null) as count`
    return row?.count === 0
  }, 120)
  const consumer = new FeedConsumer()
  await consumer.readOn(server.url)
  ledger.count('changes in the feed', consumer.changes.length)
  const gone = new Set(
    ledger.studies
      .filter(({ deletion }) => deletion !== 'none')
      .flatMap(({ studyInstanceUID, patientID }) => [studyInstanceUID, patientID]),
  )
  const isLeft = ({ studyInstanceUID = '', patientID = '' }: FeedChange) =>
    !gone.has(studyInstanceUID) && !gone.has(patientID)
  const left = consumer.changes.filter(isLeft)
  ledger.count('stable events', left.filter(({ type }) => type === 'stable').length)
  for (const fault of faultsOfStableEvents(left, quietSeconds * 1000)) ledger.wrong(fault)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
