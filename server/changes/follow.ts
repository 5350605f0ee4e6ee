import {
  type Change,
  type ChangeQuery,
  insistOnAll,
  lastChange,
  listChanges,
  numberChanges,
} from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'

/** Wakes a reader when something may have changed. */
export interface Notices {
  /** @returns what ends the subscription. */
  subscribe(heard: () => void): () => void
  readonly isStopped: boolean
}

/**
 * Changes as they come, some at a time, from those after `since` on, until the signal is aborted or the
 * server stops. Nothing came: an empty list, at least every `heartbeatMs`.
 *
 * @throws {ChangesRemovedError} The reader is so slow, or began so early, that changes are removed before it.
 *
 * A notice is only a reason to look: one that is lost costs a heartbeat, and never a change.
 */
export async function* follow(
  db: Database,
  notices: Notices,
  query: ChangeQuery,
  signal: AbortSignal,
  heartbeatMs: number,
): AsyncGenerator<Change[], void, void> {
  let { since } = query
  let isStale = true
  let wake = () => {}
  const heard = () => {
    isStale = true
    wake()
  }
  const unsubscribe = notices.subscribe(heard)
  signal.addEventListener('abort', heard)
  try {
    while (!signal.aborted && !notices.isStopped) {
      isStale = false
      await numberChanges(db)
      const last = await lastChange(db)
      const found = await listChanges(db, { ...query, since })
      await insistOnAll(db, { ...query, since })
      // Up to there is nothing else that the filter lets pass, so it need not be looked at again.
      const reached = found.length < query.limit ? last : 0
      since = Math.max(since, reached, found.at(-1)?.seq ?? 0)
      if (found.length > 0) {
        yield found
        continue
      }
      if (!isStale) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, heartbeatMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      if (!isStale) yield []
    }
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', heard)
  }
}
