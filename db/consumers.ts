import { asc, eq } from 'drizzle-orm'
import { ChangesRemovedError } from './changes.ts'
import type { Database } from './database.ts'
import { consumers } from './schema.ts'

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
export async function acknowledge({ sql }: Database, name: string, seq: number): Promise<Consumer> {
  // Whoever removes changes waits until this one is known, or is waited for. One statement and no `begin`: one of
  // postgres.js whose connection is lost at the wrong moment writes to a socket that is gone, and ends the process.
  const [row] = await sql<{ removedSeq: number; doneAt: string | null }[]>`
    with kept as (
      select removed_seq
      from feed
      for share
    ), done as (
      insert into consumers (name, acknowledged_seq)
      select ${name}, ${seq}
      from kept
      where removed_seq <= ${seq}
      on conflict (name) do update
      set acknowledged_seq = excluded.acknowledged_seq, acknowledged_at = now()
      returning acknowledged_at
    )
    select removed_seq as "removedSeq", (select to_json(acknowledged_at) from done) as "doneAt"
    from kept`
  if (!row?.doneAt) throw new ChangesRemovedError(row?.removedSeq ?? 0)
  return { name, acknowledged: seq, acknowledgedAt: new Date(row.doneAt) }
}

/** @returns false: there is none of this name. */
export async function forgetConsumer({ orm }: Database, name: string): Promise<boolean> {
  const gone = await orm.delete(consumers).where(eq(consumers.name, name)).returning(shown)
  return gone.length > 0
}
