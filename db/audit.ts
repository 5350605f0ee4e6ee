import { and, asc, desc, eq, getTableColumns, gte, lt, or, sql as raw, type SQL } from 'drizzle-orm'
import type { Database } from './database.ts'
import { type AuditAction, auditEvents } from './schema.ts'

export type AuditEvent = typeof auditEvents.$inferSelect

/** An event that has no row yet. */
export interface NewAuditEvent {
  /** How long ago it happened. */
  ageMs: number
  action: AuditAction
  actor?: string | undefined
  source?: string | undefined
  studyInstanceUID?: string | undefined
  seriesInstanceUID?: string | undefined
  sopInstanceUID?: string | undefined
  transferID?: string | undefined
  outcome: AuditOutcome
  what?: string | undefined
  eventCount: number
  instanceCount?: number | undefined
}

/** PS3.15 A.5.2: success, minor failure (refused), serious failure. */
export type AuditOutcome = 0 | 4 | 8

/** Adds events, in one statement. */
export async function addAuditEvents({ sql }: Database, events: NewAuditEvent[]): Promise<void> {
  await sql`select add_audit_events(${JSON.stringify(events)}::text::jsonb)`
}

/** A place between two events: `2026-03-01T12:00:00.123456Z~42`. */
export type AuditCursor = string & { readonly __brand: 'AuditCursor' }

export function parseAuditCursor(text: string): AuditCursor | undefined {
  const fits = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z~\d{1,18}$/.test(text)
  return fits && !Number.isNaN(Date.parse(text.split('~')[0] as string))
    ? (text as AuditCursor)
    : undefined
}

export interface AuditFilter {
  actions?: readonly AuditAction[] | undefined
  actor?: string | undefined
  source?: string | undefined
  studyInstanceUID?: string | undefined
  from?: Date | undefined
  /** Not this instant itself. */
  until?: Date | undefined
}

export type ListedAuditEvent = AuditEvent & { cursor: AuditCursor }

/**
 * Events in the order in which they happened, or the newest first.
 *
 * @param page `beyond`: those that come after this place in that order.
 */
export async function listAuditEvents(
  { orm }: Database,
  filter: AuditFilter,
  page: { beyond?: AuditCursor | undefined; limit: number; newestFirst: boolean },
): Promise<ListedAuditEvent[]> {
  const { actions, actor, source, studyInstanceUID, from, until } = filter
  const { beyond, limit, newestFirst } = page
  const t = auditEvents
  const conditions: (SQL | undefined)[] = [
    actions && or(...actions.map((action) => eq(t.action, action))),
    actor === undefined ? undefined : eq(t.actor, actor),
    source === undefined ? undefined : eq(t.source, source),
    studyInstanceUID === undefined ? undefined : eq(t.studyInstanceUID, studyInstanceUID),
    from && gte(t.at, from),
    until && lt(t.at, until),
    beyond && beyondPlace(beyond, newestFirst),
  ]
  const inOrder = newestFirst ? desc : asc
  return orm
    .select({
      ...getTableColumns(t),
      cursor: raw<AuditCursor>`
        to_char(${t.at} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '~' || ${t.auditKey}`,
    })
    .from(t)
    .where(and(...conditions))
    .orderBy(inOrder(t.at), inOrder(t.auditKey))
    .limit(limit)
}

function beyondPlace(cursor: AuditCursor, newestFirst: boolean): SQL {
  const [instant, key] = cursor.split('~') as [string, string]
  const place = raw`(${instant}::timestamptz, ${key}::bigint)`
  const row = raw`(${auditEvents.at}, ${auditEvents.auditKey})`
  return newestFirst ? raw`${row} < ${place}` : raw`${row} > ${place}`
}

/** Events that are removed in one transaction. */
const removedAtOnce = 5000

/** Removes events whose time is over. @returns how many. */
export async function removeOldAuditEvents(
  { sql }: Database,
  signal?: AbortSignal,
): Promise<number> {
  for (let total = 0; ; ) {
    const [row] = await sql`select remove_old_audit_events(${removedAtOnce}) as removed`
    const removed = row?.removed as number
    total += removed
    if (removed < removedAtOnce || signal?.aborted) return total
  }
}

/** @param days Null: for ever. Is an event itself where it changes something. */
export async function setAuditRetention({ sql }: Database, days: number | null): Promise<void> {
  await sql`update audit_retention set keep_days = ${days} where keep_days is distinct from ${days}`
}
