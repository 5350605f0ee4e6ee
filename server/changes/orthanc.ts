import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import {
  type Change,
  type ChangeKind,
  lastChange,
  listChanges,
  numberChanges,
} from '../../db/changes.ts'
import type { Database } from '../../db/database.ts'
import type { ChangeLevel, ChangeType } from '../../db/schema.ts'
import type { AppEnv } from '../http/env.ts'
import { HttpProblem } from '../http/problem.ts'

const changesByDefault = 100
const changesAtMost = 10_000

/** What Orthanc has a word for: the others of our changes are left out, so numbers are passed over. */
const words: Partial<Record<ChangeType, (resource: string) => string>> = {
  new: (resource) => `New${resource}`,
  stable: (resource) => `Stable${resource}`,
  deleted: () => 'Deleted',
}
const resources: Partial<Record<ChangeLevel, string>> = {
  patient: 'Patient',
  study: 'Study',
  series: 'Series',
}
const levels = Object.keys(resources) as ChangeLevel[]
const known = (Object.keys(words) as ChangeType[]).flatMap((type) =>
  levels.map((level) => ({
    word: words[type]?.(resources[level] as string) as string,
    kind: { type, level },
  })),
)

/**
 * `/changes` as Orthanc has it, so that scripts that poll an Orthanc work unchanged. Sequence numbers are
 * those of our own feed.
 *
 * There is no `NewInstance`: a study of 10,000 instances is three rows here.
 * @see https://orthanc.uclouvain.be/book/users/rest.html#tracking-changes
 */
export function orthancRoutes({ db }: { db: Database }): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/changes', async (c) => {
    c.header('cache-control', 'no-store')
    await numberChanges(db)
    const ask = (name: string) => c.req.query(name)
    const limit = Math.min(wholeNumber(ask('limit')) || changesByDefault, changesAtMost)
    const kinds = kindsOf(ask('type'))
    const end = await lastChange(db)
    if (ask('last') !== undefined) {
      const [newest] = await listChanges(db, { kinds, since: end, backwards: true, limit: 1 })
      const Changes = newest === undefined ? [] : [toOrthanc(newest)]
      return c.json({ Changes, Done: true, Last: newest?.seq ?? 0 })
    }
    const to = ask('to')
    if (to !== undefined && ask('since') === undefined) {
      // The last ones before a point, the oldest of them first.
      const query = { kinds, since: wholeNumber(to), backwards: true, limit: limit + 1 }
      const found = await listChanges(db, query)
      const shown = found.slice(0, limit).reverse()
      return c.json({
        Changes: shown.map(toOrthanc),
        Done: found.length <= limit,
        First: shown[0]?.seq ?? 0,
        Last: shown.at(-1)?.seq ?? 0,
      })
    }
    const since = wholeNumber(ask('since'))
    const found = await listChanges(db, { kinds, since, limit: limit + 1 })
    const until = to === undefined ? Number.POSITIVE_INFINITY : wholeNumber(to)
    const shown = found.slice(0, limit).filter(({ seq }) => seq <= until)
    const isDone = shown.length === found.length || shown.length < limit
    return c.json({
      Changes: shown.map(toOrthanc),
      Done: isDone,
      First: shown[0]?.seq ?? since,
      // Nothing between the last one shown and the end of the feed has a word.
      Last: isDone ? Math.max(since, Math.min(end, until)) : (shown.at(-1)?.seq ?? since),
    })
  })
}

/** The identifiers by which Orthanc knows a patient, a study, a series. */
export function orthancID(...identifiers: (string | null)[]): string {
  const text = identifiers.map((one) => one ?? '').join('|')
  const hex = createHash('sha1').update(text, 'utf8').digest('hex')
  return (hex.match(/.{8}/g) as string[]).join('-')
}

const paths: Record<string, string> = { Patient: 'patients', Study: 'studies', Series: 'series' }

function toOrthanc({ seq, type, level, at, ...named }: Change) {
  const resource = resources[level] as string
  const { patientID, studyInstanceUID, seriesInstanceUID } = named
  const uids = [studyInstanceUID, seriesInstanceUID].slice(0, levels.indexOf(level))
  const ID = orthancID(patientID, ...uids)
  return {
    ChangeType: words[type]?.(resource),
    Date: at.toISOString().replace(/[-:]|\.\d+Z$/g, ''),
    ID,
    Path: `/${paths[resource]}/${ID}`,
    ResourceType: resource,
    Seq: seq,
  }
}

/** `StableStudy;NewStudy`: one or several, as Orthanc takes them. */
function kindsOf(text: string | undefined): ChangeKind[] {
  if (text === undefined) return known.map(({ kind }) => kind)
  const asked = text.split(';')
  const unknown = asked.find((word) => !known.some((one) => one.word === word))
  if (unknown === undefined) {
    return known.filter(({ word }) => asked.includes(word)).map(({ kind }) => kind)
  }
  const all = [...new Set(known.map(({ word }) => word))].join(', ')
  throw new HttpProblem(400, `Cannot list changes: "type" is none of ${all}, or several with ";"`)
}

function wholeNumber(text: string | undefined): number {
  if (text === undefined) return 0
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new HttpProblem(400, 'Cannot list changes: "since", "to" and "limit" are whole numbers')
}
