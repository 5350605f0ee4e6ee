import { asc, eq, sql as raw } from 'drizzle-orm'
import { ChangesRemovedError } from './changes.ts'
import type { Database } from './database.ts'
import { consumers, feed } from './schema.ts'

/** A reader of the feed whose position the database keeps. */
export interface Consumer {
  name: string
  /** All changes up to this seq are done. */
  acknowledged: number
  acknowledgedAt: Date
}

const shown = {
  name: consumers.name,
  acknowledged: consumers.acknowledgedSeq,
  acknowledgedAt: consumers.acknowledgedAt,
}

const removed = { removedSeq: feed.removedSeq }

export async function listConsumers({ orm }: Database): Promise<Consumer[]> {
  return orm.select(shown).from(consumers).orderBy(asc(consumers.name))
}

export async function findConsumer({ orm }: Database, name: string): Promise<Consumer | undefined> {
  const [found] = await orm.select(shown).from(consumers).where(eq(consumers.name, name))
  return found
}

/**
 * Makes the consumer if there is none; may go back, to read again.
 *
 * @throws {ChangesRemovedError} What comes after `seq` is not all there any more.
 */
export async function acknowledge(db: Database, name: string, seq: number): Promise<Consumer> {
  return db.orm.transaction(async (orm) => {
    // Whoever removes changes waits until this one is known, or is waited for.
    const [row] = await orm.select(removed).from(feed).for('share')
    const removedSeq = row?.removedSeq ?? 0
    if (seq < removedSeq) throw new ChangesRemovedError(removedSeq)
    const [consumer] = await orm
      .insert(consumers)
      .values({ name, acknowledgedSeq: seq })
      .onConflictDoUpdate({
        target: consumers.name,
        set: { acknowledgedSeq: seq, acknowledgedAt: raw`now()` },
      })
      .returning(shown)
    return consumer as Consumer
  })
}

/** @returns false: there is none of this name. */
export async function forgetConsumer({ orm }: Database, name: string): Promise<boolean> {
  const gone = await orm.delete(consumers).where(eq(consumers.name, name)).returning(shown)
  return gone.length > 0
}
