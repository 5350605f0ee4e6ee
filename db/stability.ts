import type { Database } from './database.ts'

/** Rows of a level that one call of the scheduler works on: some 50 ms. */
const atOnce = 500

/**
 * Settles what is due, once, whichever server asks.
 *
 * @param held What this server is receiving and has not told the database of.
 * @returns `waitMs`: when to call again, 0 for at once, undefined while nothing waits.
 */
export async function settleDue(
  { sql }: Database,
  held: AnnouncedStudy[],
): Promise<{ settled: number; waitMs: number | undefined }> {
  const [row] = await sql`select * from settle_due(${atOnce}, ${JSON.stringify(held)}::text::jsonb)`
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

/**
 * Sets the quiet time that holds where no other rule fits, at once for what waits already.
 * @throws as `replaceQuietRules`
 */
export async function setDefaultQuietSeconds({ sql }: Database, seconds: number): Promise<void> {
  await betweenCommits(() => sql`select set_default_quiet_seconds(${seconds})`, longestCommitMs)
}

export type StabilityState = 'receiving' | 'settling' | 'stable'

export interface Stability {
  /** `receiving`: an open transfer is bringing something of it. */
  state: StabilityState
  generation: number
  /** When it settles if nothing comes and nothing is on its way. */
  settlesAt: Date | null
  settledAt: Date | null
  /** What its last stable event said; hex. */
  digest: string | null
}

/** @param held What this server is receiving and has not told the database of. */
export async function stabilityOfStudy(
  { sql }: Database,
  studyInstanceUID: string,
  held: AnnouncedStudy[],
): Promise<Stability | undefined> {
  const [row] = await sql<StabilityRow[]>`
    select
      case
        when study_instance_uid = any (
          (studies_on_their_way(${JSON.stringify(held)}::text::jsonb)).study_instance_uids
        ) then 'receiving'
        when due_at is null then 'stable'
        else 'settling'
      end as state,
      generation,
      case
        when due_at is not null
        then extract(epoch from
          greatest(last_received_at, reopened_at) + make_interval(secs => quiet_seconds)
        )::float8 * 1000
      end as settles_ms,
      extract(epoch from settled_at)::float8 * 1000 as settled_ms,
      encode(content_digest, 'hex') as digest
    from studies
    where study_instance_uid = ${studyInstanceUID}`
  if (row === undefined) return undefined
  const { settles_ms, settled_ms, ...said } = row
  return { ...said, settlesAt: dateOf(settles_ms), settledAt: dateOf(settled_ms) }
}

interface StabilityRow extends Omit<Stability, 'settlesAt' | 'settledAt'> {
  settles_ms: number | null
  settled_ms: number | null
}

function dateOf(milliseconds: number | null): Date | null {
  return milliseconds === null ? null : new Date(milliseconds)
}

/**
 * Lets a study, its series and its patient settle without waiting, where they are not stable. What is on its
 * way holds them back all the same.
 * @returns false: there is no such study.
 */
export async function settleNow({ sql }: Database, studyInstanceUID: string): Promise<boolean> {
  const [row] = await sql`select settle_now(${studyInstanceUID}) as found`
  return row?.found === true
}

/** Opens the next generation of a study that is stable: its quiet time begins anew. */
export async function reopen({ sql }: Database, studyInstanceUID: string): Promise<boolean> {
  const [row] = await sql`select reopen_study(${studyInstanceUID}) as found`
  return row?.found === true
}

export interface QuietRule {
  sender?: string | undefined
  modality?: string | undefined
  keyword?: string | undefined
  value?: string | undefined
  quietSeconds: number
  /** A study that becomes complete settles at once. */
  settleWhenComplete?: boolean | undefined
}

/** In the order in which they are tried; the last one fits everything. */
export async function listQuietRules({ sql }: Database): Promise<QuietRule[]> {
  const rows = await sql`
    select sender, modality, keyword, value, quiet_seconds, settle_when_complete
    from quiet_rules
    order by position`
  return rows.map(({ quiet_seconds, settle_when_complete, ...rule }) => ({
    ...Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== null)),
    quietSeconds: quiet_seconds as number,
    ...(settle_when_complete ? { settleWhenComplete: true } : {}),
  }))
}

/**
 * Takes the place of all rules, at once. The last one must fit everything.
 *
 * @param patienceMs How long commits that go by the rules of before are waited for.
 * @throws what Postgres says of a lock that it could not get (55P03); nothing has changed then.
 */
export async function replaceQuietRules(
  { sql }: Database,
  rules: QuietRule[],
  patienceMs = longestCommitMs,
): Promise<void> {
  const replaced = JSON.stringify(rules)
  await betweenCommits(() => sql`select replace_quiet_rules(${replaced}::text::jsonb)`, patienceMs)
}

/** One of 100,000 instances; a group whose disk hangs may take longer. */
const longestCommitMs = 30_000

/** Tries it again until no commit is in its way. Those that come meanwhile wait only while it is being tried, a fifth of a second. */
async function betweenCommits(
  change: () => PromiseLike<unknown>,
  patienceMs: number,
): Promise<void> {
  const until = performance.now() + patienceMs
  for (;;) {
    try {
      await change()
      return
    } catch (error) {
      if ((error as { code?: string }).code !== '55P03' || performance.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 200))
  }
}
