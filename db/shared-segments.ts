import type { Database } from './database.ts'

/** Makes the row of a shared segment, before its object is made. */
export async function announceSharedSegment(
  { sql }: Database,
  segmentID: string,
  serverID: string,
): Promise<void> {
  await sql`
    insert into segments (segment_id, appended_by, state)
    values (${segmentID}, ${serverID}, 'kept')`
}

/** To be called when its server has sealed it. One in which nothing was ever committed is doomed. */
export async function releaseSegment(
  { sql }: Database,
  segmentID: string,
  serverID: string,
): Promise<void> {
  await sql`
    update segments
    set appended_by = null, state = case when byte_length = 0 then 'doomed' else state end
    where segment_id = ${segmentID}
    and appended_by = ${serverID}`
}

/**
 * Releases the shared segments that dead servers appended to, so that a late commit of theirs fails: those
 * that are older than any server appends to, and with `alone` those of all other servers, which cannot live.
 *
 * Their objects may be longer than the rows say, by what was not committed any more. It stays there: an old
 * copy of this database would say the same of what was (decision 9).
 *
 * @returns how many there were.
 */
export async function releaseAbandonedSegments(
  { sql }: Database,
  serverID: string,
  alone: boolean,
): Promise<number> {
  const { count } = await sql`
    update segments
    set appended_by = null, state = case when byte_length = 0 then 'doomed' else state end
    where appended_by is not null
    and (created_at < now() - interval '10 minutes' or (${alone} and appended_by <> ${serverID}))`
  return count
}

/** Whether any segment was ever made that is not gone. */
export async function knowsSegments({ sql }: Pick<Database, 'sql'>): Promise<boolean> {
  const [row] = await sql`select exists (select from segments) as known`
  return row?.known === true
}
