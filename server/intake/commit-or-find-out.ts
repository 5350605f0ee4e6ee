import type { Database } from '../../db/database.ts'
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
async function findOut(
  { db, log }: { db: Database; log: Log },
  transferID: string,
  commit: Commit,
  cause: unknown,
): Promise<CommitResult> {
  const reason = 'the database went away during the commit'
  log.warn('asking what became of a commit', { transfer: transferID })
  for (const giveUpAt = Date.now() + outcomeWaitMs; Date.now() < giveUpAt; ) {
    try {
      await endTransfer(db, transferID, { ...commit, state: 'aborted', reason, refused: [] })
      const outcome = await transferOutcome(db, transferID)
      return outcome?.state === 'committed'
        ? { outcome: 'committed', disagreements: outcome.disagreements }
        : { outcome: 'lost', reason }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, outcomeRetryMs))
    }
  }
  throw new OutcomeUnknownError(cause)
}

/** Has a SQLSTATE, other than those of a connection or a server that is going down (08, 57P). */
function isReportedByPostgres(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string }
  return name === 'PostgresError' && code !== undefined && !/^(08|57P)/.test(code)
}
