import { describe, expect, test, vi } from 'vitest'
import { type Running, running } from '../../db/running.ts'
import { Patience } from '../../server/qido/patience.ts'
import { freshDatabase } from '../support/database.ts'

describe('patience with a statement', () => {
  test('the statement of a client who leaves is given up', async () => {
    await using database = await freshDatabase()
    const { sql } = database
    const left = new AbortController()
    const waiting = new Patience(left.signal).with(
      running(
        database,
        (own) => own`select pg_sleep(600)`,
        () => 1,
      ),
    )
    const outcome = expect(waiting).rejects.toMatchObject({ status: 400 })
    const sleeping = () => sql`
      select from pg_stat_activity
      where datname = current_database()
      and query like '%pg_sleep(600)%'
      and state = 'active'
      and pid <> pg_backend_pid()`
    await expect.poll(async () => (await sleeping()).length).toBe(1)
    left.abort()
    await outcome
    await expect.poll(async () => (await sleeping()).length).toBe(0)
  })

  test('one that was begun for a client who has left is given up, too', async () => {
    const gone = AbortSignal.abort()
    await expect(new Patience(gone).with(endless())).rejects.toMatchObject({ status: 400 })
  })

  test('QI-S7: what takes too long is answered 413', async () => {
    vi.useFakeTimers()
    try {
      const waiting = new Patience(new AbortController().signal).with(endless())
      const outcome = expect(waiting).rejects.toMatchObject({ status: 413 })
      await vi.advanceTimersByTimeAsync(30_000)
      await outcome
    } finally {
      vi.useRealTimers()
    }
  })

  test('any other error is passed on', async () => {
    await using database = await freshDatabase()
    const failing = running(
      database,
      (own) => own`select 1 / 0`,
      () => 1,
    )
    const patience = new Patience(new AbortController().signal)
    await expect(patience.with(failing)).rejects.toMatchObject({ code: '22012' })
  })
})

/** Runs until it is cancelled. */
function endless(): Running<number> {
  let reject: (reason: Error) => void = () => {}
  const promise = new Promise<number>((_, no) => {
    reject = no
  })
  return Object.assign(promise, { cancel: () => reject(new Error('cancelled')) })
}
