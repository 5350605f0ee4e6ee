import type { Database } from '../../db/database.ts'
import type { Problem, Report } from './finding.ts'

/** What is under way, and normal. */
export interface UnderWay {
  /** Transfers that are being received. */
  receivingCount: number
  /** Of these, those whose server does not answer for them any more: the next sweep ends them. */
  leaselessCount: number
  /** Segments whose deletion is the next thing. */
  doomedCount: number
}

const rowsAtOnce = 200

/**
 * Looks for staged rows and segments that belong to nobody, and segments whose state contradicts their
 * instances. Each is looked at twice, in two snapshots, before it is reported.
 */
export async function checkOwnership(db: Database, report: Report): Promise<UnderWay> {
  await checkStaged(db, report)
  await checkSegments(db, report)
  await checkTombstones(db, report)
  const [row] = await db.sql<{ receiving: number; leaseless: number; doomed: number }[]>`
    select
      (select count(*) from transfers where state = 'receiving') as receiving,
      (select count(*) from transfers where state = 'receiving' and lease_until < now()) as leaseless,
      (select count(*) from segments where state in ('doomed', 'emptied')) as doomed`
  return {
    receivingCount: row?.receiving ?? 0,
    leaselessCount: row?.leaseless ?? 0,
    doomedCount: row?.doomed ?? 0,
  }
}

async function checkStaged({ sql }: Database, report: Report): Promise<void> {
  const ask = (among?: string[]) => sql<{ transferID: string; count: number }[]>`
    select s.transfer_id as "transferID", count(*) as count
    from staged_instances s
    left join transfers t on t.transfer_id = s.transfer_id
    where t.state is distinct from 'receiving'
    ${among === undefined ? sql`` : sql`and s.transfer_id = any(${among}::uuid[])`}
    group by s.transfer_id`
  for await (const rows of ask().cursor(rowsAtOnce)) {
    for (const { transferID, count } of await ask(rows.map((row) => row.transferID))) {
      report({
        problem: 'staged-without-transfer',
        place: { transferID },
        detail: `${count} staged instances of a transfer that is over`,
      })
    }
  }
}

interface SegmentRow {
  segmentID: string
  /** Null: it is shared by small transfers. */
  transferID: string | null
  state: string
  count: number
}

async function checkSegments({ sql }: Database, report: Report): Promise<void> {
  const ask = (among?: string[]) => sql<SegmentRow[]>`
    select
      g.segment_id as "segmentID", g.transfer_id as "transferID", g.state,
      (select count(*) from instances i where i.segment_key = g.segment_key) as count
    from segments g
    left join transfers t on t.transfer_id = g.transfer_id
    where (
      -- Without an end of its compaction it is doomed when the lease is over.
      (g.state = 'open' and g.compacts_key is null and t.state is distinct from 'receiving')
      or (g.state = 'kept')
        <> exists (select from instances i where i.segment_key = g.segment_key)
        -- Nothing lies yet in a shared one whose first group is on its way.
        and not (g.state = 'kept' and g.appended_by is not null)
        -- All of it was deleted, and that is about to be added up.
        and not (g.state = 'kept' and (
          g.dead_bytes > 0 or exists (select from freed_bytes f where f.segment_key = g.segment_key)
        ))
    )
    ${among === undefined ? sql`` : sql`and g.segment_id = any(${among}::uuid[])`}`
  for await (const rows of ask().cursor(rowsAtOnce)) {
    for (const row of await ask(rows.map(({ segmentID }) => segmentID))) {
      const { segmentID, transferID } = row
      report({ ...tell(row), place: { segmentID, transferID } })
    }
  }
}

/** What was deleted does not come again, until somebody allows it. */
async function checkTombstones({ sql }: Database, report: Report): Promise<void> {
  const ask = (among?: string[]) => sql<{ sopInstanceUID: string }[]>`
    select i.sop_instance_uid as "sopInstanceUID"
    from tombstones d
    join instances i on i.sop_instance_uid = d.sop_instance_uid
    where d.lifted_at is null
    ${among === undefined ? sql`` : sql`and d.sop_instance_uid = any(${among})`}`
  for await (const rows of ask().cursor(rowsAtOnce)) {
    for (const { sopInstanceUID } of await ask(rows.map((row) => row.sopInstanceUID))) {
      const detail = 'it was deleted and is stored, although nobody allowed it to come again'
      report({ problem: 'instance-deleted', place: { sopInstanceUID }, detail })
    }
  }
}

function tell({ state, count }: SegmentRow): { problem: Problem; detail: string } {
  if (count > 0) {
    const detail = `${count} instances lie in it, but it is ${state}`
    return { problem: 'segment-not-kept', detail }
  }
  return state === 'kept'
    ? { problem: 'segment-without-instances', detail: 'it is kept, but no instance lies in it' }
    : { problem: 'segment-without-transfer', detail: 'it is open, but its transfer is over' }
}
