import { asc, eq } from 'drizzle-orm'
import type { Database } from './database.ts'
import type { Series, Study } from './instances.ts'
import { series, studies } from './schema.ts'

/** A place between two studies of the list: `2026-03-01T12:00:00.123456Z~42`, to the microsecond. */
export type StudyCursor = string & { readonly __brand: 'StudyCursor' }

/** As many studies as are counted one by one; beyond it the list says "more than". */
export const countedStudies = 100_000

const cursorPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z~\d{1,18}$/

export function parseStudyCursor(text: string): StudyCursor | undefined {
  const instant = text.split('~')[0] as string
  if (!cursorPattern.test(text) || Number.isNaN(Date.parse(instant))) return undefined
  return text as StudyCursor
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
