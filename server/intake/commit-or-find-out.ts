import type { Database } from '../../db/database.ts'
import { type GroupMember, recordEndedTransfer } from '../../db/groups.ts'
import {
  type Commit,
  type CommitResult,
  commitTransfer,
  endTransfer,
  transferOutcome,
} from '../../db/transfers.ts'
import type { Log } from '../log.ts'
import { OutcomeUnknownError } from './errors.ts'

const outcomeWaitMs = 20_000
const outcomeRetryMs = 250

/**
 * Commits a transfer, and finds out whether that was done when nobody answers.
 *
 * @throws {OutcomeUnknownError} the database does not come back within 20 s → 503; any other error:
 *   the commit was not made
 */
export async function commitOrFindOut(
  deps: { db: Database; log: Log },
  transferID: string,
  commit: Commit,
): Promise<CommitResult> {
  try {
    return await commitTransfer(deps.db, transferID, commit)
  } catch (error) {
    // An error that Postgres itself reports has rolled the commit back; any other leaves it open.
    if (isReportedByPostgres(error)) throw error
    return findOut(deps, transferID, commit, error)
  }
}

/**
 * The connection broke while the commit was running: was it made? Ending the transfer settles it, for
 * that waits for a commit that is still running, and does nothing after one that was made.
 */
function findOut(
  { db, log }: { db: Database; log: Log },
  transferID: string,
  commit: Commit,
  cause: unknown,
): Promise<CommitResult> {
  log.warn('asking what became of a commit', { transfer: transferID })
  return untilAnswered(cause, async () => {
    await endTransfer(db, transferID, { ...commit, state: 'aborted', reason, refused: [] })
    return resultOf(db, transferID)
  })
}

/**
 * The same for transfers that were committed together and have no row before: recording them as aborted
 * settles it. Where that succeeds, the group finds the row in its way if it should still come.
 *
 * @throws {OutcomeUnknownError} the database does not come back within 20 s → 503
 */
export async function findOutGroup(
  { db, log }: { db: Database; log: Log },
  serverID: string,
  members: GroupMember[],
  cause: unknown,
): Promise<CommitResult[]> {
  log.warn('asking what became of a commit', {
    transfers: members.map((m) => m.transferID).join(' '),
  })
  const results: CommitResult[] = []
  for (const member of members) {
    const { transferID } = member
    const result = await untilAnswered(cause, async () => {
      await recordEndedTransfer(
        db,
        { ...member, serverID },
        { ...member, state: 'aborted', reason, refused: [] },
      )
      return resultOf(db, transferID)
    })
    results.push(result)
  }
  return results
}

const reason = 'the database went away during the commit'

async function resultOf(db: Database, transferID: string): Promise<CommitResult> {
  const outcome = await transferOutcome(db, transferID)
  return outcome?.state === 'committed'
    ? { outcome: 'committed', disagreements: outcome.disagreements }
    : { outcome: 'lost', reason }
}

async function untilAnswered(
  cause: unknown,
  ask: () => Promise<CommitResult>,
): Promise<CommitResult> {
  for (const giveUpAt = performance.now() + outcomeWaitMs; performance.now() < giveUpAt; ) {
    try {
      return await ask()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, outcomeRetryMs))
    }
  }
  throw new OutcomeUnknownError(cause)
}

/** Has a SQLSTATE, other than those of a connection or a server that is going down (08, 57P). */
export function isReportedByPostgres(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string }
  return name === 'PostgresError' && code !== undefined && !/^(08|57P)/.test(code)
}
