import type { AuditAction } from '../../db/schema.ts'

/**
 * What the audit log calls a request, by its method and the pattern of its route; the first that fits counts. Nothing at
 * the end: what only looks, at nothing of a study.
 *
 * Whatever is added to the server later is recorded if it names a study, or changes something.
 */
const actions: readonly [RegExp, AuditAction | undefined][] = [
  [/^POST \/(theme|privacy)$/, undefined],
  // A reader of the feed that says how far it is.
  [/^PUT \/api\/consumers\//, undefined],
  [/^(POST \/login|GET \/login\/oidc\/callback)$/, 'sign-in'],
  [/^POST \/logout$/, 'sign-out'],
  [/^POST (\/dicom-web\/studies(\/:study)?|\/upload)$/, 'store'],
  [/^POST \/dicom-web\/commitment-requests\//, 'commit'],
  [/^DELETE \/dicom-web\//, 'delete'],
  [/^(GET|POST) \/$|^GET \/live\/(studies|rows)$/, 'search'],
  [/^GET \/dicom-web\/(.+\/)?(studies|series|instances)$/, 'search'],
  [/^GET \/dicom-web\/studies\//, 'retrieve'],
  [/^GET .*\/files\.zip$/, 'export'],
  [/^GET \/(api\/changes|changes|feed|live\/changes)$/, 'follow'],
  [/^GET (\/api)?\/audit$/, 'audit'],
  [/^GET .*\/:study\b/, 'view'],
  [/^(GET|OPTIONS) /, undefined],
  [/ (\/api)?\/(quiet-rules|webhooks)\b/, 'configure'],
  [/^/, 'act'],
]

const known = new Map<string, AuditAction | undefined>()

/** @param route As `GET /studies/:study`; HEAD is GET. */
export function actionOf(route: string): AuditAction | undefined {
  if (!known.has(route)) known.set(route, actions.find(([pattern]) => pattern.test(route))?.[1])
  return known.get(route)
}

interface EventName {
  /** Event ID and Event Type Code of the audit message, of the coding scheme DCM. */
  eventID: readonly [code: string, meaning: string]
  eventType?: readonly [code: string, meaning: string]
  /** Event Action Code: create, read, update, delete, execute. */
  eventActionCode: 'C' | 'R' | 'U' | 'D' | 'E'
}

const activity = ['110100', 'Application Activity'] as const
const authentication = ['110114', 'User Authentication'] as const
const alert = ['110113', 'Security Alert'] as const
const transferred = ['110104', 'DICOM Instances Transferred'] as const
const accessed = ['110103', 'DICOM Instances Accessed'] as const

/** What DICOM PS3.15 A.5.3 calls what we call otherwise. */
export const eventNames: Readonly<Record<AuditAction, EventName>> = {
  start: { eventID: activity, eventType: ['110120', 'Application Start'], eventActionCode: 'E' },
  stop: { eventID: activity, eventType: ['110121', 'Application Stop'], eventActionCode: 'E' },
  'sign-in': { eventID: authentication, eventType: ['110122', 'Login'], eventActionCode: 'E' },
  'sign-out': { eventID: authentication, eventType: ['110123', 'Logout'], eventActionCode: 'E' },
  denied: {
    eventID: alert,
    eventType: ['110132', 'Use of Restricted Function'],
    eventActionCode: 'E',
  },
  store: { eventID: transferred, eventActionCode: 'C' },
  search: { eventID: ['110112', 'Query'], eventActionCode: 'E' },
  view: { eventID: accessed, eventActionCode: 'R' },
  retrieve: { eventID: transferred, eventActionCode: 'R' },
  export: { eventID: ['110106', 'Export'], eventActionCode: 'R' },
  follow: { eventID: ['110112', 'Query'], eventActionCode: 'E' },
  commit: { eventID: accessed, eventActionCode: 'R' },
  act: { eventID: accessed, eventActionCode: 'U' },
  delete: { eventID: ['110105', 'DICOM Study Deleted'], eventActionCode: 'D' },
  configure: {
    eventID: alert,
    eventType: ['110129', 'Security Configuration'],
    eventActionCode: 'U',
  },
  audit: { eventID: ['110101', 'Audit Log Used'], eventActionCode: 'R' },
}
