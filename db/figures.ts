import type { Database } from './database.ts'

/** How the archive is doing as a whole, whichever server asks. */
export interface Figures {
  /** Transfers that are open, on any server. */
  openTransfers: number
  /** Seconds for which the oldest of what is due to be looked at by the scheduler has waited; 0: nothing is due. */
  schedulerLagSeconds: number
  /** Changes that are committed and have no number yet. */
  changesToCome: number
  lastSeq: number
  /** Deliveries to webhooks that are not done, by state. */
  deliveries: Record<string, number>
  /** Seconds for which the oldest delivery that is due waits to be sent; 0: none is due. */
  webhookLagSeconds: number
  /** Changes that the webhook which is furthest behind has not looked at. */
  webhookBehind: number
  /** Connections of Stowage to the database, of all servers, by what they do. */
  connections: Record<string, number>
  /** Segments whose objects wait to be deleted. */
  doomedSegments: number
  databaseBytes: number
  /** Rows of the large tables, as Postgres last estimated them. */
  rows: Record<string, number>
}

const largeTables = ['patients', 'studies', 'series', 'instances', 'transfers', 'changes']

/** One statement, each part of it an index or an estimate: it may be asked every few seconds. */
export async function readFigures({ sql }: Database): Promise<Figures> {
  const [row] = await sql`
    select
      (select count(*) from transfers where state = 'receiving')::float8 as open_transfers,
      greatest(0, extract(epoch from clock_timestamp() - least(
        (select min(due_at) from patients where due_at is not null),
        (select min(due_at) from studies where due_at is not null),
        (select min(due_at) from series where due_at is not null)
      )))::float8 as scheduler_lag_seconds,
      (select count(*) from changes_to_come)::float8 as changes_to_come,
      (select last_seq from feed)::float8 as last_seq,
      coalesce(
        (
          select jsonb_object_agg(state, n)
          from (select state, count(*) as n from webhook_deliveries group by state) d
        ),
        '{}'
      ) as deliveries,
      greatest(0, extract(epoch from clock_timestamp() - (
        select min(due_at) from webhook_deliveries where due_at is not null and state = 'waiting'
      )))::float8 as webhook_lag_seconds,
      coalesce((
        select max((select last_seq from feed) - position_seq) from webhooks where not is_paused
      ), 0)::float8 as webhook_behind,
      coalesce(
        (
          select jsonb_object_agg(state, n)
          from (
            select coalesce(state, 'unknown') as state, count(*) as n
            from pg_stat_activity
            where datname = current_database() and application_name = 'stowage'
            group by 1
          ) a
        ),
        '{}'
      ) as connections,
      (select count(*) from segments where state in ('doomed', 'emptied'))::float8 as doomed_segments,
      pg_database_size(current_database())::float8 as database_bytes,
      (
        select jsonb_object_agg(relname, greatest(reltuples, 0))
        from pg_class
        where oid = any (${largeTables}::text[]::regclass[])
      ) as rows`
  return {
    openTransfers: row?.open_transfers as number,
    schedulerLagSeconds: (row?.scheduler_lag_seconds as number | null) ?? 0,
    changesToCome: row?.changes_to_come as number,
    lastSeq: row?.last_seq as number,
    deliveries: row?.deliveries as Record<string, number>,
    webhookLagSeconds: (row?.webhook_lag_seconds as number | null) ?? 0,
    webhookBehind: row?.webhook_behind as number,
    connections: row?.connections as Record<string, number>,
    doomedSegments: row?.doomed_segments as number,
    databaseBytes: row?.database_bytes as number,
    rows: row?.rows as Record<string, number>,
  }
}
