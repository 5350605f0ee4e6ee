import { connect } from 'node:net'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../db/database.ts'
import { changesRoutes } from '../../server/changes/routes.ts'
import type { AppEnv } from '../../server/http/env.ts'
import { listenNodeHttp } from '../../server/listen/node-http.ts'
import { freshDatabase } from '../support/database.ts'

describe('a stream of changes', () => {
  test('gives back what it holds when a client that reads nothing leaves in the middle of it', async () => {
    await using database = await freshDatabase()
    const db = openDatabase(database.sql)
    await db.sql`
      insert into changes_to_come (type, level, study_instance_uid, details)
      select 'new', 'study', '1.2.' || n, jsonb_build_object('filling', repeat('x', 2000))
      from generate_series(1, 20000) n`
    const subscribers = new Set<() => void>()
    const live = {
      isStopped: false,
      subscribe(heard: () => void) {
        subscribers.add(heard)
        return () => subscribers.delete(heard)
      },
    }
    const app = new Hono<AppEnv>().route('/api', changesRoutes({ db, live }))
    const listener = await listenNodeHttp((request) => app.fetch(request), {
      hostname: '127.0.0.1',
      port: 0,
      onFault: () => {},
    })
    try {
      const socket = connect(Number(new URL(listener.url).port), '127.0.0.1')
      socket.pause()
      socket.write(
        'GET /api/changes HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n',
      )
      await expect.poll(() => subscribers.size, { timeout: 10_000 }).toBe(1)
      // 40 MB are more than anything between us buffers, so by now it waits for the client.
      await expect.poll(() => statementsRunning(db), { timeout: 10_000 }).toBe(0)
      socket.destroy()
      await expect.poll(() => subscribers.size, { timeout: 10_000 }).toBe(0)
    } finally {
      await listener.stop(0)
    }
  })
})

async function statementsRunning({ sql }: ReturnType<typeof openDatabase>): Promise<number> {
  const [row] = await sql`
    select count(*)::integer as count
    from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`
  return row?.count
}
