import { asc, eq, sql as raw, type SQL } from 'drizzle-orm'
import type { Database } from './database.ts'
import type { Series, Study } from './instances.ts'
import { series, studies } from './schema.ts'

/** A place between two studies of the list: `2026-03-01T12:00:00.123456Z~42`, to the microsecond. */
export type StudyCursor = string & { readonly __brand: 'StudyCursor' }

export interface ListedStudy extends Study {
  cursor: StudyCursor
}

/** `before` and `after` in time: older than the cursor, or newer. */
export interface StudyPage {
  limit: number
  before?: StudyCursor | undefined
  after?: StudyCursor | undefined
}

/** As many studies as are counted one by one; beyond it the list says "more than". */
export const countedStudies = 100_000

const cursorPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z~\d{1,18}$/

export function parseStudyCursor(text: string): StudyCursor | undefined {
  const instant = text.split('~')[0] as string
  if (!cursorPattern.test(text) || Number.isNaN(Date.parse(instant))) return undefined
  return text as StudyCursor
}

/**
 * A page of the studies, the newest first, with the key as the last word.
 *
 * Keyset: a page costs the same wherever it is. `nulls last` is how the index is built; without it
 * Postgres would sort the whole table, although neither column is ever null.
 *
 * @returns `hasMore`: further ones in the direction of the page (older, or with `after` newer).
 */
export async function listStudies(
  { orm }: Database,
  { limit, before, after }: StudyPage,
): Promise<{ studies: ListedStudy[]; hasMore: boolean }> {
  const place = raw`(${studies.lastReceivedAt}, ${studies.studyKey})`
  const isForward = after !== undefined
  const rows = await orm
    .select({ study: studies, cursor: cursorOf })
    .from(studies)
    .where(
      isForward ? raw`${place} > ${tupleOf(after)}` : before && raw`${place} < ${tupleOf(before)}`,
    )
    .orderBy(
      isForward
        ? raw`${studies.lastReceivedAt} asc nulls first, ${studies.studyKey} asc nulls first`
        : raw`${studies.lastReceivedAt} desc nulls last, ${studies.studyKey} desc nulls last`,
    )
    .limit(limit + 1)
  const page = rows.slice(0, limit).map(({ study, cursor }) => ({ ...study, cursor }))
  if (isForward) page.reverse()
  return { studies: page, hasMore: rows.length > limit }
}

/** How many studies there are, up to `countedStudies`; one more than that means "more". */
export async function countStudies({ sql }: Database): Promise<number> {
  const [row] = await sql`
    select count(*) as total
    from (select 1 from studies limit ${countedStudies + 1}) counted`
  return Number(row?.total ?? 0)
}

export async function findStudy(
  { orm }: Database,
  studyInstanceUID: string,
): Promise<Study | undefined> {
  const found = await orm
    .select()
    .from(studies)
    .where(eq(studies.studyInstanceUID, studyInstanceUID))
  return found[0]
}

/** The first series of a study, as they came. */
export async function listSeries(
  { orm }: Database,
  { studyKey }: Pick<Study, 'studyKey'>,
  limit: number,
): Promise<Series[]> {
  return orm
    .select()
    .from(series)
    .where(eq(series.studyKey, studyKey))
    .orderBy(asc(series.seriesKey))
    .limit(limit)
}

const cursorOf = raw<StudyCursor>`
  to_char(${studies.lastReceivedAt} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  || '~' || ${studies.studyKey}`

function tupleOf(cursor: StudyCursor): SQL {
  const [instant, studyKey] = cursor.split('~')
  return raw`(${instant}::timestamptz, ${studyKey}::bigint)`
}
