import { Hono } from 'hono'
import {
  type Change,
  type ChangeQuery,
  insistOnAll,
  lastChange,
  listChanges,
  numberChanges,
} from '../../db/changes.ts'
import { acknowledge, findConsumer, forgetConsumer, listConsumers } from '../../db/consumers.ts'
import type { Database } from '../../db/database.ts'
import { changeLevels, changeTypes } from '../../db/schema.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'
import { readJSON } from '../http/read-json.ts'
import { smallBody } from '../http/read-text.ts'
import { timeLimit } from '../http/time-limit.ts'
import { follow, type Notices } from './follow.ts'

const changesByDefault = 100
const changesAtMost = 10_000
const longestWaitSeconds = 60
const heartbeatMs = 15_000
const streamedAtOnce = 500

export interface ChangesDeps {
  db: Database
  live: Notices
}

/** `/api/changes` and who reads them: what happened, in an order without gaps. See docs/changes.md. */
export function changesRoutes({ db, live }: ChangesDeps): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .use(async (c, next) => {
      await next()
      c.res.headers.set('cache-control', 'no-store')
    })
    .get('/changes', async (c) => {
      const ask = (name: string) => c.req.query(name)
      const filter = filterOf(ask)
      const limit = Math.min(wholeNumber(ask, 'limit', 1) ?? changesByDefault, changesAtMost)
      if (c.req.header('accept')?.includes('text/event-stream')) {
        const lastEventID = c.req.header('last-event-id')
        const since = wholeNumber(() => lastEventID, 'Last-Event-ID', 0) ?? (await sinceOf(db, ask))
        const query = { ...filter, since, limit: streamedAtOnce }
        await insistOnAll(db, query)
        return streamChanges(c.req.raw, { db, live }, query)
      }
      const before = wholeNumber(ask, 'before', 1)
      if (before !== undefined) {
        await numberChanges(db)
        const query = { ...filter, since: before - 1, backwards: true, limit: limit + 1 }
        const found = await listChanges(db, query)
        const shown = found.slice(0, limit)
        const last = shown.at(-1)?.seq ?? 0
        return c.json({ changes: shown.map(toJSON), last, done: found.length <= limit })
      }
      const since = await sinceOf(db, ask)
      const waitMs = 1000 * Math.min(wholeNumber(ask, 'wait', 0) ?? 0, longestWaitSeconds)
      return c.json(await nextChanges({ db, live }, { ...filter, since, limit }, waitMs, c.req.raw))
    })
    .get('/consumers', async (c) => c.json({ consumers: await listConsumers(db) }))
    .put('/consumers/:name', async (c) => {
      const name = nameOf(c.req.param('name'))
      const body = await readJSON(c.req.raw, smallBody)
      const { acknowledged } = (body ?? {}) as { acknowledged?: unknown }
      if (!Number.isSafeInteger(acknowledged) || (acknowledged as number) < 0) {
        throw new HttpProblem(
          400,
          'Cannot acknowledge: the body is no {"acknowledged":N} with the seq of a change',
        )
      }
      await numberChanges(db)
      const last = await lastChange(db)
      if ((acknowledged as number) > last) {
        throw new HttpProblem(400, `Cannot acknowledge: the last change has the seq ${last}`)
      }
      return c.json(await acknowledge(db, name, acknowledged as number))
    })
    .delete('/consumers/:name', async (c) => {
      if (await forgetConsumer(db, nameOf(c.req.param('name')))) return c.body(null, 204)
      throw new HttpProblem(404, 'There is no such consumer')
    })
}

/** Those after `since`; without any, waits for some. */
async function nextChanges(
  { db, live }: ChangesDeps,
  query: ChangeQuery,
  waitMs: number,
  request: Request,
): Promise<{ changes: object[]; last: number; done: boolean }> {
  // Whoever asks sees all that was committed before.
  await numberChanges(db)
  const last = await lastChange(db)
  let found = await listChanges(db, { ...query, limit: query.limit + 1 })
  await insistOnAll(db, query)
  if (found.length === 0 && waitMs > 0) {
    using limit = timeLimit(waitMs, request.signal)
    const { signal } = limit
    const more = { ...query, limit: query.limit + 1, since: Math.max(query.since, last) }
    for await (found of follow(db, live, more, signal, waitMs)) break
  }
  const shown = found.slice(0, query.limit)
  const done = found.length <= query.limit
  const reached = shown.at(-1)?.seq ?? query.since
  // Nothing between the last one shown and the end of the feed passes the filter.
  return { changes: shown.map(toJSON), last: done ? Math.max(last, reached) : reached, done }
}

/** As server-sent events; `id` is the seq, so a browser that comes again goes on where it was. */
function streamChanges(request: Request, { db, live }: ChangesDeps, query: ChangeQuery): Response {
  const encoder = new TextEncoder()
  const left = new AbortController()
  const signal = AbortSignal.any([request.signal, left.signal])
  const news = follow(db, live, query, signal, heartbeatMs)
  const body = new ReadableStream<Uint8Array>({
    // The head of an answer leaves with its first bytes.
    start(controller) {
      controller.enqueue(encoder.encode(': here is the feed\n\n'))
    },
    // Asked only when the client has taken the last ones, so that none pile up for a slow one.
    async pull(controller) {
      const next = await news.next().catch(() => undefined)
      if (next === undefined || next.done) return controller.close()
      const events = next.value.map((change) => {
        const data = JSON.stringify(toJSON(change))
        return `id: ${change.seq}\nevent: ${change.type}\ndata: ${data}\n\n`
      })
      controller.enqueue(encoder.encode(events.join('') || ': still here\n\n'))
    },
    cancel() {
      left.abort()
      void news.return()
    },
  })
  return new Response(request.method === 'HEAD' ? null : body, {
    headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
  })
}

/** Members that have no value are left out. */
export function toJSON(change: Change): object {
  const { seq, type, level, at, details, ...named } = change
  const present = Object.entries(named).filter(([, value]) => value !== null)
  return { seq, type, level, ...Object.fromEntries(present), at: at.toISOString(), ...details }
}

type Ask = (name: string) => string | undefined

async function sinceOf(db: Database, ask: Ask): Promise<number> {
  const name = ask('consumer')
  const since = wholeNumber(ask, 'since', 0)
  if (name === undefined || since !== undefined) return since ?? 0
  const consumer = await findConsumer(db, nameOf(name))
  if (consumer !== undefined) return consumer.acknowledged
  throw new HttpProblem(404, 'There is no such consumer; PUT /api/consumers/{name} makes it')
}

function filterOf(ask: Ask): Omit<ChangeQuery, 'since' | 'limit'> {
  return {
    types: listOf(ask, 'type', changeTypes),
    levels: listOf(ask, 'level', changeLevels),
    studyInstanceUID: ask('studyInstanceUID'),
  }
}

function nameOf(name: string): string {
  if (/^[\w.-]{1,64}$/.test(name)) return name
  throw new HttpProblem(400, 'The name of a consumer is 1 to 64 letters, digits, "_", "-" and "."')
}

function wholeNumber(ask: Ask, name: string, atLeast: number): number | undefined {
  const text = ask(name)
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d{1,15}$/.test(text) && number >= atLeast) return number
  throw new HttpProblem(
    400,
    `Cannot list changes: "${name}" is no whole number of ${atLeast} or more`,
  )
}

function listOf<Name extends string>(
  ask: Ask,
  name: string,
  known: readonly Name[],
): Name[] | undefined {
  const asked = ask(name)?.split(',')
  if (asked === undefined) return undefined
  const found = known.filter((one) => asked.includes(one))
  if (found.length === new Set(asked).size) return found
  throw new HttpProblem(
    400,
    `Cannot list changes: "${name}" is none of ${known.join(', ')}, or several with commas`,
  )
}
