import { inArray } from 'drizzle-orm'
import type { Database } from './database.ts'
import type { Study } from './instances.ts'
import { parseStudyCursor, type StudyCursor } from './listing.ts'
import { type Running, running } from './running.ts'
import { studies } from './schema.ts'
import { all, type Condition, conditionSql, constant, type Fragment } from './search-conditions.ts'
import type { AnnouncedStudy } from './stability.ts'

/** What becomes of a study right now. `reopened`: settling again, after it was stable. */
export const studyStates = ['receiving', 'settling', 'reopened', 'stable'] as const
export type StudyState = (typeof studyStates)[number]

export const commitments = ['none', 'some', 'all'] as const
export type Commitment = (typeof commitments)[number]

export const studyOrders = ['received', 'date', 'patient'] as const
export type StudyOrder = (typeof studyOrders)[number]

/** What the list of the page shows of all studies. */
export interface StudyFilter {
  /** Those of QIDO. */
  conditions: Condition[]
  state?: StudyState | undefined
  verdict?: Study['verdict'] | undefined
  commitment?: Commitment | undefined
  /** Its last instance came at this instant or later, and before that one. */
  receivedFrom?: Date | undefined
  receivedBefore?: Date | undefined
  /** Only those with something that an administrator should know. */
  hasProblems?: boolean | undefined
}

/** A row of the list. */
export interface ListedStudy extends Study {
  cursor: StudyCursor
  state: StudyState
  /** When it settles if nothing comes; null: it is stable. */
  settlesAt: Date | null
  refusalCount: number
  warningCount: number
}

/** Where a page of the list begins. By the time of receipt: older or newer than a cursor; else an offset. */
export type StudyPlace = { before: StudyCursor } | { after: StudyCursor } | { from: number }

export interface StudyListQuery {
  filter: StudyFilter
  order: StudyOrder
  place: StudyPlace
  limit: number
  /** What is on its way, by UID. */
  underWay: string[]
}

/** Matches that are counted, and sorted as a whole: the more there are, the sooner an index in order finds a page. */
export const matchesCounted = 2000

/** As deep as orders without a cursor go. */
export const deepestOffset = 10_000

/** Studies that open transfers bring, on all servers, and on this one. */
export async function studiesUnderWay({ sql }: Database, held: AnnouncedStudy[]) {
  const [row] = await sql`
    select (studies_on_their_way(${JSON.stringify(held)}::text::jsonb)).study_instance_uids as uids`
  return [...new Set((row?.uids ?? []) as string[])]
}

/** How many match, up to one more than `matchesCounted`. */
export function countMatches(
  db: Database,
  filter: StudyFilter,
  underWay: string[],
): Running<number> {
  const statement = (sql: Database['sql']) => sql`
    select count(*)::int as total
    from (select from studies t where ${matching(sql, filter, underWay)} limit ${matchesCounted + 1}) m`
  return running(db, statement, ([row]) => (row as { total: number }).total)
}

/**
 * The keys of a page of studies, in order, with one more where there are further ones.
 *
 * @param isFew Few match, so all are found first, by the index of what is searched, and then sorted. Otherwise the
 *   index of the order is walked until enough match.
 */
export function findStudyKeys(
  db: Database,
  query: StudyListQuery,
  isFew: boolean,
): Running<number[]> {
  const statement = (sql: Database['sql']) => pageOfKeys(sql, query, isFew)
  return running(db, statement, (rows) => rows.map((row) => (row as { key: number }).key))
}

function pageOfKeys(
  sql: Database['sql'],
  { filter, order, place, limit, underWay }: StudyListQuery,
  isFew: boolean,
): Fragment {
  const where = matching(sql, filter, underWay)
  const isForward = 'after' in place
  const offset = 'from' in place ? place.from : 0
  const orderBy = constant(sql, isForward ? backwards : orders[order])
  const here = placeSql(sql, place)
  return isFew
    ? sql`
      with t as materialized (
        select study_key, last_received_at, study_date, study_time_key, patient_name_key
        from studies t
        where ${where}
      )
      select t.study_key::float8 as key from t where ${here}
      order by ${orderBy} offset ${offset} limit ${limit + 1}`
    : sql`
      select t.study_key::float8 as key from studies t where ${where} and ${here}
      order by ${orderBy} offset ${offset} limit ${limit + 1}`
}

/** Reads rows of the list, in the order of their keys; those that are gone are left out. */
export async function readListedStudies(
  { orm, sql }: Database,
  studyKeys: number[],
  underWay: string[],
): Promise<ListedStudy[]> {
  if (studyKeys.length === 0) return []
  const found = await orm.select().from(studies).where(inArray(studies.studyKey, studyKeys))
  const uids = found.map((one) => one.studyInstanceUID)
  const [cursors, refused, warned] = await Promise.all([
    sql<{ key: number; cursor: StudyCursor }[]>`
      select study_key::float8 as key,
        to_char(last_received_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '~' || study_key as cursor
      from studies where study_key = any(${studyKeys}::bigint[])`,
    sql<Counted[]>`
      select study_instance_uid as uid, count(*)::int as count
      from refusals where study_instance_uid = any(${uids}) group by study_instance_uid`,
    sql<Counted[]>`
      select study_instance_uid as uid, count(*)::int as count
      from warnings where study_instance_uid = any(${uids}) group by study_instance_uid`,
  ])
  const cursorOf = new Map(cursors.map(({ key, cursor }) => [key, cursor]))
  const refusalsOf = new Map(refused.map(({ uid, count }) => [uid, count]))
  const warningsOf = new Map(warned.map(({ uid, count }) => [uid, count]))
  const isUnderWay = new Set(underWay)
  const rows = new Map(found.map((study) => [study.studyKey, study]))
  return studyKeys.flatMap((key) => {
    const study = rows.get(key)
    const cursor = cursorOf.get(key)
    if (study === undefined || cursor === undefined) return []
    const state = stateOf(study, isUnderWay.has(study.studyInstanceUID))
    return [
      {
        ...study,
        cursor,
        state,
        settlesAt: settlesAt(study),
        refusalCount: refusalsOf.get(study.studyInstanceUID) ?? 0,
        warningCount: warningsOf.get(study.studyInstanceUID) ?? 0,
      },
    ]
  })
}

interface Counted {
  uid: string
  count: number
}

export function stateOf(study: Study, isUnderWay: boolean): StudyState {
  if (isUnderWay) return 'receiving'
  if (study.dueAt === null) return 'stable'
  return study.generation > 1 ? 'reopened' : 'settling'
}

/** Null where it is stable. */
export function settlesAt({ dueAt, lastReceivedAt, reopenedAt, quietSeconds }: Study): Date | null {
  if (dueAt === null) return null
  const since = Math.max(lastReceivedAt.getTime(), reopenedAt?.getTime() ?? 0)
  return new Date(since + quietSeconds * 1000)
}

/** How many there are of each kind that the page offers. Bounded: `matchesCounted` + 1 means "more". */
export interface StateCounts {
  receiving: number
  /** Of those that are receiving: nothing of them is here yet, so no list has them. */
  arriving: number
  settling: number
  reopened: number
  problems: number
}

export async function countStates({ sql }: Database, underWay: string[]): Promise<StateCounts> {
  const most = matchesCounted + 1
  const [row] = await sql<Omit<StateCounts, 'receiving'>[]>`
    select
      (select count(*)::int from unnest(${underWay}::text[]) u (uid) where not exists (
        select from studies t where t.study_instance_uid = u.uid
      )) as arriving,
      (select count(*)::int from (
        select from studies t where ${stateSql(sql, 'settling', underWay)} limit ${most}
      ) s) as settling,
      (select count(*)::int from (
        select from studies t where ${stateSql(sql, 'reopened', underWay)} limit ${most}
      ) s) as reopened,
      (select count(*)::int from (
        select from studies t where ${problemsSql(sql)} limit ${most}
      ) s) as problems`
  return { receiving: underWay.length, arriving: 0, settling: 0, reopened: 0, problems: 0, ...row }
}

function matching(sql: Database['sql'], filter: StudyFilter, underWay: string[]): Fragment {
  const { conditions, state, verdict, commitment, receivedFrom, receivedBefore, hasProblems } =
    filter
  const wanted: Fragment[] = conditions.map((one) => conditionSql(sql, one))
  if (state !== undefined) wanted.push(stateSql(sql, state, underWay))
  // Written out, so that a partial index is seen to fit.
  if (verdict !== undefined) wanted.push(sql`t.verdict = ${constant(sql, `'${verdict}'`)}`)
  if (commitment !== undefined) wanted.push(constant(sql, commitmentConditions[commitment]))
  if (receivedFrom)
    wanted.push(sql`t.last_received_at >= ${receivedFrom.toISOString()}::text::timestamptz`)
  if (receivedBefore)
    wanted.push(sql`t.last_received_at < ${receivedBefore.toISOString()}::text::timestamptz`)
  if (hasProblems) wanted.push(problemsSql(sql))
  return all(sql, wanted, (one) => one)
}

const commitmentConditions: Record<Commitment, string> = {
  none: 't.committed_instance_count = 0',
  some: 't.committed_instance_count between 1 and t.instance_count - 1',
  all: 't.committed_instance_count > 0 and t.committed_instance_count >= t.instance_count',
}

function stateSql(sql: Database['sql'], state: StudyState, underWay: string[]): Fragment {
  const isUnderWay = sql`t.study_instance_uid = any(${underWay}::text[])`
  switch (state) {
    case 'receiving':
      return isUnderWay
    case 'stable':
      return sql`t.due_at is null and not ${isUnderWay}`
    case 'settling':
      return sql`t.due_at is not null and t.generation = 1 and not ${isUnderWay}`
    case 'reopened':
      return sql`t.due_at is not null and t.generation > 1 and not ${isUnderWay}`
  }
}

/** Refused or warned of within a month, damaged, or not whole. */
function problemsSql(sql: Database['sql']): Fragment {
  return sql`t.study_key in (
    select y.study_key from refusals r join studies y on y.study_instance_uid = r.study_instance_uid
    where r.refused_at > now() - interval '30 days'
    union
    select y.study_key from warnings w join studies y on y.study_instance_uid = w.study_instance_uid
    where w.warned_at > now() - interval '30 days'
    union
    select y.study_key from studies y where y.damaged_instance_count > 0
    union
    select y.study_key from studies y where y.verdict in ('partial', 'conflict'))`
}

/** Each as its index has it. */
const orders: Record<StudyOrder, string> = {
  received: 't.last_received_at desc nulls last, t.study_key desc nulls last',
  date: 't.study_date desc nulls last, t.study_time_key desc nulls last, t.study_key desc nulls last',
  patient: 't.patient_name_key using ~<~, t.study_key',
}
const backwards = 't.last_received_at asc nulls first, t.study_key asc nulls first'

function placeSql(sql: Database['sql'], place: StudyPlace): Fragment {
  if ('from' in place) return sql`true`
  const cursor = 'before' in place ? place.before : place.after
  const [instant, key] = (parseStudyCursor(cursor) as string).split('~') as [string, string]
  const tuple = sql`(${instant}::text::timestamptz, ${key}::text::bigint)`
  return 'before' in place
    ? sql`(t.last_received_at, t.study_key) < ${tuple}`
    : sql`(t.last_received_at, t.study_key) > ${tuple}`
}
