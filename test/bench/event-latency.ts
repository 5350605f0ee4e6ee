/**
 * Measures how long after it is due a stable event is a row of the feed, with a number.
 *
 *     node --import tsx test/bench/event-latency.ts --help
 *
 * The studies are rows that nobody sent, each with one series, of a patient of its own; they come due one after
 * the other within the time given. Servers do what they always do; with `--senders` they also store studies
 * meanwhile. The last number of the feed is looked at every few milliseconds over a connection of its own.
 */
import { parseArgs } from 'node:util'
import { dicomFile } from '../support/dicom-file.ts'
import { startServers } from '../support/server.ts'
import { startSharedPostgres } from '../support/shared-postgres.ts'
import { stow } from '../support/stow.ts'
import { wholeNumber } from './options.ts'
import { quantile } from './statistics.ts'

const usage = `Usage: node --import tsx test/bench/event-latency.ts [OPTIONS]

  --studies N     Default 10000
  --seconds N     Within which they come due; default 60
  --servers N     Default 2
  --senders N     That store studies of one instance meanwhile; default 0
  --snapshot      A transaction is open all the time
`

/** Between the rows and the first due time. */
const leadSeconds = 5
const lookMs = 10

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    studies: { type: 'string' },
    seconds: { type: 'string' },
    servers: { type: 'string' },
    senders: { type: 'string' },
    snapshot: { type: 'boolean' },
  },
})
if (values.help) console.log(usage)
else await run()

async function run(): Promise<void> {
  const studies = wholeNumber('--studies', values.studies, 10_000, 1)
  const seconds = wholeNumber('--seconds', values.seconds, 60, 1)
  const serverCount = wholeNumber('--servers', values.servers, 2, 1)
  const senderCount = wholeNumber('--senders', values.senders, 0, 0)
  await using postgres = await startSharedPostgres()
  await using servers = await startServers(serverCount, {
    databaseURL: postgres.url,
    env: { STOWAGE_STORE_DIR: postgres.storeDir },
  })
  const first = servers[0] as (typeof servers)[number]
  await using sql = await first.connect()
  await using holder = await first.connect()
  const [{ begin } = { begin: '' }] = await sql`
    with due as (
      select n, now() + make_interval(secs => ${leadSeconds} + n * ${seconds}::float8 / ${studies}) as at
      from generate_series(1, ${studies}) n
    ), p as (
      insert into patients (
        patient_id, issuer_of_patient_id, first_received_at, last_received_at, quiet_seconds, due_at, study_count,
        series_count
      )
      select 'B' || n, '', at, at, 0, at, 1, 1 from due returning patient_key, patient_id, due_at as at
    ), t as (
      insert into studies (
        study_instance_uid, patient_key, patient_id, first_received_at, last_received_at, quiet_seconds,
        due_at, series_count
      )
      select '1.2.3.' || substr(patient_id, 2), patient_key, patient_id, at, at, 0, at, 1 from p
      returning study_key, study_instance_uid, due_at as at
    ), e as (
      insert into series (
        series_instance_uid, study_key, first_received_at, last_received_at, quiet_seconds, due_at
      )
      select study_instance_uid || '.1', study_key, at, at, 0, at from t
      returning 1
    )
    select now()::text as begin from e limit 1`
  await sql`analyze patients, studies, series`
  if (values.snapshot) await holder`begin isolation level repeatable read`
  if (values.snapshot) await holder`select 1 from feed`
  const sending = new AbortController()
  let sent = 0
  const senders = Array.from({ length: senderCount }, async (_, n) => {
    const server = servers[n % serverCount] as (typeof servers)[number]
    while (!sending.signal.aborted) {
      await stow(`${server.dicomWeb}/studies`, [dicomFile()])
      sent++
    }
  })
  const latencies = await watch(sql, studies, begin as string, seconds)
  sending.abort()
  await Promise.all(senders)
  if (values.snapshot) await holder`rollback`
  for (const level of ['series', 'study', 'patient']) {
    const own = latencies.get(level) ?? []
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => Math.round(quantile(own, share)))
    console.log(`${level}: ${own.length} events, p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`)
  }
  if (senderCount > 0) console.log(`stored meanwhile: ${sent} studies`)
}

type Sql = Awaited<ReturnType<Awaited<ReturnType<typeof startServers>>[number]['connect']>>

/** Milliseconds from when each was due to when it was seen in the feed, by the clock of the database, by level. */
async function watch(
  sql: Sql,
  studies: number,
  begin: string,
  seconds: number,
): Promise<Map<string, number[]>> {
  const latencies = new Map<string, number[]>()
  let last = 0
  for (let left = studies * 3; left > 0; ) {
    const rows = await sql`
      select
        seq, level,
        extract(epoch from clock_timestamp() - (${begin}::timestamptz + make_interval(secs =>
          ${leadSeconds} + substring(coalesce(study_instance_uid, patient_id) from '[0-9]+$')::float8
            * ${seconds}::float8 / ${studies}
        )))::float8 * 1000 as late_ms
      from changes
      where seq > ${last}
      and type = 'stable'
      and (study_instance_uid like '1.2.3.%' or (study_instance_uid is null and patient_id like 'B%'))
      order by seq`
    for (const { level, late_ms } of rows) {
      latencies.set(level, latencies.get(level) ?? [])
      latencies.get(level)?.push(late_ms)
    }
    left -= rows.length
    last = Number(rows.at(-1)?.seq ?? last)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
  return latencies
}
