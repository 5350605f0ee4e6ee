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

/** Reads from a point of the feed that is not all there any more. */
export class ChangesRemovedError extends RangeError {
  override name = 'ChangesRemovedError'
  /** Changes up to this one are removed: who goes on from there misses nothing else. */
  readonly removedSeq: number

  constructor(removedSeq: number) {
    super(`The changes up to ${removedSeq} are removed`)
    this.removedSeq = removedSeq
  }
}

/**
 * To be called after changes were listed: what is gone by now may have been gone then.
 *
 * @param query Deletions are never removed, so who asks for nothing else may begin anywhere.
 * @throws {ChangesRemovedError} Changes after its `since` are removed.
 */
export async function insistOnAll({ sql }: Database, query: ChangeQuery): Promise<void> {
  if (query.types?.every((type) => type === 'deleted')) return
  const [row] = await sql`select removed_seq from feed`
  const removedSeq = Number(row?.removed_seq ?? 0)
  if (query.since < removedSeq) throw new ChangesRemovedError(removedSeq)
}

/** Changes that are removed in one transaction. */
const removedAtOnce = 5000

/**
 * Removes changes that are older than `keepMs`, from the oldest on, as far as every consumer has acknowledged
 * and every webhook delivered them; deletions stay. By the clock of the database. Any server may call it.
 *
 * @returns how many.
 */
export async function removeOldChanges(
  { sql }: Database,
  keepMs: number,
  signal?: AbortSignal,
): Promise<number> {
  for (let total = 0; ; ) {
    const [row] = await sql`
      select * from remove_old_changes(${keepMs / 1000}::double precision, ${removedAtOnce})`
    total += row?.removed as number
    if (!row?.has_more || signal?.aborted) return total
  }
}

/** The last number that was given; 0 when there is none. */
export async function lastChange({ sql }: Database): Promise<number> {
  const [row] = await sql`select last_seq from feed`
  return Number(row?.last_seq ?? 0)
}
