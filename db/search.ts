import type { Database } from './database.ts'
import { type Running, running } from './running.ts'
import type { SearchLevel } from './search-attributes.ts'
import { all, type Condition, conditionSql, constant, type Fragment } from './search-conditions.ts'
import { resultJson, type Told } from './search-json.ts'

/** What a search asks for. */
export interface Search {
  level: SearchLevel
  /** From the path: only what is in this study, in this series. */
  studyInstanceUID?: string | undefined
  seriesInstanceUID?: string | undefined
  /** All of them must hold. */
  conditions: Condition[]
  told: Told
  limit: number
  offset: number
}

/** Matches beyond the limit that are counted one by one; beyond those the answer is "more than". */
export const countedBeyond = 1000

export interface Found {
  /** In order: of studies and series the keys of their rows, of instances their UIDs. */
  keys: ResultKey[]
  /** Of studies, what their rows were last written by; else none. */
  versions: string[]
  /** Matches beyond the limit, up to one more than `countedBeyond`. */
  beyondCount: number
}

export type ResultKey = string & { readonly __brand: 'ResultKey' }

/**
 * Finds which are the results, in one snapshot. What they say is asked for afterwards, a block after the other, by
 * a statement that is planned once: to plan it takes longer than to run it.
 *
 * Studies are ordered by date and time, the newest first, then by key; their series as they came, and the
 * instances of a series by UID. So a period of time, which most searches have, is a piece of an index in the order of
 * the answer, and what arrives meanwhile moves nothing else. (QI-A10)
 */
export function findKeys(db: Database, search: Search): Running<Found> {
  const { limit } = search
  const statement = (sql: Database['sql']) => sql`
    with found as materialized (${foundSql(sql, search)})
    select
      array(select key from found limit ${limit}) as keys,
      ${search.level === 'study' ? versionsSql(sql, limit) : sql`'{}'::text[]`} as versions,
      count(*)::int as count
    from found`
  return running(db, statement, ([row]) => {
    const { keys, versions, count } = row as Omit<Found, 'beyondCount'> & { count: number }
    return { keys, versions, beyondCount: Math.max(0, count - limit) }
  })
}

/** Only of those that are told: the others are read from an index, which does not have it. */
function versionsSql(sql: Database['sql'], limit: number): Fragment {
  return sql`array(
    select (select t.xmin::text from studies t where t.study_key = f.key::bigint)
    from (select key from found limit ${limit}) f
  )`
}

/** SQL of the keys of what is found, with those that are only counted. */
export function foundSql(sql: Database['sql'], search: Search): Fragment {
  const { level, limit, offset } = search
  return sql`
    select ${constant(sql, keys[level])}::text as key
    from ${constant(sql, tables[level])}
    where ${matching(sql, search)}
    order by ${constant(sql, order[level])}
    offset ${offset}
    limit ${limit + countedBeyond + 1}`
}

export interface FoundOfStudy {
  /** Members of a JSON array. */
  json: string
  resultCount: number
  beyondCount: number
}

/**
 * Finds and reads the first that a study, or a series of it, has: in one go, since the study and its series know how much there is beyond the
 * limit. (600 instances: 6.7 ms of processor time, where it took 9.2 to find them first, and 1 of 600 0.5 for 1.3.)
 */
export function findResultsOfStudy(
  db: Database,
  search: Search & { level: 'series' | 'instance' },
  studiesURL: string,
): Running<FoundOfStudy> {
  const { level, limit, told, seriesInstanceUID } = search
  const total = seriesInstanceUID === undefined ? totals[level] : 'e.instance_count'
  const statement = (sql: Database['sql']) => sql`
    select
      string_agg(r.json, ',') as json,
      count(*)::int as "resultCount",
      coalesce(max(r.total), 0)::int as count
    from (
      select
        ${constant(sql, resultJson(level, told))} as json,
        ${constant(sql, total)} as total
      from (values (${inJson(studiesURL)})) base (url)
      cross join ${constant(sql, tables[level])}
      where ${matching(sql, search)}
      order by ${constant(sql, order[level])}
      limit ${limit}
    ) r`
  return running(db, statement, ([row]) => {
    const { json, resultCount, count } = row as {
      json: string | null
      resultCount: number
      count: number
    }
    const beyondCount = Math.min(Math.max(0, count - limit), countedBeyond + 1)
    return { json: json ?? '', resultCount, beyondCount }
  })
}

const totals = { series: 't.series_count', instance: 't.instance_count' }

/**
 * Reads what results say, in the order of their keys, as members of a JSON array. Those that were deleted meanwhile say
 * nothing.
 */
export function readResults(
  db: Database,
  { level, told }: Pick<Search, 'level' | 'told'>,
  resultKeys: ResultKey[],
  studiesURL: string,
): Running<string> {
  const statement = (sql: Database['sql']) => sql`
    select string_agg(r.json, ',' order by p.place) as json
    from (values (${inJson(studiesURL)})) base (url)
    cross join unnest(${resultKeys}::text[]::${constant(sql, keyTypes[level])}[])
      with ordinality p (key, place)
    cross join lateral (
      select ${constant(sql, resultJson(level, told))} as json
      from ${constant(sql, rows[level])}
      offset 0
    ) r`
  return running(db, statement, ([row]) => (row as { json: string | null }).json ?? '')
}

/** A study as a result, and what its row was last written by. */
export interface StudyResult {
  key: ResultKey
  version: string
  /** A member of a JSON array. */
  text: string
}

/** Reads what studies say, in any order. Those that were deleted meanwhile say nothing. */
export function readStudies(
  db: Database,
  told: Told,
  resultKeys: ResultKey[],
  studiesURL: string,
): Running<StudyResult[]> {
  const statement = (sql: Database['sql']) => sql`
    select t.study_key::text as key, t.xmin::text as version, ${constant(sql, resultJson('study', told))} as text
    from (values (${inJson(studiesURL)})) base (url)
    cross join studies t
    where t.study_key = any(${resultKeys}::text[]::bigint[])`
  return running(db, statement, (rows) => [...(rows as StudyResult[])])
}

const keys = { study: 't.study_key', series: 'e.series_key', instance: 'i.sop_instance_uid' }

const keyTypes = { study: 'bigint', series: 'bigint', instance: 'text' }

const tables = {
  study: 'studies t',
  series: 'studies t join series e on e.study_key = t.study_key',
  instance: `studies t
    join series e on e.study_key = t.study_key
    join instances i on i.series_key = e.series_key`,
}

const newestFirst =
  't.study_date desc nulls last, t.study_time_key desc nulls last, t.study_key desc nulls last'
const order = {
  study: newestFirst,
  series: `${newestFirst}, e.series_key`,
  instance: `${newestFirst}, e.series_key, i.sop_instance_uid`,
}

/** The row of one key. `offset 0` keeps Postgres from joining whole tables instead of looking up one row. */
const rows = {
  study: 'studies t where t.study_key = p.key',
  series: `series e join studies t on t.study_key = e.study_key
    where e.series_key = p.key`,
  instance: `instances i
    join series e on e.series_key = i.series_key
    join studies t on t.study_key = e.study_key
    where i.sop_instance_uid = p.key`,
}

function matching(
  sql: Database['sql'],
  { studyInstanceUID, seriesInstanceUID, conditions }: Search,
): Fragment {
  const study =
    studyInstanceUID === undefined ? sql`` : sql`t.study_instance_uid = ${studyInstanceUID} and`
  const series =
    seriesInstanceUID === undefined ? sql`` : sql`e.series_instance_uid = ${seriesInstanceUID} and`
  return sql`${study} ${series} ${all(sql, conditions, (one) => conditionSql(sql, one))}`
}

/** As it stands inside a JSON string. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
