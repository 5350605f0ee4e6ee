import { Hono } from 'hono'
import { type Change, lastChange, listChanges, numberChanges } from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import { changeLevels, changeTypes } from '../../db/schema.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'

const changesByDefault = 100
const changesAtMost = 10_000

/** `/api/changes`: what happened, in an order without gaps. See docs/changes.md. */
export function changesRoutes({ db }: { db: Database }): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/changes', async (c) => {
    const backwards = c.req.query('before') !== undefined
    const limit = Math.min(
      wholeNumber(c.req.query('limit'), 'limit', 1) ?? changesByDefault,
      changesAtMost,
    )
    // Whoever asks sees all that was committed before.
    await numberChanges(db)
    const last = await lastChange(db)
    const before = wholeNumber(c.req.query('before'), 'before', 0) ?? 0
    const since = backwards ? before - 1 : (wholeNumber(c.req.query('since'), 'since', 0) ?? 0)
    const found = await listChanges(db, {
      since,
      limit: limit + 1,
      backwards,
      types: listOf(c.req.query('type'), 'type', changeTypes),
      levels: listOf(c.req.query('level'), 'level', changeLevels),
      studyInstanceUID: c.req.query('studyInstanceUID'),
    })
    const shown = found.slice(0, limit)
    const done = found.length <= limit
    const reached = backwards ? (shown.at(-1)?.seq ?? 0) : (shown.at(-1)?.seq ?? since)
    c.header('cache-control', 'no-store')
    return c.json({
      changes: shown.map(toJSON),
      // Nothing between the last one shown and the end of the feed passes the filter.
      last: done && !backwards ? Math.max(last, reached) : reached,
      done,
    })
  })
}

/** Members that have no value are left out. */
export function toJSON(change: Change) {
  const { seq, type, level, at, details, ...named } = change
  const present = Object.entries(named).filter(([, value]) => value !== null)
  return { seq, type, level, ...Object.fromEntries(present), at: at.toISOString(), ...details }
}

function wholeNumber(text: string | undefined, name: string, atLeast: number): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d{1,15}$/.test(text) && number >= atLeast) return number
  throw new HttpProblem(
    400,
    `Cannot list changes: "${name}" is no whole number of ${atLeast} or more`,
  )
}

function listOf<Name extends string>(
  text: string | undefined,
  name: string,
  known: readonly Name[],
): Name[] | undefined {
  if (text === undefined) return undefined
  const asked = text.split(',')
  const found = known.filter((one) => asked.includes(one))
  if (found.length === new Set(asked).size) return found
  throw new HttpProblem(
    400,
    `Cannot list changes: "${name}" is none of ${known.join(', ')}, or several with commas`,
  )
}
