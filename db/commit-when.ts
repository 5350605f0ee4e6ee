import type { Row, RowList } from 'postgres'
import type { Database } from './database.ts'

/** The connection of a transaction is gone, and nobody heard whether it was committed. */
export class TransactionLostError extends Error {
  override name = 'TransactionLostError'
}

/**
 * Lets Postgres do its work in a transaction while something else is being done, and commits when both are done.
 * The other thing is begun when the statements are on their way, so that nothing of it comes before them.
 *
 * Statements go out one behind the other, without waiting for answers: the commit is there when the work ends. `sql.begin` of
 * postgres.js 3.4.9 waits for each answer, and may not hear that its connection is lost (decision 29). So this is for a
 * client that has one connection, and looks itself whether all of it was answered by the same one; where one is lost in the
 * middle, postgres.js sends the rest on the next.
 *
 * @param database Of one connection, which nobody else uses meanwhile.
 * @param other Committed is when it resolves; what it throws or rejects with is thrown, after a rollback.
 * @param work Makes the statement. Where it is not inside this transaction, it must do nothing and return no row: that is what
 *   the condition `isInside` is for.
 * @returns The row of the statement, which is committed.
 * @throws What the statement throws, after a rollback; {TransactionLostError} and other errors of a connection: it may be
 *   committed or not.
 */
export async function commitWhen(
  { sql }: Database,
  other: () => Promise<void>,
  work: (sql: Database['sql']) => PromiseLike<RowList<Row[]>>,
): Promise<Row> {
  const begun = sent(sql`begin deferrable`)
  const worked = sent(work(sql))
  try {
    await handedOver()
    await other()
  } catch (error) {
    await Promise.allSettled([begun, worked, sql`rollback`])
    throw error
  }
  // Of a transaction that failed, this is the rollback.
  const ended = sent(sql`commit`)
  const { row, backend } = await worked
  await begun
  const end = await ended
  // "ROLLBACK" says a commit of what cannot be committed.
  if (row === undefined || end.backend !== backend || end.command !== 'COMMIT') {
    throw new TransactionLostError('The connection of a transaction was lost')
  }
  return row
}

/** True inside a transaction of `commitWhen`, by a word that has no meaning there: it is for serializable readers. */
export function isInside(sql: Database['sql']) {
  return sql`
    current_setting('transaction_deferrable') = 'on' and current_setting('default_transaction_deferrable') = 'off'`
}

/** postgres.js sends what it is given in a microtask, or behind what it waits for itself. */
function handedOver(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

interface Sent {
  row: Row | undefined
  command: string
  /** Who answered. */
  backend: string
}

/** Sends it at once. Whose error nobody waits for is none. */
function sent(query: PromiseLike<RowList<Row[]>>): Promise<Sent> {
  const answered = Promise.resolve(query).then((rows) => {
    // Read now: postgres.js writes the next backend of this connection over it.
    const { pid, secret } = rows.state as unknown as { pid: number; secret: number }
    return { row: rows[0], command: rows.command, backend: `${pid} ${secret}` }
  })
  answered.catch(() => {})
  return answered
}
