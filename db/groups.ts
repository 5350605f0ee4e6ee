import { commitWhen, isInside } from './commit-when.ts'
import type { Database } from './database.ts'
import { withReasons } from './deleted-before.ts'
import { plainCommit, plainGroupOf } from './plain-group.ts'
import { type CommitError, retryCommit, wasInTheWay } from './retry-commit.ts'
import type { TransferState } from './schema.ts'
import type {
  Disagreement,
  NewTransfer,
  Received,
  Refusal,
  StagedInstance,
  Warning,
} from './transfers.ts'

/** A small transfer that is committed together with others; it has no row before. */
export interface GroupMember extends Received, Omit<NewTransfer, 'segmentID' | 'serverID'> {
  /** Milliseconds since it began. */
  ageMs: number
  storedCount: number
  refused: Refusal[]
  warned: Warning[]
}

/** Its position is its ordinal in the group, from 0. */
export interface GroupedInstance extends StagedInstance {
  /** Index in `members`. */
  member: number
  /** Number of the part in its own request. */
  part: number
}

export interface GroupCommit {
  groupID: string
  serverID: string
  /** The shared segment, and how long it is with the bytes of the group; undefined with no instances. */
  segment: { segmentID: string; byteLength: number } | undefined
  members: GroupMember[]
  instances: GroupedInstance[]
}

export type GroupResult =
  /** Positions are ordinals in the group. */
  | { outcome: 'committed'; disagreements: Disagreement[] }
  /** Some are stored already, or refused: take them out and commit the others. Ordinals again. */
  | { outcome: 'superfluous'; duplicates: number[]; refused: Refusal[] }
  /** The shared segment is not this server's any more. Nothing is stored. */
  | { outcome: 'lost'; reason: string }
  /** Somebody else works on a patient or study of it, and takes long. Nothing is stored. */
  | { outcome: 'contended' }

/**
 * Makes the instances of several small transfers visible in one transaction, or none of them. Their
 * rows are made by it: each is committed when it appears.
 *
 * Postgres works while the bytes are made durable, and commits when they are. (Four senders of one small instance after
 * another: 1.2 times as many as with one after the other.)
 *
 * @param database Of one connection, as `commitWhen` wants it.
 * @param makeDurable Resolves when the bytes of the group are durable. Called when Postgres has been told what to do, and again
 *   where that is tried again. What it throws or rejects with is thrown, and nothing is stored.
 * @throws Any other error than those of `GroupResult` and of `makeDurable` is to be followed by `recordEndedTransfer` for each
 *   member: it says whether the member was committed.
 */
export async function commitGroup(
  database: Database,
  group: GroupCommit,
  makeDurable: () => Promise<void>,
): Promise<GroupResult> {
  const plainly = await commitPlainly(database, group, makeDurable)
  return plainly ?? commitAny(database, group, makeDurable)
}

/** Commits a group in which nothing is special. @returns undefined, and nothing is done, where something is. */
async function commitPlainly(
  database: Database,
  group: GroupCommit,
  makeDurable: () => Promise<void>,
): Promise<GroupResult | undefined> {
  const plain = plainGroupOf(group)
  if (plain === undefined) return undefined
  try {
    const row = await commitWhen(database, makeDurable, (sql) => plainCommit(sql, group, plain))
    return row.is_plain === true ? { outcome: 'committed', disagreements: [] } : undefined
  } catch (thrown) {
    const error = thrown as CommitError
    // Somebody else was faster with something: the other way sees with what, and tries again where that helps.
    if (wasInTheWay(error) || error.code === '23505') return undefined
    const result = judge(error)
    if (result === undefined) throw error
    return result
  }
}

/** Commits any group. */
async function commitAny(
  database: Database,
  group: GroupCommit,
  makeDurable: () => Promise<void>,
): Promise<GroupResult> {
  const { groupID, serverID, segment } = group
  const members = JSON.stringify(group.members)
  const instances = JSON.stringify(group.instances)
  const result = await retryCommit<GroupResult>(async () => {
    const row = await commitWhen(
      database,
      makeDurable,
      (sql) => sql`
        select
          commit_group(
            ${groupID}, ${serverID}, ${segment?.segmentID ?? null}, ${segment?.byteLength ?? null},
            ${members}::text::jsonb, ${instances}::text::jsonb
          ) as disagreements
        where ${isInside(sql)}`,
    )
    return { outcome: 'committed', disagreements: row.disagreements as Disagreement[] }
  }, judge)
  if (result.outcome !== 'superfluous') return result
  return { ...result, refused: await withReasons(database, result.refused) }
}

function judge({ code, detail, message }: CommitError): GroupResult | undefined {
  if (code === 'ST001') return { outcome: 'lost', reason: message }
  if (code === '55P03') return { outcome: 'contended' }
  if (code !== 'ST004') return undefined
  const found = JSON.parse(detail ?? '{}') as { duplicates: number[]; refused: Refusal[] }
  return { outcome: 'superfluous', ...found }
}

/** Commits made-up groups and takes them back: on this connection, Postgres has then planned what a commit needs. */
export async function rehearseCommit({ sql }: Database, serverID: string): Promise<void> {
  await sql`select rehearse_commit(${serverID})`
}

/**
 * Records a transfer that ended without ever having had a row, unless it has one now.
 *
 * Waits for a group commit that is about to make the row. So it also tells what became of a group whose
 * answer was lost: `committed`, or else the row made here keeps a late commit from being made.
 *
 * @returns the state that the transfer has now, for good.
 */
export async function recordEndedTransfer(
  { sql }: Database,
  transfer: Omit<NewTransfer, 'segmentID'> & { ageMs: number },
  end: Received & { state: 'refused' | 'aborted'; reason: string; refused: Refusal[] },
): Promise<TransferState> {
  const { refused, ...ended } = end
  const [row] = await sql`
    select record_ended_transfer(
      ${JSON.stringify({ ...transfer, ...ended })}::text::jsonb,
      ${JSON.stringify(refused)}::text::jsonb
    ) as state`
  return row?.state as TransferState
}
