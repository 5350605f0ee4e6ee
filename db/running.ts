import type { Database } from './database.ts'
import { ownConnectionsOf } from './own-connections.ts'
import type { Fragment } from './search-conditions.ts'

/** A statement that can be given up. */
export interface Running<T> extends Promise<T> {
  cancel(): void
}

type Sql = Database['sql']

/** How long a request to cancel may be on its way: as long as a connection may take to open. */
const deliveryMs = 10_000

/**
 * Runs a statement on a connection that it has for itself.
 *
 * Postgres is told to cancel over another connection, which names the backend and not the statement: when the
 * statement ends at that moment, the next one of its backend is cancelled instead. So a connection for which such a
 * request is on its way goes back to the others only when it has arrived; a backend that is idle takes no notice of it.
 */
export function running<T>(
  { sql }: Pick<Database, 'sql'>,
  statement: (sql: Sql) => Fragment,
  read: (rows: readonly object[]) => T,
): Running<T> {
  const connections = ownConnectionsOf(sql)
  let query: Fragment | undefined
  let isGivenUp = false
  let delivery: Promise<void> | undefined
  async function run(): Promise<T> {
    const own = await connections.take()
    try {
      if (isGivenUp) throw new Error('Given up before it began')
      query = statement(own)
      return read(await query)
    } finally {
      query = undefined
      if (delivery === undefined) connections.giveBack(own)
      else void arrivalOf(delivery).then(() => connections.giveBack(own))
    }
  }
  function cancel(): void {
    if (isGivenUp) return
    isGivenUp = true
    // What `query.cancel()` calls; that one drops the promise, and one that is rejected would end the process.
    const { canceller } = (query ?? {}) as { canceller?: (query: Fragment) => Promise<void> }
    delivery = canceller?.(query as Fragment).catch(() => {})
  }
  return Object.assign(run(), { cancel })
}

async function arrivalOf(delivery: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deliveryMs)
  })
  await Promise.race([delivery, late])
  clearTimeout(timer)
}
