import { and, count, desc, eq, isNull, lt } from 'drizzle-orm'
import type { Database } from './database.ts'
import { disbelief } from './instance-lookup.ts'
import type { ResourcePath } from './instances.ts'
import { retryCommit } from './retry-commit.ts'
import { deletions, tombstones } from './schema.ts'

export type Deletion = typeof deletions.$inferSelect

/** What somebody says who deletes. */
export interface DeletionRequest {
  /** Undefined: not given. */
  reason?: string | undefined
  /** Also what is committed; needs a reason. */
  force?: boolean | undefined
  /** It may be sent again at once. */
  allowResend?: boolean | undefined
  /** Network address of whoever asks. */
  sender?: string | undefined
}

export type DeletionResult =
  | { outcome: 'deleted'; deletion: Deletion }
  | { outcome: 'not-found' }
  /** So many of its instances are committed, and it was not forced with a reason. */
  | { outcome: 'committed'; committedInstanceCount: number }

/**
 * Deletes a study, a series or an instance, in one transaction. What a transfer is bringing and has not committed yet
 * is not deleted.
 */
export async function deleteResource(
  db: Database,
  path: ResourcePath,
  request: DeletionRequest,
): Promise<DeletionResult> {
  const { studyInstanceUID, seriesInstanceUID, sopInstanceUID } = path
  const { reason, force, allowResend, sender } = request
  const result = await retryCommit<number | Exclude<DeletionResult, { outcome: 'deleted' }>>(
    async () => {
      const [row] = await db.sql`
        select delete_resource(
          ${studyInstanceUID}, ${seriesInstanceUID ?? null}, ${sopInstanceUID ?? null},
          ${reason ?? null}, ${sender ?? null}, ${force ?? false}, ${allowResend ?? false}
        ) as deletion`
      return row?.deletion as number
    },
    ({ code, detail }) => {
      if (code === 'ST005') return { outcome: 'not-found' }
      if (code !== 'ST006') return undefined
      return { outcome: 'committed', committedInstanceCount: Number(detail) }
    },
  )
  // Also who hears that it is gone already: who deleted it may be waiting here.
  if (typeof result === 'number' || result.outcome === 'not-found') await disbelief()
  if (typeof result !== 'number') return result
  const [deletion] = await db.orm.select().from(deletions).where(eq(deletions.deletionKey, result))
  return { outcome: 'deleted', deletion: deletion as Deletion }
}

/** The newest first. `before`: older ones than this number. */
export async function listDeletions(
  { orm }: Database,
  page: { limit: number; before?: number | undefined; studyInstanceUID?: string | undefined },
): Promise<Deletion[]> {
  return orm
    .select()
    .from(deletions)
    .where(
      and(
        page.before === undefined ? undefined : lt(deletions.deletionKey, page.before),
        page.studyInstanceUID ? eq(deletions.studyInstanceUID, page.studyInstanceUID) : undefined,
      ),
    )
    .orderBy(desc(deletions.deletionKey))
    .limit(page.limit)
}

/** With how many of its instances are refused if they come again. */
export async function findDeletion(
  { orm }: Database,
  deletionKey: number,
): Promise<(Deletion & { refusedInstanceCount: number }) | undefined> {
  const [deletion] = await orm
    .select()
    .from(deletions)
    .where(eq(deletions.deletionKey, deletionKey))
  if (deletion === undefined) return undefined
  const [standing] = await orm
    .select({ count: count() })
    .from(tombstones)
    .where(and(eq(tombstones.deletionKey, deletionKey), isNull(tombstones.liftedAt)))
  return { ...deletion, refusedInstanceCount: standing?.count ?? 0 }
}

/** The last deletion that took something of a resource. Undefined: nothing of it was ever deleted. Costs two rows. */
export async function lastDeletionOf(
  { orm }: Database,
  path: ResourcePath,
): Promise<Deletion | undefined> {
  const [found] = await orm
    .select({ deletion: deletions })
    .from(tombstones)
    .innerJoin(deletions, eq(deletions.deletionKey, tombstones.deletionKey))
    .where(of(path))
    .orderBy(desc(tombstones.deletionKey))
    .limit(1)
  return found?.deletion
}

/** How many instances of a study are refused if they come again. */
export async function countRefusedAgain(
  { orm }: Database,
  studyInstanceUID: string,
): Promise<number> {
  const [row] = await orm
    .select({ count: count() })
    .from(tombstones)
    .where(and(eq(tombstones.studyInstanceUID, studyInstanceUID), isNull(tombstones.liftedAt)))
  return row?.count ?? 0
}

/**
 * Lets what was deleted of a resource come again.
 *
 * @returns how many tombstones there are of it, and how many of them stood until now.
 */
export async function allowResend(
  { sql }: Database,
  { studyInstanceUID, seriesInstanceUID, sopInstanceUID }: ResourcePath,
): Promise<{ found: number; lifted: number }> {
  const [row] = await sql`
    select tombstone_count as found, lifted_count as lifted
    from allow_resend(
      ${studyInstanceUID}, ${seriesInstanceUID ?? null}, ${sopInstanceUID ?? null}
    )`
  return row as unknown as { found: number; lifted: number }
}

function of({ studyInstanceUID, seriesInstanceUID, sopInstanceUID }: ResourcePath) {
  return and(
    eq(tombstones.studyInstanceUID, studyInstanceUID),
    seriesInstanceUID ? eq(tombstones.seriesInstanceUID, seriesInstanceUID) : undefined,
    sopInstanceUID ? eq(tombstones.sopInstanceUID, sopInstanceUID) : undefined,
  )
}

/** Records of transfers pruned at once: short transactions, whatever there is to do. */
const prunedAtOnce = 500

/**
 * Deletes the records of transfers that ended more than so many days ago, with their refusals and warnings. One server
 * does it at a time.
 *
 * @returns how many it deleted; fewer than there are, perhaps: ask again until it is 0.
 */
export async function pruneTransfers({ sql }: Database, days: number): Promise<number> {
  const [row] = await sql`
    select prune_transfers(now() - make_interval(days => ${days}::integer), ${prunedAtOnce}) as count`
  return row?.count as number
}
