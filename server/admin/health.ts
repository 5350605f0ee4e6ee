import { Hono } from 'hono'
import type { Database } from '../../db/database.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import type { LiveHub } from '../live/live-hub.ts'
import type { Store } from '../store/store.ts'

export interface HealthDeps {
  db: Database
  store: Store
  live: Pick<LiveHub, 'isStopped'>
}

const answerWithinMs = 5000

/** `/healthz`: the process lives. `/readyz`: it can take a study. For machines. */
export function healthRoutes({ db, store, live }: HealthDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/healthz', (c) => c.json({ status: 'ok' }, 200, { 'cache-control': 'no-store' }))
    .get('/readyz', async (c) => {
      const [databaseAnswers, storeIsWritable] = await Promise.all([
        succeeds(takesWrites(db)),
        succeeds(store.probe()),
      ])
      const failed = [
        ...(databaseAnswers ? [] : ['the database does not answer, or takes no writes']),
        ...(storeIsWritable ? [] : ['the store cannot be written']),
        ...(live.isStopped ? ['the server is stopping'] : []),
      ]
      if (failed.length === 0) return c.json({ status: 'ok' }, 200, { 'cache-control': 'no-store' })
      // Answered and not thrown: whoever asks each second must not fill the log.
      return new HttpProblem(503, `Cannot take a study: ${failed.join('; ')}`, {
        members: { database: databaseAnswers, store: storeIsWritable },
        headers: { 'retry-after': '5' },
      }).toResponse()
    })
}

/** @throws where nothing can be written: a standby answers reads as if nothing were wrong. */
async function takesWrites({ sql }: Database): Promise<void> {
  const [row] = await sql`select current_setting('transaction_read_only') = 'off' as writable`
  if (row?.writable !== true) throw new Error('the database takes no writes')
}

/** Whether it does so in time: a dead NFS server, or a pool of dead connections, never answers. */
async function succeeds(work: PromiseLike<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), answerWithinMs)
  })
  const done = Promise.resolve(work).then(
    () => true,
    () => false,
  )
  const answer = await Promise.race([done, late])
  clearTimeout(timer)
  return answer
}
