import type { Database } from './database.ts'
import type { Refusal } from './transfers.ts'

/** As the database says it: with the number of the deletion for which it is refused, if it is for one. */
export type FoundRefusal = Refusal & { deletion?: number }

/**
 * Adds why it was deleted to what was deleted before. The error of the commit has only when: what somebody wrote may name a
 * patient, and the log of Postgres has all of an error. (P10)
 */
export async function withReasons({ sql }: Database, found: FoundRefusal[]): Promise<Refusal[]> {
  const keys = found.flatMap(({ deletion }) => deletion ?? [])
  if (keys.length === 0) return found
  const rows = await sql<{ key: number; reason: string | null }[]>`
    select deletion_key as key, reason
    from deletions
    where deletion_key = any(${[...new Set(keys)]}::bigint[])`
  const reasons = new Map(rows.map(({ key, reason }) => [key, reason]))
  return found.map(({ deletion, ...refusal }) => {
    if (deletion === undefined) return refusal
    const reason = reasons.get(deletion) ?? 'no reason was given'
    return { ...refusal, detail: `${refusal.detail}: ${reason}` }
  })
}
