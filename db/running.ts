import type { Database } from './database.ts'
import type { Fragment } from './search-conditions.ts'

/** A statement that can be given up. */
export interface Running<T> extends Promise<T> {
  cancel(): void
}

type Sql = Database['sql']
type OwnConnection = Awaited<ReturnType<Sql['reserve']>>

/** How long a request to cancel may be on its way: as long as a connection may take to open. */
const deliveryMs = 10_000

/**
 * Runs a statement on a connection that it has for itself.
 *
 * Postgres is told to cancel over another connection, which names the backend and not the statement: when the
 * statement ends at that moment, the next one of its backend is cancelled instead. So a connection for which such a
 * request is on its way goes back to the others only when it has arrived.
 */
export function running<T>(
  { sql }: Pick<Database, 'sql'>,
  statement: (sql: Sql) => Fragment,
  read: (rows: readonly object[]) => T,
): Running<T> {
  let query: Fragment | undefined
  let isGivenUp = false
  let delivery: Promise<void> | undefined
  async function run(): Promise<T> {
    const own = await sql.reserve()
    let failure: unknown
    try {
      if (isGivenUp) throw new Error('Given up before it began')
      query = statement(own as unknown as Sql)
      return read(await query)
    } catch (error) {
      failure = error
      throw error
    } finally {
      query = undefined
      if (delivery === undefined) giveBack(own, failure)
      else void giveBackAfter(delivery, own, failure)
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

/** A connection that is lost has left the pool already. */
function giveBack(own: OwnConnection, failure: unknown): void {
  const { code = '' } = (failure ?? {}) as { code?: string }
  if (!/^(CONNECT|E[A-Z]+$)/.test(code)) own.release()
}

/** Until the request has arrived, it has something harmless to hit. */
async function giveBackAfter(
  delivery: Promise<void>,
  own: OwnConnection,
  outcome: unknown,
): Promise<void> {
  let failure = outcome
  let isDelivered = false
  const arrived = () => {
    isDelivered = true
  }
  delivery.then(arrived)
  const timer = setTimeout(arrived, deliveryMs)
  while (!isDelivered && failure === undefined) {
    await own`select pg_sleep(0.02)`.catch((error) => {
      failure = error
    })
  }
  clearTimeout(timer)
  giveBack(own, failure)
}
