import type { Database } from './database.ts'

/**
 * Holds back the deletion of segments for a backup. What is kept in a snapshot taken after this stays until
 * the lease is over: a sweep that does not see the lease sees no segment that was emptied after it.
 *
 * @returns false when another backup is under way.
 */
export async function takeBackupLease(
  { sql }: Database,
  backupID: string,
  leaseSeconds: number,
): Promise<boolean> {
  const { count } = await sql`
    insert into backup_lease (only_row, backup_id, lease_until)
    values (1, ${backupID}, clock_timestamp() + make_interval(secs => ${leaseSeconds}))
    on conflict (only_row) do update
    set backup_id = excluded.backup_id, lease_until = excluded.lease_until
    where backup_lease.lease_until < clock_timestamp()`
  return count === 1
}

/** @returns false when it was over: segments may be gone since. */
export async function renewBackupLease(
  { sql }: Database,
  backupID: string,
  leaseSeconds: number,
): Promise<boolean> {
  const { count } = await sql`
    update backup_lease
    set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    where backup_id = ${backupID}
    and lease_until > clock_timestamp()`
  return count === 1
}

export async function endBackupLease({ sql }: Database, backupID: string): Promise<void> {
  await sql`delete from backup_lease where backup_id = ${backupID}`
}
