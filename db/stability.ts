import type { Database } from './database.ts'

/** Rows of a level that one call of the scheduler works on: some 50 ms. */
const atOnce = 500

/**
 * Settles what is due, once, whichever server asks.
 *
 * @param held Studies that this server is receiving and has not told the database of.
 * @returns `waitMs`: when to call again, 0 for at once, undefined while nothing waits.
 */
export async function settleDue(
  { sql }: Database,
  held: string[],
): Promise<{ settled: number; waitMs: number | undefined }> {
  const [row] = await sql`select * from settle_due(${atOnce}, ${held}::text[])`
  return { settled: row?.settled as number, waitMs: (row?.wait_ms as number | null) ?? undefined }
}

/** A study that an open transfer is bringing, and whose it is, as far as its first instance says. */
export interface AnnouncedStudy {
  studyInstanceUID: string
  patientID?: string | undefined
  issuerOfPatientID?: string | undefined
}

/**
 * Makes studies known that an open transfer is bringing, so that they do not settle meanwhile.
 * @returns false when the transfer was ended meanwhile.
 */
export async function announceStudies(
  { sql }: Database,
  transferID: string,
  studies: AnnouncedStudy[],
): Promise<boolean> {
  const [row] = await sql`
    select announce_studies(${transferID}, ${JSON.stringify(studies)}::text::jsonb) as announced`
  return row?.announced === true
}

/** Sets the quiet time that holds where no other rule fits, at once for what waits already. */
export async function setDefaultQuietSeconds({ sql }: Database, seconds: number): Promise<void> {
  await sql`select set_default_quiet_seconds(${seconds})`
}
