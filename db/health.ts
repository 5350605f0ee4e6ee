import type { Database } from './database.ts'

/** What every page says of the whole, each number bounded. */
export interface Signs {
  /** Refusals of the last day. */
  refusedCount: number
  damagedStudyCount: number
  deadDeliveryCount: number
  /** How old the oldest message is that is still tried, of webhooks that are not paused; 0: there is none. */
  deliveryLagMs: number
  /** How long something has been due that nothing on its way holds back. */
  schedulerLagMs: number
  receivingCount: number
  /** Storage commitment requests that wait for their result. */
  waitingCommitmentCount: number
}

const most = 1000

export async function readSigns({ sql }: Database, underWay: string[]): Promise<Signs> {
  const [row] = await sql<Signs[]>`
    select
      (select count(*)::int from (
        select from refusals where refused_at > now() - interval '1 day' limit ${most}
      ) r) as "refusedCount",
      (select count(*)::int from (
        select from studies where damaged_instance_count > 0 limit ${most}
      ) d) as "damagedStudyCount",
      (select count(*)::int from (
        select from webhook_deliveries where state = 'dead' limit ${most}
      ) w) as "deadDeliveryCount",
      coalesce((
        select extract(epoch from now() - min(greatest(c.at, w.created_at)))::float8 * 1000
        from webhooks w
        cross join (values ('waiting'), ('sending')) s (state)
        cross join lateral (
          select d.seq
          from webhook_deliveries d
          where d.webhook_id = w.webhook_id
          and d.state = s.state
          order by d.seq
          limit 1
        ) d
        join changes c on c.seq = d.seq
        where not w.is_paused
      ), 0) as "deliveryLagMs",
      coalesce((
        select extract(epoch from now() - min(due_at))::float8 * 1000
        from studies
        where due_at < now()
        and study_instance_uid <> all(${underWay}::text[])
        and greatest(last_received_at, reopened_at) + make_interval(secs => quiet_seconds) < now()
      ), 0) as "schedulerLagMs",
      (select count(*)::int from (
        select from transfers where state = 'receiving' limit ${most}
      ) t) as "receivingCount",
      (select count(*)::int from (
        select from commitments where state = 'waiting' limit ${most}
      ) c) as "waitingCommitmentCount"`
  return row as Signs
}

export interface DatabaseFacts {
  version: string
  byteLength: number
  migrationCount: number
  lastSeq: number
}

export async function readDatabaseFacts({ sql }: Database): Promise<DatabaseFacts> {
  const [row] = await sql<DatabaseFacts[]>`
    select
      current_setting('server_version') as version,
      pg_database_size(current_database())::float8 as "byteLength",
      (select count(*)::int from drizzle.__drizzle_migrations) as "migrationCount",
      coalesce((select last_seq::float8 from feed), 0) as "lastSeq"`
  return row as DatabaseFacts
}

/** Bytes and instances by hour, or by day, the oldest first. */
export interface Throughput {
  at: Date
  storedCount: number
  refusedCount: number
  byteLength: number
}

/** Of the newest transfers, up to 200,000 of them, which ended within so many units. */
export async function readThroughput(
  { sql }: Database,
  unit: 'hour' | 'day',
  units: number,
): Promise<Throughput[]> {
  const rows = await sql<(Omit<Throughput, 'at'> & { at: number })[]>`
    with newest as (
      select ended_at, stored_count, refused_count, received_bytes, state
      from transfers
      where started_at > now() - make_interval(hours => ${unit === 'hour' ? units : units * 24})
      order by started_at desc nulls last
      limit 200000
    ),
    buckets as (
      select date_trunc(${unit}, ended_at, 'UTC') as bucket, sum(stored_count)::int as stored, sum(refused_count)::int as refused,
        sum(received_bytes) filter (where state = 'committed') as bytes
      from newest
      where ended_at is not null
      group by 1
    )
    select
      extract(epoch from g.bucket)::float8 * 1000 as at, coalesce(b.stored, 0) as "storedCount",
      coalesce(b.refused, 0) as "refusedCount", coalesce(b.bytes, 0)::float8 as "byteLength"
    from generate_series(
      date_trunc(${unit}, now(), 'UTC') - ${units - 1} * ('1 ' || ${unit})::interval,
      date_trunc(${unit}, now(), 'UTC'), ('1 ' || ${unit})::interval
    ) g (bucket)
    left join buckets b on b.bucket = g.bucket
    order by g.bucket`
  return rows.map(({ at, ...rest }) => ({ ...rest, at: new Date(at) }))
}

/** Seconds from the first instance to stable, of the last 1000 studies that became stable once. */
export async function readTimesToStable({ sql }: Database): Promise<number[]> {
  const rows = await sql<{ seconds: number }[]>`
    select extract(epoch from settled_at - first_received_at)::float8 as seconds
    from (
      select settled_at, first_received_at, generation
      from studies
      order by last_received_at desc nulls last, study_key desc nulls last
      limit 1000
    ) newest
    where settled_at is not null and generation = 1`
  return rows.map(({ seconds }) => seconds)
}

/** How late studies became stable in an hour, by the database's clock. */
export interface Lateness {
  at: Date
  /** The longest time between a study's due time and its event, ms. 0 also where no study became stable. */
  latestMs: number
}

/**
 * Of the newest 20,000 studies that are stable since so many hours, the oldest hour first. Those that somebody, or
 * proof that they are complete, let settle early have no due time.
 */
export async function readLateness({ sql }: Database, hours: number): Promise<Lateness[]> {
  const rows = await sql<{ at: number; latestMs: number }[]>`
    with newest as (
      select settled_at, settled_at - greatest(last_received_at, reopened_at) - make_interval(secs => quiet_seconds) as late
      from studies
      where due_at is null and settled_at > now() - make_interval(hours => ${hours}) and quiet_seconds > 0
      order by settled_at desc
      limit 20000
    ),
    buckets as (
      select date_trunc('hour', settled_at, 'UTC') as bucket, max(late) as latest
      from newest
      group by 1
    )
    select
      extract(epoch from g.bucket)::float8 * 1000 as at,
      greatest(0, coalesce(extract(epoch from b.latest), 0))::float8 * 1000 as "latestMs"
    from generate_series(
      date_trunc('hour', now(), 'UTC') - ${hours - 1} * interval '1 hour', date_trunc('hour', now(), 'UTC'), interval '1 hour'
    ) g (bucket)
    left join buckets b on b.bucket = g.bucket
    order by g.bucket`
  return rows.map(({ at, latestMs }) => ({ at: new Date(at), latestMs }))
}
