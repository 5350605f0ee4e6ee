import { and, asc, desc, eq, gt, inArray, lte, or, type SQL } from 'drizzle-orm'
import type { Database } from './database.ts'
import { type ChangeLevel, type ChangeType, changes } from './schema.ts'

export type Change = typeof changes.$inferSelect

export interface ChangeKind {
  type: ChangeType
  level: ChangeLevel
}

export interface ChangeQuery {
  /** Those after this number; or with `backwards` those up to it. */
  since: number
  limit: number
  backwards?: boolean | undefined
  types?: ChangeType[] | undefined
  levels?: ChangeLevel[] | undefined
  /** Types and levels together: one of these. */
  kinds?: ChangeKind[] | undefined
  studyInstanceUID?: string | undefined
}

/** Numbers that are given in one transaction. */
const numberedAtOnce = 5000

/** Gives numbers to all changes that are committed by now. @returns how many there were. */
export async function numberChanges({ sql }: Database): Promise<number> {
  for (let total = 0; ; ) {
    const [row] = await sql`select number_changes(${numberedAtOnce}) as numbered`
    const numbered = row?.numbered as number
    total += numbered
    if (numbered < numberedAtOnce) return total
  }
}

/** Changes in the order of their numbers, or backwards. */
export async function listChanges({ orm }: Database, query: ChangeQuery): Promise<Change[]> {
  const { since, limit, backwards, types, levels, kinds, studyInstanceUID } = query
  const conditions: (SQL | undefined)[] = [
    backwards ? lte(changes.seq, since) : gt(changes.seq, since),
    types && inArray(changes.type, types),
    levels && inArray(changes.level, levels),
    kinds && or(...kinds.map((k) => and(eq(changes.type, k.type), eq(changes.level, k.level)))),
    studyInstanceUID === undefined ? undefined : eq(changes.studyInstanceUID, studyInstanceUID),
  ]
  return orm
    .select()
    .from(changes)
    .where(and(...conditions))
    .orderBy(backwards ? desc(changes.seq) : asc(changes.seq))
    .limit(limit)
}

/** The last number that was given; 0 when there is none. */
export async function lastChange({ sql }: Database): Promise<number> {
  const [row] = await sql`select last_seq from feed`
  return Number(row?.last_seq ?? 0)
}
