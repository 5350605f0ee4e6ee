import type { Database } from './database.ts'

/** What is written in the place of an answer that has not come yet. */
const asking = 'It is being asked'

/**
 * Takes studies that settled and whose peer was not asked since; each goes to one server. One whose server died before
 * it had the answer may be taken again after the lease.
 *
 * @param since Those that settled after it.
 */
export async function claimQuestions(
  { sql }: Database,
  peer: string,
  { since, leaseSeconds, limit }: { since: Date; leaseSeconds: number; limit: number },
): Promise<{ studyInstanceUID: string; settledAt: Date }[]> {
  const rows = await sql`
    with unasked as (
      select t.study_instance_uid, t.settled_at
      from studies t
      left join evidence e
        on e.study_instance_uid = t.study_instance_uid
        and e.series_instance_uid is null
        and e.source = 'peer'
        and e.origin = ''
      where t.settled_at > ${since.toISOString()}::timestamptz
      and t.due_at is null
      and (
        e.asked_at is null
        or e.asked_at < t.settled_at
        or (e.detail = ${asking} and e.asked_at < now() - make_interval(secs => ${leaseSeconds}))
      )
      order by t.settled_at
      limit ${limit}
      -- As whoever records evidence does.
      for no key update of t skip locked
    ), claimed as (
      insert into evidence (study_instance_uid, source, extent, claimed_by, detail, asked_at)
      select study_instance_uid, 'peer', 'all', ${peer}, ${asking}, now() from unasked
      on conflict on constraint evidence_claim do update
      set asked_at = now(), detail = excluded.detail
      -- Of the row as it is now: since this statement began another server may have asked, and have its answer.
      where evidence.asked_at is null
      or evidence.asked_at < (
        select t.settled_at from unasked t where t.study_instance_uid = evidence.study_instance_uid
      )
      or (evidence.detail = excluded.detail and evidence.asked_at < now() - make_interval(secs => ${leaseSeconds}))
      returning study_instance_uid
    )
    select u.study_instance_uid as "studyInstanceUID", u.settled_at as "settledAt"
    from claimed c
    join unasked u on u.study_instance_uid = c.study_instance_uid`
  return rows as unknown as { studyInstanceUID: string; settledAt: Date }[]
}
